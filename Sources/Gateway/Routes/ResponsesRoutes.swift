import Dialects
import FoundationEssentials
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Vocabulary

/// `/v1/responses` and what stands below it.
struct ResponsesRoutes: Sendable {
    let backend: any Generating
    let room: WaitingRoom
    let shelf: ResponseShelf
    let logger: Logger

    init(
        backend: any Generating, room: WaitingRoom, store: (any ResponseStoring)?, background: BackgroundResponses?,
        logger: Logger
    ) {
        self.backend = backend
        self.room = room
        self.logger = logger
        shelf = ResponseShelf(store: store, background: background)
    }

    func add(to router: Router<GatewayContext>) {
        router.get("v1/responses") { request, context in
            try await socket(request, context, AccessMiddleware.facts(of: request))
        }
        router.post("v1/responses") { request, context in try await create(request, context) }
        router.post("v1/responses/compact") { request, context in try await compact(request, context) }
        router.get("v1/responses/:id") { request, context in
            let retrieval = try Responses.Retrieval.decode(Self.query(request))
            let id = try context.parameters.require("id")
            guard retrieval.stream else { return Response(json: try await shelf.record(id: id).body) }
            return try await follow(id, after: retrieval.startingAfter, context)
        }
        router.delete("v1/responses/:id") { _, context in
            let id = try context.parameters.require("id")
            let wasLive = await shelf.background?.record(id: id) != nil
            await shelf.background?.forget(id: id)
            let wasKept = try await shelf.delete(id: id)
            guard wasLive || wasKept else { throw Responses.StateError.notFound(id: id) }
            return Response(json: Responses.deletionBody(id: id))
        }
        router.post("v1/responses/:id/cancel") { _, context in
            let id = try context.parameters.require("id")
            if let record = await shelf.background?.cancel(id: id) { return Response(json: record.body) }
            let record = try await shelf.record(id: id)
            guard record.runsInBackground else { throw Responses.StateError.notInBackground(id: id) }
            return Response(json: record.body)
        }
        router.get("v1/responses/:id/input_items") { request, context in
            let page = try Responses.Page.decode(Self.query(request))
            let record = try await shelf.record(id: try context.parameters.require("id"))
            return Response(json: try page.body(of: record))
        }
    }

    /// The methods of a path of these routes; nil for other paths.
    static func methods(of path: RoutePath) -> [String]? {
        guard path.components.starts(with: ["v1", "responses"]) else { return nil }
        switch Array(path.components.dropFirst(2)) {
        case []: return ["GET", "POST"]
        case ["compact"]: return ["POST"]
        case let rest where rest.count == 1: return ["GET", "DELETE"]
        case let rest where rest.count == 2 && rest[1] == "cancel": return ["POST"]
        case let rest where rest.count == 2 && rest[1] == "input_items": return ["GET"]
        default: return nil
        }
    }

    // MARK: Create

    private func create(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let requestID = backend.nextRequestID()
        var asked = try Responses.Request.decode(try await AnswerFlow.body(of: request), id: requestID)
        let id = Self.freshID(requestID)
        if shelf.store == nil {
            guard !asked.runsInBackground else { throw Responses.StateError.storageAbsent(field: "background") }
            asked.isStored = false
        }
        let history = try await shelf.chain(endingAt: asked.previousID)
        let referenced = try await shelf.records(ids: try asked.referencedResponses())
        try asked.settle(responseID: id, history: history, referenced: referenced)
        try await context.resolve(&asked.generation, backend)
        context.permit(&asked.generation)
        var headers = HTTPFields()
        headers[.requestID] = "\(requestID)"
        if let warnings = DecodedRequest.warningHeader(asked.warnings) { headers[.warnings] = warnings }
        if let background = shelf.background, asked.runsInBackground {
            let record = try await background.begin(asked, id: id, created: Self.now) { meter, findings in
                context.charge(meter)
                note(findings, "\(requestID)", context)
            }
            guard asked.stream else { return Response(json: record.body, headers: headers) }
            return try await follow(id, after: nil, context, headers)
        }
        let created = Self.now
        let answer = Responses.Answer(id: id, created: created, request: asked, emits: asked.stream)
        let making = Making(request: asked, id: id, created: created, answer: answer)
        return asked.stream
            ? try await stream(making, context, headers) : try await gather(making, context, headers)
    }

    /// A response being made for a client that waits for it.
    struct Making: Sendable {
        let request: Responses.Request
        let id: String
        let created: Int64
        var answer: Responses.Answer
        var meter = UsageMeter()
        private var review: AnswerReview?

