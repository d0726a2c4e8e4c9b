import Dialects
import Testing
import Vocabulary

@Suite struct `Responses input` {
    @Test func `messages keep their roles and parts`() throws {
        let found = try conversation(
            #"""
            [{"role":"system","content":"s"},{"type":"message","role":"developer","content":"d"},
            {"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_text","text":"b"}]},
            {"type":"message","id":"msg_x","status":"completed","role":"assistant","content":[
            {"type":"output_text","text":"c","annotations":[],"logprobs":[]},{"type":"refusal","refusal":"no"}]},
            {"role":"user","content":"e"}]
            """#, #","instructions":"i""#)
        #expect(
            found == [
                Message(role: .system, text: "i"), Message(role: .system, text: "s"),
                Message(role: .developer, text: "d"), Message(role: .user, text: "a\nb"),
                Message(role: .assistant, text: "c\nno"), Message(role: .user, text: "e"),
            ])
    }

    @Test func `reasoning, text and calls of one turn become one message`() throws {
        let found = try conversation(
            #"""
            [{"role":"user","content":"q"},
            {"type":"reasoning","id":"rs_1","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]},
            {"type":"message","role":"assistant","content":"let me see"},
            {"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},
            {"type":"function_call","call_id":"c2","name":"g","arguments":"{\"a\":1}"},
            {"type":"function_call_output","call_id":"c2","output":"two"},
            {"type":"function_call_output","call_id":"c1","output":[{"type":"input_text","text":"one"}]},
            {"type":"reasoning","id":"rs_2","summary":[{"type":"summary_text","text":"short"}]},
            {"type":"function_call","call_id":"c3","name":"h","arguments":""},
            {"type":"function_call_output","call_id":"c3","output":"three"}]
            """#)
        #expect(
            found == [
                Message(role: .user, text: "q"),
                Message(
                    role: .assistant, text: "let me see", reasoning: "hm",
                    toolCalls: [
                        ToolCall(id: "c1", name: "f", arguments: "{}"),
                        ToolCall(id: "c2", name: "g", arguments: #"{"a":1}"#),
                    ]),
                Message(role: .tool, text: "two", toolCallID: "c2", toolName: "g"),
                Message(role: .tool, text: "one", toolCallID: "c1", toolName: "f"),
                Message(
                    role: .assistant, text: "", reasoning: "short",
                    toolCalls: [ToolCall(id: "c3", name: "h", arguments: "")]),
                Message(role: .tool, text: "three", toolCallID: "c3", toolName: "h"),
            ])
    }

    @Test func `reasoning that led to nothing stays a turn of its own`() throws {
        let found = try conversation(
            #"[{"type":"reasoning","id":"r","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]},"#
                + #"{"role":"user","content":"go on"}]"#)
        #expect(found == [Message(role: .assistant, text: "", reasoning: "hm"), Message(role: .user, text: "go on")])
    }

    @Test(arguments: [
        ("[]", DialectError.tooFew(field: "input", count: 0, minimum: 1)),
        ("[7]", .wrongType(field: "input[0]", expected: "an object", actual: "a number")),
        ("[{}]", .missingField("input[0].type")),
        (#"[{"type":"message","content":"x"}]"#, .missingField("input[0].role")),
        (#"[{"role":"user"}]"#, .missingField("input[0].content")),
        (
            #"[{"role":"tool","content":"x"}]"#,
            .invalidValue(
                field: "input[0].role", value: "'tool'", expected: "one of: 'user', 'assistant', 'system', 'developer'")
        ),
        (
            #"[{"role":"user","content":[{"type":"input_image","image_url":"data:,"}]}]"#,
            .invalidValue(
                field: "input[0].content[0].image_url", value: "'data:,'",
                expected: "data:image/png;base64, and the file in base64")
        ),
        (
            #"[{"role":"user","content":[{"type":"output_text","text":"x"}]}]"#,
            .invalidValue(
                field: "input[0].content[0].type", value: "'output_text'",
                expected: "one of: 'input_text', 'input_image'")
        ),
        (
            #"[{"type":"function_call_output","call_id":"c9","output":"x"}]"#,
            .invalidValue(
                field: "input[0].call_id", value: "'c9'", expected: "the call_id of a function_call before it")
        ),
        (#"[{"type":"function_call","name":"f","arguments":"{}"}]"#, .missingField("input[0].call_id")),
        (
            #"[{"type":"function_call","call_id":"c","name":"f","arguments":{}}]"#,
            .wrongType(field: "input[0].arguments", expected: "a string", actual: "an object")
        ),
        (
            #"[{"type":"web_search_call","id":"w"}]"#,
            .unsupportedValue(
                field: "input[0].type", value: "'web_search_call'",
                remedy:
                    "only message, function_call, function_call_output, reasoning, compaction, item_reference items "
                    + "are read")
        ),
        (
            #"[{"type":"compaction","encrypted_content":"gAAAAA"}]"#,
            .invalidValue(
                field: "input[0].encrypted_content", value: "of another server",
                expected: "what /v1/responses/compact returned here")
        ),
        (
            #"[{"role":"user","content":"x","status":"done"}]"#,
            .invalidValue(
                field: "input[0].status", value: "'done'", expected: "one of: 'in_progress', 'completed', 'incomplete'")
        ),
    ])
    func `items that cannot be read are named`(input: String, expected: DialectError) {
        #expect(inputError(input) == expected)
    }

    @Test func `sealed reasoning of ours is opened, that of others is passed over`() throws {
        let (answer, _) = try answered(
            [.output(OutputDelta(reasoning: "hm é😀")), .output(OutputDelta(text: "x")), .finished(sampleEnd)],
            #""include":["reasoning.encrypted_content"]"#)
        let output = try #require(try JSONReader.read(answer.body())["output"])
        let sealed = try #require(output[0]?["encrypted_content"]?.string)
        let found = try conversation(
            #"[{"type":"reasoning","id":"r","summary":[],"encrypted_content":"\#(sealed)"},"#
                + #"{"role":"assistant","content":"x"}]"#)
        #expect(found == [Message(role: .assistant, text: "x", reasoning: "hm é😀")])
        let foreign = try decodeResponses(
            bytes(#"{"model":"m","input":[{"type":"reasoning","id":"r","summary":[],"encrypted_content":"gAAA"}]}"#))
        #expect(foreign.warnings.contains { $0.contains("of another server") })
    }

    @Test func `items without an identity get one, and keep their own`() throws {
        let request = try settled(
            #"{"model":"m","input":[{"role":"user","content":"a"},{"id":"mine","role":"user","content":"b"},"#
                + #"{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}]}"#, id: "resp_7f")
        #expect(
            text(request.inputItems)
                == #"[{"id":"msg_7f_i0","type":"message","status":"completed","role":"user","content":"#
                + #"[{"type":"input_text","text":"a"}]},{"id":"mine","type":"message","status":"completed","role":"#
                + #""user","content":[{"type":"input_text","text":"b"}]},{"id":"fc_7f_i2","type":"function_call","#
                + #""status":"completed","call_id":"c","name":"f","arguments":"{}"}]"#)
    }

    @Test func `the oldest turns go first, instructions and the last turn never`() throws {
        let long = String(repeating: "x", count: 1000)
        var request = try settled(
            #"""
            {"model":"m","instructions":"i","input":[{"role":"user","content":"1 \#(long)"},
            {"role":"assistant","content":"a"},{"role":"developer","content":"d"},
            {"role":"user","content":"2 \#(long)"},{"role":"assistant","content":"b"},{"role":"user","content":"3"}]}
            """#)
        let first = request.shorten(excess: 10, of: 2000, id: RequestID(2))
        #expect(first)
        #expect(messages(request.generation).map { $0.text.prefix(1) } == ["i", "d", "2", "b", "3"])
        let second = request.shorten(excess: 900, of: 1000, id: RequestID(2))
        #expect(second)
        #expect(messages(request.generation).map { $0.text.prefix(1) } == ["i", "d", "3"])
        let third = request.shorten(excess: 1, of: 2, id: RequestID(2))
        #expect(!third)
    }
}

@Suite struct `Responses history` {
    private func record(_ body: String, id: String, previous: String? = nil, answer: [GenerationEvent]) throws
        -> Responses.Record
    {
        var request = try decodeResponses(bytes(body))
        try request.settle(responseID: id, history: [], referenced: [])
        var made = Responses.Answer(id: id, created: 1, request: request, emits: false)
        var none: [Responses.StreamEvent] = []
        for event in answer { made.absorb(event, at: 2, into: &none) }
        return Responses.Record(
            id: id, previousID: previous, created: 1, input: request.inputItems, body: made.body())
    }

    @Test func `input and output of earlier responses come first, their instructions do not`() throws {
        let first = try record(
            #"{"model":"m","input":"q1","instructions":"old"}"#, id: "resp_a",
            answer: [
                .output(
                    OutputDelta(
                        reasoning: "hm", toolCalls: [ToolCallDelta(index: 0, id: "c", name: "f", arguments: "{}")])),
                .finished(sampleEnd),
            ])
        let request = try settled(
            #"{"model":"m","instructions":"new","previous_response_id":"resp_a","input":["#
                + #"{"type":"function_call_output","call_id":"c","output":"r"}]}"#, id: "resp_b", history: [first])
        #expect(
            messages(request.generation) == [
                Message(role: .system, text: "new"), Message(role: .user, text: "q1"),
                Message(
                    role: .assistant, text: "", reasoning: "hm",
                    toolCalls: [ToolCall(id: "c", name: "f", arguments: "{}")]),
                Message(role: .tool, text: "r", toolCallID: "c", toolName: "f"),
            ])
        // Only what this request added is its own input.
        #expect(!text(request.inputItems).contains("q1"))
    }

    @Test func `a reference stands for the kept item`() throws {
        let first = try record(
            #"{"model":"m","input":"q1"}"#, id: "resp_a",
            answer: [.output(OutputDelta(text: "a1")), .finished(sampleEnd)])
        let body =
            #"{"model":"m","input":[{"type":"item_reference","id":"msg_a_i0"},{"id":"msg_a_o0"},"#
            + #"{"role":"user","content":"q2"}]}"#
        #expect(try decodeResponses(bytes(body)).referencedResponses() == ["resp_a"])
        let request = try settled(body, id: "resp_b", referenced: [first])
        #expect(messages(request.generation).map(\.text) == ["q1", "a1", "q2"])
        let missing = #"{"model":"m","input":[{"id":"msg_a_o9"}]}"#
        #expect(throws: Responses.StateError.itemNotFound(field: "input[0].id", id: "msg_a_o9")) {
            try settled(missing, referenced: [first])
        }
        #expect(throws: Responses.StateError.itemNotFound(field: "input[0].id", id: "foreign")) {
            try decodeResponses(bytes(#"{"model":"m","input":[{"id":"foreign"}]}"#)).referencedResponses()
        }
    }

    @Test func `a record that nobody works on is closed as failed`() throws {
        var request = try decodeResponses(#""background":true"#)
        try request.settle(responseID: "resp_a", history: [], referenced: [])
        let answer = Responses.Answer(id: "resp_a", created: 1, request: request, emits: true)
        let open = Responses.Record(
            id: "resp_a", previousID: nil, created: 1, input: request.inputItems, body: answer.body())
        #expect(open.status == .queued)
        let closed = open.closedAsInterrupted()
        #expect(closed.status == .failed && closed.input == open.input)
        let body = try JSONReader.read(closed.body)
        #expect(body["error"]?["code"]?.string == "server_error")
        #expect(body.members?.map(\.key) == (try JSONReader.read(open.body).members?.map(\.key)))
        #expect(closed.closedAsInterrupted() == closed)
        let damaged = Responses.Record(id: "r", previousID: nil, created: 1, input: [], body: bytes("{"))
        #expect(damaged.status == nil && damaged.closedAsInterrupted() == damaged)
        #expect(throws: Responses.StateError.damagedRecord(id: "r")) {
            try settled(#"{"model":"m","input":"x"}"#, history: [damaged])
        }
    }

    @Test func `pages are cut by limit, order and after`() throws {
        let items = (0..<5).map { #"{"role":"user","content":"\#($0)"}"# }.joined(separator: ",")
        let kept = try record(
            #"{"model":"m","input":[\#(items)]}"#, id: "resp_a", answer: [.finished(sampleEnd)])
        func page(_ query: [(name: String, value: String)]) throws -> (ids: [String], more: Bool?, first: String?) {
            let body = try JSONReader.read(try Responses.Page.decode(query).body(of: kept))
            #expect(body["object"]?.string == "list")
            let ids = (body["data"]?.array ?? []).compactMap { $0["id"]?.string }
            #expect(body["last_id"]?.string == ids.last ?? "")
            return (ids, body["has_more"]?.bool, body["first_id"]?.string)
        }
        #expect(try page([]).ids == ["msg_a_i4", "msg_a_i3", "msg_a_i2", "msg_a_i1", "msg_a_i0"])
        let two = try page([("limit", "2"), ("order", "asc")])
        #expect(two.ids == ["msg_a_i0", "msg_a_i1"] && two.more == true && two.first == "msg_a_i0")
        let rest = try page([("limit", "3"), ("order", "asc"), ("after", "msg_a_i1")])
        #expect(rest.ids == ["msg_a_i2", "msg_a_i3", "msg_a_i4"] && rest.more == false)
        #expect(try page([("after", "msg_a_i0")]).ids.isEmpty)
        #expect(throws: Responses.StateError.itemNotFound(field: "after", id: "x")) { try page([("after", "x")]) }
        for (name, value) in [("limit", "0"), ("limit", "101"), ("limit", "x"), ("order", "up"), ("page", "2")] {
            #expect(throws: DialectError.self) { try Responses.Page.decode([(name, value)]) }
        }
    }

    @Test func `retrieval takes stream and starting_after only together`() throws {
        let streamed = try Responses.Retrieval.decode([("stream", "true"), ("starting_after", "7")])
        #expect(streamed.stream && streamed.startingAfter == 7)
        #expect(try Responses.Retrieval.decode([("include[]", "reasoning.encrypted_content")]).stream == false)
        for query in [[("starting_after", "7")], [("stream", "1")], [("stream", "true"), ("starting_after", "-1")]] {
            #expect(throws: DialectError.self) { try Responses.Retrieval.decode(query) }
        }
    }

    @Test func `a compaction is the user's messages and a summary that a later request understands`() throws {
        let first = try record(
            #"{"model":"m","input":"q1"}"#, id: "resp_a",
            answer: [.output(OutputDelta(text: "a1")), .finished(sampleEnd)])
        var compaction = try Responses.Compaction.decode(
            bytes(#"{"model":"m","input":"q2","instructions":"be brief","previous_response_id":"resp_a"}"#),
            id: RequestID(3))
        try compaction.settle(responseID: "resp_c", history: [first])
        let asked = messages(compaction.generation)
        #expect(asked.map(\.role) == [.system, .user, .assistant, .user, .user])
        #expect(
            asked.last?.text.hasPrefix("Write a summary") == true && compaction.generation.reasoning.enabled == false)
        let body = try JSONReader.read(
            compaction.body(id: "resp_c", created: 5, summary: "They said é.", usage: sampleEnd.usage))
        #expect(body["object"]?.string == "response.compaction" && body["created_at"]?.text == "5")
        let output = try #require(body["output"])
        #expect(output.array?.compactMap { $0["type"]?.string } == ["message", "message", "compaction"])
        let next = try conversation(output.text)
        #expect(next.map(\.text) == ["q1", "q2", "Summary of the conversation so far:\nThey said é."])
        // Calls may lie in what was compacted.
        let tail =
            #"[{"type":"compaction","encrypted_content":"\#(output[2]?["encrypted_content"]?.string ?? "")"},"#
            + #"{"type":"function_call_output","call_id":"c","output":"r"}]"#
        #expect(inputError(tail) == nil)
    }
}
