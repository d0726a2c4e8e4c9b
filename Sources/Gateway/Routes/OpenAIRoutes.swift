import Dialects
import FoundationEssentials
import HTTPTypes
import Hummingbird
import Vocabulary

/// `/v1/models`, `/v1/chat/completions` and `/v1/completions`.
struct OpenAIRoutes: Sendable {
    let backend: any Generating
    let room: WaitingRoom
    /// Names the build that answers, as `system_fingerprint`.
    let fingerprint: String

    func add(to router: Router<GatewayContext>) {
        router.get("v1/models") { _, context in
            let models = await backend.models().filter { context.maySee($0) }
            return Response(json: OpenAI.body(of: models.listed.map(OpenAI.Model.init)))
        }
        router.get("v1/models/**") { _, context in
            let name = PercentEncoding.decode(context.parameters.getCatchAll().joined(separator: "/"))
            let models = await backend.models().filter { context.maySee($0) }
            if let listed = models.listed.first(where: { $0.card.id == name }) {
                return Response(json: OpenAI.body(of: OpenAI.Model(listed)))
            }
            do throws(ModelNameError) {
                return Response(json: OpenAI.body(of: OpenAI.Model(try models.resolve(name))))
            } catch {
                throw GenerationError(error)
            }
        }
        router.post("v1/chat/completions") { request, context in
            try await answer(request, context, as: .chat) { body, id throws(DialectError) in
                try OpenAI.ChatCompletion.decode(body, id: id)
            }
        }
        router.post("v1/completions") { request, context in
            try await answer(request, context, as: .completion) { body, id throws(DialectError) in
                try OpenAI.Completion.decode(body, id: id)
            }
        }
    }

    /// The two shapes an answer has.
    private enum Shape {
        case chat
        case completion

        var promptField: String { self == .chat ? "messages" : "prompt" }
    }

    /// Reads a request, hands it to the node, and answers as a stream or as one body.
    private func answer(
        _ request: Request, _ context: GatewayContext, as shape: Shape,
        decode: ([UInt8], Vocabulary.RequestID) throws(DialectError) -> DecodedRequest
    ) async throws -> Response {
        let body = try await AnswerFlow.body(of: request)
        var decoded = try decode(body, backend.nextRequestID())
        try await context.resolve(&decoded.request, backend)
        let created = Int64(Date().timeIntervalSince1970)
        let flow = AnswerFlow(
            backend: fanned(&decoded), room: room, dialect: .openAI, promptField: shape.promptField)
        guard decoded.stream else {
            return try await flow.gather(decoded, context, aggregate(shape, decoded, created: created))
        }
        return await flow.stream(decoded, context, encoder(shape, decoded, created: created))
    }

    /// Who answers: for several prompts it is one who asks for each of them, and the request is for all their answers.
    private func fanned(_ decoded: inout DecodedRequest) -> any Generating {
        guard !decoded.furtherPrompts.isEmpty else { return backend }
        let fan = PromptFan(
            backend: backend, prompts: [decoded.request.prompt] + decoded.furtherPrompts,
            choices: decoded.request.choiceCount)
        decoded.request.choiceCount = fan.answerCount
        return fan
    }

    private func encoder(_ shape: Shape, _ decoded: DecodedRequest, created: Int64) -> any AnswerEncoder {
        let request = decoded.request
        switch shape {
        case .chat:
            return OpenAI.ChatCompletionEncoder(
                id: "chatcmpl-\(request.id)", created: created, model: request.model, fingerprint: fingerprint,
                choiceCount: request.choiceCount, includeUsage: decoded.includeUsage)
        case .completion:
            return OpenAI.CompletionEncoder(
                id: "cmpl-\(request.id)", created: created, model: request.model, fingerprint: fingerprint,
                choiceCount: request.choiceCount, includeUsage: decoded.includeUsage)
        }
    }

    private func aggregate(_ shape: Shape, _ decoded: DecodedRequest, created: Int64) -> any AnswerAggregate {
        let request = decoded.request
        switch shape {
        case .chat:
            return OpenAI.ChatCompletionAggregate(
                id: "chatcmpl-\(request.id)", created: created, model: request.model, fingerprint: fingerprint,
                choiceCount: request.choiceCount)
        case .completion:
            return OpenAI.CompletionAggregate(
                id: "cmpl-\(request.id)", created: created, model: request.model, fingerprint: fingerprint,
                choiceCount: request.choiceCount)
        }
    }
}

extension OpenAI.Model {
    init(_ model: ServedModel) {
        let (state, reason): (String, String?) =
            switch model.state {
            case .ready: ("ready", nil)
            case .starting(let reason): ("starting", reason)
            case .sleeping(let reason): ("sleeping", reason)
            case .available: ("available", "It is not deployed; the first request deploys it.")
            case .failed(let reason): ("failed", reason)
            }
        self.init(card: model.card, created: model.created, owner: model.owner, state: state, reason: reason)
        aliases = model.aliases
        sources = model.named.fullSources.map(\.description)
        aliasOf = model.aliasOf
    }
}

extension GatewayContext {
    /// Whether a model is in the lists of the one who asks: what nobody deployed is of use only to who may deploy.
    func maySee(_ model: ServedModel) -> Bool { mayDeploy || model.state != .available }

    /// Puts the name of the model in place of what its sender calls it, so that answers tell which one it was.
    ///
    /// **Throws:** as `Generating.resolved` does.
    func resolve(_ request: inout GenerationRequest, _ backend: any Generating) async throws(GenerationError) {
        request.model = try await backend.resolved(request.model, mayDeploy: mayDeploy)
    }
}

extension ServedModel {
    /// Whether a request is answered without anybody doing something about the model first; perhaps after a while.
    var isAnswering: Bool {
        switch state {
        case .ready, .sleeping: true
        case .starting, .available, .failed: false
        }
    }
}

extension HTTPField.Name {
    static let requestID = HTTPField.Name("x-request-id") ?? .contentType
    static let anthropicRequestID = HTTPField.Name("request-id") ?? .contentType
    static let warnings = HTTPField.Name("warnings") ?? .contentType
}

/// Percent signs in paths (RFC 3986 §2.1).
enum PercentEncoding {
    /// The text behind the escapes; a sign that starts no escape stands for itself.
    static func decode(_ text: String) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
