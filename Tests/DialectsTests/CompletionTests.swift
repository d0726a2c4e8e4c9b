import Dialects
import Foundation
import Testing
import Vocabulary

@Suite struct `Completion request` {
    private func decode(_ json: String) throws(DialectError) -> DecodedRequest {
        try OpenAI.Completion.decode(bytes(json), id: RequestID(2))
    }

    private func error(_ fields: String) -> DialectError? {
        do {
            _ = try decode(#"{"model":"m",\#(fields)}"#)
            return nil
        } catch {
            return error
        }
    }

    private func prompt(_ json: String) throws -> GenerationRequest.Prompt {
        try decode(#"{"model":"m","prompt":\#(json),"max_tokens":1}"#).request.prompt
    }

    @Test func `a prompt is text or tokens, alone or in an array of one`() throws {
        for json in [#""ab""#, #"["ab"]"#] {
            guard case .text("ab") = try prompt(json) else {
                Issue.record("\(json)")
                continue
            }
        }
        for json in ["[1,2,2147483647]", "[[1,2,2147483647]]"] {
            guard case .tokens([1, 2, 2_147_483_647]) = try prompt(json) else {
                Issue.record("\(json)")
                continue
            }
        }
    }

    @Test func `several prompts keep their order, each a text or tokens`() throws {
        let decoded = try decode(#"{"model":"m","prompt":["a",[1,2],"c"],"n":2,"max_tokens":1}"#)
        #expect(decoded.request.choiceCount == 2 && decoded.furtherPrompts.count == 2)
        guard case .text("a") = decoded.request.prompt, case .tokens([1, 2]) = decoded.furtherPrompts[0],
            case .text("c") = decoded.furtherPrompts[1]
        else {
            Issue.record("\(decoded.request.prompt) \(decoded.furtherPrompts)")
            return
        }
        #expect(try decode(#"{"model":"m","prompt":["a"],"max_tokens":1}"#).furtherPrompts.isEmpty)
    }

    @Test func `prompts are bounded, and the answers to all of them`() {
        func prompts(_ count: Int) -> String { Array(repeating: #""a""#, count: count).joined(separator: ",") }
        let limit = Limits.completionPrompts
        #expect(error(#""prompt":[\#(prompts(limit))]"#) == nil)
        #expect(
            error(#""prompt":[\#(prompts(limit + 1))]"#) == .tooMany(field: "prompt", count: limit + 1, limit: limit))
        #expect(error(#""prompt":[\#(prompts(64))],"n":2"#) == nil)
        #expect(error(#""n":2,"prompt":[\#(prompts(65))]"#)?.field == "n")
    }

    @Test func `fields and defaults`() throws {
        let decoded = try decode(
            #"{"model":"m","prompt":"p","echo":true,"n":2,"best_of":2,"suffix":null,"stop":"x","stream":true,"#
                + #""stop_token_ids":[7]}"#)
        #expect(decoded.request.echo && decoded.stream)
        #expect(decoded.request.choiceCount == 2 && decoded.request.stopTokens == [7])
        #expect(decoded.request.maxOutputTokens == 16)
        #expect(decoded.warnings == ["'max_tokens' is missing; OpenAI's default of 16 applies."])
        let unbounded = try decode(#"{"model":"m","prompt":"p","n_predict":-1,"logprobs":3}"#)
        #expect(unbounded.request.maxOutputTokens == nil)
        #expect(unbounded.request.topLogprobs == 3)
        #expect(try decode(#"{"model":"m","prompt":"p","logprobs":0}"#).request.topLogprobs == 0)
    }

    @Test(arguments: [
        (#""max_tokens":1"#, DialectError.missingField("prompt")),
        (#""prompt":7"#, .wrongType(field: "prompt", expected: "a string or an array", actual: "a number")),
        (#""prompt":[]"#, .tooFew(field: "prompt", count: 0, minimum: 1)),
        (#""prompt":[[]]"#, .tooFew(field: "prompt[0]", count: 0, minimum: 1)),
        (#""prompt":["a",[]]"#, .tooFew(field: "prompt[1]", count: 0, minimum: 1)),
        (
            #""prompt":["a",7]"#,
            .wrongType(
                field: "prompt[1]", expected: "a string, a token id or an array of token ids", actual: "a number")
        ),
        (
            #""prompt":[[1],[-2]]"#,
            .belowMinimum(field: "prompt[1][0]", value: "-2", minimum: "0", kind: .integer)
        ),
        (#""prompt":[1,-1]"#, .belowMinimum(field: "prompt[1]", value: "-1", minimum: "0", kind: .integer)),
        (
            #""prompt":[[2147483648]]"#,
            .aboveMaximum(field: "prompt[0][0]", value: "2147483648", maximum: "2147483647", kind: .integer)
        ),
        (#""prompt":[1,"a"]"#, .wrongType(field: "prompt[1]", expected: "an integer", actual: "a string")),
        (
            #""prompt":[1.5]"#,
            .wrongType(field: "prompt[0]", expected: "an integer", actual: "the number 1.5")
        ),
        (
            #""prompt":[true]"#,
            .wrongType(
                field: "prompt[0]", expected: "a string, a token id or an array of token ids", actual: "a boolean")
        ),
        (
            #""prompt":"p","suffix":"s""#,
            .unsupportedField(
                field: "suffix", remedy: "write the model's own fill-in-the-middle tokens into the prompt")
        ),
        (
            #""prompt":"p","best_of":3"#,
            .unsupportedValue(field: "best_of", value: "3", remedy: "leave it out or make it equal to n (1)")
        ),
        (
            #""prompt":"p","logprobs":6"#,
            .aboveMaximum(field: "logprobs", value: "6", maximum: "5", kind: .integer)
        ),
        (#""prompt":"p","logprobs":true"#, .wrongType(field: "logprobs", expected: "an integer", actual: "a boolean")),
        (
            #""prompt":"p","echo":true,"logprobs":1"#,
            .conflict(field: "echo", reason: "log-probabilities of the prompt are not computed")
        ),
        (#""prompt":"p","messages":[]"#, .unsupportedField(field: "messages", remedy: "use /v1/chat/completions")),
    ])
    func `bad requests are refused by name`(fields: String, expected: DialectError) {
        #expect(error(fields) == expected)
    }
}

@Suite struct `Completion answer` {
    private let events: [GenerationEvent] = [
        .started(promptTokens: 1, cachedTokens: 0),
        .output(
            OutputDelta(
                text: "é漢",
                logprobs: [
                    TokenLogprob(
                        chosen: .init(token: 1, bytes: [0xC3, 0xA9], logprob: -0.25),
                        top: [
                            .init(token: 1, bytes: [0xC3, 0xA9], logprob: -0.25),
                            .init(token: 9, bytes: [0x78], logprob: -2),
                        ]),
                    TokenLogprob(chosen: .init(token: 2, bytes: [0xE6, 0xBC], logprob: -.infinity), top: []),
                    TokenLogprob(chosen: .init(token: 3, bytes: [0xA2], logprob: -1), top: []),
                ])),
        .output(
            OutputDelta(
                text: "!", logprobs: [TokenLogprob(chosen: .init(token: 4, bytes: [0x21], logprob: -1), top: [])])),
        .finished(sampleEnd),
    ]

    @Test func `a stream is these bytes`() {
        var encoder = OpenAI.CompletionEncoder(id: "cmpl-1", created: 5, model: "tiny", includeUsage: true)
        var out: [UInt8] = []
        for event in events { encoder.encode(event, into: &out) }
        let head = #"data: {"id":"cmpl-1","object":"text_completion","created":5,"model":"tiny","choices":["#
        let events = text(out).components(separatedBy: "\n\n")
        #expect(
            events[0] == head + #"{"index":0,"text":"é漢","logprobs":{"tokens":["é","bytes:\\xe6\\xbc","#
                + #""bytes:\\xa2"],"token_logprobs":[-0.25,-9999.0,-1.0],"top_logprobs":[{"é":-0.25,"x":-2.0},"#
                + #"{"bytes:\\xe6\\xbc":-9999.0},{"bytes:\\xa2":-1.0}],"text_offset":[0,1,2]},"finish_reason":null}"#
                + #"],"usage":null}"#)
        #expect(
            events[1] == head + #"{"index":0,"text":"!","logprobs":{"tokens":["!"],"token_logprobs":[-1.0],"#
                + #""top_logprobs":[{"!":-1.0}],"text_offset":[2]},"finish_reason":null}],"usage":null}"#)
        #expect(
            events[2] == head + #"{"index":0,"text":"","logprobs":null,"finish_reason":"stop"}],"usage":null}"#)
        #expect(events[3].hasPrefix(head + #"],"usage":{"prompt_tokens":12,"#))
        #expect(events[4] == "data: [DONE]" && events[5].isEmpty && events.count == 6)
    }

    @Test func `a body has the same text and log-probabilities`() throws {
        var aggregate = OpenAI.CompletionAggregate(id: "cmpl-1", created: 5, model: "tiny", fingerprint: "f")
        for event in events { aggregate.absorb(event) }
        guard case .complete(let bytes) = aggregate.outcome() else {
            Issue.record("no body")
            return
        }
        let body = try JSONReader.read(bytes)
        #expect(body["object"]?.string == "text_completion")
        #expect(body["system_fingerprint"]?.string == "f")
        #expect(
            body["choices"]?[0]?.text
                == #"{"index":0,"text":"é漢!","logprobs":{"tokens":["é","bytes:\\xe6\\xbc","bytes:\\xa2","!"],"#
                + #""token_logprobs":[-0.25,-9999.0,-1.0,-1.0],"top_logprobs":[{"é":-0.25,"x":-2.0},"#
                + #"{"bytes:\\xe6\\xbc":-9999.0},{"bytes:\\xa2":-1.0},{"!":-1.0}],"text_offset":[0,1,2,2]},"#
                + #""finish_reason":"stop"}"#)
        #expect(body["usage"]?["total_tokens"]?.number?.text == "17")
    }

    @Test func `a failure is one error event, and names the prompt`() throws {
        var encoder = OpenAI.CompletionEncoder(id: "cmpl-1", created: 5, model: "tiny")
        var out: [UInt8] = []
        encoder.encode(
            .failed(.contextLengthExceeded(promptTokens: 9, outputTokens: 0, window: 8)), into: &out)
        encoder.encode(.finished(sampleEnd), into: &out)
        let reading = try StreamReading(out)
        #expect(reading.error?["param"]?.string == "prompt")
        #expect(reading.error?["code"]?.string == "context_length_exceeded")
        #expect(reading.doneCount == 0 && !reading.continuesAfterEnd && encoder.isFinished)
    }

    @Test(arguments: 0..<30)
    func `joined deltas are the body of the same answer`(run: Int) throws {
        let seed = seedFromEnvironment() &+ UInt64(run)
        print("SEED=\(seed)")
        var random = SeededRandom(seed: seed)
        let choices = 1 + random.below(3)
        let events = randomEvents(&random, choices: choices)
        var encoder = OpenAI.CompletionEncoder(id: "cmpl-1", created: 5, model: "tiny", choiceCount: choices)
        var aggregate = OpenAI.CompletionAggregate(id: "cmpl-1", created: 5, model: "tiny", choiceCount: choices)
        var out: [UInt8] = []
        for event in events {
            encoder.encode(event, into: &out)
            aggregate.absorb(event)
        }
        guard case .complete(let bytes) = aggregate.outcome() else {
            Issue.record("SEED=\(seed): no body")
            return
        }
        let (reading, body) = (try StreamReading(out), try JSONReader.read(bytes))
        for choice in 0..<choices {
            let entry = try #require(body["choices"]?[choice])
            let rebuilt = reading.message(of: choice)
            #expect(text(rebuilt.content).unicodeScalars.elementsEqual((entry["text"]?.string ?? "?").unicodeScalars))
            #expect(rebuilt.finish == [entry["finish_reason"]?.string ?? "?"])
            let pieces = reading.choices.filter { $0["index"]?.number?.integer == .exact(Int64(choice)) }
            for name in ["tokens", "token_logprobs", "top_logprobs", "text_offset"] {
                let joined = pieces.flatMap { $0["logprobs"]?[name]?.array ?? [] }.map(\.text)
                #expect(joined == (entry["logprobs"]?[name]?.array ?? []).map(\.text), "SEED=\(seed) \(name)")
            }
        }
        #expect(reading.doneCount == 1)
    }
}
