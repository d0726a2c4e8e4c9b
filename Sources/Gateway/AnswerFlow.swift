import Dialects
import HTTPTypes
import Hummingbird
import NIOCore
import Vocabulary

/// Hands a decoded request to the node and its answer to the client, whatever the dialect. The request ends when the
/// client goes away: its lane is free one step later.
struct AnswerFlow: Sendable {
    let backend: any Generating
    let room: WaitingRoom
    /// Whose shape errors have.
    let dialect: ErrorDialect
    /// What the dialect calls the prompt.
    let promptField: String

    /// The bytes of a request within the limit.
    static func body(of request: Request) async throws -> [UInt8] {
        var request = request
        let limit = Dialects.Limits.bodyBytes
        if let length = request.headers[.contentLength].flatMap(Int.init), length > limit {
            throw RequestRefusal.bodyTooLarge(bytes: length, limit: limit)
        }
        return Array(try await request.collectBody(upTo: limit).readableBytesView)
    }

    /// Answers in one body.
    func gather(
        _ decoded: DecodedRequest, _ context: GatewayContext, _ aggregate: any AnswerAggregate
    ) async throws -> Response {
        let decoded = permitted(decoded, context)
        var aggregate = aggregate
        var meter = UsageMeter()
        let id = decoded.request.id
        var review = AnswerReview(decoded.request)
        let generation = await backend.generate(decoded.request)
        context.whenClientLeaves(generation.cancel)
        defer { context.whenClientLeaves(nil) }
        for await event in generation.events {
            meter.absorb(event)
            aggregate.absorb(event)
            review?.absorb(event)
        }
        let findings = review?.findings ?? []
        if !findings.isEmpty { context.errors?.record(findings: findings.count, dialect, requestID: "\(id)") }
        let headers = headers(of: decoded, findings: findings)
        context.charge(meter)
        switch aggregate.outcome() {
        case .complete(let body): return Response(json: body, headers: headers)
        case .failed(let error): return refusal(error, id, context, headers)
        case .pending: throw RequestRefusal.internalError(requestID: "\(id)")
        }
    }

    /// Answers as a stream. The status is decided by the first event: an error that could be known before the first
    /// byte is never a 200.
    func stream(
        _ decoded: DecodedRequest, _ context: GatewayContext, _ encoder: any AnswerEncoder,
        contentType: String = "text/event-stream"
    ) async -> Response {
        let decoded = permitted(decoded, context)
        var headers = headers(of: decoded)
        let id = decoded.request.id
        let generation = await backend.generate(decoded.request)
        context.whenClientLeaves(generation.cancel)
        let events = generation.events
        let opening = await room.opening(of: events)
        let (held, isDecided) = opening.take()
        if case .failed(let error) = held.last {
            context.whenClientLeaves(nil)
            return refusal(error, id, context, headers)
        }
        headers[.contentType] = contentType
        headers[.cacheControl] = "no-cache"
        context.whenSilent { [encoder] in
            var bytes: [UInt8] = []
            encoder.keepAlive(into: &bytes)
            return bytes
        }
        return Response(
            status: .ok, headers: headers,
            body: ResponseBody { writer in
                var pen = Pen(encoder: encoder, flow: self, context: context, request: decoded.request)
                defer { context.charge(pen.meter) }
                if let bytes = pen.write(held) { try await writer.write(bytes) }
                if !isDecided {
                    await opening.decided()
                    if let bytes = pen.write(opening.take().events) { try await writer.write(bytes) }
                }
                for await event in events {
                    if let bytes = pen.write([event]) { try await writer.write(bytes) }
                }
                context.whenClientLeaves(nil)
                try await writer.finish(nil)
            })
    }

    /// Turns the events of a stream into bytes, and counts what they cost.
    private struct Pen {
        var encoder: any AnswerEncoder
        let flow: AnswerFlow
        let context: GatewayContext
        let id: Vocabulary.RequestID
        var meter = UsageMeter()
        private var review: AnswerReview?
        private var bytes: [UInt8] = []

        init(encoder: any AnswerEncoder, flow: AnswerFlow, context: GatewayContext, request: GenerationRequest) {
            review = AnswerReview(request)
            self.encoder = encoder
            self.flow = flow
            self.context = context
            id = request.id
        }

        /// What the client sees of some events; nil for nothing.
        mutating func write(_ events: [GenerationEvent]) -> ByteBuffer? {
            bytes.removeAll(keepingCapacity: true)
            for event in events {
                meter.absorb(event)
                if case .failed(let error) = event {
                    let report = ErrorReport(error, promptField: flow.promptField)
                    context.errors?.record(report, flow.dialect, requestID: "\(id)")
                }
                encoder.encode(event, into: &bytes)
                review?.absorb(event)
                if case .finished = event, let findings = review?.findings, !findings.isEmpty {
                    context.errors?.record(findings: findings.count, flow.dialect, requestID: "\(id)")
                }
            }
            return bytes.isEmpty ? nil : ByteBuffer(bytes: bytes)
        }
    }

    /// The request with what its sender may do to how long models are loaded, and a warning where that is less than it
    /// asks for.
    private func permitted(_ decoded: DecodedRequest, _ context: GatewayContext) -> DecodedRequest {
        var decoded = decoded
        if let objection = context.objection(to: decoded.request.residency) { decoded.warnings.append(objection) }
        context.permit(&decoded.request)
        return decoded
    }

    private func headers(of decoded: DecodedRequest, findings: [String] = []) -> HTTPFields {
        var headers = HTTPFields()
        headers[.requestID] = "\(decoded.request.id)"
        if let warnings = DecodedRequest.warningHeader(findings + decoded.warnings) { headers[.warnings] = warnings }
        return headers
    }

    private func refusal(
        _ error: GenerationError, _ id: Vocabulary.RequestID, _ context: GatewayContext, _ headers: HTTPFields
    ) -> Response {
        let report = ErrorReport(error, promptField: promptField)
        return dialect.response(report, context, requestID: "\(id)", headers: headers)
    }
}
