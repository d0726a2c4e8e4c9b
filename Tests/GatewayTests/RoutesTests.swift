import Foundation
import Gateway
import Testing
import Vocabulary

@Suite(.timeLimit(.minutes(1))) struct `Routes` {
    private static let chat = #"{"model":"tiny","messages":[{"role":"user","content":"hi"}]}"#
    private static let chatStream = #"{"model":"tiny","stream":true,"messages":[{"role":"user","content":"hi"}]}"#

    @Test func `models are listed, and found by names with slashes`() async throws {
        let models = [ServedModel.named("tiny"), .named("org/big model", .starting(reason: "loading"))]
        let node = ScriptedNode(models: models) { _ in [] }
        try await LoopbackServer.with(node) { server in
            let list = try await server.get("/v1/models")
            #expect(list.status == 200)
            #expect(list.headers["content-type"] == "application/json")
            let data = try #require(try list.object()["data"] as? [[String: Any]])
            #expect(data.map { $0["id"] as? String } == ["tiny", "org/big model"])
            #expect(data.map { $0["object"] as? String } == ["model", "model"])
            #expect(data.first?["created"] as? Int == 1_700_000_000)
            for path in ["/v1/models/org/big%20model", "/v1/models/org%2Fbig%20model"] {
                #expect(try await server.get(path).object()["id"] as? String == "org/big model")
            }
            let missing = try await server.get("/v1/models/none")
            #expect(missing.status == 404)
            #expect(try missing.error()["code"] as? String == "model_not_found")
        }
    }

    @Test func `a chat is answered in one body`() async throws {
        let node = ScriptedNode { _ in .hello }
        try await LoopbackServer.with(node) { server in
            let answer = try await server.post("/v1/chat/completions", Self.chat)
            #expect(answer.status == 200)
            let object = try answer.object()
            #expect(object["object"] as? String == "chat.completion")
            #expect(object["model"] as? String == "tiny")
            #expect(object["system_fingerprint"] as? String == "skein-test")
            let choice = try #require((object["choices"] as? [[String: Any]])?.first)
            #expect((choice["message"] as? [String: Any])?["content"] as? String == "Hello 👋")
            #expect(choice["finish_reason"] as? String == "stop")
            let usage = try #require(object["usage"] as? [String: Any])
            #expect(usage["prompt_tokens"] as? Int == 9)
            #expect(usage["total_tokens"] as? Int == 12)
            // The identity in the header is the one the whole node speaks of.
            let request = try #require(node.requests.first)
            #expect(answer.headers["x-request-id"] == "\(request.id)")
            #expect((object["id"] as? String)?.hasSuffix("\(request.id)") == true)
            guard case .chat(let messages) = request.prompt else {
                Issue.record("the prompt is \(request.prompt)")
                return
            }
            #expect(messages == [Message(role: .user, text: "hi")])
        }
    }

    @Test func `a chat is streamed piece by piece`() async throws {
        try await LoopbackServer.with(ScriptedNode { _ in .hello }) { server in
            let answer = try await server.post("/v1/chat/completions", Self.chatStream)
            #expect(answer.status == 200)
            #expect(answer.headers["content-type"]?.hasPrefix("text/event-stream") == true)
            #expect(answer.headers["cache-control"] == "no-cache")
            #expect(answer.headers["x-request-id"]?.count == 16)
            #expect(answer.events.last == "[DONE]")
            let chunks = try answer.events.dropLast().map { try HTTPAnswer.object($0) }
            #expect(chunks.allSatisfy { $0["object"] as? String == "chat.completion.chunk" })
            let choices = chunks.compactMap { ($0["choices"] as? [[String: Any]])?.first }
            let pieces = choices.compactMap { ($0["delta"] as? [String: Any])?["content"] as? String }
            #expect(pieces.filter { !$0.isEmpty } == ["Hel", "lo 👋"])
            #expect(choices.compactMap { $0["finish_reason"] as? String } == ["stop"])
        }
    }

    @Test func `a completion is answered in its own shape`() async throws {
        let node = ScriptedNode { _ in .hello }
        try await LoopbackServer.with(node) { server in
            let answer = try await server.post("/v1/completions", #"{"model":"tiny","prompt":"Once"}"#)
            let object = try answer.object()
            #expect(object["object"] as? String == "text_completion")
            #expect((object["choices"] as? [[String: Any]])?.first?["text"] as? String == "Hello 👋")
            guard case .text("Once")? = node.requests.first?.prompt else {
                Issue.record("the prompt is \(String(describing: node.requests.first?.prompt))")
                return
            }
        }
    }

    private static let failures: [(error: GenerationError, status: Int, code: String)] = [
        (.invalidField(name: "temperature", value: "9", limit: "at most 2"), 400, "invalid_value"),
        (.unsupported(feature: "x", remedy: "y"), 400, "unsupported_value"),
        (.contextLengthExceeded(promptTokens: 9, outputTokens: 0, window: 8), 400, "context_length_exceeded"),
        (.modelNotFound(name: "none", available: ["tiny"]), 404, "model_not_found"),
        (.modelNotReady(name: "tiny", reason: "loading", retryAfterSeconds: 3), 503, "model_not_ready"),
        (.overloaded(queued: 9, limit: 9, retryAfterSeconds: 3), 429, "rate_limit_exceeded"),
        (.stageLost(stage: 1, reason: "killed"), 503, "stage_lost"),
        (.deadlineExceeded(seconds: 2), 504, "deadline_exceeded"),
        (.cancelled, 499, "cancelled"),
        (.clientTooSlow(limit: 9), 408, "client_too_slow"),
        (.engineFailed(reason: "it broke"), 500, "engine_failed"),
    ]

    @Test func `an error before the first byte has its own status, streamed or not`() async throws {
        for (error, status, code) in Self.failures {
            let node = ScriptedNode { _ in [.started(promptTokens: 9, cachedTokens: 0), .failed(error)] }
            try await LoopbackServer.with(node) { server in
                for body in [Self.chat, Self.chatStream] {
                    let answer = try await server.post("/v1/chat/completions", body)
                    #expect(answer.status == status, "\(error)")
                    #expect(answer.headers["content-type"] == "application/json")
                    #expect(answer.headers["x-request-id"]?.count == 16)
                    #expect((answer.headers["retry-after"] != nil) == [429, 503].contains(status))
                    let report = try answer.error()
                    #expect(report["code"] as? String == code)
                    #expect((report["message"] as? String)?.isEmpty == false)
                    #expect(report["type"] is String)
                }
            }
        }
    }

    @Test func `an error after the first byte ends the stream as an event`() async throws {
        let node = ScriptedNode { _ in
            [
                .started(promptTokens: 9, cachedTokens: 0), .text("Hel"), .text("lo"),
                .failed(.stageLost(stage: 1, reason: "killed")),
            ]
        }
        try await LoopbackServer.with(node) { server in
            let answer = try await server.post("/v1/chat/completions", Self.chatStream)
            #expect(answer.status == 200)
            let errors = answer.events.filter { $0.hasPrefix(#"{"error""#) }
            #expect(errors.count == 1)
            let last = try HTTPAnswer.object(errors.first ?? "{}")
            let report = try #require(last["error"] as? [String: Any])
            #expect(report["code"] as? String == "stage_lost")
            #expect(!answer.body.contains(#""finish_reason":"stop""#))
        }
    }

    @Test func `what is no request is refused before the node hears of it`() async throws {
        let node = ScriptedNode { _ in .hello }
        try await LoopbackServer.with(node) { server in
            let bodies = [
                ("", "invalid_json"), ("{", "invalid_json"), ("[]", "invalid_type"),
                (#"{"model":"tiny"}"#, "missing_required_parameter"),
                (#"{"model":"tiny","messages":"hi"}"#, "invalid_type"),
            ]
            for (body, code) in bodies {
                let answer = try await server.post("/v1/chat/completions", body)
                #expect(answer.status == 400, "\(body)")
                #expect(try answer.error()["code"] as? String == code, "\(body)")
                #expect(answer.headers["x-request-id"]?.isEmpty == false)
            }
            #expect(node.requests.isEmpty)
        }
    }

    @Test func `unknown paths and wrong methods are told apart`() async throws {
        try await LoopbackServer.with(ScriptedNode { _ in [] }) { server in
            for (method, path) in [("GET", "/v2"), ("POST", "/v1/nothing"), ("GET", "/v1/chat"), ("DELETE", "/x?y=z")] {
                let answer = try await server.send(method, path)
                #expect(answer.status == 404)
                let error = try answer.error()
                #expect(error["code"] as? String == "unknown_url")
                #expect((error["message"] as? String)?.contains(method) == true)
                #expect(answer.headers["x-request-id"]?.isEmpty == false)
            }
            let wrong = [
                ("GET", "/v1/chat/completions", "POST"), ("DELETE", "/v1/completions", "POST"),
                ("POST", "/v1/models", "GET"), ("PUT", "/healthz", "GET"),
            ]
            for (method, path, allowed) in wrong {
                let answer = try await server.send(method, path)
                #expect(answer.status == 405)
                #expect(answer.headers["allow"] == allowed)
                #expect(try answer.error()["code"] as? String == "method_not_allowed")
            }
        }
    }

    @Test func `health is the process's, readiness the models'`() async throws {
        let states: [(ServedModel.State, Int)] = [
            (.ready, 200), (.starting(reason: "loading"), 503), (.failed(reason: "no \"memory\""), 503),
            (.sleeping(reason: "idle"), 200), (.available, 503),
        ]
        for (state, status) in states {
            try await LoopbackServer.with(ScriptedNode(models: [.named("tiny", state)]) { _ in [] }) { server in
                #expect(try await server.get("/healthz").status == 200)
                let answer = try await server.get("/readyz")
                #expect(answer.status == status)
                let models = try #require(try answer.object()["models"] as? [[String: Any]])
                #expect(models.first?["id"] as? String == "tiny")
                let reason: String? =
                    switch state {
                    case .ready, .available: nil
                    case .starting(let reason), .sleeping(let reason), .failed(let reason): reason
                    }
                #expect(models.first?["reason"] as? String == reason)
            }
        }
    }

    @Test func `metrics are text that Prometheus reads`() async throws {
        try await LoopbackServer.with(ScriptedNode { _ in [] }) { server in
            let answer = try await server.get("/metrics")
            #expect(answer.headers["content-type"]?.hasPrefix("text/plain; version=0.0.4") == true)
            #expect(answer.body.contains("# TYPE skein_lanes_in_use gauge\nskein_lanes_in_use 2"))
            #expect(answer.body.contains("# HELP skein_requests_total Requests.\n"))
        }
    }

    @Test func `a client that leaves a stream cancels the request`() async throws {
        let node = ScriptedNode { _ in .endless }
        try await LoopbackServer.with(node) { server in
            let connection = try await RawConnection.open(port: server.port)
            connection.send("POST", "/v1/chat/completions", Self.chatStream)
            var bytes: [UInt8] = []
            for await chunk in connection.received {
                bytes += chunk
                if String(decoding: bytes, as: UTF8.self).contains("again") { break }
            }
            connection.close()
            #expect(try await Self.nextEnd(of: node))
        }
    }

    @Test func `a client that leaves before its answer cancels the request`() async throws {
        let (asked, ask) = AsyncStream.makeStream(of: Void.self)
        let node = ScriptedNode { _ in
            ask.yield()
            return [.started(promptTokens: 9, cachedTokens: 0), .text("Hel")]
        }
        try await LoopbackServer.with(node) { server in
            let connection = try await RawConnection.open(port: server.port)
            connection.send("POST", "/v1/chat/completions", Self.chat)
            for await _ in asked { break }
            connection.close()
            #expect(try await Self.nextEnd(of: node))
        }
    }

    /// Whether the next answer that is over was left by its reader.
    private static func nextEnd(of node: ScriptedNode) async throws -> Bool {
        for await wasLeft in node.ends { return wasLeft }
        throw CancellationError()
    }
}
