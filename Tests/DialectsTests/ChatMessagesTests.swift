import Dialects
import Testing
import Vocabulary

@Suite struct `Chat messages` {
    private func decode(_ json: String) throws -> [Message] {
        messages(try decodeChat(bytes(#"{"model":"m","messages":\#(json)}"#)).request)
    }

    @Test func `a conversation with tools keeps every part`() throws {
        let decoded = try decode(
            #"""
            [{"role":"system","content":"S"},
             {"role":"developer","content":[{"type":"text","text":"D1"},{"type":"text","text":"D2"}]},
             {"role":"user","content":[{"type":"text","text":"what?"}],"name":"ann"},
             {"role":"assistant","content":null,"reasoning_content":"hmm","tool_calls":[
               {"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"x\": 1}"}},
               {"id":"call_2","type":"function","function":{"name":"g","arguments":{"y" : [1]}}}]},
             {"role":"tool","tool_call_id":"call_2","content":"two"},
             {"role":"tool","tool_call_id":"call_1","content":[{"type":"text","text":"one"}],"name":"given"},
             {"role":"assistant","content":[{"type":"text","text":"A"},{"type":"refusal","refusal":"B"}]},
             {"role":"assistant","refusal":"I will not"}]
            """#)
        #expect(
            decoded == [
                Message(role: .system, text: "S"), Message(role: .developer, text: "D1\nD2"),
                Message(role: .user, text: "what?"),
                Message(
                    role: .assistant, text: "", reasoning: "hmm",
                    toolCalls: [
                        ToolCall(id: "call_1", name: "f", arguments: #"{"x": 1}"#),
                        ToolCall(id: "call_2", name: "g", arguments: #"{"y":[1]}"#),
                    ]),
                Message(role: .tool, text: "two", toolCallID: "call_2", toolName: "g"),
                Message(role: .tool, text: "one", toolCallID: "call_1", toolName: "given"),
                Message(role: .assistant, text: "A\nB"), Message(role: .assistant, text: "I will not"),
            ])
    }

    @Test func `the legacy function role becomes a tool's answer`() throws {
        let decoded = try decode(
            #"""
            [{"role":"user","content":"q"},
             {"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},
             {"role":"function","name":"f","content":"r"}]
            """#)
        let id = decoded[1].toolCalls.first?.id
        #expect(decoded[1].toolCalls == [ToolCall(id: "call_legacy_1", name: "f", arguments: "{}")])
        #expect(decoded[2] == Message(role: .tool, text: "r", toolCallID: id, toolName: "f"))
    }

    @Test func `what an SDK sends back of an answer is accepted`() throws {
        let body = bytes(
            #"""
            {"model":"m","messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a","refusal":null,
            "annotations":[],"audio":null,"function_call":null,"tool_calls":null,"reasoning_content":null},
            {"role":"user","content":"r"}]}
            """#)
        let decoded = try decodeChat(body)
        #expect(messages(decoded.request)[1] == Message(role: .assistant, text: "a"))
        #expect(decoded.warnings.isEmpty)
    }

    @Test func `names and unknown members are warned about once`() throws {
        let user = #"{"role":"user","content":"q","name":"ann","mood":"good"}"#
        let decoded = try decodeChat(bytes(#"{"model":"m","messages":[\#(user),\#(user)]}"#))
        #expect(
            decoded.warnings == [
                "'messages[].name' has no effect: chat templates have no place for it.",
                "'messages[].mood' is not a known parameter and has no effect.",
            ])
    }

    @Test(arguments: [
        ("[]", DialectError.tooFew(field: "messages", count: 0, minimum: 1)),
        (#""x""#, .wrongType(field: "messages", expected: "an array", actual: "a string")),
        ("[1]", .wrongType(field: "messages[0]", expected: "an object", actual: "a number")),
        ("[{}]", .missingField("messages[0].role")),
        (#"[{"role":"user"}]"#, .missingField("messages[0].content")),
        (#"[{"role":"user","content":null}]"#, .missingField("messages[0].content")),
        (#"[{"role":"assistant","content":null}]"#, .missingField("messages[0].content")),
        (#"[{"role":"assistant","tool_calls":[]}]"#, .missingField("messages[0].content")),
        (#"[{"role":"tool","content":"x"}]"#, .missingField("messages[0].tool_call_id")),
        (#"[{"role":"function","content":"x"}]"#, .missingField("messages[0].name")),
        (#"[{"role":"user","content":[]}]"#, .tooFew(field: "messages[0].content", count: 0, minimum: 1)),
        (
            #"[{"role":"user","content":7}]"#,
            .wrongType(field: "messages[0].content", expected: "a string or an array of parts", actual: "a number")
        ),
        (
            #"[{"role":"king","content":"x"}]"#,
            .invalidValue(
                field: "messages[0].role", value: "'king'",
                expected: "one of: 'system', 'developer', 'user', 'assistant', 'tool', 'function'")
        ),
        (#"[{"role":"user","content":[{"type":"text"}]}]"#, .missingField("messages[0].content[0].text")),
        (
            #"[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"x"}}]}]"#,
            .unsupportedValue(
                field: "messages[0].content[1].image_url.url", value: "a URL ('x')",
                remedy: "URL fetching is off: send the image itself as a data URL, data:image/png;base64,…")
        ),
        (
            #"[{"role":"user","content":[{"type":"input_audio"}]}]"#,
            .unsupportedValue(
                field: "messages[0].content[0].type", value: "'input_audio'",
                remedy: "this server reads parts of text and images only")
        ),
        (
            #"[{"role":"user","content":[{"type":"file"}]}]"#,
            .unsupportedValue(
                field: "messages[0].content[0].type", value: "'file'",
                remedy: "this server reads parts of text and images only")
        ),
        (
            #"[{"role":"user","content":[{"type":"refusal","refusal":"x"}]}]"#,
            .invalidValue(
                field: "messages[0].content[0].type", value: "'refusal'",
                expected: "one of: 'text', 'image_url'")
        ),
        (
            #"[{"role":"assistant","audio":{"id":"a"}}]"#,
            .unsupportedField(field: "messages[0].audio", remedy: "send the text of the answer as content")
        ),
        (
            #"[{"role":"assistant","tool_calls":[{"type":"function","function":{"name":"f","arguments":"{}"}}]}]"#,
            .missingField("messages[0].tool_calls[0].id")
        ),
        (
            #"[{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":7}}]}]"#,
            .wrongType(
                field: "messages[0].tool_calls[0].function.arguments", expected: "a string with JSON",
                actual: "a number")
        ),
        (
            #"[{"role":"assistant","tool_calls":[{"id":"c","type":"custom","custom":{}}]}]"#,
            .unsupportedValue(
                field: "messages[0].tool_calls[0].type", value: "'custom'",
                remedy: "only tools of type 'function' are known")
        ),
    ])
    func `bad messages are refused by place`(json: String, expected: DialectError) {
        #expect(messagesError(json) == expected)
    }

    @Test func `numbers of messages, parts and calls are bounded`() {
        let user = #"{"role":"user","content":"x"}"#
        let many = "[" + Array(repeating: user, count: 4097).joined(separator: ",") + "]"
        #expect(messagesError(many) == .tooMany(field: "messages", count: 4097, limit: 4096))
        let parts = Array(repeating: #"{"type":"text","text":"x"}"#, count: 1025).joined(separator: ",")
        #expect(
            messagesError(#"[{"role":"user","content":[\#(parts)]}]"#)
                == .tooMany(field: "messages[0].content", count: 1025, limit: 1024))
        let call = #"{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}"#
        let calls = Array(repeating: call, count: 513).joined(separator: ",")
        #expect(
            messagesError(#"[{"role":"assistant","tool_calls":[\#(calls)]}]"#)
                == .tooMany(field: "messages[0].tool_calls", count: 513, limit: 512))
    }
}
