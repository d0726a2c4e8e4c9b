import Dialects
import Testing
import Vocabulary

@Suite struct `Chat stream` {
    private func stream(
        _ events: [GenerationEvent], choices: Int = 1, usage: Bool = false, fingerprint: String? = nil
    ) -> [UInt8] {
        var encoder = OpenAI.ChatCompletionEncoder(
            id: "chatcmpl-1", created: 1_700_000_000, model: "tiny", fingerprint: fingerprint, choiceCount: choices,
            includeUsage: usage)
        var bytes: [UInt8] = []
        for event in events { encoder.encode(event, into: &bytes) }
        return bytes
    }

    @Test func `a short answer is these bytes`() {
        var encoder = OpenAI.ChatCompletionEncoder(id: "chatcmpl-1", created: 1_700_000_000, model: "tiny")
        var bytes: [UInt8] = []
        encoder.encode(.preparing("loading model tiny:\nstage 1 of 2"), into: &bytes)
        encoder.encode(.queued(position: 3, predictedWaitSeconds: 1.24), into: &bytes)
        encoder.keepAlive(into: &bytes)
        encoder.encode(.started(promptTokens: 12, cachedTokens: 4), into: &bytes)
        encoder.encode(.output(OutputDelta(text: "Hel\"lo\n")), into: &bytes)
        #expect(!encoder.isFinished)
        encoder.encode(.finished(sampleEnd), into: &bytes)
        let head = #"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"tiny""#
        let none = #""logprobs":null,"finish_reason":null}]}"#
        let expected = """
            : loading model tiny: stage 1 of 2

            : queued position=3 wait=1.2s

            : keep-alive

            \(head),"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},\(none)

            \(head),"choices":[{"index":0,"delta":{"content":"Hel\\"lo\\n"},\(none)

            \(head),"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],\
            "timings":{"queue_ms":1.0,"cache_n":4,"prompt_n":8,"prompt_ms":20.0,"prompt_per_token_ms":2.5,\
            "prompt_per_second":400.0,"predicted_n":5,"predicted_ms":100.0,"predicted_per_token_ms":20.0,\
            "predicted_per_second":50.0}}

            data: [DONE]


            """
        #expect(text(bytes) == expected)
        #expect(encoder.isFinished)
    }

