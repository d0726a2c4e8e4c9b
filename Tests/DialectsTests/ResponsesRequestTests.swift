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
        #expect(request.previousID == nil && request.warnings.isEmpty)
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
        #expect(request.warnings.contains { $0.contains("'text.format.strict'") })
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
        (#""tools":[{"type":"web_search"}],"tool_choice":"required""#, "tool_choice"),
        (#""tools":[{"type":"web_search"}],"tool_choice":{"type":"web_search"}"#, "tool_choice.type"),
        (#""tools":[{"type":"custom","name":"p"}],"tool_choice":{"type":"custom","name":"p"}"#, "tool_choice.type"),
        (#""tools":[{"type":"custom","name":"p"}],"tool_choice":{"type":"function","name":"p"}"#, "tool_choice"),
        (#""tools":[{"type":7}]"#, "tools[0].type"), (#""tools":[{"name":"f"}]"#, "tools[0].type"),
        (#""tools":[{"type":"namespace","name":"n"}]"#, "tools[0].tools"),
        (#""tools":[{"type":"namespace","name":"n","tools":[{"type":"function"}]}]"#, "tools[0].tools[0].name"),
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

    @Test func `tools that cannot run here are dropped with a warning, and refused where they are chosen`() throws {
        let hosted = ["web_search", "file_search", "computer_use_preview", "code_interpreter", "mcp", "custom", "new"]
        for type in hosted {
            let tools = #""tools":[{"type":"\#(type)","name":"x"},{"type":"function","name":"f"}]"#
            let request = try decodeResponses(tools)
            #expect(request.generation.tools.map(\.name) == ["f"])
            #expect(request.warnings.count == 1 && request.warnings[0].contains("'\(type)'"))
            let choices = [
                #"{"type":"\#(type)"}"#, #"{"type":"allowed_tools","tools":[{"type":"\#(type)"}]}"#,
            ]
            for choice in choices {
                let error = try #require(responsesError(tools + #","tool_choice":\#(choice)"#))
                #expect(error.description.contains("'\(type)'") && error.description.contains("no hosted tools"))
            }
        }
    }

    @Test func `Codex's declarations leave its functions, those of namespaces under both names`() throws {
        let tools = #"""
            "tools":[{"type":"function","name":"shell","description":"Runs","strict":false,
            "parameters":{"type":"object"}},{"type":"web_search","external_web_access":false},
            {"type":"custom","name":"apply_patch","description":"d",
            "format":{"type":"grammar","syntax":"lark","definition":"start: x"}},{"type":"image_generation",
            "output_format":"png"},{"type":"local_shell"},{"type":"namespace","name":"mcp__a__","description":"",
            "tools":[{"type":"function","name":"search","parameters":{"type":"object"}},{"type":"custom","name":"c"}]},
            {"type":"namespace","name":"b","tools":[{"type":"function","name":"search"}]},
            {"type":"namespace","name":"none","tools":[{"type":"custom","name":"c"}]}],"tool_choice":"auto"
            """#
        let request = try decodeResponses(tools)
        #expect(request.generation.tools.map(\.name) == ["shell", "mcp__a__search", "b__search"])
        #expect(request.warnings.count == 4)
        let (answer, events) = try answered(
            [
                .started(promptTokens: 9, cachedTokens: 0),
                .output(OutputDelta(toolCalls: [ToolCallDelta(index: 0, id: "c", name: "b__search", arguments: "{}")])),
                .finished(sampleEnd),
            ], tools)
        let body = try JSONReader.read(answer.body())
        #expect(body["output"]?[0]?["name"]?.string == "search" && body["output"]?[0]?["namespace"]?.string == "b")
        let shown = body["tools"]?.array ?? []
        #expect(shown.map { $0["name"]?.string } == ["shell", "mcp__a__", "b"])
        #expect(shown.last?["tools"]?.array?.map { $0["name"]?.string } == ["search"])
        #expect(events.contains { $0.text.contains(#""name":"search","namespace":"b""#) })
        // The call comes back as it was shown, and is the same call for the model.
        let item = #"{"type":"function_call","call_id":"c","name":"search","namespace":"b","arguments":"{}"}"#
        let output = #"{"type":"function_call_output","call_id":"c","output":"found"}"#
        let history = try conversation("[\(item),\(output)]")
        #expect(history[0].toolCalls.map(\.name) == ["b__search"] && history[1].toolName == "b__search")
    }

    @Test func `functions are counted and told apart across namespaces`() throws {
        let functions = (0..<Limits.tools).map { #"{"type":"function","name":"f\#($0)"}"# }.joined(separator: ",")
        let space = #"{"type":"namespace","name":"n","tools":[\#(functions)]}"#
        #expect(responsesError(#""tools":[\#(space)]"#) == nil)
        #expect(
            responsesError(#""tools":[\#(space),{"type":"function","name":"g"}]"#)
                == .tooMany(field: "tools", count: Limits.tools + 1, limit: Limits.tools))
        let twice = #"{"type":"function","name":"n__f"},{"type":"namespace","name":"n","tools":["#
        #expect(
            responsesError(#""tools":[\#(twice){"type":"function","name":"f"}]}]"#)?.field == "tools[1].tools[0].name")
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
        #expect(try decodeResponses(#""user":"u","safety_identifier":"s","prompt_cache_key":"k""#).warnings.isEmpty)
        #expect(try decodeResponses(#""keep_alive":5"#).warnings.contains { $0.contains("'keep_alive'") })
        let reasoning = try decodeResponses(#""reasoning":{"summary":"auto"}"#)
        #expect(reasoning.warnings.contains { $0.contains("'reasoning.summary'") })
    }

    @Test func `an explicit null is as good as nothing`() throws {
        let names = Responses.Request.fields.map(\.name).filter { !$0.contains(".") && !$0.contains("[") }
            .filter { $0 != "model" && $0 != "input" }
        let request = try decodeResponses(names.map { #""\#($0)":null"# }.joined(separator: ","))
        #expect(request.warnings.isEmpty && request.isStored)
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
