import Dialects
import Testing
import Vocabulary

@Suite struct `Ollama answers` {
    private static let moment = Ollama.Moment(
        timestamp: Timestamp(nanoseconds: 1_721_680_408_123_648_999), elapsedNanoseconds: 130_000_000)
    private static let created = #""created_at":"2024-07-22T20:33:28.123648Z""#
    private static let ending =
        #""done":true,"done_reason":"stop","total_duration":130000000,"load_duration":1000000,"#
        + #""prompt_eval_count":12,"prompt_eval_duration":20000000,"eval_count":5,"eval_duration":100000000}"#

    private func stream(_ route: Ollama.Route, _ events: [GenerationEvent]) -> String {
        var encoder = Ollama.LineEncoder(route: route, model: "m:latest", requestID: "r")
        var bytes: [UInt8] = []
        for event in events { encoder.encode(event, at: Self.moment, into: &bytes) }
        return text(bytes)
    }

    private func body(_ route: Ollama.Route, _ events: [GenerationEvent]) -> String? {
        var aggregate = Ollama.LineAggregate(route: route, model: "m:latest", requestID: "r")
        for event in events { aggregate.absorb(event) }
        guard case .complete(let bytes) = aggregate.outcome(at: Self.moment) else { return nil }
        return text(bytes)
    }