        init(request: Responses.Request, id: String, created: Int64, answer: Responses.Answer) {
            review = AnswerReview(request.generation)
            self.request = request
            self.id = id
            self.created = created
            self.answer = answer
        }

        /// Takes an event in.
        mutating func absorb(_ event: GenerationEvent, at now: Int64, into events: inout [Responses.StreamEvent]) {
            meter.absorb(event)
            review?.absorb(event)
            answer.absorb(event, at: now, into: &events)
        }

        /// What of the answer is not as the request demanded; known after its end.
        var findings: [String] { review?.findings ?? [] }

        var record: Responses.Record {
            Responses.Record(
                id: id, previousID: request.previousID, created: created, input: request.inputItems,
                body: answer.body())
        }
    }

    private func gather(
        _ making: Making, _ context: GatewayContext, _ headers: HTTPFields
    ) async throws -> Response {
        var making = making
        var none: [Responses.StreamEvent] = []
        let generation = await backend.start(making.request) { context.whenClientLeaves($0) }
        defer { context.whenClientLeaves(nil) }
        for event in generation.held { making.absorb(event, at: Self.now, into: &none) }
        for await event in generation.stream.events { making.absorb(event, at: Self.now, into: &none) }
        context.charge(making.meter)
        var headers = headers
        note(making.findings, "\(making.request.generation.id)", context)
        let warnings = DecodedRequest.warningHeader(making.findings + making.request.warnings)
        if let warnings { headers[.warnings] = warnings }
        if let error = making.answer.failure { return refusal(error, context, headers) }
        guard making.answer.status.isOver else {
            throw RequestRefusal.internalError(requestID: headers[.requestID] ?? "")
        }
        await keep(&making)
        return Response(json: making.answer.body(), headers: headers)
    }

    /// The status is decided by the first event: an error that could be known before the first byte is never a 200.
    private func stream(
        _ making: Making, _ context: GatewayContext, _ headers: HTTPFields
    ) async throws -> Response {
        let generation = await backend.start(making.request) { context.whenClientLeaves($0) }
        let events = generation.stream.events
        let opening: OpeningEvents? =
            generation.held.allSatisfy(\.isStart) ? await room.opening(of: events) : nil
        let (read, isDecided) = opening?.take() ?? ([], true)
        let held = generation.held + read
        if case .failed(let error) = held.last {
            context.whenClientLeaves(nil)
            return refusal(error, context, headers)
        }
        context.whenSilent(Self.signOfLife)
        let body = ResponseBody { writer in
            var making = making
            defer { context.charge(making.meter) }
            for event in held {
                if let bytes = await bytes(of: event, &making, context) { try await writer.write(bytes) }
            }
            if let opening, !isDecided {
                await opening.decided()
                for event in opening.take().events {
                    if let bytes = await bytes(of: event, &making, context) { try await writer.write(bytes) }
                }
            }
            for await event in events {
                if let bytes = await bytes(of: event, &making, context) { try await writer.write(bytes) }
            }
            context.whenClientLeaves(nil)
            let missing = GenerationEvent.failed(.engineFailed(reason: "the answer has no end"))
            if let bytes = await bytes(of: missing, &making, context) { try await writer.write(bytes) }
            try await writer.finish(nil)
        }
        return Self.eventStream(headers, body)
    }

    /// What the client of an event stream sees of an event; nil for nothing.
    private func bytes(
        of event: GenerationEvent, _ making: inout Making, _ context: GatewayContext
    ) async -> ByteBuffer? {
        guard !making.answer.status.isOver else { return nil }
        var bytes: [UInt8] = []
        if case .queued(let position, let seconds) = event {
            ServerSentEvents.appendQueued(position: position, predictedWaitSeconds: seconds, to: &bytes)
        }
        if case .preparing(let text) = event { ServerSentEvents.appendComment(text, to: &bytes) }
        for event in await events(of: event, &making, context) { Responses.append(event, to: &bytes) }
        if making.answer.status.isOver { Responses.appendDone(to: &bytes) }
        return bytes.isEmpty ? nil : ByteBuffer(bytes: bytes)
    }

    /// What an event adds to the response's own; the response is kept before its end is told.
    func events(
        of event: GenerationEvent, _ making: inout Making, _ context: GatewayContext
    ) async -> [Responses.StreamEvent] {
        guard !making.answer.status.isOver else { return [] }
        if case .failed(let error) = event {
            let report = ErrorReport(error, promptField: "input")
            context.errors?.record(report, .openAI, requestID: "\(making.request.generation.id)")
        }
        var events: [Responses.StreamEvent] = []
        making.absorb(event, at: Self.now, into: &events)
        if making.answer.status.isOver {
            note(making.findings, "\(making.request.generation.id)", context)
            await keep(&making)
            making.answer.conclude(into: &events)
        }
        return events
    }

