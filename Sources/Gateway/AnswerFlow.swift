import Dialects
import HTTPTypes
import Hummingbird
import NIOCore
import Vocabulary

/// Hands a decoded request to the node and its answer to the client, whatever the dialect. The request ends when the
/// client goes away: its lane is free one step later.
struct AnswerFlow: Sendable {
    let backend: any Generating
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
        var aggregate = aggregate
        let id = decoded.request.id
        let headers = headers(of: decoded)
        let generation = await backend.generate(decoded.request)
        context.whenClientLeaves(generation.cancel)
        defer { context.whenClientLeaves(nil) }
        for await event in generation.events { aggregate.absorb(event) }
        switch aggregate.outcome() {
        case .complete(let body): return Response(json: body, headers: headers)
        case .failed(let error): return refusal(error, id, headers)
        case .pending: throw RequestRefusal.internalError(requestID: "\(id)")
        }
    }

    /// Answers as a stream. The status is decided by the first event: an error that could be known before the first
    /// byte is never a 200.
    func stream(
        _ decoded: DecodedRequest, _ context: GatewayContext, _ encoder: any AnswerEncoder,
        contentType: String = "text/event-stream"
    ) async -> Response {
        var headers = headers(of: decoded)
        let generation = await backend.generate(decoded.request)
        context.whenClientLeaves(generation.cancel)
        let events = generation.events
        var iterator = events.makeAsyncIterator()
        var held: [GenerationEvent] = []
        // `started` says only that a lane was found; the first output (or the end) decides.
        while let event = await iterator.next() {
            held.append(event)
            if case .started = event { continue }
            break
        }
        if case .failed(let error) = held.last {
            context.whenClientLeaves(nil)
            return refusal(error, decoded.request.id, headers)
        }
        headers[.contentType] = contentType
        headers[.cacheControl] = "no-cache"
        return Response(
            status: .ok, headers: headers,
            body: ResponseBody { [held] writer in
                var encoder = encoder
                var bytes: [UInt8] = []
                for event in held { encoder.encode(event, into: &bytes) }
                if !bytes.isEmpty { try await writer.write(ByteBuffer(bytes: bytes)) }
                for await event in events {
                    bytes.removeAll(keepingCapacity: true)
                    encoder.encode(event, into: &bytes)
                    if !bytes.isEmpty { try await writer.write(ByteBuffer(bytes: bytes)) }
                }
                context.whenClientLeaves(nil)
                try await writer.finish(nil)
            })
    }

    private func headers(of decoded: DecodedRequest) -> HTTPFields {
        var headers = HTTPFields()
        headers[.requestID] = "\(decoded.request.id)"
        if let warnings = decoded.warningHeader { headers[.warnings] = warnings }
        return headers
    }

    private func refusal(_ error: GenerationError, _ id: Vocabulary.RequestID, _ headers: HTTPFields) -> Response {
        dialect.response(ErrorReport(error, promptField: promptField), requestID: "\(id)", headers: headers)
    }
}