    private static func line(_ rest: String) -> String { #"{"model":"m:latest",\#(created),\#(rest)"# }

    private static let story: [GenerationEvent] = [
        .queued(position: 2, predictedWaitSeconds: nil), .started(promptTokens: 12, cachedTokens: 4),
        .output(OutputDelta(reasoning: "Hm.")), .output(OutputDelta(text: "Hé\n")), .output(OutputDelta(text: "👋")),
        .finished(sampleEnd), .output(OutputDelta(text: "late")),
    ]

    @Test func `a generated answer is these lines`() {
        #expect(
            stream(.generate, Self.story)
                == Self.line(#""response":"","queue_position":2,"done":false}"#) + "\n"
                + Self.line(#""response":"","thinking":"Hm.","done":false}"#) + "\n"
                + Self.line(#""response":"Hé\n","done":false}"#) + "\n"
                + Self.line(#""response":"👋","done":false}"#) + "\n"
                + Self.line(#""response":"",\#(Self.ending)"#) + "\n")
        #expect(
            body(.generate, Self.story) == Self.line(#""response":"Hé\n👋","thinking":"Hm.",\#(Self.ending)"#))
    }

    @Test func `a model on its way is told by empty pieces`() {
        let events: [GenerationEvent] = [
            .preparing("loading model m: stage 2 of 3"), .finished(sampleEnd),
        ]
        #expect(
            stream(.generate, events)
                == Self.line(#""response":"","status":"loading model m: stage 2 of 3","done":false}"#) + "\n"
                + Self.line(#""response":"",\#(Self.ending)"#) + "\n")
        #expect(body(.generate, events) == Self.line(#""response":"",\#(Self.ending)"#))
    }

    @Test func `a chat is these lines`() {
        let open = #""message":{"role":"assistant","content":"#
        #expect(
            stream(.chat, Self.story)
                == Self.line(#"\#(open)""},"queue_position":2,"done":false}"#) + "\n"
                + Self.line(#"\#(open)"","thinking":"Hm."},"done":false}"#) + "\n"
                + Self.line(#"\#(open)"Hé\n"},"done":false}"#) + "\n"
                + Self.line(#"\#(open)"👋"},"done":false}"#) + "\n"
                + Self.line(#"\#(open)""},\#(Self.ending)"#) + "\n")
        #expect(body(.chat, Self.story) == Self.line(#"\#(open)"Hé\n👋","thinking":"Hm."},\#(Self.ending)"#))
    }

    @Test func `calls come whole, with their arguments as objects on one line`() {
        var end = sampleEnd
        end.finishReasons = [.toolCalls]
        let events: [GenerationEvent] = [
            .output(OutputDelta(toolCalls: [ToolCallDelta(index: 0, id: "c1", name: "f", arguments: "{\n\"a\"")])),
            .output(
                OutputDelta(toolCalls: [
                    ToolCallDelta(index: 1, name: "g"), ToolCallDelta(index: 0, arguments: ": [1, 2]}"),
                    ToolCallDelta(index: 2, id: "c3", name: "h", arguments: "oops"),
                ])), .finished(end),
        ]
        let message =
            #""message":{"role":"assistant","content":"h(oops)","tool_calls":[{"id":"c1","function":{"index":0,"#
            + #""name":"f","arguments":{"a":[1,2]}}},{"id":"call_r_1","function":{"index":1,"name":"g","#
            + #""arguments":{}}}]}"#
        #expect(
            stream(.chat, events)
                == Self.line(message + #","done":false}"#) + "\n"
                + Self.line(#""message":{"role":"assistant","content":""},\#(Self.ending)"#) + "\n")
        #expect(body(.chat, events) == Self.line("\(message),\(Self.ending)"))
    }

    @Test func `log-probabilities stand beside the piece they belong to`() {
        let candidate = TokenLogprob.Candidate(token: 1, bytes: [0x61], logprob: -0.5)
        let delta = OutputDelta(text: "a", logprobs: [TokenLogprob(chosen: candidate, top: [candidate])])
        let entry =
            #"{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"a","logprob":-0.5,"bytes":[97]}]}"#
        #expect(
            stream(.generate, [.output(delta)])
                == Self.line(#""response":"a","logprobs":[\#(entry)],"done":false}"#) + "\n")
        #expect(
            body(.generate, [.output(delta), .output(delta), .finished(sampleEnd)])
                == Self.line(#""response":"aa","logprobs":[\#(entry),\#(entry)],\#(Self.ending)"#))
    }

    @Test func `a failure is the last line`() {
        let failure: GenerationEvent = .failed(.cancelled)
        #expect(stream(.chat, [failure, .finished(sampleEnd)]) == #"{"error":"The request was cancelled."}"# + "\n")
        #expect(body(.chat, [failure]) == nil)
    }

    @Test func `a limit met is length, and times no clock measured are 0`() {
        var end = sampleEnd
        end.finishReasons = [.length]
        end.timings = Timings(queueSeconds: -1, prefillSeconds: .nan, decodeSeconds: .infinity)
        let line = stream(.generate, [.finished(end)])
        #expect(line.contains(#""done_reason":"length""#))
        for name in ["load_duration", "prompt_eval_duration", "eval_duration"] {
            #expect(line.contains(#""\#(name)":0"#))
        }
    }

    @Test func `a stream put together is the whole answer, whatever the pieces`() throws {
        for run in 0..<200 as Range<UInt64> {
            let seed = seedFromEnvironment() &+ run
            var random = SeededRandom(seed: seed)
            let events = randomEvents(&random, choices: 1)
            var content: [UInt8] = []
            var thinking: [UInt8] = []
            var calls: String?
            var last: JSONNode?
            for line in stream(.chat, events).split(separator: "\n", omittingEmptySubsequences: true) {
                let node = try JSONReader.read(Array(line.utf8))
                #expect(last?["done"]?.bool != true, "SEED=\(seed)")
                content += bytes(node["message"]?["content"]?.string ?? "")
                thinking += bytes(node["message"]?["thinking"]?.string ?? "")
                calls = node["message"]?["tool_calls"]?.text ?? calls
                last = node
            }
            let whole = try JSONReader.read(bytes(try #require(body(.chat, events))))
            #expect(content == bytes(whole["message"]?["content"]?.string ?? "?"), "SEED=\(seed)")
            #expect(thinking == bytes(whole["message"]?["thinking"]?.string ?? ""), "SEED=\(seed)")
            #expect(calls == whole["message"]?["tool_calls"]?.text, "SEED=\(seed)")
            #expect(last?["eval_count"]?.text == whole["eval_count"]?.text, "SEED=\(seed)")
            #expect(last?["done_reason"]?.string == whole["done_reason"]?.string, "SEED=\(seed)")
        }
    }

    @Test func `an answer too large for one piece fails instead of growing`() {
        var aggregate = Ollama.LineAggregate(route: .chat, model: "m", requestID: "r")
        let piece = String(repeating: "x", count: 8 << 20)
        for _ in 0...(Limits.answerBytes / (8 << 20)) { aggregate.absorb(.output(OutputDelta(text: piece))) }
        guard case .failed = aggregate.outcome(at: Self.moment) else {
            Issue.record("the answer is not refused")
            return
        }
    }
}

@Suite struct `Ollama models` {
    private static let card = ModelCard(
        id: "tiny", architecture: "qwen3", layerCount: 8, width: 256, trainedContext: 4096, servedContext: 2048,
        vocabularySize: 1000, parameterCount: 7_345_408, weightBytes: ByteCount(8_000_000), digest: "ab",
        quantization: "Q4_K_M", chatTemplate: "{% if enable_thinking %}", license: "mit")
    private static let model = Ollama.Model(card: card, modified: Timestamp(seconds: 1_700_000_000))
    private static let details =
        #""details":{"parent_model":"","format":"gguf","family":"qwen3","families":["qwen3"],"#
        + #""parameter_size":"7.3M","quantization_level":"Q4_K_M"}"#

    @Test func `lists of models are these bytes`() {
        let start = #"{"name":"tiny","model":"tiny","size":8000000,"digest":"ab",\#(Self.details),"#
        #expect(
            text(Ollama.tagsBody([Self.model]))
                == #"{"models":[\#(start)"modified_at":"2023-11-14T22:13:20.000000Z"}]}"#)
        #expect(
            text(Ollama.runningBody([Self.model]))
                == #"{"models":[\#(start)"expires_at":"9999-12-31T23:59:59Z","size_vram":8000000,"#
                + #""context_length":2048}]}"#
        )
        #expect(text(Ollama.tagsBody([])) == #"{"models":[]}"#)
    }

    @Test func `a model is shown with these members`() {
        #expect(
            text(Ollama.showBody(Self.model))
                == #"{"license":"mit","modelfile":"FROM tiny\nPARAMETER num_ctx 2048\n","parameters":"num_ctx 2048","#
                + #""template":"{% if enable_thinking %}",\#(Self.details),"#
                + #""model_info":{"general.architecture":"qwen3","#
                + #""general.parameter_count":7345408,"qwen3.block_count":8,"qwen3.context_length":4096,"#
                + #""qwen3.embedding_length":256,"qwen3.vocab_size":1000},"#
                + #""capabilities":["completion","tools","thinking"],"#
                + #""modified_at":"2023-11-14T22:13:20.000000Z"}"#)
    }

    @Test func `small bodies are these bytes`() throws {
        #expect(text(Ollama.versionBody(server: "s")) == #"{"version":"0.13.0","server":"s"}"#)
        #expect(
            text(Ollama.errorBody(ErrorReport(GenerationError.cancelled))) == #"{"error":"The request was cancelled."}"#
        )
        #expect(text(Ollama.progressBody([], stream: false)) == #"{"status":"success"}"#)
        #expect(
            text(Ollama.progressBody(["pulling manifest"], stream: true))
                == "{\"status\":\"pulling manifest\"}\n{\"status\":\"success\"}\n")
        let moment = Ollama.Moment(timestamp: Timestamp(nanoseconds: 0), elapsedNanoseconds: 5)
        let load = try Ollama.AnswerRequest.decode(bytes(#"{"model":"m"}"#), route: .generate, id: RequestID(1))
        #expect(
            text(Ollama.loadedBody(load, at: moment))
                == #"{"model":"m","created_at":"1970-01-01T00:00:00.000000Z","response":"","done":true,"#
                + #""done_reason":"load"}"#)
    }

    @Test(arguments: [
        (Int64(0), "1970-01-01T00:00:00.000000Z"), (-1, "1969-12-31T23:59:59.000000Z"),
        (951_782_399, "2000-02-28T23:59:59.000000Z"), (951_782_400, "2000-02-29T00:00:00.000000Z"),
        (4_107_542_400, "2100-03-01T00:00:00.000000Z"), (4_107_542_399, "2100-02-28T23:59:59.000000Z"),
        (1_709_164_800, "2024-02-29T00:00:00.000000Z"), (1_735_689_599, "2024-12-31T23:59:59.000000Z"),
        (Int64.max, "2262-04-11T23:47:16.854775Z"), (Int64.min, "1677-09-21T00:12:43.145224Z"),
    ])
    func `a timestamp is a date`(seconds: Int64, written: String) {
        #expect(Timestamp(seconds: seconds).description == written)
    }
}