    /// Counts and logs an answer that is not as its request demanded.
    private func note(_ findings: [String], _ requestID: String, _ context: GatewayContext) {
        guard !findings.isEmpty else { return }
        context.errors?.record(findings: findings.count, .openAI, requestID: requestID)
    }

    /// Keeps what was made, if it is to be kept; when that fails the object says so.
    private func keep(_ making: inout Making) async {
        guard making.request.isStored, let store = shelf.store else { return }
        do {
            try await store.save(making.record)
        } catch {
            logger.error("a response could not be kept", metadata: ["error": "\(error)"])
            making.answer.isStored = false
        }
    }

    // MARK: Following

    private func follow(
        _ id: String, after number: Int?, _ context: GatewayContext, _ headers: HTTPFields = [:]
    ) async throws -> Response {
        guard let events = await shelf.background?.events(id: id, after: number) else {
            _ = try await shelf.record(id: id)
            throw Responses.StateError.eventsNotKept(id: id)
        }
        context.whenSilent(Self.signOfLife)
        let body = ResponseBody { writer in
            for await event in events {
                var bytes: [UInt8] = []
                Responses.append(event, to: &bytes)
                try await writer.write(ByteBuffer(bytes: bytes))
            }
            var end: [UInt8] = []
            Responses.appendDone(to: &end)
            try await writer.write(ByteBuffer(bytes: end))
            try await writer.finish(nil)
        }
        return Self.eventStream(headers, body)
    }

    // MARK: Compact

    private func compact(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let requestID = backend.nextRequestID()
        var asked = try Responses.Compaction.decode(try await AnswerFlow.body(of: request), id: requestID)
        let id = Self.freshID(requestID)
        try asked.settle(responseID: id, history: try await shelf.chain(endingAt: asked.previousID))
        var headers = HTTPFields()
        headers[.requestID] = "\(requestID)"
        if let warnings = asked.warningHeader { headers[.warnings] = warnings }
        try await context.resolve(&asked.generation, backend)
        context.permit(&asked.generation)
        let generation = await backend.generate(asked.generation)
        context.whenClientLeaves(generation.cancel)
        defer { context.whenClientLeaves(nil) }
        var summary = ""
        var meter = UsageMeter()
        defer { context.charge(meter) }
        for await event in generation.events {
            meter.absorb(event)
            switch event {
            case .output(let delta): summary += delta.text
            case .failed(let error): return refusal(error, context, headers)
            case .finished(let completion):
                guard !summary.isEmpty else {
                    let error = GenerationError.engineFailed(reason: "the model wrote no summary")
                    return refusal(error, context, headers)
                }
                let body = asked.body(id: id, created: Self.now, summary: summary, usage: completion.usage)
                return Response(json: body, headers: headers)
            case .preparing, .queued, .started: break
            }
        }
        throw RequestRefusal.internalError(requestID: "\(requestID)")
    }

    // MARK: Requests

    private func refusal(_ error: GenerationError, _ context: GatewayContext, _ headers: HTTPFields) -> Response {
        let report = ErrorReport(error, promptField: "input")
        return ErrorDialect.openAI.response(report, context, requestID: headers[.requestID], headers: headers)
    }

    private static func signOfLife() -> [UInt8] {
        var bytes: [UInt8] = []
        ServerSentEvents.appendKeepAlive(to: &bytes)
        return bytes
    }

    private static func query(_ request: Request) -> [(name: String, value: String)] {
        request.uri.queryParameters.map { (String($0.key), String($0.value)) }
    }

    /// An identity nobody can guess: whoever knows it may read the response.
    static func freshID(_ request: Vocabulary.RequestID) -> String {
        let secret = Vocabulary.RequestID(UInt64.random(in: 0 ... .max))
        return "\(Responses.idPrefix)\(request)\(secret)"
    }

    private static func eventStream(_ headers: HTTPFields, _ body: ResponseBody) -> Response {
        var headers = headers
        headers[.contentType] = "text/event-stream"
        headers[.cacheControl] = "no-cache"
        return Response(status: .ok, headers: headers, body: body)
    }

    static var now: Int64 { Int64(Date().timeIntervalSince1970) }
}

extension GenerationEvent {
    fileprivate var isStart: Bool { if case .started = self { true } else { false } }
}
