import Dialects
import HTTPTypes
import Hummingbird
import NIOCore
import Vocabulary

/// `/` and `/api/…`, at the root as Ollama's clients expect them.
struct OllamaRoutes: Sendable {
    let backend: any Generating
    /// nil on a node that keeps no models of its own.
    let keeper: (any ModelKeeping)?
    let room: WaitingRoom
    /// Names the build that answers.
    let server: String
    let clock: GatewayClock

    func add(to router: Router<GatewayContext>) {
        router.get("/") { _, _ in
            var headers = HTTPFields()
            headers[.contentType] = "text/plain; charset=utf-8"
            return Response(
                status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: "Skein is running")))
        }
        router.get("api/version") { _, _ in Response(json: Ollama.versionBody(server: server)) }
        router.get("api/tags") { _, context in
            let models = await backend.models().filter { model in
                if case .failed = model.state { return false }
                return context.maySee(model)
            }
            return Response(json: Ollama.tagsBody(models.listed.map { Ollama.Model($0) }))
        }
        router.get("api/ps") { _, _ in
            let models = await backend.models().filter { $0.state == .ready }
            let now = clock.unixNanoseconds()
            return Response(json: Ollama.runningBody(models.map { Ollama.Model($0, now: now) }))
        }
        router.post("api/generate") { request, context in try await answer(request, context, .generate) }
        router.post("api/chat") { request, context in try await answer(request, context, .chat) }
        addModelRoutes(to: router)
    }

    static let lines = "application/x-ndjson"

    // MARK: Answers

    private func answer(
        _ request: Request, _ context: GatewayContext, _ route: Ollama.Route
    ) async throws -> Response {
        let watch = Stopwatch(clock: clock)
        let body = try await AnswerFlow.body(of: request)
        var read = try Ollama.AnswerRequest.decode(body, route: route, id: backend.nextRequestID())
        try await context.resolve(&read.decoded.request, backend)
        let asked = read
        let flow = AnswerFlow(backend: backend, room: room, dialect: .ollama, promptField: route.promptField)
        let id = "\(asked.decoded.request.id)"
        switch asked.intent {
        case .unload: return try await unload(asked, context, watch)
        case .load:
            // A request that generates nothing: it takes the way of every other, so its answer says the model is up.
            var decoded = asked.decoded
            decoded.request.prompt = .text(" ")
            decoded.request.maxOutputTokens = 0
            return try await flow.gather(
                decoded, context, EndAggregate { _ in Ollama.loadedBody(asked, at: watch.now) })
        case .answer where asked.decoded.stream:
            let encoder = Ollama.LineEncoder(route: route, model: asked.model, requestID: id)
            return await flow.stream(
                asked.decoded, context, TimedEncoder(encoder: encoder, watch: watch), contentType: Self.lines)
        case .answer:
            let aggregate = Ollama.LineAggregate(route: route, model: asked.model, requestID: id)
            return try await flow.gather(
                asked.decoded, context, TimedAggregate(aggregate: aggregate, watch: watch))
        }
    }

    private func unload(
        _ asked: Ollama.AnswerRequest, _ context: GatewayContext, _ watch: Stopwatch
    ) async throws -> Response {
        guard context.mayDeploy else { throw RequestRefusal.missingScope(KeyScope.admin.rawValue) }
        do throws(GenerationError) {
            try await backend.unload(asked.decoded.request.model)
        } catch .unsupported {
            return refuse(.unload, context)
        } catch {
            return ErrorDialect.ollama.response(ErrorReport(error), context)
        }
        var response = Response(json: Ollama.loadedBody(asked, at: watch.now))
        if asked.decoded.stream { response.headers[.contentType] = Self.lines }
        return response.telling(asked.decoded.warnings)
    }

    // MARK: Models

    /// The model a name means among those its sender may see.
    ///
    /// **Throws:** `Ollama.ModelError.badName`.
    func find(_ name: String, _ context: GatewayContext) async throws(Ollama.ModelError) -> ServedModel {
        let models = await backend.models().filter { context.maySee($0) }
        do throws(ModelNameError) {
            return try models.resolve(name)
        } catch {
            if case .unknown = error { throw .unknownModel(name, known: models.map(\.card.id)) }
            throw .badName(error)
        }
    }

    func refuse(_ feature: Ollama.MissingFeature, _ context: GatewayContext) -> Response {
        ErrorDialect.ollama.response(feature.report, context)
    }
}

/// Measures a request from its arrival on.
private struct Stopwatch: Sendable {
    let clock: GatewayClock
    private let start: Int64

    init(clock: GatewayClock) {
        self.clock = clock
        start = clock.uptimeNanoseconds()
    }

    var now: Ollama.Moment {
        Ollama.Moment(
            timestamp: Timestamp(nanoseconds: clock.unixNanoseconds()),
            elapsedNanoseconds: clock.uptimeNanoseconds() - start)
    }
}

private struct TimedEncoder: AnswerEncoder {
    var encoder: Ollama.LineEncoder
    let watch: Stopwatch

    mutating func encode(_ event: GenerationEvent, into bytes: inout [UInt8]) {
        encoder.encode(event, at: watch.now, into: &bytes)
    }

    func keepAlive(into bytes: inout [UInt8]) { encoder.keepAlive(at: watch.now, into: &bytes) }
}

private struct TimedAggregate: AnswerAggregate {
    var aggregate: Ollama.LineAggregate
    let watch: Stopwatch

    mutating func absorb(_ event: GenerationEvent) { aggregate.absorb(event) }

    func outcome() -> AggregateOutcome { aggregate.outcome(at: watch.now) }
}

extension Ollama.Model {
    /// `now` in nanoseconds since 1970 tells when the model is unloaded.
    init(_ model: ServedModel, now: Int64? = nil) {
        self.init(card: model.card, modified: Timestamp(seconds: model.created))
        variant = model.variant
        isOnGPU = model.isOnGPU
        guard let now, let wait = model.unloadsInMilliseconds else { return }
        let (nanoseconds, overflows) = Int64(clamping: wait).multipliedReportingOverflow(by: 1_000_000)
        // What is further away than a timestamp reaches is for ever.
        if !overflows, nanoseconds < .max - now { expires = Timestamp(nanoseconds: now + nanoseconds) }
    }
}
