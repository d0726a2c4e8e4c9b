import Dialects
import Testing
import Vocabulary

@Suite struct `Chat request` {
    @Test func `defaults are those of the vocabulary`() throws {
        let decoded = try decodeChat("")
        #expect(decoded.request.model == "m")
        #expect(messages(decoded.request) == [Message(role: .user, text: "hi")])
        #expect(decoded.request.sampling == SamplingParameters())
        #expect(decoded.request.maxOutputTokens == nil)
        #expect(decoded.request.topLogprobs == nil)
        #expect(decoded.request.choiceCount == 1)
        #expect(!decoded.stream && !decoded.includeUsage)
        #expect(decoded.warnings.isEmpty)
        #expect(decoded.request.id == RequestID(1))
    }

    @Test func `every sampling field reaches its parameter`() throws {
        let sampling = try decodeChat(
            #"""
            "temperature":0.5,"top_p":0.9,"top_k":40,"min_p":0.05,"typical_p":0.8,"top_n_sigma":1.5,
            "xtc_probability":0.25,"xtc_threshold":0.2,"dynatemp_range":0.5,"dynatemp_exponent":1.25,
            "repeat_penalty":1.5,"repeat_last_n":-1,"presence_penalty":0.25,"frequency_penalty":-0.5,
            "dry_multiplier":0.75,"dry_base":2,"dry_allowed_length":3,"dry_penalty_last_n":128,
            "dry_sequence_breakers":["\n","."],"mirostat":2,"mirostat_tau":4,"mirostat_eta":0.25,"seed":42,
            "ignore_eos":true,"logit_bias":{"5":-100,"7":1.5},"samplers":["temperature","typ_p","penalties"]
            """#
        ).request.sampling
        var expected = SamplingParameters()
        expected.temperature = 0.5
        expected.topP = 0.9
        expected.topK = 40
        expected.minP = 0.05
        expected.typicalP = 0.8
        expected.topNSigma = 1.5
        expected.xtcProbability = 0.25
        expected.xtcThreshold = 0.2
        expected.dynamicTemperatureRange = 0.5
        expected.dynamicTemperatureExponent = 1.25
        expected.repeatPenalty = 1.5
        expected.penaltyWindow = -1
        expected.presencePenalty = 0.25
        expected.frequencyPenalty = -0.5
        expected.dryMultiplier = 0.75
        expected.dryBase = 2
        expected.dryAllowedLength = 3
        expected.dryWindow = 128
        expected.dryBreakers = ["\n", "."]
        expected.mirostat = 2
        expected.mirostatTau = 4
        expected.mirostatEta = 0.25
        expected.seed = 42
        expected.ignoreEndOfGeneration = true
        expected.logitBias = [LogitBias(token: 5, bias: -100), LogitBias(token: 7, bias: 1.5)]
        expected.samplers = [.temperature, .typicalP, .penalties]
        #expect(sampling == expected)
    }

    @Test func `the usual order of samplers is none of one's own`() throws {
        let names = Sampler.allCases.map { #""\#($0.rawValue)""# }.joined(separator: ",")
        #expect(try decodeChat(#""samplers":[\#(names)]"#).request.sampling.samplers == nil)
        #expect(try decodeChat(#""samplers":[]"#).request.sampling.samplers == [])
    }

    @Test func `seeds are any 64 bits, and -1 draws one`() throws {
        #expect(try decodeChat(#""seed":-1"#).request.sampling.seed == nil)
        #expect(try decodeChat(#""seed":-2"#).request.sampling.seed == UInt64(bitPattern: -2))
        #expect(try decodeChat(#""seed":9223372036854775807"#).request.sampling.seed == UInt64(Int64.max))
        #expect(try decodeChat(#""seed":0"#).request.sampling.seed == 0)
        #expect(
            chatError(#""seed":9223372036854775808"#)
                == .aboveMaximum(
                    field: "seed", value: "9223372036854775808", maximum: "9223372036854775807", kind: .integer))
    }

    @Test func `length, number, stops and log-probabilities`() throws {
        let request = try decodeChat(
            #""max_completion_tokens":64,"n":3,"stop":["a","","b","a"],"logprobs":true,"top_logprobs":5"#
        ).request
        #expect(request.maxOutputTokens == 64)
        #expect(request.choiceCount == 3)
        #expect(request.stop == ["a", "b"])
        #expect(request.topLogprobs == 5)
        #expect(try decodeChat(#""logprobs":true"#).request.topLogprobs == 0)
        #expect(try decodeChat(#""logprobs":false"#).request.topLogprobs == nil)
        #expect(try decodeChat(#""stop":"END""#).request.stop == ["END"])
        #expect(try decodeChat(#""stop_token_ids":[2,0,2147483647]"#).request.stopTokens == [2, 0, .max])
        #expect(try decodeChat(#""stop_token_ids":[]"#).request.stopTokens == nil)
        #expect(try decodeChat(#""max_tokens":-1"#).request.maxOutputTokens == nil)
        #expect(try decodeChat(#""max_tokens":7,"max_completion_tokens":7"#).request.maxOutputTokens == 7)
        #expect(try decodeChat(#""n_predict":9"#).request.maxOutputTokens == 9)
        #expect(try decodeChat(#""n_probs":4"#).request.topLogprobs == 4)
        #expect(try decodeChat(#""n_probs":0"#).request.topLogprobs == nil)
        #expect(try decodeChat(#""max_tokens":1e2"#).request.maxOutputTokens == 100)
    }

    @Test func `streaming and its options`() throws {
        let decoded = try decodeChat(#""stream":true,"stream_options":{"include_usage":true}"#)
        #expect(decoded.stream && decoded.includeUsage)
        #expect(chatError(#""stream_options":{"include_usage":true}"#)?.field == "stream_options")
        #expect(
            try decodeChat(#""stream":true,"stream_options":{"x":1}"#).warnings
                == ["'stream_options.x' is not a known parameter and has no effect."])
    }

    @Test func `an explicit null is as good as nothing`() throws {
        let names = OpenAI.ChatCompletion.fields.map(\.name).filter { $0 != "model" && $0 != "messages" }
        let decoded = try decodeChat(names.map { #""\#($0)":null"# }.joined(separator: ","))
        #expect(decoded.request.sampling == SamplingParameters())
        #expect(decoded.warnings.isEmpty)
        #expect(!decoded.stream)
        #expect(chatBodyError(#"{"model":null,"messages":[]}"#) != nil)
    }

    @Test func `reasoning in all its spellings`() throws {
        let high = try decodeChat(#""reasoning_effort":"high""#).request
        #expect(high.reasoning.enabled == true)
        #expect(high.templateArguments == [TemplateArgument(name: "reasoning_effort", value: "\"high\"")])
        #expect(high.reasoning.budget == nil)
        for (effort, budget) in [("minimal", 512), ("low", 2048), ("medium", 8192)] {
            #expect(try decodeChat(#""reasoning_effort":"\#(effort)""#).request.reasoning.budget == budget)
            // A budget of the client's own wins, also when it says that there is none.
            for (own, kept) in [("7", 7), ("-1", nil)] as [(String, Int?)] {
                let both = #""reasoning_budget_tokens":\#(own),"reasoning_effort":"\#(effort)""#
                #expect(try decodeChat(both).request.reasoning.budget == kept)
            }
        }
        let none = try decodeChat(#""reasoning_effort":"none""#).request
        #expect(none.reasoning.enabled == false)
        #expect(none.templateArguments.isEmpty)
        #expect(try decodeChat(#""enable_thinking":false"#).request.reasoning.enabled == false)
        let kwargs = try decodeChat(
            #""chat_template_kwargs":{"z":[1, 2.50],"enable_thinking":true,"a":"x"},"thinking_budget_tokens":512"#
        ).request
        #expect(kwargs.reasoning == .init(enabled: true, budget: 512))
        #expect(
            kwargs.templateArguments == [
                TemplateArgument(name: "a", value: "\"x\""), TemplateArgument(name: "z", value: "[1,2.50]"),
            ])
        #expect(try decodeChat(#""reasoning_budget_tokens":-1"#).request.reasoning.budget == nil)
        #expect(chatError(#""reasoning_effort":"none","enable_thinking":true"#)?.field == "enable_thinking")
        #expect(
            chatError(#""chat_template_kwargs":{"enable_thinking":"true"}"#)
                == .wrongType(
                    field: "chat_template_kwargs.enable_thinking", expected: "a boolean", actual: "a string"))
        #expect(chatError(#""reasoning_effort":"huge""#)?.field == "reasoning_effort")
        #expect(chatError(#""reasoning_format":"none""#)?.field == "reasoning_format")
    }

    @Test func `unknown fields are warned about, once each and not without end`() throws {
        #expect(
            try decodeChat(#""keep_alive":5"#).warnings
                == ["'keep_alive' is not a known parameter and has no effect."])
        let many = (0..<100).map { #""x\#($0)":1"# }.joined(separator: ",")
        let warnings = try decodeChat(many).warnings
        #expect(warnings.count == 33)
        #expect(warnings.last == "There are 68 more warnings.")
    }

    @Test(arguments: [
        (#"[]"#, DialectError.wrongType(field: "body", expected: "an object", actual: "an array")),
        (#""x""#, .wrongType(field: "body", expected: "an object", actual: "a string")),
        ("{}", .missingField("model")), (#"{"model":"m"}"#, .missingField("messages")),
        (#"{"messages":[{"role":"user","content":"x"}]}"#, .missingField("model")),
        (#"{"model":7}"#, .wrongType(field: "model", expected: "a string", actual: "a number")),
        (#"{"model":""}"#, .invalidValue(field: "model", value: "''", expected: "the name of a model")),
        ("{", .malformedJSON(.unexpectedEnd(offset: 1, expected: "a key"))),
        ("", .malformedJSON(.unexpectedEnd(offset: 0, expected: "a value"))),
    ])
    func `bodies that are no request`(body: String, expected: DialectError) {
        #expect(chatBodyError(body) == expected)
    }

    @Test func `a body beyond the limit is refused before it is read`() {
        let body = Array(repeating: UInt8(ascii: " "), count: (32 << 20) + 1)
        #expect(throws: DialectError.bodyTooLarge(bytes: 33_554_433, limit: 33_554_432)) { try decodeChat(body) }
    }

    private func chatBodyError(_ body: String) -> DialectError? {
        do {
            _ = try decodeChat(bytes(body))
            return nil
        } catch {
            return error
        }
    }
}

@Suite struct `Warnings` {
    @Test func `members that nobody reads are named at every depth`() throws {
        let decoded = try decodeChat(
            bytes(
                #"""
                {"model":"m","messages":[
                {"role":"user","content":[{"type":"text","text":"q","cache_control":{"type":"ephemeral"}}]},
                {"role":"assistant","tool_calls":[{"id":"c","index":0,"type":"function","extra":1,
                "function":{"name":"f","arguments":"{}","x":1}}]},{"role":"tool","tool_call_id":"c","content":"r"}],
                "tools":[{"type":"function","note":1,"function":{"name":"f","title":"F"}}],
                "tool_choice":{"type":"function","why":1,"function":{"name":"f","y":1}}}
                """#))
        #expect(
            decoded.warnings.map { $0.prefix { $0 != " " } } == [
                "'messages[].content[].cache_control'", "'messages[].tool_calls[].extra'",
                "'messages[].tool_calls[].function.x'", "'tools[].function.title'", "'tools[].note'",
                "'tool_choice.why'", "'tool_choice.function.y'",
            ])
    }

    @Test func `a client's control characters are quoted as question marks`() throws {
        #expect(try decodeChat(#""a\r\nX":1"#).warnings == ["'a??X' is not a known parameter and has no effect."])
        #expect(chatError(#""stream_options":{},"tool_choice":"\u0000\u0085""#)?.description.contains("'??'") == true)
    }

    @Test func `the header is short printable ASCII`() throws {
        #expect(try decodeChat("").warningHeader == nil)
        #expect(
            try decodeChat(#""a\r\nX: é":1,"b":2"#).warningHeader
                == "'a??X: ?' is not a known parameter and has no effect. "
                + "'b' is not a known parameter and has no effect.")
        let many = (0..<32).map { #""\#(String(repeating: "x", count: 60))\#($0)":1"# }.joined(separator: ",")
        #expect(try decodeChat(many).warningHeader?.utf8.count == 2048)
    }
}
