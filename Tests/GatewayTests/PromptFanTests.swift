import Foundation
import Gateway
import Testing
import Vocabulary

@Suite(.timeLimit(.minutes(1))) struct `Completions of several prompts` {
    private static let letters = ["a", "b", "c", "d", "e", "f"]

    private static func body(_ fields: String = "") -> String {
        let prompts = letters.map { #""\#($0)""# }.joined(separator: ",")
        return #"{"model":"tiny","prompt":[\#(prompts)],"max_tokens":3\#(fields)}"#
    }

    /// Each choice says its prompt and its own number.
    private static func answer(_ request: GenerationRequest) -> [GenerationEvent] {
        guard case .text(let text) = request.prompt else { return [.failed(.engineFailed(reason: "no text"))] }
        let choices = request.choiceCount
        let pieces = (0..<choices).map { choice in
            GenerationEvent.output(OutputDelta(choice: choice, text: "\(text)\(choice)"))
        }
        let end = Completion(
            finishReasons: Array(repeating: .stop, count: choices), stopTexts: Array(repeating: nil, count: choices),
            usage: Usage(promptTokens: 9, cachedTokens: 2, outputTokens: 3),
            timings: Timings(queueSeconds: 0, prefillSeconds: 0.01, decodeSeconds: 0.02))
        return [.started(promptTokens: 9, cachedTokens: 2)] + pieces + [.finished(end)]
    }

    private static let expected = letters.flatMap { ["\($0)0", "\($0)1"] }

    @Test func `the choices of each prompt follow each other, and tokens add up`() async throws {
        let node = ScriptedNode { Self.answer($0) }
        try await LoopbackServer.with(node) { server in
            let answer = try await server.post("/v1/completions", Self.body(#","n":2"#))
            #expect(answer.status == 200)
            let choices = try #require(try answer.object()["choices"] as? [[String: Any]])
            #expect(choices.map { $0["index"] as? Int } == Array(0..<12))
            #expect(choices.map { $0["text"] as? String } == Self.expected)
            #expect(choices.allSatisfy { $0["finish_reason"] as? String == "stop" })
            let usage = try #require(try answer.object()["usage"] as? [String: Any])
            #expect(usage["prompt_tokens"] as? Int == 54 && usage["completion_tokens"] as? Int == 18)
            #expect(usage["total_tokens"] as? Int == 72)
            #expect(Set(node.requests.map(\.id)).count == 6 && node.requests.allSatisfy { $0.choiceCount == 2 })
            let first = try #require(node.requests.first)
            #expect(answer.headers["x-request-id"] == "\(first.id)")
        }
    }

    @Test func `a stream says which choice each piece belongs to`() async throws {
        let node = ScriptedNode { Self.answer($0) }
        try await LoopbackServer.with(node) { server in
            let fields = #","n":2,"stream":true,"stream_options":{"include_usage":true}"#
            let answer = try await server.post("/v1/completions", Self.body(fields))
            #expect(answer.status == 200 && answer.events.last == "[DONE]")
            let chunks = try answer.events.dropLast().map { try HTTPAnswer.object($0) }
            var texts: [Int: String] = [:]
            var ends: [Int] = []
            for chunk in chunks {
                for choice in chunk["choices"] as? [[String: Any]] ?? [] {
                    let index = try #require(choice["index"] as? Int)
                    texts[index, default: ""] += choice["text"] as? String ?? ""
                    if choice["finish_reason"] is String { ends.append(index) }
                }
            }
            #expect(texts.sorted { $0.key < $1.key }.map(\.value) == Self.expected)
            #expect(ends == Array(0..<12))
            #expect((chunks.last?["usage"] as? [String: Any])?["prompt_tokens"] as? Int == 54)
        }
    }

    @Test func `one prompt that fails fails them all, as an event once others were told`() async throws {
        for bad in ["a", "e"] {
            let node = ScriptedNode { request in
                guard case .text(bad) = request.prompt else { return Self.answer(request) }
                return [.failed(.contextLengthExceeded(promptTokens: 9, outputTokens: 3, window: 8))]
            }
            try await LoopbackServer.with(node) { server in
                let whole = try await server.post("/v1/completions", Self.body())
                #expect(whole.status == 400)
                #expect(try whole.error()["param"] as? String == "prompt")
                let streamed = try await server.post("/v1/completions", Self.body(#","stream":true"#))
                #expect(streamed.status == (bad == "a" ? 400 : 200))
                #expect(streamed.body.contains("context_length_exceeded") && !streamed.body.contains("[DONE]"))
            }
        }
    }

    @Test func `an answer that became too long before its turn is made again, one that is read is not`() async throws {
        let node = SteppedNode()
        let tooSlow = GenerationEvent.failed(.clientTooSlow(limit: 9))
        try await LoopbackServer.with(node) { server in
            let connection = try await RawConnection.open(port: server.port)
            connection.send("POST", "/v1/completions", Self.body(#","stream":true"#))
            for _ in 0..<4 { _ = try await node.begins.next() }
            node.send([tooSlow], to: 1)
            node.send([.started(promptTokens: 9, cachedTokens: 0), .text("Hel"), .end])
            for number in [4, 5] { #expect(try await node.begins.next() == number) }
            guard case .text("b")? = node.requests.last?.prompt else {
                Issue.record("asked again is \(String(describing: node.requests.last?.prompt))")
                return
            }
            node.send([.started(promptTokens: 9, cachedTokens: 0), .text("again"), tooSlow], to: 5)
            let seen = await connection.read(until: "client_too_slow")
            #expect(seen.contains(#""again""#) && !seen.contains("[DONE]"))
            #expect(node.requests.count == 6)
        }
    }

    @Test func `a few prompts are asked ahead, and none is left when the client leaves`() async throws {
        let node = SteppedNode()
        try await LoopbackServer.with(node) { server in
            let connection = try await RawConnection.open(port: server.port)
            connection.send("POST", "/v1/completions", Self.body(#","stream":true"#))
            for _ in 0..<4 { _ = try await node.begins.next() }
            node.send([.started(promptTokens: 9, cachedTokens: 0), .text("Hel"), .end])
            #expect(try await node.begins.next() == 4)
            node.send([.started(promptTokens: 9, cachedTokens: 0), .text("lo")], to: 1)
            #expect(await connection.read(until: #""lo""#).contains(#""index":1"#))
            #expect(node.requests.count == 5)
            connection.close()
            var stopped: Set<Int> = []
            while stopped.count < 4 { stopped.insert(try await node.stops.next()) }
            #expect(stopped == [1, 2, 3, 4])
        }
    }
}
