import Dialects
import Testing
import Vocabulary

@Suite struct `Anthropic requests` {
    @Test func `a minimal request is one user message without thinking`() throws {
        let message = try decodeMessage()
        let request = message.decoded.request
        #expect(request.model == "m" && request.maxOutputTokens == 4096)
        #expect(messages(request) == [Message(role: .user, text: "hi")])
        #expect(request.reasoning == .init(enabled: false))
        #expect(!message.decoded.stream && !message.omitsThinking)
        #expect(message.decoded.warnings.isEmpty)
        #expect(request.sampling == SamplingParameters())
    }

    @Test func `what must be there is asked for by name`() {
        let cases = [
            (#"{"max_tokens":1}"#, "model"),
            (#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#, "max_tokens"),
            (#"{"model":"m","max_tokens":1}"#, "messages"),
            (#"{"max_tokens":1,"messages":[{"role":"user","content":"x"}]}"#, "model"),
        ]
        for (body, field) in cases {
            #expect(throws: DialectError.missingField(field)) {
                try Anthropic.MessageRequest.decode(bytes(body), id: RequestID(1))
            }
        }
    }

    @Test func `sampling and delivery fields reach the request`() throws {
        let message = try decodeMessage(
            #""stream":true,"temperature":0.5,"top_p":0.25,"top_k":7,"stop_sequences":["END","\n\nHuman:","END"],"#
                + #""service_tier":"auto","speed":"standard","metadata":{"user_id":"u"}"#)
        let request = message.decoded.request
        #expect(message.decoded.stream)
        #expect(request.sampling.temperature == 0.5 && request.sampling.topP == 0.25 && request.sampling.topK == 7)
        #expect(request.stop == ["END", "\n\nHuman:"])
        #expect(
            message.decoded.warnings == [
                "'speed' has no effect: there is one speed.",
                "'metadata' has no effect: requests are not stored.",
            ])
    }

    @Test(arguments: [
        (#""temperature":1.5"#, "temperature"), (#""temperature":-1"#, "temperature"), (#""top_p":"1""#, "top_p"),
        (#""top_k":-1"#, "top_k"), (#""top_k":1.5"#, "top_k"), (#""stop_sequences":"x""#, "stop_sequences"),
        (#""stop_sequences":[1]"#, "stop_sequences[0]"), (#""stream":1"#, "stream"), (#""system":7"#, "system"),
        (#""system":[{"type":"image"}]"#, "system[0].type"), (#""system":[{"type":"text"}]"#, "system[0].text"),
        (#""service_tier":"fast""#, "service_tier"), (#""metadata":1"#, "metadata"),
        (#""thinking":{"type":"enabled"}"#, "thinking.budget_tokens"), (#""thinking":{}"#, "thinking.type"),
        (#""thinking":{"type":"enabled","budget_tokens":1023}"#, "thinking.budget_tokens"),
        (#""thinking":{"type":"enabled","budget_tokens":4096}"#, "thinking.budget_tokens"),
        (#""thinking":{"type":"between_tools"}"#, "thinking.type"),
        (#""cache_control":{"type":"for ever"}"#, "cache_control.type"),
        (#""cache_control":{"type":"ephemeral","ttl":"2h"}"#, "cache_control.ttl"),
        (#""container":"c""#, "container"), (#""mcp_servers":[{"url":"x"}]"#, "mcp_servers"),
        (#""context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}"#, "context_management.edits[0]"),
        (#""output_config":{"effort":"huge"}"#, "output_config.effort"),
        (#""output_config":{"format":{"type":"json_schema"}}"#, "output_config.format.schema"),
        (#""output_format":{"schema":{}}"#, "output_format.type"),
        (#""tools":[{"name":"f"}]"#, "tools[0].input_schema"), (#""tools":[{"input_schema":{}}]"#, "tools[0].name"),
        (#""tools":[{"name":"f g","input_schema":{}}]"#, "tools[0].name"),
        (#""tools":[{"name":"f","input_schema":{}},{"name":"f","input_schema":{}}]"#, "tools[1].name"),
        (#""tools":[{"type":"web_search_20250305","name":"web_search"}]"#, "tools[0].type"),
        (#""tools":[{"name":"f","input_schema":{},"input_examples":[{}]}]"#, "tools[0].input_examples"),
        (#""tools":[{"name":"f","input_schema":{},"defer_loading":true}]"#, "tools[0].defer_loading"),
        (#""tools":[{"name":"f","input_schema":{},"allowed_callers":["code"]}]"#, "tools[0].allowed_callers[0]"),
        (#""tool_choice":"auto""#, "tool_choice"), (#""tool_choice":{}"#, "tool_choice.type"),
        (#""tool_choice":{"type":"any"}"#, "tool_choice"), (#""tool_choice":{"type":"tool"}"#, "tool_choice.name"),
        (#""tool_choice":{"type":"tool","name":"g"}"#, "tool_choice.name"),
        (#""tool_choice":{"type":"required"}"#, "tool_choice.type"),
    ])
    func `a bad value is refused by its place`(fields: String, place: String) {
        #expect(messageError(fields)?.field == place, "\(fields)")
    }

    @Test func `system is a text or blocks, and a billing line in front is left out`() throws {
        #expect(messages(try decodeMessage(#""system":"Be brief.""#).decoded.request).first?.text == "Be brief.")
        let blocks = try decodeMessage(
            #""system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=1;"},{"type":"text","text":"#
                + #""A","cache_control":{"type":"ephemeral","ttl":"1h"}},{"type":"text","text":"B","citations":null}]"#)
        #expect(messages(blocks.decoded.request).first == Message(role: .system, text: "A\nB"))
        #expect(blocks.decoded.warnings.count == 1)
        #expect(messages(try decodeMessage(#""system":"""#).decoded.request).count == 1)
        #expect(messages(try decodeMessage(#""system":[]"#).decoded.request).count == 1)
    }

    @Test func `thinking is on, off, adaptive or without its text`() throws {
        let on = try decodeMessage(#""thinking":{"type":"enabled","budget_tokens":1024,"display":"omitted"}"#)
        #expect(on.decoded.request.reasoning == .init(enabled: true, budget: 1024) && on.omitsThinking)
        #expect(on.decoded.warnings.isEmpty)
        #expect(try decodeMessage(#""thinking":{"type":"disabled"}"#).decoded.request.reasoning.enabled == false)
        let adaptive = try decodeMessage(#""thinking":{"type":"adaptive"},"output_config":{"effort":"high"}"#)
        #expect(adaptive.decoded.request.reasoning.enabled == true)
        #expect(
            adaptive.decoded.request.templateArguments
                == [TemplateArgument(name: "reasoning_effort", value: #""high""#)])
        let idle = try decodeMessage(#""output_config":{"effort":"high"}"#)
        #expect(idle.decoded.request.templateArguments.isEmpty && idle.decoded.warnings.count == 1)
    }

    @Test func `tools and the choice among them`() throws {
        let tools =
            #""tools":[{"name":"f","description":"Does f.","input_schema":{"type":"object","x": 1},"strict":true,"#
            + #""type":"custom","cache_control":{"type":"ephemeral"},"defer_loading":false,"#
            + #""allowed_callers":["direct"],"eager_input_streaming":true},"#
            + #"{"name":"g","input_schema":{"type":"object"}}]"#
        let request = try decodeMessage(tools).decoded.request
        #expect(
            request.tools == [
                Tool(name: "f", summary: "Does f.", parameters: #"{"type":"object","x":1}"#, strict: true),
                Tool(name: "g", summary: "", parameters: #"{"type":"object"}"#),
            ])
        #expect(request.toolChoice == .auto && request.parallelToolCalls)
        let choices: [(String, ToolChoice, Bool)] = [
            (#"{"type":"auto"}"#, .auto, true), (#"{"type":"any","disable_parallel_tool_use":true}"#, .required, false),
            (#"{"type":"none"}"#, .none, true), (#"{"type":"tool","name":"g"}"#, .named("g"), true),
            (#"{"type":"auto","disable_parallel_tool_use":false}"#, .auto, true),
        ]
        for (json, choice, isParallel) in choices {
            let request = try decodeMessage(tools + #","tool_choice":\#(json)"#).decoded.request
            #expect(request.toolChoice == choice && request.parallelToolCalls == isParallel, "\(json)")
        }
    }

    @Test func `a schema for the answer is enforced from either place`() throws {
        for field in ["output_config\":{\"format", "output_format"] {
            let close = field == "output_format" ? "" : "}"
            let request = try decodeMessage(
                #""\#(field)":{"type":"json_schema","schema":{"type":"object"}}\#(close)"#
            ).decoded.request
            #expect(request.responseFormat == .jsonSchema(#"{"type":"object"}"#))
        }
        #expect(
            try decodeMessage(#""context_management":{"edits":[{"type":"clear_thinking","keep":"all"}]}"#).decoded
                .warnings.isEmpty)
    }

    @Test func `counting takes the same conversation and generates nothing`() throws {
        let decoded = try Anthropic.CountRequest.decode(
            bytes(
                #"{"model":"m","system":"S","messages":[{"role":"user","content":"x"}],"thinking":"#
                    + #"{"type":"enabled","budget_tokens":2048},"tools":[{"name":"f","input_schema":{}}]}"#),
            id: RequestID(1))
        #expect(decoded.request.maxOutputTokens == 0 && decoded.request.tools.count == 1)
        #expect(messages(decoded.request).map(\.role) == [.system, .user])
        var count = EndAggregate(body: Anthropic.countBody)
        guard case .pending = count.outcome() else {
            Issue.record("an end before the end")
            return
        }
        count.absorb(.started(promptTokens: 12, cachedTokens: 0))
        count.absorb(.finished(sampleEnd))
        guard case .complete(let body) = count.outcome() else {
            Issue.record("no end")
            return
        }
        #expect(text(body) == #"{"input_tokens":12}"#)
    }
}

@Suite struct `Anthropic conversations` {
    @Test func `an agent's loop becomes our messages in order`() throws {
        let request = try decodeConversation(
            #"""
            [{"role":"user","content":[{"type":"text","text":"Weather?"},{"type":"text","text":"In Paris."}]},
             {"role":"assistant","content":[{"type":"thinking","thinking":"Call it.","signature":"abc"},
              {"type":"redacted_thinking","data":"x"},{"type":"text","text":"I look."},
              {"type":"tool_use","id":"toolu_1","name":"get_weather","input":{"city": "Paris"},
               "caller":{"type":"direct"}},
              {"type":"tool_use","id":"toolu_2","name":"time","input":{}}]},
             {"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"Sunny"},
              {"type":"tool_result","tool_use_id":"toolu_2","is_error":true,"content":[{"type":"text","text":"No"},
              {"type":"document","source":{"type":"text","media_type":"text/plain","data":"clock"},"title":"T"}]},
              {"type":"text","text":"And now?"}]}]
            """#)
        #expect(
            messages(request.decoded.request) == [
                Message(role: .user, text: "Weather?\nIn Paris."),
                Message(
                    role: .assistant, text: "I look.", reasoning: "Call it.",
                    toolCalls: [
                        ToolCall(id: "toolu_1", name: "get_weather", arguments: #"{"city":"Paris"}"#),
                        ToolCall(id: "toolu_2", name: "time", arguments: "{}"),
                    ]),
                Message(role: .tool, text: "Sunny", toolCallID: "toolu_1", toolName: "get_weather"),
                Message(role: .tool, text: "No\nT\nclock", toolCallID: "toolu_2", toolName: "time"),
                Message(role: .user, text: "And now?"),
            ])
        #expect(
            request.decoded.warnings == [
                "Blocks of type 'redacted_thinking' have no effect: only Anthropic can read them.",
                "'is_error' has no effect: chat templates have no place for it.",
            ])
    }

    @Test(arguments: [
        ("[]", "messages"), (#"[7]"#, "messages[0]"), (#"[{"content":"x"}]"#, "messages[0].role"),
        (#"[{"role":"user"}]"#, "messages[0].content"), (#"[{"role":"tool","content":"x"}]"#, "messages[0].role"),
        (#"[{"role":"user","content":[]}]"#, "messages[0].content"),
        (#"[{"role":"user","content":[{"text":"x"}]}]"#, "messages[0].content[0].type"),
        (#"[{"role":"user","content":[{"type":"tool_result"}]}]"#, "messages[0].content[0].tool_use_id"),
        (
            #"[{"role":"user","content":[{"type":"tool_use","id":"a","name":"b","input":{}}]}]"#,
            "messages[0].content[0].type"
        ),
        (
            #"[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"x"}}]}]"#,
            "messages[0].content[0].source.type"
        ),
        (
            #"[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"image"}]}]}]"#,
            "messages[0].content[0].content[0].source"
        ),
        (
            #"[{"role":"user","content":[{"type":"document","source":{"type":"base64","data":"x"}}]}]"#,
            "messages[0].content[0].source.type"
        ),
        (
            #"[{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"b","input":"{}"}]}]"#,
            "messages[0].content[0].input"
        ),
        (#"[{"role":"assistant","content":[{"type":"server_tool_use"}]}]"#, "messages[0].content[0].type"),
        (#"[{"role":"user","content":"x"},{"role":"assistant","content":"So"}]"#, "messages[1].role"),
    ])
    func `what cannot be read is refused by its place`(json: String, place: String) {
        #expect(conversationError(json)?.field == place, "\(json)")
    }

    @Test func `an unknown member is named without its index`() throws {
        let request = try decodeConversation(
            #"[{"role":"user","content":[{"type":"text","text":"x","color":1},"#
                + #"{"type":"text","text":"y","color":2}],"id":3}]"#
        )
        #expect(
            request.decoded.warnings == [
                "'messages[].id' is not a known parameter and has no effect.",
                "'messages[].content[text].color' is not a known parameter and has no effect.",
            ])
    }
}
