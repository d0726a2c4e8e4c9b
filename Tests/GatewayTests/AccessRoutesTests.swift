import Foundation
import Synchronization
import Testing
import Vocabulary

@testable import Gateway

/// Keys that a test changes.
final class TestKeys: KeyProviding {
    private let state: Mutex<Result<KeyBook, KeyBookError>>

    init(_ keys: APIKey...) {
        var book = KeyBook()
        for key in keys { try? book.add(key) }
        state = Mutex(.success(book))
    }

    func current() throws(KeyBookError) -> KeyBook { try state.withLock { $0 }.get() }

    func revoke(_ name: String) {
        state.withLock { state in
            guard var book = try? state.get() else { return }
            _ = try? book.revoke(name, at: 1)
            state = .success(book)
        }
    }

    func damage() { state.withLock { $0 = .failure(.damaged(path: "k", reason: "r")) } }
}

@Suite(.timeLimit(.minutes(1))) struct `Access over HTTP` {
    private static let chat = #"{"model":"tiny","messages":[{"role":"user","content":"hi"}]}"#
    private static let message = #"{"model":"tiny","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#
    private static let closed = AccessPolicy(demandsKey: true)

    private static let routes = [
        ("/v1/chat/completions", chat), ("/v1/messages", message), ("/api/chat", chat),
        ("/v1/responses", #"{"model":"tiny","input":"hi"}"#),
    ]

    @Test func `without a key every dialect says 401 in its own shape, and nothing is asked of the node`() async throws
    {
        let node = ScriptedNode { _ in .hello }
        try await LoopbackServer.with(node, access: Self.closed, keys: TestKeys(.of("user"))) { server in
            for (headers, code) in [([:], "missing_api_key"), (["Authorization": "Bearer no"], "invalid_api_key")] {
                for (path, body) in Self.routes {
                    let answer = try await server.send("POST", path, body, headers)
                    #expect(answer.status == 401, "\(path)")
                    #expect(answer.headers["www-authenticate"] == "Bearer")
                    switch path {
                    case "/v1/messages":
                        #expect(try answer.object()["type"] as? String == "error")
                        #expect(try answer.error()["type"] as? String == "authentication_error")
                    case "/api/chat": #expect(try answer.object()["error"] is String)
                    default: #expect(try answer.error()["code"] as? String == code)
                    }
                }
            }
            #expect(node.requests.isEmpty)
            #expect(try await server.get("/healthz").status == 200)
            #expect(try await server.get("/readyz").body == #"{"ready":true}"#)
            #expect(try await server.get("/v1/nothing").status == 401)
        }
    }

    @Test func `a key comes as bearer or as x-api-key, and is refused from its revocation on`() async throws {
        let keys = TestKeys(.of("user"), .of("ops", scopes: [.operate]))
        try await LoopbackServer.with(ScriptedNode { _ in .hello }, access: Self.closed, keys: keys) { server in
            for headers in [
                ["Authorization": "Bearer user"], ["authorization": "bearer  user"], ["x-api-key": "user"],
            ] {
                for (path, body) in Self.routes {
                    #expect(try await server.send("POST", path, body, headers).status == 200, "\(path) \(headers)")
                }
            }
            for headers in [["Authorization": "Basic user"], ["Authorization": "user"], ["x-api-key": ""]] {
                #expect(try await server.send("GET", "/v1/models", "", headers).status == 401, "\(headers)")
            }
            let forbidden = try await server.send("POST", "/v1/messages", Self.message, ["x-api-key": "ops"])
            #expect(forbidden.status == 403)
            #expect(try forbidden.error()["type"] as? String == "permission_error")
            #expect(try await server.send("GET", "/metrics", "", ["x-api-key": "ops"]).status == 200)
            keys.revoke("user")
            #expect(try await server.send("GET", "/v1/models", "", ["x-api-key": "user"]).status == 401)
            keys.damage()
            let unreadable = try await server.send("GET", "/metrics", "", ["x-api-key": "ops"])
            #expect(unreadable.status == 503 && unreadable.headers["retry-after"] == "10")
        }
    }

    /// Waiting requests take fair turns by it.
    @Test func `a request says by whose key it came, in every dialect`() async throws {
        let (first, second) = (APIKey.of("first"), APIKey.of("second"))
        #expect(first.id != second.id)
        let senders: [([String: String], String?)] = [
            (["x-api-key": "first"], first.id), (["Authorization": "Bearer second"], second.id),
            (["Authorization": "Bearer first"], first.id), ([:], nil), (["x-api-key": "no key of ours"], nil),
        ]
        let node = ScriptedNode { _ in .hello }
        // It demands no key, but knows those that it has.
        try await LoopbackServer.with(node, keys: TestKeys(first, second)) { server in
            for (path, body) in Self.routes {
                for (headers, caller) in senders {
                    let count = node.requests.count
                    let answer = try await server.send("POST", path, body, headers)
                    #expect(answer.status == 200, "\(path) \(headers)")
                    #expect(node.requests.dropFirst(count).map(\.caller) == [caller], "\(path) \(headers)")
                }
            }
        }
    }

    @Test func `a key over its rate is told when to come back, in every dialect`() async throws {
        for (path, body) in Self.routes {
            let keys = TestKeys(.of("user", requestsPerMinute: 1))
            try await LoopbackServer.with(ScriptedNode { _ in .hello }, access: Self.closed, keys: keys) { server in
                let headers = ["x-api-key": "user"]
                #expect(try await server.send("POST", path, body, headers).status == 200)
                let refused = try await server.send("POST", path, body, headers)
                #expect(refused.status == 429, "\(path)")
                #expect(refused.headers["retry-after"] == "60")
                switch path {
                case "/v1/messages": #expect(try refused.error()["type"] as? String == "rate_limit_error")
                case "/api/chat": #expect(try refused.object()["error"] is String)
                default: #expect(try refused.error()["code"] as? String == "rate_limit_exceeded")
                }
            }
        }
    }

    /// An answer of `.hello` costs 9 + 3 tokens.
    @Test func `what an answer costs counts against its key, streamed or not, in every dialect`() async throws {
        for (path, body) in Self.routes {
            for stream in ["false", "true"] {
                let keys = TestKeys(.of("user", tokensPerMinute: 24))
                let asked = body.dropLast() + #","stream":\#(stream)}"#
                try await LoopbackServer.with(ScriptedNode { _ in .hello }, access: Self.closed, keys: keys) { server in
                    let headers = ["x-api-key": "user"]
                    #expect(try await server.send("POST", path, String(asked), headers).status == 200)
                    #expect(try await server.send("POST", path, String(asked), headers).status == 200)
                    let refused = try await server.send("POST", path, String(asked), headers)
                    #expect(refused.status == 429, "\(path) stream=\(stream)")
                    #expect(refused.headers["retry-after"] == "3")
                }
            }
        }
    }

    @Test func `a client that leaves pays for what it got`() async throws {
        let keys = TestKeys(.of("user", tokensPerMinute: 9))
        let node = SteppedNode()
        try await LoopbackServer.with(node, access: Self.closed, keys: keys) { server in
            let connection = try await RawConnection.open(port: server.port)
            let asked = String(Self.chat.dropLast() + #","stream":true}"#)
            connection.send("POST", "/v1/chat/completions", asked, ["x-api-key": "user"])
            _ = try await node.begins.next()
            node.send([.started(promptTokens: 9, cachedTokens: 0), .text("Hel")])
            _ = await connection.read(until: "Hel")
            connection.close()
            _ = try await node.stops.next()
            // The stream's end is told to the gate after the client's; the answer of another connection comes behind it
            // at the latest when it is refused.
            var status = 200
            while status == 200 {
                status = try await server.send("GET", "/v1/models", "", ["x-api-key": "user"]).status
            }
            #expect(status == 429)
        }
    }

    @Test func `a page of another site gets nothing, by name or by origin`() async throws {
        let node = ScriptedNode { _ in .hello }
        try await LoopbackServer.with(node) { server in
            let bad = [
                ["Host": "evil.example"], ["Origin": "http://evil.example"], ["Origin": "null"],
                ["Host": "evil.example:\(server.port)", "Origin": "http://evil.example:\(server.port)"],
            ]
            for headers in bad {
                let answer = try await server.send("POST", "/v1/chat/completions", Self.chat, headers)
                #expect(answer.status == 403, "\(headers)")
                #expect(answer.headers["access-control-allow-origin"] == nil)
            }
            #expect(node.requests.isEmpty)
            let own = ["Host": "localhost:\(server.port)", "Origin": "http://localhost:\(server.port)"]
            #expect(try await server.send("POST", "/v1/chat/completions", Self.chat, own).status == 200)
            let preflight = ["Origin": "http://evil.example", "Access-Control-Request-Method": "POST"]
            #expect(try await server.send("OPTIONS", "/v1/chat/completions", "", preflight).status == 403)
        }
    }

    @Test func `a configured origin may ask first and read answers and errors`() async throws {
        let access = AccessPolicy(corsOrigins: ["https://chat.example"])
        try await LoopbackServer.with(ScriptedNode { _ in .hello }, access: access) { server in
            let origin = ["Origin": "https://chat.example"]
            let preflight = try await server.send(
                "OPTIONS", "/v1/chat/completions", "",
                origin.merging([
                    "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-y",
                ]) { $1 })
            #expect(preflight.status == 204 && preflight.body.isEmpty)
            #expect(preflight.headers["access-control-allow-headers"] == "authorization,x-y")
            for (body, status) in [(Self.chat, 200), ("{", 400)] {
                let answer = try await server.send("POST", "/v1/chat/completions", body, origin)
                #expect(answer.status == status)
                #expect(answer.headers["access-control-allow-origin"] == "https://chat.example")
                #expect(answer.headers["vary"] == "origin")
            }
            let other = try await server.send("GET", "/v1/models", "", ["Origin": "https://other.example"])
            #expect(other.status == 403 && other.headers["access-control-allow-origin"] == nil)
        }
    }

    @Test func `errors are counted by dialect and code`() async throws {
        try await LoopbackServer.with(ScriptedNode { _ in .hello }) { server in
            #expect(try await server.get("/metrics").body.contains("# TYPE skein_http_errors_total counter\n"))
            for _ in 0..<2 { _ = try await server.post("/v1/messages", "{") }
            _ = try await server.get("/nothing")
            let text = try await server.get("/metrics").body
            #expect(text.contains("skein_http_errors_total{dialect=\"anthropic\",code=\"invalid_json\"} 2\n"))
            #expect(text.contains("skein_http_errors_total{dialect=\"openai\",code=\"unknown_url\"} 1\n"))
        }
    }
}

@Suite struct `What a request may do to deployments` {
    private static let closed = AccessPolicy(demandsKey: true)
    private static let generate = #"{"model":"tiny","prompt":"x","stream":false,"keep_alive":"7s"}"#

    @Test func `only a key for administration deploys and says how long models stay`() async throws {
        let node = ScriptedNode(models: [.named("tiny"), .named("shelf", .available)]) { _ in .hello }
        let keys = TestKeys(.of("user"), .of("boss", scopes: [.admin]))
        try await LoopbackServer.with(node, access: Self.closed, keys: keys) { server in
            let refused = try await server.send("POST", "/api/generate", Self.generate, ["x-api-key": "user"])
            #expect(refused.status == 200)
            #expect(refused.headers["warnings"]?.contains("'keep_alive' has no effect") == true)
            #expect(node.requests.last?.residency == Residency(mayDeploy: false))
            let taken = try await server.send("POST", "/api/generate", Self.generate, ["x-api-key": "boss"])
            #expect(taken.headers["warnings"] == nil)
            #expect(node.requests.last?.residency == Residency(mayDeploy: true, keepAlive: .milliseconds(7000)))
            // What only who may deploy can use is listed for nobody else.
            for (key, count) in [("user", 1), ("boss", 2)] {
                let list = try await server.send("GET", "/v1/models", "", ["x-api-key": key])
                let listed = try list.object()["data"] as? [Any]
                #expect(listed?.count == count, "\(key)")
                let tags = try await server.send("GET", "/api/tags", "", ["x-api-key": key])
                let tagged = try tags.object()["models"] as? [Any]
                #expect(tagged?.count == count, "\(key)")
                let one = try await server.send("GET", "/v1/models/shelf", "", ["x-api-key": key])
                #expect(one.status == (count == 1 ? 404 : 200), "\(key)")
            }
            let unload = #"{"model":"tiny","keep_alive":0}"#
            #expect(try await server.send("POST", "/api/generate", unload, ["x-api-key": "user"]).status == 403)
        }
    }

    @Test func `without keys everybody here may, whatever the dialect`() async throws {
        let node = ScriptedNode { _ in .hello }
        try await LoopbackServer.with(node) { server in
            for (path, body) in AccessRoutesProbe.routes {
                let answer = try await server.post(path, body)
                #expect(answer.status == 200, "\(path)")
                #expect(node.requests.last?.residency?.mayDeploy == true, "\(path)")
            }
        }
    }
}

/// One request of each dialect.
private enum AccessRoutesProbe {
    static let routes = [
        ("/v1/chat/completions", #"{"model":"tiny","messages":[{"role":"user","content":"Hi"}]}"#),
        ("/v1/completions", #"{"model":"tiny","prompt":"Hi"}"#), ("/v1/responses", #"{"model":"tiny","input":"Hi"}"#),
        (
            "/v1/messages",
            #"{"model":"tiny","max_tokens":5,"messages":[{"role":"user","content":"Hi"}]}"#
        ),
        ("/api/chat", #"{"model":"tiny","stream":false,"messages":[{"role":"user","content":"Hi"}]}"#),
        ("/tokenize", #"{"model":"tiny","content":"Hi"}"#),
    ]
}
