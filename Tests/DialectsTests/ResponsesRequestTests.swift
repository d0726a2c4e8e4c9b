import Dialects
import Testing
import Vocabulary

@Suite struct `Responses request` {
    @Test func `defaults are those of the vocabulary, and responses are kept`() throws {
        let request = try settled(#"{"model":"m","input":"hi"}"#)
        #expect(request.generation.model == "m")
        #expect(messages(request.generation) == [Message(role: .user, text: "hi")])
        #expect(request.generation.sampling == SamplingParameters())
        #expect(request.generation.maxOutputTokens == nil && request.generation.topLogprobs == nil)
        #expect(request.isStored && !request.stream && !request.runsInBackground && !request.truncates)
        #expect(request.previousID == nil && request.warningHeader == nil)
    }

    @Test func `every field that shapes the answer reaches the request`() throws {
        let request = try decodeResponses(
            #"""
            "temperature":0.5,"top_p":0.25,"max_output_tokens":64,"seed":7,"top_k":3,"min_p":0.125,"stop":["a"],
            "presence_penalty":0.5,"frequency_penalty":-0.5,"top_logprobs":4,"parallel_tool_calls":false,
            "stream":true,"store":false,"truncation":"auto","reasoning":{"effort":"high"},
            "text":{"format":{"type":"json_object"}},"tools":[{"type":"function","name":"f","description":"d",
            "parameters":{"type":"object"},"strict":false}],"tool_choice":{"type":"function","name":"f"}
            """#)
        let generation = request.generation
        #expect(generation.sampling.temperature == 0.5 && generation.sampling.topP == 0.25)
        #expect(generation.sampling.seed == 7 && generation.sampling.topK == 3 && generation.sampling.minP == 0.125)
        #expect(generation.sampling.presencePenalty == 0.5 && generation.sampling.frequencyPenalty == -0.5)
        #expect(generation.maxOutputTokens == 64 && generation.stop == ["a"] && generation.topLogprobs == 4)
        #expect(!generation.parallelToolCalls && generation.toolChoice == .named("f"))
        #expect(generation.tools == [Tool(name: "f", summary: "d", parameters: #"{"type":"object"}"#)])
        #expect(generation.responseFormat == .jsonObject && generation.reasoning.enabled == true)
        #expect(generation.templateArguments == [TemplateArgument(name: "reasoning_effort", value: "\"high\"")])
        #expect(request.stream && !request.isStored && request.truncates)
    }

    @Test func `log-probabilities come by include or by top_logprobs`() throws {
        #expect(try decodeResponses(#""include":["message.output_text.logprobs"]"#).generation.topLogprobs == 0)
        #expect(try decodeResponses(#""top_logprobs":0"#).generation.topLogprobs == nil)
        #expect(try decodeResponses(#""top_logprobs":3"#).generation.topLogprobs == 3)
        let both = #""include":["message.output_text.logprobs"],"top_logprobs":0"#
        #expect(try decodeResponses(both).generation.topLogprobs == 0)
        #expect(responsesError(#""top_logprobs":21"#)?.field == "top_logprobs")
    }

    @Test func `a schema is enforced whatever strict says`() throws {
        let format = #""text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"},"strict":false}}"#
        let request = try decodeResponses(format)
        #expect(request.generation.responseFormat == .jsonSchema(#"{"type":"object"}"#))
        #expect(request.warningHeader?.contains("'text.format.strict'") == true)
        #expect(
            responsesError(#""text":{"format":{"type":"json_schema","schema":{}}}"#)
                == .missingField("text.format.name"))
        #expect(
            responsesError(#""text":{"format":{"type":"json_schema","name":"n"}}"#)
                == .missingField("text.format.schema"))
        #expect(responsesError(#""text":{"format":{"type":"xml"}}"#)?.field == "text.format.type")
    }

    @Test func `metadata has the vendor's limits, counted in characters`() throws {
        let pairs = (0..<16).map { #""k\#($0)":"v""# }.joined(separator: ",")
        #expect(responsesError(#""metadata":{\#(pairs)}"#) == nil)
        #expect(
            responsesError(#""metadata":{\#(pairs),"k16":"v"}"#) == .tooMany(field: "metadata", count: 17, limit: 16))
        let key = String(repeating: "é", count: 64)
        let value = String(repeating: "漢", count: 512)
        #expect(responsesError(#""metadata":{"\#(key)":"\#(value)"}"#) == nil)
        #expect(responsesError(#""metadata":{"\#(key)x":""}"#)?.field == "metadata")
        #expect(responsesError(#""metadata":{"k":"\#(value)x"}"#)?.field == "metadata.k")
        #expect(responsesError(#""metadata":{"k":1}"#)?.field == "metadata.k")
    }

    @Test func `background needs store`() throws {
        #expect(responsesError(#""background":true,"store":false"#)?.field == "background")
        #expect(try decodeResponses(#""background":true"#).runsInBackground)
    }

    @Test(arguments: [
        (#""conversation":"c""#, "conversation"), (#""prompt":{"id":"p"}"#, "prompt"), (#""messages":[]"#, "messages"),
        (#""max_tokens":5"#, "max_tokens"), (#""response_format":{"type":"text"}"#, "response_format"),
        (#""reasoning_effort":"low""#, "reasoning_effort"), (#""n":2"#, "n"),
        (#""moderation":{"model":"x"}"#, "moderation"),
        (#""context_management":[]"#, "context_management"), (#""functions":[]"#, "functions"),
        (#""stream_options":{"include_obfuscation":false}"#, "stream_options"),
        (#""reasoning":{"mode":"pro"}"#, "reasoning.mode"), (#""reasoning":{"effort":"much"}"#, "reasoning.effort"),
        (#""text":{"verbosity":"loud"}"#, "text.verbosity"), (#""truncation":"middle""#, "truncation"),
        (#""include":["all"]"#, "include[0]"), (#""service_tier":"gold""#, "service_tier"),
        (#""max_output_tokens":0"#, "max_output_tokens"), (#""temperature":3"#, "temperature"),
        (#""tools":[{"type":"web_search"}]"#, "tools[0].type"),
        (#""tools":[{"type":"mcp","server_label":"x"}]"#, "tools[0].type"),
        (#""tools":[{"type":"function"}]"#, "tools[0].name"),
        (#""tools":[{"type":"function","name":"a b"}]"#, "tools[0].name"),
        (#""tools":[{"type":"function","name":"f","async":true}]"#, "tools[0].async"),
        (#""tools":[{"type":"function","name":"f"},{"type":"function","name":"f"}]"#, "tools[1].name"),
        (#""tool_choice":"required""#, "tool_choice"),
        (#""tool_choice":{"type":"function","name":"g"}"#, "tool_choice"),
        (#""tool_choice":{"type":"file_search"}"#, "tool_choice.type"),
        (#""previous_response_id":7"#, "previous_response_id"), (#""stream":"yes""#, "stream"),
    ])
    func `what cannot be done is refused by name`(fields: String, named: String) {
        #expect(responsesError(fields)?.field == named)
    }

    @Test func `hosted tools are refused by their own name`() throws {
        for type in ["web_search", "file_search", "computer_use_preview", "code_interpreter", "mcp", "custom"] {
            let error = try #require(responsesError(#""tools":[{"type":"\#(type)"}]"#))
            #expect(error.description.contains("'\(type)'") && error.description.contains("no hosted tools run here"))
        }
    }

    @Test func `allowed tools narrow the list and are shown as sent`() throws {
        let tools = #""tools":[{"type":"function","name":"f"},{"type":"function","name":"g"}]"#
        let choice =
            #""tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"g"}]}"#
        let request = try decodeResponses(tools + "," + choice)
        #expect(request.generation.tools.map(\.name) == ["g"] && request.generation.toolChoice == .required)
        #expect(
            responsesError(
                tools + #","tool_choice":{"type":"allowed_tools","tools":[{"type":"function","name":"h"}]}"#)?
                .field == "tool_choice.tools")
    }

    @Test func `labels have no effect and no warning, everything unknown has one`() throws {
        #expect(try decodeResponses(#""user":"u","safety_identifier":"s","prompt_cache_key":"k""#).warningHeader == nil)
        #expect(try decodeResponses(#""keep_alive":5"#).warningHeader?.contains("'keep_alive'") == true)
        #expect(
            try decodeResponses(#""reasoning":{"summary":"auto"}"#).warningHeader?.contains("'reasoning.summary'")
                == true)
    }

    @Test func `an explicit null is as good as nothing`() throws {
        let names = Responses.Request.fields.map(\.name).filter { !$0.contains(".") && !$0.contains("[") }
            .filter { $0 != "model" && $0 != "input" }
        let request = try decodeResponses(names.map { #""\#($0)":null"# }.joined(separator: ","))
        #expect(request.warningHeader == nil && request.isStored)
        #expect(request.generation.sampling == SamplingParameters())
    }

    @Test(arguments: [
        ("[]", DialectError.wrongType(field: "body", expected: "an object", actual: "an array")),
        ("{}", .missingField("model")), (#"{"model":"m"}"#, .missingField("input")),
        (#"{"input":"x"}"#, .missingField("model")),
        (
            #"{"model":"m","input":7}"#,
            .wrongType(field: "input", expected: "a string or an array of items", actual: "a number")
        ),
        (#"{"model":"m","input":"x","input":"y"}"#, .malformedJSON(.duplicateKey(offset: 25, key: "input"))),
    ])
    func `bodies that are no request`(body: String, expected: DialectError) {
        #expect(responsesBodyError(body) == expected)
    }

    @Test func `what the table calls refused is refused, and nothing else`() throws {
        let values = ["1", "2", "true", "false", #""x""#, "[]", "{}", "0.5", #""auto""#, #"{"id":"p"}"#, #"["a"]"#]
        for field in Responses.Request.fields where !field.name.contains(".") && !field.name.contains("[") {
            guard field.name != "model", field.name != "input" else { continue }
            let answers = values.map { responsesError(#""\#(field.name)":\#($0)"#) }
            let refusals = answers.filter { error in
                switch error {
                case .unsupportedField, .unsupportedValue: true
                default: false
                }
            }
            let isRefused = !refusals.isEmpty
            #expect(isRefused == (field.disposition == .refused), "\(field.name): \(answers)")
            // A field that is refused for its presence has no value that passes.
            if field.disposition != .refused { #expect(answers.contains { $0 == nil || $0?.field != nil }) }
        }
    }
}