    @Test func `reasoning, tool calls and log-probabilities are these bytes`() {
        let logprob = TokenLogprob(
            chosen: .init(token: 5, bytes: [0xE6, 0xBC], logprob: -0.5),
            top: [.init(token: 6, bytes: bytes("é"), logprob: -.infinity)])
        let out = stream([
            .output(OutputDelta(text: "t", reasoning: "r", logprobs: [logprob])),
            .output(OutputDelta(toolCalls: [ToolCallDelta(index: 0, id: "c", name: "f", arguments: "{")])),
            .output(
                OutputDelta(toolCalls: [ToolCallDelta(index: 0, arguments: "}"), ToolCallDelta(index: 1, name: "g")])),
            .output(OutputDelta()),
        ])
        let lines = text(out).split(separator: "\n\n").dropFirst().map {
            String($0.drop { $0 != "[" })
        }
        #expect(
            lines == [
                #"[{"index":0,"delta":{"reasoning_content":"r","content":"t"},"logprobs":{"content":[{"token":"#
                    + #""bytes:\\xe6\\xbc","logprob":-0.5,"bytes":[230,188],"top_logprobs":[{"token":"é","#
                    + #""logprob":-9999.0,"bytes":[195,169]}]}],"refusal":null},"finish_reason":null}]}"#,
                #"[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","#
                    + #""arguments":"{"}}]},"logprobs":null,"finish_reason":null}]}"#,
                #"[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"}"}},{"index":1,"id":"#
                    + #""call_chatcmpl-1_0_1","type":"function","function":{"name":"g","arguments":""}}]},"#
                    + #""logprobs":null,"finish_reason":null}]}"#,
            ])
    }

    @Test func `usage comes in a chunk of its own, null before`() throws {
        let out = stream(
            [.started(promptTokens: 1, cachedTokens: 0), .output(OutputDelta(text: "x")), .finished(sampleEnd)],
            usage: true, fingerprint: "skein-1")
        let reading = try StreamReading(out)
        #expect(reading.chunks.count == 4)
        #expect(reading.chunks.dropLast().allSatisfy { $0["usage"]?.isNull == true })
        #expect(reading.chunks.allSatisfy { $0["system_fingerprint"]?.string == "skein-1" })
        #expect(reading.chunks.last?["choices"]?.array?.isEmpty == true)
        #expect(
            reading.usage?.text
                == #"{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17,"prompt_tokens_details":"#
                + #"{"cached_tokens":4,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":2,"#
                + #""audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}"#)
        #expect(reading.timings != nil)
        #expect(reading.doneCount == 1)
    }

    @Test func `every choice starts and ends once, silent ones too`() throws {
        var end = sampleEnd
        end.finishReasons = [.length, .toolCalls]
        let events: [GenerationEvent] = [.output(OutputDelta(choice: 1, text: "x")), .finished(end)]
        let reading = try StreamReading(stream(events, choices: 3))
        for choice in 0..<3 { #expect(reading.message(of: choice).roles == ["assistant"]) }
        #expect(reading.message(of: 0).finish == ["length"])
        #expect(reading.message(of: 1).finish == ["tool_calls"])
        #expect(reading.message(of: 2).finish == ["stop"])
        #expect(text(reading.message(of: 1).content) == "x")
    }

    @Test func `a failure is one error event and the end`() throws {
        let failure = GenerationEvent.failed(.stageLost(stage: 1, reason: "killed"))
        let reading = try StreamReading(
            stream([.output(OutputDelta(text: "x")), failure, .output(OutputDelta(text: "y")), .finished(sampleEnd)]))
        #expect(reading.doneCount == 0)
        #expect(!reading.continuesAfterEnd)
        #expect(reading.error?["code"]?.string == "stage_lost")
        #expect(reading.error?["param"]?.isNull == true)
        #expect(reading.error?["type"]?.string == "service_unavailable_error")
        #expect(text(reading.message(of: 0).content) == "x")
    }

    @Test func `nothing follows the end`() throws {
        let once = stream([.finished(sampleEnd)])
        let late = GenerationEvent.output(OutputDelta(text: "x"))
        let more = stream([.finished(sampleEnd), .finished(sampleEnd), .failed(.cancelled), late])
        #expect(once == more)
    }

    @Test(arguments: 0..<60)
    func `joined deltas are the body of the same answer`(run: Int) throws {
        let seed = seedFromEnvironment() &+ UInt64(run)
        print("SEED=\(seed)")
        var random = SeededRandom(seed: seed)
        let choices = 1 + random.below(3)
        let events = randomEvents(&random, choices: choices)
        let usage = random.below(2) == 0
        let reading = try StreamReading(stream(events, choices: choices, usage: usage))
        var aggregate = OpenAI.ChatCompletionAggregate(
            id: "chatcmpl-1", created: 1_700_000_000, model: "tiny", choiceCount: choices)
        for event in events { aggregate.absorb(event) }
        guard case .complete(let bytes) = aggregate.outcome() else {
            Issue.record("SEED=\(seed): no body")
            return
        }
        let body = try JSONReader.read(bytes)
        for choice in 0..<choices {
            let bodyChoice = try #require(body["choices"]?[choice])
            #expect(reading.message(of: choice) == RebuiltChoice(bodyChoice: bodyChoice), "SEED=\(seed)")
        }
        #expect(reading.doneCount == 1 && !reading.continuesAfterEnd)
        #expect(reading.timings?.text == body["timings"]?.text)
        if usage { #expect(reading.usage?.text == body["usage"]?.text) }
        for chunk in reading.chunks {
            #expect(chunk["id"]?.string == "chatcmpl-1" && chunk["object"]?.string == "chat.completion.chunk")
        }
    }
}

@Suite struct `Chat body` {
    private func body(_ events: [GenerationEvent]) -> AggregateOutcome {
        var aggregate = OpenAI.ChatCompletionAggregate(id: "chatcmpl-1", created: 1_700_000_000, model: "tiny")
        for event in events { aggregate.absorb(event) }
        return aggregate.outcome()
    }

    @Test func `a short answer is these bytes`() {
        guard case .complete(let bytes) = body([.output(OutputDelta(text: "Hi")), .finished(sampleEnd)]) else {
            Issue.record("no body")
            return
        }
        #expect(
            text(bytes)
                == #"{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"tiny","choices":[{"#
                + #""index":0,"message":{"role":"assistant","content":"Hi","refusal":null},"logprobs":null,"#
                + #""finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17,"#
                + #""prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},"completion_tokens_details":"#
                + #"{"reasoning_tokens":2,"audio_tokens":0,"accepted_prediction_tokens":0,"#
                + #""rejected_prediction_tokens":0}},"timings":{"queue_ms":1.0,"cache_n":4,"prompt_n":8,"#
                + #""prompt_ms":20.0,"prompt_per_token_ms":2.5,"prompt_per_second":400.0,"predicted_n":5,"#
                + #""predicted_ms":100.0,"predicted_per_token_ms":20.0,"predicted_per_second":50.0}}"#)
    }

    @Test func `calls without text have null content`() throws {
        let call = ToolCallDelta(index: 0, id: "c1", name: "f", arguments: #"{"a":"é"}"#)
        guard case .complete(let bytes) = body([.output(OutputDelta(toolCalls: [call])), .finished(sampleEnd)]) else {
            Issue.record("no body")
            return
        }
        let message = try JSONReader.read(bytes)["choices"]?[0]?["message"]
        #expect(
            message?.text
                == #"{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"c1","type":"function","#
                + #""function":{"name":"f","arguments":"{\"a\":\"é\"}"}}]}"#)
    }

    @Test func `failures and unfinished answers have no body`() {
        guard case .pending = body([.output(OutputDelta(text: "x"))]) else {
            Issue.record("not pending")
            return
        }
        guard case .failed(.cancelled) = body([.failed(.cancelled), .finished(sampleEnd)]) else {
            Issue.record("not failed")
            return
        }
    }

    @Test func `an answer without time has rates of zero`() throws {
        var end = sampleEnd
        end.timings = Timings(queueSeconds: 0, prefillSeconds: 0, decodeSeconds: 0)
        end.usage = Usage(promptTokens: 4, cachedTokens: 4, outputTokens: 0)
        guard case .complete(let bytes) = body([.finished(end)]) else {
            Issue.record("no body")
            return
        }
        #expect(
            try JSONReader.read(bytes)["timings"]?.text
                == #"{"queue_ms":0.0,"cache_n":4,"prompt_n":0,"prompt_ms":0.0,"prompt_per_token_ms":0.0,"#
                + #""prompt_per_second":0.0,"predicted_n":0,"predicted_ms":0.0,"predicted_per_token_ms":0.0,"#
                + #""predicted_per_second":0.0}"#)
    }

    @Test func `too many tool calls fail the answer`() {
        let calls = (0...1024).map { ToolCallDelta(index: $0, id: "c", name: "f") }
        guard case .failed(.engineFailed) = body([.output(OutputDelta(toolCalls: calls)), .finished(sampleEnd)]) else {
            Issue.record("1025 calls are accepted")
            return
        }
    }
}
