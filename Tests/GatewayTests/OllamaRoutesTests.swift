import Foundation
import Gateway
import Testing
import Vocabulary

@Suite(.timeLimit(.minutes(1))) struct `Ollama routes` {
    private static let created = #""created_at":"2024-07-22T20:33:28.000000Z""#
    /// The clock is read at the arrival, and then once per event or body: 5 ms each.
    private static func ending(reads: Int) -> String {
        #""done":true,"done_reason":"stop","total_duration":\#(reads * 5_000_000),"load_duration":0,"#
            + #""prompt_eval_count":9,"prompt_eval_duration":10000000,"eval_count":3,"eval_duration":20000000}"#
    }

    @Test func `a chat is streamed as lines unless it is not to be`() async throws {
        let node = ScriptedNode { _ in .hello }
        try await LoopbackServer.with(node) { server in
            let body = #"{"model":"tiny:latest","messages":[{"role":"user","content":"hi"}]"#
            let stream = try await server.post("/api/chat", body + "}")
            #expect(stream.status == 200)
            #expect(stream.headers["content-type"] == "application/x-ndjson")
            let open = #"{"model":"tiny:latest",\#(Self.created),"message":{"role":"assistant","content":"#
            #expect(
                stream.body == open + #""Hel"},"done":false}"# + "\n" + open + #""lo 👋"},"done":false}"# + "\n" + open
                    + #"""},\#(Self.ending(reads: 4))"# + "\n")
            let whole = try await server.post("/api/chat", body + #","stream":false}"#)
            #expect(whole.headers["content-type"] == "application/json")
            #expect(whole.body == open + #""Hello 👋"},\#(Self.ending(reads: 1))"#)
            #expect(node.requests.map(\.model) == ["tiny", "tiny"])
            #expect(whole.headers["x-request-id"] == node.requests.last.map { "\($0.id)" })
        }
    }

    @Test func `a prompt is continued in its own shape`() async throws {
        let node = ScriptedNode { _ in .hello }
        try await LoopbackServer.with(node) { server in
            let body = #"{"model":"tiny","prompt":"Once","raw":true,"stream":false,"options":{"num_ctx":8}}"#
            let answer = try await server.post("/api/generate", body)
            #expect(
                answer.body
                    == #"{"model":"tiny",\#(Self.created),"response":"Hello 👋",\#(Self.ending(reads: 1))"#)
            #expect(answer.headers["warnings"]?.contains("options.num_ctx") == true)
            guard case .text("Once")? = node.requests.first?.prompt else {
                Issue.record("the prompt is \(String(describing: node.requests.first?.prompt))")
                return
            }
        }
    }

    @Test func `a request without a prompt says whether the model is up`() async throws {
        let node = ScriptedNode { _ in .hello }
        try await LoopbackServer.with(node) { server in
            let answer = try await server.post("/api/generate", #"{"model":"tiny","keep_alive":"5m"}"#)
            #expect(
                answer.body
                    == #"{"model":"tiny",\#(Self.created),"response":"","done":true,"done_reason":"load"}"#)
            #expect(node.requests.first?.maxOutputTokens == 0)
            let unload = try await server.post("/api/chat", #"{"model":"tiny","messages":[],"keep_alive":0}"#)
            #expect(unload.status == 501)
            #expect(node.requests.count == 1)
        }
        let error = GenerationError.modelNotReady(name: "tiny", reason: "loading", retryAfterSeconds: 3)
        try await LoopbackServer.with(ScriptedNode { _ in [.failed(error)] }) { server in
            let answer = try await server.post("/api/chat", #"{"model":"tiny"}"#)
            #expect(answer.status == 503 && answer.headers["retry-after"] == "3")
            #expect(try answer.object()["error"] as? String == error.description)
        }
    }

    @Test func `models are listed, shown and counted as running`() async throws {
        let models = [
            ServedModel.named("tiny"), .named("big", .starting(reason: "loading")), .named("bad", .failed(reason: "x")),
        ]
        try await LoopbackServer.with(ScriptedNode(models: models) { _ in [] }) { server in
            for (path, names) in [("/api/tags", ["tiny", "big"]), ("/api/ps", ["tiny"])] {
                let list = try #require(try await server.get(path).object()["models"] as? [[String: Any]])
                #expect(list.map { $0["name"] as? String } == names)
            }
            for body in [#"{"model":"big"}"#, #"{"name":"tiny:latest","verbose":true}"#] {
                let show = try await server.post("/api/show", body)
                #expect(show.status == 200)
                #expect((show.headers["warnings"]?.contains("'verbose'") == true) == body.contains("verbose"))
                #expect((try show.object()["details"] as? [String: Any])?["family"] as? String == "qwen3")
            }
            let missing = try await server.post("/api/show", #"{"model":"none"}"#)
            #expect(missing.status == 404)
            #expect((try missing.object()["error"] as? String)?.contains("'none'") == true)
            #expect(try await server.get("/api/version").object()["server"] as? String == "skein-test")
        }
    }

    @Test func `the root and a HEAD of it say that somebody is here`() async throws {
        try await LoopbackServer.with(ScriptedNode { _ in [] }) { server in
            let answer = try await server.get("/")
            #expect(answer.status == 200 && answer.body == "Skein is running")
            for path in ["/", "/api/version", "/api/tags"] {
                let head = try await server.send("HEAD", path)
                #expect(head.status == 200 && head.body.isEmpty, "\(path)")
            }
        }
    }

    @Test func `errors have Ollama's shape, before and after the first byte`() async throws {
        let node = ScriptedNode { _ in
            [.started(promptTokens: 9, cachedTokens: 0), .text("Hel"), .failed(.stageLost(stage: 1, reason: "gone"))]
        }
        try await LoopbackServer.with(node) { server in
            let cut = try await server.post("/api/generate", #"{"model":"tiny","prompt":"x"}"#)
            #expect(cut.status == 200)
            let last = try HTTPAnswer.object(String(cut.body.split(separator: "\n").last ?? ""))
            #expect((last["error"] as? String)?.contains("Stage 1") == true)
            let whole = try await server.post("/api/generate", #"{"model":"tiny","prompt":"x","stream":false}"#)
            #expect(whole.status == 503)
            let refused = [
                ("POST", "/api/chat", "{", 400), ("POST", "/api/chat", #"{"messages":[]}"#, 400),
                ("GET", "/api/chat", "", 405), ("GET", "/api/nothing", "", 404), ("GET", "/api/blobs/x", "", 405),
            ]
            for (method, path, body, status) in refused {
                let answer = try await server.send(method, path, body)
                #expect(answer.status == status, "\(method) \(path)")
                #expect(try answer.object()["error"] is String)
            }
        }
    }
}
