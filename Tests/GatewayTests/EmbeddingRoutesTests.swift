import Foundation
import Gateway
import Synchronization
import Testing
import Vocabulary

/// Makes vectors by a rule: (length of the text, 3, 4).
private final class RulerEmbedder: Embedding {
    private let asked = Mutex<[EmbeddingRequest]>([])
    var requests: [EmbeddingRequest] { asked.withLock { $0 } }

    func embed(_ request: EmbeddingRequest) async throws(GenerationError) -> EmbeddingAnswer {
        asked.withLock { $0.append(request) }
        let vectors = request.inputs.map { input -> [Float] in
            switch input {
            case .text(let text): [Float(text.utf8.count), 3, 4]
            case .tokens(let tokens): [Float(tokens.count), 3, 4]
            }
        }
        guard ["tiny", "auto"].contains(request.model) else {
            throw .modelNotFound(name: request.model, available: ["tiny"])
        }
        if request.inputs == [.text("long")] {
            throw .contextLengthExceeded(promptTokens: 9, outputTokens: 0, window: 8)
        }
        return EmbeddingAnswer(vectors: vectors, promptTokens: 7)
    }
}

/// Makes no vectors until its task is cancelled, and tells both.
private final class PatientEmbedder: Embedding {
    private let (beginnings, began) = AsyncStream.makeStream(of: Void.self)
    private let (endings, ended) = AsyncStream.makeStream(of: Void.self)

    func begin() async { for await _ in beginnings { return } }
    func end() async { for await _ in endings { return } }

    func embed(_ request: EmbeddingRequest) async throws(GenerationError) -> EmbeddingAnswer {
        began.yield()
        let (never, continuation) = AsyncStream.makeStream(of: Never.self)
        for await _ in never {}
        continuation.finish()
        ended.yield()
        throw .cancelled
    }
}

