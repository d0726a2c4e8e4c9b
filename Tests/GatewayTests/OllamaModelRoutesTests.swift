import Dialects
import Foundation
import NIOCore
import Testing
import Vocabulary

@testable import Gateway

@Suite(.timeLimit(.minutes(1))) struct `Ollama routes of models` {
    private static func digest(_ text: String) -> String { Hexadecimal.text(SecureDigest.of(Array(text.utf8))) }

    @Test func `a file is uploaded in pieces, found again and not taken twice`() async throws {
        let keeper = ScriptedKeeper()
        let text = String(repeating: "x", count: 3 << 20)
        let path = "/api/blobs/sha256:\(Self.digest(text))"
        try await LoopbackServer.with(ScriptedNode { _ in [] }, keeper: keeper) { server in
            let before = try await server.send("HEAD", path)
            #expect(before.status == 404)
            #expect(try await server.post(path, text).status == 201)
            #expect(keeper.asked == ["blob \(text.utf8.count)"])
            #expect(keeper.pieces.reduce(0, +) == text.utf8.count)
            #expect((keeper.pieces.max() ?? 0) <= 2 << 20, "a file is not kept in memory")
            #expect(try await server.send("HEAD", path).status == 200)
            #expect(try await server.post(path, text).status == 200)
            #expect(keeper.asked.count == 1)
        }
    }

    @Test func `a file longer than a body may be is taken`() async throws {
        let keeper = ScriptedKeeper()
        let text = String(repeating: "y", count: Dialects.Limits.bodyBytes + 1)
        try await LoopbackServer.with(ScriptedNode { _ in [] }, keeper: keeper) { server in
            // What it holds is of no interest here: it is taken in as a whole, and then found to be something else.
            let answer = try await server.post("/api/blobs/sha256-\(Self.digest("y"))", text)
            #expect(answer.status == 400)
            #expect(keeper.pieces.reduce(0, +) == text.utf8.count)
        }
    }

    @Test func `other bytes than the digest's and digests that are none are refused`() async throws {
        let keeper = ScriptedKeeper()
        try await LoopbackServer.with(ScriptedNode { _ in [] }, keeper: keeper) { server in
            let wrong = try await server.post("/api/blobs/sha256:\(Self.digest("a"))", "b")
            #expect(wrong.status == 400)
            #expect((try wrong.object()["error"] as? String)?.contains(Self.digest("b")) == true)
            #expect(keeper.abandoned == 1)
            for bad in ["sha256:00", "x", "sha256:" + Self.digest("a").uppercased(), "md5:" + Self.digest("a")] {
                let answer = try await server.post("/api/blobs/\(bad)", "a")
                let reason = try answer.object()["error"] as? String
                #expect(answer.status == 400 && reason?.contains("digest") == true)
                #expect(try await server.send("HEAD", "/api/blobs/\(bad)").status == 400)
            }
        }
    }

    @Test func `a client that leaves in the middle leaves nothing behind`() async throws {
        let keeper = ScriptedKeeper()
        try await LoopbackServer.with(ScriptedNode { _ in [] }, keeper: keeper) { server in
            let connection = try await RawConnection.open(port: server.port)
            connection.send(
                "POST /api/blobs/sha256:\(Self.digest("a")) HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nab")
            connection.close()
            for await _ in connection.received {}
            let again = try await server.post("/api/blobs/sha256:\(Self.digest("a"))", "a")
            #expect(again.status == 201)
        }
        // The server ends after all its routes have.
        #expect(keeper.abandoned <= 1)
    }

    @Test func `models are made, named and removed`() async throws {
        let keeper = ScriptedKeeper()
        try await LoopbackServer.with(ScriptedNode { _ in [] }, keeper: keeper) { server in
            let made = try await server.post(
                "/api/create", #"{"model":"mine:latest","from":"tiny","parameters":{"num_ctx":4}}"#)
            #expect(made.status == 200 && made.headers["content-type"] == "application/x-ndjson")
            #expect(made.headers["warnings"]?.contains("num_ctx") == true)
            let lines = try made.body.split(separator: "\n").map {
                try HTTPAnswer.object(String($0))["status"] as? String
            }
            #expect(lines.first == "reading model metadata" && lines.last == "success")
            let whole = try await server.post("/api/create", #"{"model":"other","from":"tiny","stream":false}"#)
            #expect(whole.body == #"{"status":"success"}"# && whole.headers["content-type"] == "application/json")
            let copy = try await server.post("/api/copy", #"{"source":"mine","destination":"again"}"#)
            #expect(copy.status == 200 && copy.body.isEmpty)
            #expect(try await server.send("DELETE", "/api/delete", #"{"model":"mine"}"#).status == 200)
            #expect(
                keeper.asked == [
                    #"create mine model("tiny")"#, #"create other model("tiny")"#, "copy mine again", "delete mine",
                ])
        }
    }

    @Test(arguments: [
        (Ollama.ModelError.unknownModel("tiny", known: ["a"]), 404), (.nameTaken("mine"), 409),
        (.diskFull(neededBytes: 2, freeBytes: 1), 507), (.impossible(what: "It", remedy: "do not"), 501),
        (.storeFailed(reason: "It broke."), 500), (.undecided(reason: "No leader."), 503),
    ])
    func `what cannot be is answered with its status and reason`(error: Ollama.ModelError, status: Int) async throws {
        try await LoopbackServer.with(ScriptedNode { _ in [] }, keeper: ScriptedKeeper(refusal: error)) { server in
            let blob = "/api/blobs/sha256:\(Self.digest("a"))"
            for (method, path, body) in [
                ("POST", "/api/create", #"{"model":"mine","from":"tiny"}"#),
                ("POST", "/api/copy", #"{"source":"a","destination":"b"}"#),
                ("DELETE", "/api/delete", #"{"model":"a"}"#), ("POST", blob, "a"),
            ] {
                let answer = try await server.send(method, path, body)
                #expect(answer.status == status, "\(method) \(path)")
                #expect(try answer.object()["error"] as? String == error.description)
            }
        }
    }

    @Test func `only who may deploy changes models`() async throws {
        let keeper = ScriptedKeeper()
        let keys = TestKeys(.of("user"), .of("boss", scopes: [.admin]))
        try await LoopbackServer.with(
            ScriptedNode { _ in [] }, keeper: keeper, access: AccessPolicy(demandsKey: true), keys: keys
        ) { server in
            let head = ["Authorization": "Bearer user"]
            for (method, path, body) in [
                ("POST", "/api/create", #"{"model":"mine","from":"tiny"}"#),
                ("POST", "/api/copy", #"{"source":"a","destination":"b"}"#),
                ("DELETE", "/api/delete", #"{"model":"a"}"#),
                ("POST", "/api/blobs/sha256:\(Self.digest("a"))", "a"),
                ("HEAD", "/api/blobs/sha256:\(Self.digest("a"))", ""),
            ] {
                #expect(try await server.send(method, path, body, head).status == 403, "\(method) \(path)")
            }
            let admin = ["Authorization": "Bearer boss"]
            let removed = try await server.send("DELETE", "/api/delete", #"{"model":"a"}"#, admin)
            #expect(removed.status == 200 && keeper.asked == ["delete a"])
        }
    }

    @Test func `a node that keeps no models says so`() async throws {
        try await LoopbackServer.with(ScriptedNode { _ in [] }) { server in
            for (method, path, body) in [
                ("POST", "/api/push", "{}"), ("POST", "/api/create", #"{"model":"mine","from":"tiny"}"#),
                ("POST", "/api/blobs/sha256:\(Self.digest("a"))", "a"),
            ] {
                let answer = try await server.send(method, path, body)
                let reason = try answer.object()["error"] as? String
                #expect(answer.status == 501 && reason?.contains("not supported") == true)
            }
        }
    }

    @Test func `a pull is over at once, or tells how far it is`() async throws {
        let models = [
            ServedModel.named("tiny"), .named("asleep", .sleeping(reason: "x")), .named("there", .available),
        ]
        let node = ScriptedNode(models: models) { request in
            request.model == "there"
                ? [.failed(.modelNotReady(name: "there", reason: "no room", retryAfterSeconds: 60))]
                : [.preparing("loading model asleep: stage 1 of 1"), .started(promptTokens: 1, cachedTokens: 0), .end]
        }
        try await LoopbackServer.with(node) { server in
            let ready = try await server.post("/api/pull", #"{"model":"tiny:latest"}"#)
            #expect(ready.body == "{\"status\":\"pulling manifest\"}\n{\"status\":\"success\"}\n")
            #expect(node.requests.isEmpty)
            let woken = try await server.post("/api/pull", #"{"model":"asleep"}"#)
            #expect(woken.status == 200 && woken.headers["content-type"] == "application/x-ndjson")
            #expect(
                woken.body
                    == ["pulling manifest", "loading model asleep: stage 1 of 1", "success"]
                    .map { "{\"status\":\"\($0)\"}\n" }.joined())
            #expect(node.requests.last?.maxOutputTokens == 0)
            #expect(node.requests.last?.residency?.mayDeploy == true)
            let whole = try await server.post("/api/pull", #"{"model":"asleep","stream":false}"#)
            #expect(whole.body == #"{"status":"success"}"#)
            #expect(try await server.post("/api/pull", #"{"model":"there"}"#).status == 503)
            let unknown = try await server.post("/api/pull", #"{"model":"none"}"#)
            let reason = try #require(try unknown.object()["error"] as? String)
            #expect(unknown.status == 404 && reason.contains("tiny, asleep, there") && reason.contains("registry"))
        }
    }

    @Test func `a variant is listed with its base, owner and the time its base is unloaded`() async throws {
        var made = ServedModel.named("mine")
        made.variant = ModelVariant(name: "mine", base: "tiny", created: 7)
        made.owner = "machine-1"
        made.unloadsInMilliseconds = 60_000
        made.isOnGPU = false
        try await LoopbackServer.with(ScriptedNode(models: [.named("tiny"), made]) { _ in [] }) { server in
            let list = try #require(try await server.get("/v1/models").object()["data"] as? [[String: Any]])
            #expect(list.map { $0["owned_by"] as? String } == ["skein", "machine-1"])
            let tags = try #require(try await server.get("/api/tags").object()["models"] as? [[String: Any]])
            #expect((tags[1]["details"] as? [String: Any])?["parent_model"] as? String == "tiny")
            let running = try #require(try await server.get("/api/ps").object()["models"] as? [[String: Any]])
            #expect(running[0]["expires_at"] as? String == "9999-12-31T23:59:59Z")
            #expect(running[1]["expires_at"] as? String == "2024-07-22T20:34:28.000000Z")
            #expect(running[0]["size_vram"] as? Int == 7_961_088 && running[1]["size_vram"] as? Int == 0)
        }
    }

    @Test func `a file that keeps coming may take long, one that stops may not`() async throws {
        var limits = ConnectionLimits()
        limits.body = .milliseconds(1)
        limits.uploadBytes = 1
        try await LoopbackServer.with(ScriptedNode { _ in [] }, keeper: ScriptedKeeper(), connections: limits) {
            server in
            let connection = try await RawConnection.open(port: server.port)
            connection.send(
                "POST /api/blobs/sha256:\(Self.digest("a")) HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nab")
            #expect(try await connection.answer().status == 408)
        }
    }
}
