import Foundation
import Gateway
import NIOCore
import Testing
import Vocabulary

@Suite(.timeLimit(.minutes(1))) struct `Responses over a WebSocket` {
    private func types(_ events: [[String: Any]]) -> [String] { events.compactMap { $0["type"] as? String } }

    private func id(_ events: [[String: Any]]) throws -> String {
        try #require((events.last?["response"] as? [String: Any])?["id"] as? String)
    }

    private func code(_ event: [String: Any]?) -> String? { event?["code"] as? String }

    private func messages(_ request: GenerationRequest?) -> [Message] {
        if case .chat(let messages)? = request?.prompt { messages } else { [] }
    }

    @Test func `its events are those of an event stream`() async throws {
        let node = ScriptedNode { _ in .hello }
        try await LoopbackServer.with(node, store: MemoryResponseStore()) { server in
            let client = try await SocketClient.open(server)
            #expect(client.status == 101)
            // The example of RFC 6455.
            #expect(client.head.lowercased().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="))
            client.create()
            let events = try await client.events()
            let stream = try await server.post("/v1/responses", ask(#""stream":true"#)).namedEvents()
            #expect(types(events) == stream.map(\.name))
            // It wakes and deploys as the same request over HTTP does.
            #expect(node.requests.map { $0.residency?.mayDeploy } == [true, true])
            #expect(events.map { $0["sequence_number"] as? Int } == stream.map { $0.data["sequence_number"] as? Int })
            let kept = try id(events)
            #expect(try await server.get("/v1/responses/\(kept)").status == 200)
            client.send(opcode: 8, [0x03, 0xE8])
            #expect(try await client.frame() == .init(opcode: 8, data: [0x03, 0xE8]))
            #expect(await client.isClosed())
        }
    }

    @Test func `requests are answered one after the other, in the order they came`() async throws {
        let node = ScriptedNode { _ in .hello }
        try await LoopbackServer.with(node) { server in
            let client = try await SocketClient.open(server)
            for number in 0..<5 { client.create(#""metadata":{"n":"\#(number)"}"#) }
            for number in 0..<5 {
                let response = try await client.events().last?["response"] as? [String: Any]
                #expect((response?["metadata"] as? [String: String])?["n"] == "\(number)")
            }
            client.close()
        }
    }

    @Test func `a response that is stored nowhere goes on where it was made, and only there`() async throws {
        let node = ScriptedNode { _ in .hello }
        try await LoopbackServer.with(node, store: MemoryResponseStore()) { server in
            let client = try await SocketClient.open(server)
            client.create(#""store":false"#)
            let first = try id(try await client.events())
            client.create(#""store":false,"previous_response_id":"\#(first)""#, input: #""and then?""#)
            let second = try id(try await client.events())
            #expect(messages(node.requests.last).map(\.text) == ["hi", "Hello 👋", "and then?"])
            client.create(#""store":false,"previous_response_id":"\#(second)""#, input: #""and now?""#)
            _ = try await client.events()
            #expect(messages(node.requests.last).count == 5)
            #expect(try await server.get("/v1/responses/\(second)").status == 404)
            let other = try await SocketClient.open(server)
            other.create(#""previous_response_id":"\#(second)""#)
            let refused = try await other.event()
            #expect(code(refused) == "previous_response_not_found" && refused["status"] as? Int == 400)
            #expect((refused["error"] as? [String: Any])?["param"] as? String == "previous_response_id")
            // The connection is as good as before.
            other.create()
            #expect(try await types(other.events()).last == "response.completed")
            client.close()
            other.close()
        }
    }

    @Test func `what a failed turn continued is forgotten`() async throws {
        let node = ScriptedNode { request in
            request.stop.isEmpty ? .hello : [.started(promptTokens: 1, cachedTokens: 0), .failed(.cancelled)]
        }
        try await LoopbackServer.with(node, store: MemoryResponseStore()) { server in
            let client = try await SocketClient.open(server)
            client.create(#""store":false"#)
            let first = try id(try await client.events())
            client.create(#""store":false,"stop":"x","previous_response_id":"\#(first)""#)
            #expect(try await types(client.events()).last == "error")
            #expect(try await types([client.event()]) == ["response.failed"])
            client.create(#""store":false,"previous_response_id":"\#(first)""#)
            #expect(try await code(client.event()) == "previous_response_not_found")
            client.close()
        }
    }

    @Test func `a warm-up generates nothing and can be continued`() async throws {
        let node = ScriptedNode { request in
            guard request.maxOutputTokens == 0 else { return .hello }
            let none = Completion(
                finishReasons: [.length], stopTexts: [nil], usage: Usage(promptTokens: 9, outputTokens: 0),
                timings: Timings(queueSeconds: 0, prefillSeconds: 0, decodeSeconds: 0))
            return [.started(promptTokens: 9, cachedTokens: 0), .finished(none)]
        }
        try await LoopbackServer.with(node) { server in
            let client = try await SocketClient.open(server)
            client.create(#""generate":false,"store":false"#)
            let events = try await client.events()
            #expect(types(events).last == "response.completed")
            client.create(#""store":false,"previous_response_id":"\#(try id(events))""#, input: #""more""#)
            _ = try await client.events()
            #expect(messages(node.requests.last).filter { $0.role == .user }.map(\.text) == ["hi", "more"])
            client.close()
        }
    }

    @Test(arguments: [
        ("{", "invalid_json"), ("[]", "invalid_type"), (#"{"model":"tiny"}"#, "missing_required_parameter"),
        (#"{"type":"response.steer"}"#, "unsupported_value"),
        (#"{"type":"response.create","model":"tiny"}"#, "missing_required_parameter"),
        (#"{"type":"response.create","model":"tiny","input":"x","stream_id":"a"}"#, "unsupported_parameter"),
        (#"{"type":"response.create","model":"tiny","input":"x","background":true}"#, "unsupported_value"),
        (#"{"type":"response.create","model":"tiny","input":"x","temperature":3}"#, "decimal_above_max_value"),
        (#"{"type":"response.create","model":"tiny","input":"x","stop":"fail"}"#, "model_not_found"),
    ])
    func `a request that cannot be answered is an error and no end`(message: String, code: String) async throws {
        let node = ScriptedNode { request in
            request.stop == ["fail"] ? [.failed(.modelNotFound(name: "m", available: []))] : .hello
        }
        try await LoopbackServer.with(node) { server in
            let client = try await SocketClient.open(server)
            client.send(message)
            let event = try await client.event()
            #expect(event["type"] as? String == "error" && self.code(event) == code)
            #expect((event["error"] as? [String: Any])?["code"] as? String == code)
            client.create()
            #expect(try await types(client.events()).last == "response.completed")
            client.close()
        }
    }

    @Test func `frames are put together, pings answered, and what breaks the protocol closed`() async throws {
        let node = ScriptedNode { _ in .hello }
        try await LoopbackServer.with(node) { server in
            let client = try await SocketClient.open(server)
            let text = Array(#"{"type":"response.create","model":"tiny","input":"hi 👋"}"#.utf8)
            client.send(opcode: 1, Array(text[..<20]), isFinal: false)
            client.send(opcode: 9, [1, 2, 3])
            client.send(opcode: 0, Array(text[20..<53]), isFinal: false)
            client.send(opcode: 0, Array(text[53...]))
            #expect(try await client.frame() == .init(opcode: 10, data: [1, 2, 3]))
            #expect(try await types(client.events()).last == "response.completed")
            #expect(messages(node.requests.last).map(\.text) == ["hi 👋"])
            client.close()
            let faults: [(Int, (SocketClient) -> Void)] = [
                (1002, { $0.send(opcode: 1, [0x7B], isMasked: false) }),
                (1002, { $0.send(opcode: 0, [0x7B]) }),
                (1002, { $0.send(opcode: 1, [0x7B], reserved: 4) }),
                (
                    1002,
                    {
                        $0.send(opcode: 1, [0x7B], isFinal: false); $0.send(opcode: 1, [0x7B])
                    }
                ),
                (1002, { $0.send(opcode: 5, []) }),
                (1003, { $0.send(opcode: 2, [0]) }),
                (1009, { $0.send(raw: [0x81, 0xFF, 0, 0, 0, 0, 0x02, 0, 0, 0x01, 1, 2, 3, 4]) }),
            ]
            for (code, fault) in faults {
                let client = try await SocketClient.open(server)
                fault(client)
                let frame = try await client.frame()
                #expect(frame.opcode == 8 && frame.code == code, "\(code): \(frame)")
                client.send(opcode: 8, [])
                #expect(await client.isClosed())
            }
        }
    }

    @Test func `a client that leaves ends its answer`() async throws {
        let node = ScriptedNode { _ in .endless }
        try await LoopbackServer.with(node) { server in
            let client = try await SocketClient.open(server)
            client.create()
            _ = try await client.event()
            client.close()
            for await wasLeft in node.ends where wasLeft { break }
        }
    }

    @Test func `whoever may not ask is refused before the connection changes`() async throws {
        let node = ScriptedNode { _ in .hello }
        try await LoopbackServer.with(node) { server in
            #expect(try await SocketClient.open(server, ["Origin": "http://evil.example"]).status == 403)
            #expect(try await SocketClient.open(server, ["Host": "evil.example"]).status == 403)
            let old = try await SocketClient.open(server, ["Sec-WebSocket-Version": "8"])
            #expect(old.status == 426 && old.head.lowercased().contains("sec-websocket-version: 13"))
            #expect(try await SocketClient.open(server, ["Sec-WebSocket-Key": "short"]).status == 426)
            let plain = try await server.get("/v1/responses")
            #expect(plain.status == 405 && plain.headers["allow"] == "POST")
        }
        try await LoopbackServer.with(node, access: AccessPolicy(demandsKey: true)) { server in
            let status = try await SocketClient.open(server).status
            #expect(status == 401)
        }
        #expect(node.requests.isEmpty)
    }

    @Test func `a connection ends when its time is over, and when the client is dead`() async throws {
        let node = ScriptedNode { _ in .hello }
        var limits = ConnectionLimits()
        limits.socketLifetime = .milliseconds(20)
        try await LoopbackServer.with(node, connections: limits) { server in
            let client = try await SocketClient.open(server)
            #expect(try await code(client.event()) == "websocket_connection_limit_reached")
            #expect(try await client.frame().code == 1000)
        }
        limits = ConnectionLimits()
        limits.silence = .milliseconds(20)
        try await LoopbackServer.with(node, connections: limits) { server in
            let client = try await SocketClient.open(server)
            #expect(try await client.frame() == .init(opcode: 9, data: []))
            // No answer to the ping.
            #expect(await client.isClosed())
        }
    }

    @Test func `too many requests at once close the connection`() async throws {
        let node = ScriptedNode { _ in .endless }
        try await LoopbackServer.with(node) { server in
            let client = try await SocketClient.open(server)
            for _ in 0..<40 { client.create() }
            while true {
                let frame = try await client.frame()
                guard frame.opcode == 8 else { continue }
                #expect(frame.code == 1008)
                break
            }
        }
    }
}
