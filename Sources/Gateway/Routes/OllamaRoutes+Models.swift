import Dialects
import HTTPTypes
import Hummingbird
import NIOCore
import Vocabulary

/// Models themselves: what is known of them, loading, making, naming, uploading and removing.
extension OllamaRoutes {
    /// Bytes of an upload that are kept in memory before they go to the disk.
    private static let uploadBytes = 1 << 20

    func addModelRoutes(to router: Router<GatewayContext>) {
        router.post("api/show") { request, context in
            let show = try Ollama.ModelRequest.decode(try await AnswerFlow.body(of: request), route: .show)
            do throws(Ollama.ModelError) {
                let model = try await find(show.model, context)
                return Response(json: Ollama.showBody(Ollama.Model(model))).telling(show.warnings)
            } catch {
                return ErrorDialect.ollama.response(ErrorReport(error), context)
            }
        }
        router.post("api/pull") { request, context in
            try await pull(Ollama.ModelRequest.decode(try await AnswerFlow.body(of: request), route: .pull), context)
        }
        router.post("api/push") { _, context in refuse(.push, context) }
        router.post("api/create") { request, context in
            let wish = try Ollama.CreateRequest.decode(try await AnswerFlow.body(of: request))
            return try await kept(context) { keeper in
                try await keeper.create(wish)
                let steps = ["reading model metadata", "creating system layer", "writing manifest"]
                return Self.progress(steps, stream: wish.stream, wish.warnings)
            }
        }
        router.post("api/copy") { request, context in
            let wish = try Ollama.CopyRequest.decode(try await AnswerFlow.body(of: request))
            return try await kept(context) { keeper in
                try await keeper.copy(wish.source, to: wish.destination)
                return Self.done(wish.warnings)
            }
        }
        router.delete("api/delete") { request, context in
            let wish = try Ollama.ModelRequest.decode(try await AnswerFlow.body(of: request), route: .delete)
            return try await kept(context) { keeper in
                try await keeper.delete(wish.model)
                return Self.done(wish.warnings)
            }
        }
        router.head("api/blobs/:digest") { _, context in Response(status: await status(ofBlob: context)) }
        router.post("api/blobs/:digest") { request, context in
            let digest = try Self.digest(context)
            return try await upload(digest, request, context)
        }
    }

    /// What a node does that keeps models, for who may change them.
    private func kept(
        _ context: GatewayContext, _ body: (any ModelKeeping) async throws -> Response
    ) async throws -> Response {
        guard context.mayDeploy else { throw RequestRefusal.missingScope(KeyScope.admin.rawValue) }
        guard let keeper else { return refuse(.models, context) }
        do {
            return try await body(keeper)
        } catch let error as Ollama.ModelError {
            return ErrorDialect.ollama.response(ErrorReport(error), context)
        }
    }

    private static func done(_ warnings: [String]) -> Response {
        Response(status: .ok).telling(warnings)
    }

    private static func progress(_ steps: [String], stream: Bool, _ warnings: [String]) -> Response {
        var response = Response(json: Ollama.progressBody(steps, stream: stream))
        if stream { response.headers[.contentType] = lines }
        return response.telling(warnings)
    }

    // MARK: Uploading

    /// The whole answer of a HEAD, which has no body for a reason.
    private func status(ofBlob context: GatewayContext) async -> HTTPResponse.Status {
        guard context.mayDeploy else { return .forbidden }
        guard let keeper else { return .notImplemented }
        guard let digest = try? Self.digest(context) else { return .badRequest }
        return await keeper.holdsBlob(digest) ? .ok : .notFound
    }

    private static func digest(_ context: GatewayContext) throws(DialectError) -> String {
        let text = PercentEncoding.decode(context.parameters.get("digest") ?? "")
        return try Ollama.BlobDigest.read(text, field: "digest")
    }

    private func upload(_ digest: String, _ request: Request, _ context: GatewayContext) async throws -> Response {
        try await kept(context) { keeper in
            // Hummingbird reads what still comes and drops it.
            if await keeper.holdsBlob(digest) { return Response(status: .ok) }
            let announced = request.headers[.contentLength].flatMap(UInt64.init)
            return try await Self.receive(
                request, by: try await keeper.receiveBlob(digest, byteCount: announced), context)
        }
    }

    private static func receive(
        _ request: Request, by upload: any BlobReceiving, _ context: GatewayContext
    ) async throws -> Response {
        do {
            var waiting = ByteBuffer()
            for try await part in request.body {
                waiting.writeImmutableBuffer(part)
                guard waiting.readableBytes >= uploadBytes else { continue }
                try await upload.append(waiting)
                waiting.clear()
            }
            if waiting.readableBytes > 0 { try await upload.append(waiting) }
            try await upload.finish()
            return Response(status: .created)
        } catch {
            await upload.abandon()
            if error is Ollama.ModelError || error is BodyDeadlinePassed { throw error }
            // The client went away in the middle.
            return ErrorDialect.ollama.response(ErrorReport(GenerationError.cancelled), context)
        }
    }

    // MARK: Loading

    /// Loads a model that is here, and tells how far it is; what is ready needs nothing.
    private func pull(_ asked: Ollama.ModelRequest, _ context: GatewayContext) async throws -> Response {
        let model: ServedModel
        do throws(Ollama.ModelError) {
            model = try await find(asked.model, context)
        } catch {
            return ErrorDialect.ollama.response(ErrorReport(error), context)
        }
        if model.state == .ready { return Self.progress(["pulling manifest"], stream: asked.stream, asked.warnings) }
        var request = GenerationRequest(id: backend.nextRequestID(), model: model.card.id, prompt: .text(" "))
        request.maxOutputTokens = 0
        if Ollama.makesOnlyVectors(model.card) {
            request.maxOutputTokens = nil
            request.embedding = EmbeddingWish(truncates: true)
        }
        let decoded = DecodedRequest(
            request: request, stream: asked.stream, includeUsage: false, warnings: asked.warnings)
        let flow = AnswerFlow(backend: backend, room: room, dialect: .ollama, promptField: "model")
        guard asked.stream else {
            return try await flow.gather(
                decoded, context, EndAggregate { _ in Ollama.progressBody([], stream: false) })
        }
        return await flow.stream(decoded, context, Ollama.PullEncoder(), contentType: Self.lines)
    }
}
