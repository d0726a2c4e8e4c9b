import Dialects
import FoundationEssentials
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Vocabulary

/// `/v1/models` and `/v1/chat/completions`.
struct OpenAIRoutes: Sendable {
    let backend: any Generating
    let logger: Logger

    func add(to router: Router<BasicRequestContext>) {
        router.get("v1/models") { _, _ in
            Response(json: OpenAI.body(of: await backend.models().map(OpenAI.Model.init)))
        }
        router.get("v1/models/**") { _, context in
            let name = context.parameters.getCatchAll().joined(separator: "/")
            let models = await backend.models()
            guard let model = models.first(where: { $0.card.id == name }) else {
                return Response(
                    ErrorReport(GenerationError.modelNotFound(name: name, available: models.map(\.card.id)), promptField: "model"))
            }
            return Response(json: OpenAI.body(of: OpenAI.Model(model)))
        }
        router.post("v1/chat/completions") { request, _ in try await chatCompletion(request) }
    }

    private func chatCompletion(_ request: Request) async throws -> Response {
        var request = request
        let body = try await request.collectBody(upTo: Dialects.Limits.bodyBytes)
        let decoded = try OpenAI.ChatCompletion.decode(Array(body.readableBytesView), id: backend.nextRequestID())
        let answer = AnswerIdentity(
            id: "chatcmpl-\(decoded.request.id)", created: Int64(Date().timeIntervalSince1970),
            model: decoded.request.model, choiceCount: decoded.request.choiceCount)
        var headers = HTTPFields()
        headers[.requestID] = "\(decoded.request.id)"
        if !decoded.warnings.isEmpty { headers[.warnings] = decoded.warnings.joined(separator: "; ") }
        let events = await backend.generate(decoded.request)
        return decoded.stream
            ? await stream(events, answer, includeUsage: decoded.includeUsage, headers: headers)
            : try await gather(events, answer, headers: headers)
    }

    private func gather(
        _ events: AsyncStream<GenerationEvent>, _ answer: AnswerIdentity, headers: HTTPFields
    ) async throws -> Response {
        var aggregate = OpenAI.ChatCompletionAggregate(
            id: answer.id, created: answer.created, model: answer.model, choiceCount: answer.choiceCount)
        for await event in events { aggregate.absorb(event) }
        switch aggregate.outcome() {
        case .complete(let body): return Response(json: body, headers: headers)
        case .failed(let error): return Response(ErrorReport(error))
        case .pending: throw RequestRefusal.internalError(requestID: answer.id)
        }
    }

    /// The status is decided by the first event: an error that could be known before the first byte is never a 200.
    private func stream(
        _ events: AsyncStream<GenerationEvent>, _ answer: AnswerIdentity, includeUsage: Bool, headers: HTTPFields
    ) async -> Response {
        var iterator = events.makeAsyncIterator()
        let first = await iterator.next()
        if case .failed(let error) = first { return Response(ErrorReport(error)) }
        var headers = headers
        headers[.contentType] = "text/event-stream"
        headers[.cacheControl] = "no-cache"
        let encoder = OpenAI.ChatCompletionEncoder(
            id: answer.id, created: answer.created, model: answer.model, choiceCount: answer.choiceCount,
            includeUsage: includeUsage)
        return Response(
            status: .ok, headers: headers,
            body: ResponseBody { writer in
                var encoder = encoder
                var bytes: [UInt8] = []
                if let first { encoder.encode(first, into: &bytes) }
                if !bytes.isEmpty { try await writer.write(ByteBuffer(bytes: bytes)) }
                for await event in events {
                    bytes.removeAll(keepingCapacity: true)
                    encoder.encode(event, into: &bytes)
                    if !bytes.isEmpty { try await writer.write(ByteBuffer(bytes: bytes)) }
                }
                try await writer.finish(nil)
            })
    }
}

/// What identifies an answer in its envelope.
private struct AnswerIdentity: Sendable {
    var id: String
    var created: Int64
    var model: String
    var choiceCount: Int
}

extension OpenAI.Model {
    init(_ model: ServedModel) {
        switch model.state {
        case .ready: self.init(card: model.card, created: model.created, owner: "skein", state: "ready")
        case .starting(let reason):
            self.init(card: model.card, created: model.created, owner: "skein", state: "starting", reason: reason)
        case .failed(let reason):
            self.init(card: model.card, created: model.created, owner: "skein", state: "failed", reason: reason)
        }
    }
}

extension HTTPField.Name {
    static let requestID = HTTPField.Name("x-request-id") ?? .contentType
    static let warnings = HTTPField.Name("warnings") ?? .contentType
}