@Suite(.timeLimit(.minutes(1))) struct `Embedding routes` {
    @Test func `a client that leaves ends the making of its vectors`() async throws {
        let embedder = PatientEmbedder()
        try await LoopbackServer.with(ScriptedNode { _ in [] }, embedder: embedder) { server in
            let connection = try await RawConnection.open(port: server.port)
            connection.send("POST", "/v1/embeddings", #"{"model":"tiny","input":"x"}"#, [:])
            await embedder.begin()
            connection.close()
            await embedder.end()
        }
    }

    @Test func `every dialect gets its own shape`() async throws {
        let embedder = RulerEmbedder()
        try await LoopbackServer.with(ScriptedNode { _ in [] }, embedder: embedder) { server in
            let openAI = try await server.post("/v1/embeddings", #"{"model":"tiny","input":["a","bb"],"user":"u"}"#)
            #expect(
                openAI.body
                    == #"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1.0,3.0,4.0]},"#
                    + #"{"object":"embedding","index":1,"embedding":[2.0,3.0,4.0]}],"model":"tiny","#
                    + #""usage":{"prompt_tokens":7,"total_tokens":7}}"#)
            #expect(openAI.headers["warnings"]?.contains("'user'") == true)
            let ollama = try await server.post("/api/embed", #"{"model":"tiny:latest","input":"a","truncate":true}"#)
            #expect(
                ollama.body
                    == #"{"model":"tiny:latest","embeddings":[[1.0,3.0,4.0]],"total_duration":5000000,"#
                    + #""load_duration":0,"prompt_eval_count":7}"#)
            let single = try await server.post("/api/embeddings", #"{"model":"tiny","prompt":"abc"}"#)
            #expect(single.body == #"{"embedding":[3.0,3.0,4.0]}"#)
            #expect(embedder.requests.map(\.model) == ["tiny", "tiny", "tiny"])
            #expect(embedder.requests.map(\.truncates) == [false, true, true])
        }
    }

    @Test func `who may deploy does so by asking for vectors, and says how long the model stays`() async throws {
        let embedder = RulerEmbedder()
        let policy = AccessPolicy(demandsKey: true)
        let keys = TestKeys(.of("user"), .of("boss", scopes: [.admin]))
        let body = #"{"model":"tiny","input":"a","keep_alive":"7s"}"#
        try await LoopbackServer.with(
            ScriptedNode(models: []) { _ in [] }, embedder: embedder, access: policy, keys: keys
        ) { server in
            let user = try await server.send("POST", "/api/embed", body, ["x-api-key": "user"])
            #expect(user.status == 200 && user.headers["warnings"]?.contains("'keep_alive' has no effect") == true)
            #expect(embedder.requests.last?.residency == Residency(mayDeploy: false))
            let boss = try await server.send("POST", "/api/embed", body, ["x-api-key": "boss"])
            #expect(boss.status == 200 && boss.headers["warnings"] == nil)
            #expect(embedder.requests.last?.residency == Residency(mayDeploy: true, keepAlive: .milliseconds(7000)))
            for (path, text) in [("/v1/embeddings", "input"), ("/api/embeddings", "prompt")] {
                let plain = #"{"model":"tiny","\#(text)":"a"}"#
                #expect(try await server.send("POST", path, plain, ["x-api-key": "boss"]).status == 200)
                #expect(embedder.requests.last?.residency == Residency(mayDeploy: true), "\(path)")
            }
        }
    }

    @Test func `tokens, base64 and dimensions are OpenAI's`() async throws {
        let embedder = RulerEmbedder()
        try await LoopbackServer.with(ScriptedNode { _ in [] }, embedder: embedder) { server in
            let fields = [
                (#"[1,2]"#, [EmbeddingRequest.Input.tokens([1, 2])]),
                (#"[[1],[2,3]]"#, [.tokens([1]), .tokens([2, 3])]),
                (#"["x"]"#, [.text("x")]),
            ]
            for (input, inputs) in fields {
                let body = #"{"model":"tiny","input":\#(input),"encoding_format":"base64"}"#
                let answer = try await server.post("/v1/embeddings", body)
                #expect(embedder.requests.last?.inputs == inputs)
                let data = try #require((try answer.object()["data"] as? [[String: Any]])?.first)
                let text = try #require(data["embedding"] as? String)
                let bytes = try #require(Data(base64Encoded: text))
                #expect(bytes.count == 12 && bytes.suffix(4) == Data([0, 0, 0x80, 0x40]))
            }
            let cut = try await server.post("/v1/embeddings", #"{"model":"tiny","input":[7,7,7,7],"dimensions":2}"#)
            #expect(cut.body.contains(#""embedding":[0.8,0.6]"#))
            let most = try await server.post("/v1/embeddings", #"{"model":"tiny","input":"x","dimensions":4}"#)
            #expect(most.status == 400)
            #expect(try most.error()["param"] as? String == "dimensions")
            #expect((try most.error()["message"] as? String)?.contains("3 numbers") == true)
        }
    }

    @Test func `what is wrong is named, with or without somebody who makes vectors`() async throws {
        let bad = [
            ("{}", "model"), (#"{"model":"tiny"}"#, "input"), (#"{"model":"tiny","input":[]}"#, "input"),
            (#"{"model":"tiny","input":""}"#, "input"), (#"{"model":"tiny","input":["a",""]}"#, "input[1]"),
            (#"{"model":"tiny","input":["a",1]}"#, "input[1]"), (#"{"model":"tiny","input":[1,"a"]}"#, "input[1]"),
            (#"{"model":"tiny","input":[[]]}"#, "input[0]"), (#"{"model":"tiny","input":[-1]}"#, "input[0]"),
            (#"{"model":"tiny","input":true}"#, "input"),
            (#"{"model":"tiny","input":"x","encoding_format":"int8"}"#, "encoding_format"),
            (#"{"model":"tiny","input":"x","dimensions":0}"#, "dimensions"),
        ]
        for embedder in [nil, RulerEmbedder()] {
            try await LoopbackServer.with(ScriptedNode { _ in [] }, embedder: embedder) { server in
                for (body, field) in bad {
                    let answer = try await server.post("/v1/embeddings", body)
                    #expect(answer.status == 400, "\(body)")
                    #expect(try answer.error()["param"] as? String == field, "\(body)")
                }
                #expect(try await server.post("/v1/embeddings", #"{"model":"no","input":"x"}"#).status == 404)
                #expect(try await server.post("/api/embed", #"{"model":"tiny","input":[1]}"#).status == 400)
                let long = try await server.post("/v1/embeddings", #"{"model":"tiny","input":"long"}"#)
                #expect(long.status == (embedder == nil ? 501 : 400))
                #expect(
                    (try long.error()["message"] as? String)?.contains(embedder == nil ? "'tiny'" : "window") == true)
            }
        }
    }
}
