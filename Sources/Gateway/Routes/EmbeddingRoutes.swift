import Dialects
import HTTPTypes
import Hummingbird
import Vocabulary

/// `/v1/embeddings`, `/api/embed` and `/api/embeddings`. Requests are read in full whether or not the node makes
/// embeddings, so that a client hears of its own mistakes first.
struct EmbeddingRoutes: Sendable {
    let backend: any Generating
    /// nil when the node makes none.
    let embedder: (any Embedding)?
    let clock: GatewayClock

    func add(to router: Router<GatewayContext>) {
        for (path, route, dialect) in [
            ("v1/embeddings", .openAI, .openAI), ("api/embed", .ollama, .ollama),
            ("api/embeddings", .ollamaSingle, .ollama),
        ] as [(RouterPath, EmbeddingCall.Route, ErrorDialect)] {
            router.post(path) { request, context in try await answer(request, context, route, dialect) }
        }
    }

    private func answer(
        _ request: Request, _ context: GatewayContext, _ route: EmbeddingCall.Route, _ dialect: ErrorDialect
    ) async throws -> Response {
        let start = clock.uptimeNanoseconds()
        let id = backend.nextRequestID()
        var call = try EmbeddingCall.decode(try await AnswerFlow.body(of: request), route: route, id: id)
        call.request.model = try await backend.resolved(call.request.model, mayDeploy: context.mayDeploy)
        if route == .openAI { call.model = call.request.model }
        guard let embedder else {
            return await refusal(call.request.model, id, dialect, context)
        }
        if let objection = context.objection(to: call.request.residency) { call.warnings.append(objection) }
        context.permit(&call.request)
        do throws(GenerationError) {
            let answer = try await Self.answer(embedder, call.request, context)
            context.gate?.charge(answer.promptTokens, to: context.caller)
            let elapsed = clock.uptimeNanoseconds() - start
            return try response(call, answer, route, id, elapsed)
        } catch {
            let field = route == .ollamaSingle ? "prompt" : "input"
            let named = Self.naming(field, error)
            return dialect.response(ErrorReport(named, promptField: field), context, requestID: "\(id)")
        }
    }

    /// What a node that makes no embeddings says.
    private func refusal(
        _ name: String, _ id: Vocabulary.RequestID, _ dialect: ErrorDialect, _ context: GatewayContext
    ) async -> Response {
        let models = await backend.models().map(\.card.id)
        guard models.contains(name) || (name == "auto" && !models.isEmpty) else {
            let error = GenerationError.modelNotFound(name: name, available: models)
            return dialect.response(ErrorReport(error), context, requestID: "\(id)")
        }
        let message = "Embeddings by '\(name)' are not supported by this server yet; use another server for them."
        return dialect.response(ErrorReport(.notImplemented, message: message), context, requestID: "\(id)")
    }

    /// The error with the field as the client knows it: behind the gateway every text is a prompt.
    private static func naming(_ field: String, _ error: GenerationError) -> GenerationError {
        guard case .invalidField(let name, let value, let limit) = error, name.hasPrefix("prompt") else { return error }
        return .invalidField(name: field + name.dropFirst("prompt".count), value: value, limit: limit)
    }

    /// The vectors; their making ends when the client goes away.
    private static func answer(
        _ embedder: any Embedding, _ request: EmbeddingRequest, _ context: GatewayContext
    ) async throws(GenerationError) -> EmbeddingAnswer {
        let (presence, left) = AsyncStream.makeStream(of: Never.self)
        context.whenClientLeaves { left.finish() }
        let result = await withTaskGroup(of: Result<EmbeddingAnswer, GenerationError>.self) { group in
            group.addTask {
                do throws(GenerationError) {
                    return .success(try await embedder.embed(request))
                } catch {
                    return .failure(error)
                }
            }
            group.addTask {
                for await _ in presence {}
                return .failure(.cancelled)
            }
            let first = await group.next() ?? .failure(.cancelled)
            group.cancelAll()
            return first
        }
        context.whenClientLeaves(nil)
        return try result.get()
    }

    private func response(
        _ call: EmbeddingCall, _ answer: EmbeddingAnswer, _ route: EmbeddingCall.Route,
        _ id: Vocabulary.RequestID, _ elapsed: Int64
    ) throws(GenerationError) -> Response {
        let body: [UInt8]
        do throws(DialectError) {
            body = try call.body(answer, route: route, elapsedNanoseconds: elapsed)
        } catch {
            throw .invalidField(
                name: error.field ?? "dimensions", value: "\(call.dimensions ?? 0)",
                limit: "the model's vectors have \(answer.vectors.map(\.count).min() ?? 0) numbers")
        }
        var headers: HTTPFields = [.requestID: "\(id)"]
        let warnings = DecodedRequest.warningHeader(call.warnings)
        if let warnings { headers[.warnings] = warnings }
        return Response(json: body, headers: headers)
    }
}
