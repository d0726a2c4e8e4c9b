import Dialects
import Foundation
import Gateway
import Testing
import Vocabulary

@Suite(.timeLimit(.minutes(1))) struct `Background responses` {
    private static let background = #""background":true"#
    private static let start: [GenerationEvent] = [.started(promptTokens: 9, cachedTokens: 0), .text("Hel")]

    /// Reads a stream until its bytes contain `text`.
    private func read(_ connection: RawConnection, until text: String) async -> String {
        var bytes: [UInt8] = []
        for await chunk in connection.received {
            bytes += chunk
            if String(decoding: bytes, as: UTF8.self).contains(text) { break }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func `one is queued, made without its client, and fetched`() async throws {
        let node = SteppedNode()
        let store = MemoryResponseStore()
        try await LoopbackServer.with(node, store: store) { server in
            let asked = try await server.post("/v1/responses", ask(Self.background))
            #expect(asked.status == 200)
            let object = try asked.object()
            #expect(object["status"] as? String == "queued" && object["background"] as? Bool == true)
            let id = try asked.responseID()
            _ = try await node.begins.next()
            // A client that follows sees everything from the start, whenever it comes.
            let follower = try await RawConnection.open(port: server.port)
            node.send(Self.start)
            follower.send("GET", "/v1/responses/\(id)?stream=true", "")
            _ = await read(follower, until: "Hel")
            #expect(try await server.get("/v1/responses/\(id)").object()["status"] as? String == "in_progress")
            let tooEarly = try await server.post("/v1/responses", ask(#""previous_response_id":"\#(id)""#))
            #expect(tooEarly.status == 409)
            follower.close()
            node.send([.text("lo 👋"), .end])
            let events = try await server.get("/v1/responses/\(id)?stream=true").namedEvents()
            #expect(events.prefix(3).map(\.name) == ["response.created", "response.queued", "response.in_progress"])
            #expect(events.last?.name == "response.completed")
            #expect(events.map { $0.data["sequence_number"] as? Int } == Array(0..<events.count))
            let rest = try await server.get("/v1/responses/\(id)?stream=true&starting_after=4").namedEvents()
            #expect(rest.map { $0.data["sequence_number"] as? Int } == Array(5..<events.count))
            let none = try await server.get("/v1/responses/\(id)?stream=true&starting_after=999")
            #expect(none.body == "data: [DONE]\n\n")
            let whole = try await server.get("/v1/responses/\(id)")
            #expect(try whole.outputText() == "Hello 👋")
            #expect(try await store.load(id: id)?.body == Array(whole.body.utf8))
            // One that is over is not cancelled any more.
            #expect(try await server.post("/v1/responses/\(id)/cancel", "").body == whole.body)
        }
    }

    @Test func `no number of a last event is too large, whether the response is over or not`() async throws {
        let node = SteppedNode()
        try await LoopbackServer.with(node, store: MemoryResponseStore()) { server in
            let id = try await server.post("/v1/responses", ask(Self.background)).responseID()
            _ = try await node.begins.next()
            let path = "/v1/responses/\(id)?stream=true&starting_after=\(Int.max)"
            let follower = try await RawConnection.open(port: server.port)
            follower.send("GET", path, "")
            _ = await read(follower, until: "HTTP/1.1 200")
            node.send(Self.start + [.end])
            _ = await read(follower, until: "[DONE]")
            #expect(try await server.get(path).body == "data: [DONE]\n\n")
        }
    }

    @Test func `who follows one while it is being kept sees its end`() async throws {
        let node = SteppedNode()
        let store = MemoryResponseStore()
        try await LoopbackServer.with(node, store: store) { server in
            let id = try await server.post("/v1/responses", ask(Self.background)).responseID()
            _ = try await node.begins.next()
            await store.hold()
            node.send(Self.start + [.end])
            await store.holdsSave()
            let follower = try await RawConnection.open(port: server.port)
            follower.send("GET", "/v1/responses/\(id)?stream=true", "")
            _ = await read(follower, until: "Hel")
            await store.release()
            #expect(await read(follower, until: "[DONE]").contains("event: response.completed\n"))
        }
    }

    @Test func `a streamed one goes on when its client leaves`() async throws {
        let node = SteppedNode()
        try await LoopbackServer.with(node, store: MemoryResponseStore()) { server in
            let connection = try await RawConnection.open(port: server.port)
            connection.send("POST", "/v1/responses", ask(#""background":true,"stream":true"#))
            _ = try await node.begins.next()
            node.send(Self.start)
            let seen = await read(connection, until: "Hel")
            connection.close()
            let mark = try #require(seen.range(of: #""id":"resp_"#))
            let id = String(seen[mark.upperBound...].prefix { $0 != "\"" })
            node.send([.text("lo"), .end])
            let events = try await server.get("/v1/responses/resp_\(id)?stream=true&starting_after=5").namedEvents()
            #expect(events.last?.name == "response.completed")
        }
    }

    @Test func `one is cancelled, with what it had`() async throws {
        let node = SteppedNode()
        let store = MemoryResponseStore()
        try await LoopbackServer.with(node, store: store) { server in
            let id = try await server.post("/v1/responses", ask(Self.background)).responseID()
            _ = try await node.begins.next()
            node.send(Self.start)
            let follower = try await RawConnection.open(port: server.port)
            follower.send("GET", "/v1/responses/\(id)?stream=true", "")
            _ = await read(follower, until: "Hel")
            let cancelled = try await server.post("/v1/responses/\(id)/cancel", "")
            #expect(try cancelled.object()["status"] as? String == "cancelled")
            #expect(try cancelled.outputText() == "Hel")
            #expect(try await node.stops.next() == 0)
            #expect(await read(follower, until: "[DONE]").contains("event: response.incomplete\n"))
            #expect(try await store.load(id: id)?.status == .cancelled)
            #expect(try await server.get("/v1/responses/\(id)").body == cancelled.body)
        }
    }

    @Test func `one that is deleted ends and leaves nothing`() async throws {
        let node = SteppedNode()
        let store = MemoryResponseStore()
        try await LoopbackServer.with(node, store: store) { server in
            let id = try await server.post("/v1/responses", ask(Self.background)).responseID()
            _ = try await node.begins.next()
            node.send(Self.start)
            let follower = try await RawConnection.open(port: server.port)
            follower.send("GET", "/v1/responses/\(id)?stream=true", "")
            _ = await read(follower, until: "Hel")
            #expect(try await server.send("DELETE", "/v1/responses/\(id)").status == 200)
            #expect(try await node.stops.next() == 0)
            _ = await read(follower, until: "[DONE]")
            #expect(try await server.get("/v1/responses/\(id)").status == 404)
            #expect(try await store.load(id: id) == nil)
        }
    }

    @Test func `one that fails says so`() async throws {
        let node = ScriptedNode { _ in [.failed(.modelNotFound(name: "none", available: ["tiny"]))] }
        try await LoopbackServer.with(node, store: MemoryResponseStore()) { server in
            let events = try await server.post("/v1/responses", ask(#""background":true,"stream":true"#)).namedEvents()
            #expect(
                events.map(\.name) == ["response.created", "response.queued", "error", "response.failed"])
            let response = try #require(events.last?.data["response"] as? [String: Any])
            #expect((response["error"] as? [String: Any])?["code"] as? String == "invalid_prompt")
        }
    }

    @Test func `their number is bounded, and a place becomes free again`() async throws {
        let node = SteppedNode()
        try await LoopbackServer.with(node, store: MemoryResponseStore()) { server in
            var ids: [String] = []
            for _ in 0..<Gateway.Limits.backgroundResponses {
                ids.append(try await server.post("/v1/responses", ask(Self.background)).responseID())
            }
            let refused = try await server.post("/v1/responses", ask(Self.background))
            #expect(refused.status == 429 && refused.headers["retry-after"] == "5")
            #expect(try refused.error()["code"] as? String == "too_many_background_responses")
            _ = try await server.post("/v1/responses/\(ids[3])/cancel", "")
            #expect(try await server.post("/v1/responses", ask(Self.background)).status == 200)
        }
    }

    @Test func `one that a stopped node left behind has failed`() async throws {
        let store = MemoryResponseStore()
        var id = ""
        try await LoopbackServer.with(SteppedNode(), store: store) { server in
            id = try await server.post("/v1/responses", ask(Self.background)).responseID()
        }
        // What a node leaves that is killed in the middle.
        var request = try Responses.Request.decode(Array(ask(Self.background).utf8), id: RequestID(1))
        try request.settle(responseID: id, history: [], referenced: [])
        let open = Responses.Answer(id: id, created: 1, request: request, emits: false)
        try await store.save(
            Responses.Record(id: id, previousID: nil, created: 1, input: request.inputItems, body: open.body()))
        try await LoopbackServer.with(SteppedNode(), store: store) { server in
            let answer = try await server.get("/v1/responses/\(id)")
            #expect(try answer.object()["status"] as? String == "failed")
            #expect((try answer.object()["error"] as? [String: Any])?["code"] as? String == "server_error")
            #expect(try await server.get("/v1/responses/\(id)?stream=true").status == 400)
        }
    }
}
