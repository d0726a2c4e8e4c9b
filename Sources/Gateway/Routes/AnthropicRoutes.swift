import Dialects
import Hummingbird
import Vocabulary

/// `/v1/messages` and `/v1/messages/count_tokens`. Keys may come as `x-api-key`; every `anthropic-version` is answered
/// alike.
struct AnthropicRoutes: Sendable {
    let backend: any Generating
    let room: WaitingRoom

    func add(to router: Router<GatewayContext>) {
        router.post("v1/messages") { request, context in
            let body = try await AnswerFlow.body(of: request)
            var message = try Anthropic.MessageRequest.decode(body, id: backend.nextRequestID())
            try await context.resolve(&message.decoded.request, backend)
            let decoded = message.decoded
            let (id, model, stops) = ("msg_\(decoded.request.id)", decoded.request.model, decoded.request.stop)
            guard decoded.stream else {
                return try await flow.gather(
                    decoded, context,
                    Anthropic.MessageAggregate(
                        id: id, model: model, stopSequences: stops, omitsThinking: message.omitsThinking))
            }
            return await flow.stream(
                decoded, context,
                Anthropic.MessageEncoder(
                    id: id, model: model, stopSequences: stops, omitsThinking: message.omitsThinking,
                    requestID: "\(decoded.request.id)"))
        }
        router.post("v1/messages/count_tokens") { request, context in
            let body = try await AnswerFlow.body(of: request)
            var decoded = try Anthropic.CountRequest.decode(body, id: backend.nextRequestID())
            try await context.resolve(&decoded.request, backend)
            return try await flow.gather(decoded, context, EndAggregate(body: Anthropic.countBody))
        }
    }

    private var flow: AnswerFlow {
        AnswerFlow(backend: backend, room: room, dialect: .anthropic, promptField: "messages")
    }
}
