import Dialects
import HTTPTypes
import Hummingbird
import NIOCore
import Vocabulary

/// `GET /v1/responses` as a WebSocket: requests as messages, one response after the other, each event a message.
///
/// **Source:** OpenAI's WebSocket mode of the Responses API; RFC 6455.
extension ResponsesRoutes {
    /// Opens a WebSocket, or says what is missing. The request has passed the checks of keys, host and origin.
    func socket(_ request: Request, _ context: GatewayContext, _ gate: AccessFacts) async throws -> Response {
        guard SocketHandshake.isAsked(by: request.headers) else {
            let refusal = RequestRefusal.methodNotAllowed(method: "GET", allowed: ["POST"])
            return ErrorDialect.openAI.response(ErrorReport(refusal), context, headers: [.allow: "POST"])
        }
        guard var headers = SocketHandshake.acceptance(of: request.headers) else {
            let refusal = RequestRefusal.badHandshake
            return ErrorDialect.openAI.response(ErrorReport(refusal), context, headers: SocketHandshake.refusal)
        }
        let (inputs, continuation) = AsyncStream.makeStream(
            of: SocketInput.self, bufferingPolicy: .bufferingOldest(Limits.socketMessages))
        context.beginSocket(continuation)
        headers[.requestID] = context.id
        return Response(
            status: .switchingProtocols, headers: headers,
            body: ResponseBody { writer in
                var memory = SocketMemory()
                session: for await input in inputs {
                    switch input {
                    case .message(let bytes):
                        let turn = Turn(routes: self, context: context, facts: gate)
                        try await turn.answer(bytes, &memory, &writer)
                    case .expired:
                        let minutes = Int(context.socketLifetime.nanoseconds / 60_000_000_000)
                        let report = ErrorReport(RequestRefusal.socketExpired(minutes: minutes))
                        try await writer.write(ByteBuffer(bytes: Responses.socketError(report)))
                        break session
                    case .draining:
                        break session
                    }
                }
                try await writer.finish(nil)
            })
    }

    /// One request of a WebSocket and its response.
    private struct Turn {
        let routes: ResponsesRoutes
        let context: GatewayContext
        let facts: AccessFacts

        /// Answers a message: by events, the last of which is terminal, or by one error.
        @concurrent
        func answer(
            _ bytes: [UInt8], _ memory: inout SocketMemory, _ writer: inout any ResponseBodyWriter
        ) async throws {
            var previous: String?
            do {
                // A key may have been taken back meanwhile, and every turn counts as a request of its owner.
                _ = try context.gate?.caller(facts) { _ in }
                let message = try Responses.SocketMessage.decode(bytes)
                let requestID = routes.backend.nextRequestID()
                var asked = try Responses.Request.decode(message.body, id: requestID)
                previous = asked.previousID
                if !message.generates { asked.generateNothing() }
                if routes.shelf.store == nil { asked.isStored = false }
                let id = Self.freshID(requestID)
                let history = try await routes.shelf.chain(endingAt: asked.previousID, memory: memory)
                let referenced = try await routes.shelf.records(ids: try asked.referencedResponses())
                try asked.settle(responseID: id, history: history, referenced: referenced)
                try await context.resolve(&asked.generation, routes.backend)
                context.permit(&asked.generation)
                let isComplete = try await make(asked, id: id, &memory, &writer)
                if !isComplete, let previous { memory.forget(id: previous) }
                return
            } catch let error as DialectError {
                try await write(ErrorReport(error), &writer)
            } catch let error as GenerationError {
                try await write(ErrorReport(error, promptField: "input"), &writer)
            } catch let error as Responses.StateError {
                try await write(ErrorReport(error), &writer)
            } catch let error as RequestRefusal {
                try await write(ErrorReport(error), &writer)
            }
            if let previous { memory.forget(id: previous) }
        }

        private static func freshID(_ id: Vocabulary.RequestID) -> String { ResponsesRoutes.freshID(id) }

        @concurrent
        private func write(_ report: ErrorReport, _ writer: inout any ResponseBodyWriter) async throws {
            context.errors?.record(report, .openAI, requestID: context.id)
            try await writer.write(ByteBuffer(bytes: Responses.socketError(report)))
        }

        /// Makes the response; false when it failed.
        @concurrent
        private func make(
            _ asked: Responses.Request, id: String, _ memory: inout SocketMemory,
            _ writer: inout any ResponseBodyWriter
        ) async throws -> Bool {
            let created = ResponsesRoutes.now
            let answer = Responses.Answer(id: id, created: created, request: asked, emits: true)
            var making = Making(request: asked, id: id, created: created, answer: answer)
            defer { context.charge(making.meter) }
            let generation = await routes.backend.start(asked) { context.whenClientLeaves($0) }
            defer { context.whenClientLeaves(nil) }
            if case .failed(let error)? = generation.held.last {
                try await write(ErrorReport(error, promptField: "input"), &writer)
                return false
            }
            for event in generation.held { try await tell(event, &making, &writer) }
            for await event in generation.stream.events { try await tell(event, &making, &writer) }
            try await tell(.failed(.engineFailed(reason: "the answer has no end")), &making, &writer)
            if !making.answer.isStored { memory.keep(making.record) }
            return making.answer.failure == nil
        }

        @concurrent
        private func tell(
            _ event: GenerationEvent, _ making: inout Making, _ writer: inout any ResponseBodyWriter
        ) async throws {
            for event in await routes.events(of: event, &making, context) {
                try await writer.write(ByteBuffer(bytes: event.json))
            }
        }
    }
}
