import Dialects
import Testing
import Vocabulary

/// Every numeric field against the values that made other servers write out of bounds.
@Suite struct `Bad values` {
    private static let integers = [
        "max_tokens", "max_completion_tokens", "n_predict", "n", "top_logprobs", "top_k", "repeat_last_n",
        "dry_allowed_length", "dry_penalty_last_n", "mirostat", "reasoning_budget_tokens", "thinking_budget_tokens",
        "n_probs",
    ]
    private static let decimals = [
        "temperature", "top_p", "min_p", "typical_p", "typ_p", "top_n_sigma", "xtc_probability", "xtc_threshold",
        "dynatemp_range", "dynatemp_exponent", "repeat_penalty", "repetition_penalty", "presence_penalty",
        "frequency_penalty", "dry_multiplier", "dry_base", "mirostat_tau", "mirostat_eta",
    ]
    private static let flags = [
        "stream", "logprobs", "ignore_eos", "parallel_tool_calls", "cache_prompt", "enable_thinking",
        "add_generation_prompt", "continue_final_message", "parse_tool_calls",
    ]

    @Test(arguments: integers)
    func `integers beyond their range, fractions and other kinds are refused by name`(field: String) {
        for value in ["-2", "2147483648", "4294967296", "9223372036854775808", "1e309", "-1e309"] {
            let error = chatError(#""\#(field)":\#(value)"#)
            switch error {
            case .belowMinimum(let name, let text, _, .integer), .aboveMaximum(let name, let text, _, .integer):
                #expect(name == field && text == value)
            default: Issue.record("\(field)=\(value): \(String(describing: error))")
            }
        }
        for value in ["1.5", "1e-3", #""5""#, "true", "[]", "{}"] {
            guard case .wrongType(field, "an integer", _)? = chatError(#""\#(field)":\#(value)"#) else {
                Issue.record("\(field)=\(value) is accepted")
                continue
            }
        }
    }

    @Test(arguments: decimals)
    func `decimals beyond their range and other kinds are refused by name`(field: String) {
        for value in ["-3", "1e30", "1e309", "-1e309", "1e99999"] {
            let error = chatError(#""\#(field)":\#(value)"#)
            switch error {
            case .belowMinimum(let name, let text, _, .decimal), .aboveMaximum(let name, let text, _, .decimal):
                #expect(name == field && text == value)
            default: Issue.record("\(field)=\(value): \(String(describing: error))")
            }
        }
        for value in [#""0.5""#, "false", "[0.5]", "{}"] {
            guard case .wrongType(field, "a number", _)? = chatError(#""\#(field)":\#(value)"#) else {
                Issue.record("\(field)=\(value) is accepted")
                continue
            }
        }
        guard case .malformedJSON? = chatError(#""\#(field)":NaN"#) else {
            Issue.record("\(field)=NaN is accepted")
            return
        }
    }

    @Test(arguments: flags)
    func `flags are booleans only`(field: String) {
        for value in ["0", "1", #""true""#, "[]", "{}"] {
            guard case .wrongType(field, "a boolean", _)? = chatError(#""\#(field)":\#(value)"#) else {
                Issue.record("\(field)=\(value) is accepted")
                continue
            }
        }
    }

    @Test(arguments: [
        (
            #""temperature":2.5"#,
            DialectError.aboveMaximum(field: "temperature", value: "2.5", maximum: "2", kind: .decimal)
        ),
        (#""temperature":-0.1"#, .belowMinimum(field: "temperature", value: "-0.1", minimum: "0", kind: .decimal)),
        (#""n":129"#, .aboveMaximum(field: "n", value: "129", maximum: "128", kind: .integer)),
        (#""n":0"#, .belowMinimum(field: "n", value: "0", minimum: "1", kind: .integer)),
        (#""max_tokens":0"#, .belowMinimum(field: "max_tokens", value: "0", minimum: "1", kind: .integer)),
        (
            #""logprobs":true,"top_logprobs":21"#,
            .aboveMaximum(field: "top_logprobs", value: "21", maximum: "20", kind: .integer)
        ),
        (
            #""top_logprobs":3"#,
            .conflict(field: "top_logprobs", reason: "it is only allowed when 'logprobs' is true")
        ),
        (
            #""max_tokens":5,"max_completion_tokens":6"#,
            .conflict(field: "max_completion_tokens", reason: "it differs from 'max_tokens'; send only one of them")
        ),
        (#""stop":7"#, .wrongType(field: "stop", expected: "an array", actual: "a number")),
        (#""stop":["a",7]"#, .wrongType(field: "stop[1]", expected: "a string", actual: "a number")),
        (#""stop":[null]"#, .wrongType(field: "stop[0]", expected: "a string", actual: "null")),
        (#""logit_bias":[[5]]"#, .tooFew(field: "logit_bias[0]", count: 1, minimum: 2)),
        (
            #""logit_bias":{"5":-101}"#,
            .belowMinimum(field: "logit_bias.5", value: "-101", minimum: "-100", kind: .decimal)
        ),
        (
            #""logit_bias":{"hello":1}"#,
            .invalidValue(
                field: "logit_bias", value: "the key 'hello'", expected: "a token id, 0 … 2147483647")
        ),
        (
            #""logit_bias":{"05":1}"#,
            .invalidValue(field: "logit_bias", value: "the key '05'", expected: "a token id, 0 … 2147483647")
        ),
        (
            #""logit_bias":{"2147483648":1}"#,
            .invalidValue(
                field: "logit_bias", value: "the key '2147483648'", expected: "a token id, 0 … 2147483647")
        ),
        (#""metadata":"x""#, .wrongType(field: "metadata", expected: "an object", actual: "a string")),
        (
            #""modalities":["text","audio"]"#,
            .unsupportedValue(field: "modalities[1]", value: "'audio'", remedy: "only text is generated")
        ),
        (#""audio":{}"#, .unsupportedField(field: "audio", remedy: "only text is generated")),
        (
            #""web_search_options":{}"#,
            .unsupportedField(field: "web_search_options", remedy: "offer a search tool in 'tools'")
        ),
        (
            #""samplers":["top_k","infill"]"#,
            .invalidValue(
                field: "samplers[1]", value: "'infill'",
                expected: "one of: 'penalties', 'dry', 'top_n_sigma', 'top_k', 'typ_p', 'top_p', 'min_p', 'xtc', "
                    + "'temperature'")
        ),
        (
            #""samplers":["top_k","dry","top_k"]"#,
            .invalidValue(field: "samplers[2]", value: "'top_k'", expected: "every sampler once at most")
        ),
        (
            #""stop_token_ids":[5,-1]"#,
            .belowMinimum(field: "stop_token_ids[1]", value: "-1", minimum: "0", kind: .integer)
        ),
        (#""stop_token_ids":2"#, .wrongType(field: "stop_token_ids", expected: "an array", actual: "a number")),
        (
            #""continue_final_message":true"#,
            .unsupportedValue(
                field: "continue_final_message", value: "true", remedy: "ask the model to continue in a user message")
        ),
    ])
    func `errors carry field, limit and value`(fields: String, expected: DialectError) {
        #expect(chatError(fields) == expected)
    }

    @Test func `lists and texts are bounded`() {
        let stops = Array(repeating: #""x""#, count: 17).joined(separator: ",")
        #expect(chatError(#""stop":[\#(stops)]"#) == .tooMany(field: "stop", count: 17, limit: 16))
        let long = String(repeating: "é", count: 129)
        #expect(chatError(#""stop":["\#(long)"]"#) == .tooLong(field: "stop[0]", bytes: 258, limit: 256))
        let biases = (0...1024).map { #""\#($0)":1"# }.joined(separator: ",")
        #expect(chatError(#""logit_bias":{\#(biases)}"#) == .tooMany(field: "logit_bias", count: 1025, limit: 1024))
        let ids = (0...64).map(String.init).joined(separator: ",")
        #expect(chatError(#""stop_token_ids":[\#(ids)]"#) == .tooMany(field: "stop_token_ids", count: 65, limit: 64))
        let breakers = Array(repeating: #""x""#, count: 17).joined(separator: ",")
        #expect(
            chatError(#""dry_sequence_breakers":[\#(breakers)]"#)
                == .tooMany(field: "dry_sequence_breakers", count: 17, limit: 16))
        let variables = (0...64).map { #""v\#($0)":1"# }.joined(separator: ",")
        #expect(
            chatError(#""chat_template_kwargs":{\#(variables)}"#)
                == .tooMany(field: "chat_template_kwargs", count: 65, limit: 64))
        let grammar = String(repeating: "g", count: (256 << 10) + 1)
        #expect(chatError(#""grammar":"\#(grammar)""#) == .tooLong(field: "grammar", bytes: 262_145, limit: 262_144))
    }

    @Test func `a long value is quoted in part only`() {
        let digits = String(repeating: "9", count: 200)
        guard case .aboveMaximum("n", let value, "128", .integer)? = chatError(#""n":\#(digits)"#) else {
            Issue.record("200 digits are accepted")
            return
        }
        #expect(value.count == 65 && value.hasSuffix("…"))
    }

    @Test func `bias lists of llama_cpp ban by false`() throws {
        let biases = try decodeChat(#""logit_bias":[[5,false],[6,2.5]]"#).request.sampling.logitBias
        #expect(biases == [LogitBias(token: 5, bias: -.infinity), LogitBias(token: 6, bias: 2.5)])
    }
}

@Suite struct `Field table` {
    @Test func `every refused row refuses and every noted row warns`() throws {
        for row in OpenAI.ChatCompletion.fields {
            switch row.disposition {
            case .refused:
                let values = ["true", "false", #""x""#, #"["x"]"#, "{}", "1"]
                #expect(values.contains { chatError(#""\#(row.name)":\#($0)"#)?.field?.hasPrefix(row.name) == true })
            case .noted:
                let warned = ["{}", #""low""#, "1"].contains { value in
                    (try? decodeChat(#""\#(row.name)":\#(value)"#))?.warnings.isEmpty == false
                }
                #expect(warned, "\(row.name) neither warns nor refuses")
            case .honoured, .mapped: break
            }
        }
    }

    @Test func `rows have unique names and say what they do`() {
        for rows in [OpenAI.ChatCompletion.fields, OpenAI.Completion.fields] {
            #expect(Set(rows.map(\.name)).count == rows.count)
            #expect(rows.map(\.name) == rows.map(\.name).sorted())
        }
    }

    /// The members of CreateChatCompletionRequest and CreateCompletionRequest in OpenAI's OpenAPI document.
    @Test func `every field OpenAI documents has a row`() {
        let chat = Set(OpenAI.ChatCompletion.fields.map(\.name))
        for name in [
            "messages", "model", "service_tier", "modalities", "verbosity", "reasoning_effort",
            "max_completion_tokens", "frequency_penalty", "presence_penalty", "web_search_options", "top_logprobs",
            "response_format", "audio", "store", "moderation", "stream", "stop", "logit_bias", "logprobs",
            "max_tokens", "n", "prediction", "seed", "stream_options", "tools", "tool_choice",
            "parallel_tool_calls", "function_call", "functions", "prompt_cache_options", "metadata", "temperature",
            "top_p", "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
        ] { #expect(chat.contains(name), "\(name)") }
        let completion = Set(OpenAI.Completion.fields.map(\.name))
        for name in [
            "model", "prompt", "best_of", "echo", "frequency_penalty", "logit_bias", "logprobs", "max_tokens", "n",
            "presence_penalty", "seed", "stop", "stream", "stream_options", "suffix", "temperature", "top_p", "user",
        ] { #expect(completion.contains(name), "\(name)") }
    }
}
