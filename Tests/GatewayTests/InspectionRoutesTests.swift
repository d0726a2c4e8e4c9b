import Gateway
import Testing
import Vocabulary

@Suite(.timeLimit(.minutes(1))) struct `Inspection routes` {
    /// Answers each inspection by what a node would.
    private static func node(_ models: [ServedModel] = [.named("tiny")]) -> ScriptedNode {
        ScriptedNode(models: models) { request in
            var piece = OutputDelta()
            switch request.inspection {
            case .tokens(let parts, _, _):
                piece.tokens = parts.enumerated().map { TokenText(token: Token($0.offset), bytes: [0x68]) }
            case .text, .template: piece.text = "text of \(request.model)"
            case nil: return [.failed(.engineFailed(reason: "no inspection"))]
            }
            return [.started(promptTokens: 1, cachedTokens: 0), .output(piece), .end]
        }
    }

    private static let requests = [
        ("/tokenize", #""content":["a","b"]"#, #"{"tokens":[0,1]}"#),
        ("/detokenize", #""tokens":[1]"#, #"{"content":"text of tiny"}"#),
        ("/apply-template", #""messages":[{"role":"user","content":"Hi"}]"#, #"{"prompt":"text of tiny"}"#),
    ]

    @Test func `each is answered in its shape, and deploys like every request`() async throws {
        let node = Self.node()
        try await LoopbackServer.with(node) { server in
            for (path, fields, body) in Self.requests {
                let answer = try await server.post(path, #"{"model":"tiny",\#(fields),"nonesuch":1}"#)
                #expect(answer.status == 200 && answer.body == body, "\(path)")
                #expect(answer.headers["warnings"]?.contains("'nonesuch'") == true)
                #expect(node.requests.last?.residency?.mayDeploy == true)
                #expect(answer.headers["x-request-id"] == node.requests.last.map { "\($0.id)" })
            }
            let pieces = try await server.post("/tokenize", #"{"model":"tiny","content":"h","with_pieces":true}"#)
            #expect(pieces.body == #"{"tokens":[{"id":0,"piece":"h"}]}"#)
        }
    }

    @Test func `without a name the only model is meant, and where there are more the name is missed`() async throws {
        let alone = Self.node([.named("tiny"), .named("shelf", .available)])
        try await LoopbackServer.with(alone) { server in
            for (path, fields, body) in Self.requests {
                let answer = try await server.post(path, "{\(fields)}")
                #expect(answer.body == body, "\(path)")
            }
        }
        let node = Self.node([.named("tiny"), .named("other", .sleeping(reason: "idle"))])
        try await LoopbackServer.with(node) { server in
            for (path, fields, _) in Self.requests {
                let answer = try await server.post(path, "{\(fields)}")
                #expect(answer.status == 400, "\(path)")
                #expect(try answer.error()["param"] as? String == "model")
            }
            #expect(node.requests.isEmpty)
        }
    }

    @Test func `errors have OpenAI's shape and name the field`() async throws {
        let node = ScriptedNode { _ in
            [.failed(.invalidField(name: "tokens[0]", value: "token 9", limit: "tokens are 0 … 8"))]
        }
        try await LoopbackServer.with(node) { server in
            let refused = try await server.post("/detokenize", #"{"tokens":[9]}"#)
            #expect(refused.status == 400)
            #expect(try refused.error()["param"] as? String == "tokens[0]")
            let wrong = try await server.get("/tokenize")
            #expect(wrong.status == 405 && wrong.headers["allow"] == "POST")
            #expect(try await server.post("/tokenize", "{").error()["code"] as? String == "invalid_json")
        }
    }
}
