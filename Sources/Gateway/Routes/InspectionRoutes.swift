import Dialects
import Hummingbird
import Vocabulary

/// `/tokenize`, `/detokenize` and `/apply-template`: what the entry stage's vocabulary and template say, wherever that
/// stage runs. They wake and deploy models as every request does.
struct InspectionRoutes: Sendable {
    let backend: any Generating
    let room: WaitingRoom

    func add(to router: Router<GatewayContext>) {
        for route in LlamaServer.Call.Route.allCases {
            router.post(RouterPath(route.path)) { request, context in try await answer(request, context, route) }
        }
    }

    private func answer(
        _ request: Request, _ context: GatewayContext, _ route: LlamaServer.Call.Route
    ) async throws -> Response {
        let body = try await AnswerFlow.body(of: request)
        var call = try LlamaServer.Call.decode(body, route: route, id: backend.nextRequestID())
        if !call.namesModel { call.decoded.request.model = try await onlyModel() }
        try await context.resolve(&call.decoded.request, backend)
        let flow = AnswerFlow(backend: backend, room: room, dialect: .openAI, promptField: route.promptField)
        return try await flow.gather(
            call.decoded, context, LlamaServer.Aggregate(route: route, withPieces: call.withPieces))
    }

    /// The model a request without a name is for; other names of it are not counted.
    ///
    /// **Throws:** `missingField` where more than one is served.
    private func onlyModel() async throws(DialectError) -> String {
        let served = await backend.models().filter { $0.state != .available && $0.variant == nil }
        guard served.count <= 1 else { throw .missingField("model") }
        return served.first?.card.id ?? "auto"
    }
}
