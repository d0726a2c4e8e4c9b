import Dialects
import Testing
import Vocabulary

@Suite struct `Responses stream` {
    /// The members of a response object that the request decides, for a request with defaults.
    private static let constant =
        #""model":"m","instructions":null,"previous_response_id":null,"user":null,"safety_identifier":null,"#
        + #""prompt_cache_key":null,"service_tier":"default","truncation":"disabled","tools":[],"tool_choice":"auto","#
        + #""temperature":1.0,"top_p":1.0,"presence_penalty":0.0,"frequency_penalty":0.0,"max_output_tokens":null,"#
        + #""max_tool_calls":null,"top_logprobs":0,"parallel_tool_calls":true,"background":false,"#
        + #""text":{"format":{"type":"text"},"verbosity":"medium"},"reasoning":{"effort":null,"summary":null},"#
        + #""metadata":{}"#

    private static let usage =
        #"{"input_tokens":12,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":0},"output_tokens":5,"#
        + #""output_tokens_details":{"reasoning_tokens":2},"total_tokens":17}"#

    private static func response(
        _ status: String, completed: String = "null", details: String = "null", error: String = "null",
        output: String = "[]", usage: String = "null"
    ) -> String {
        #"{"id":"resp_1","object":"response","created_at":1700000000,"completed_at":\#(completed),"#
            + #""status":"\#(status)","incomplete_details":\#(details),"error":\#(error),"output":\#(output),"#
            + #""usage":\#(usage),"store":true,\#(constant)}"#
    }

    private static func lines(_ events: [(name: String, rest: String)]) -> String {
        events.enumerated().map { number, event in
            "event: \(event.name)\ndata: {\"type\":\"\(event.name)\",\"sequence_number\":\(number),\(event.rest)}\n\n"
        }.joined()
    }

    @Test func `a short answer is these bytes`() throws {
        let (answer, events) = try answered([
            .queued(position: 1, predictedWaitSeconds: nil), .started(promptTokens: 12, cachedTokens: 4),
            .output(OutputDelta(text: "Hel\"lo")), .output(OutputDelta(text: "\n👋")), .finished(sampleEnd),
        ])
        var out: [UInt8] = []
        for event in events { Responses.append(event, to: &out) }
        Responses.appendDone(to: &out)
        let place = #""item_id":"msg_1_o0","output_index":0,"content_index":0"#
        let part = #"{"type":"output_text","text":"Hel\"lo\n👋","annotations":[],"logprobs":[]}"#
        let item = #"{"id":"msg_1_o0","type":"message","status":"completed","role":"assistant","content":[\#(part)]}"#
        let done = Self.response("completed", completed: "1700000009", output: "[\(item)]", usage: Self.usage)
        let new = #"{"id":"msg_1_o0","type":"message","status":"in_progress","role":"assistant","content":[]}"#
        #expect(
            text(out)
                == Self.lines([
                    ("response.created", #""response":\#(Self.response("in_progress"))"#),
                    ("response.in_progress", #""response":\#(Self.response("in_progress"))"#),
                    ("response.output_item.added", #""output_index":0,"item":\#(new)"#),
                    (
                        "response.content_part.added",
                        #"\#(place),"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]}"#
                    ),
                    ("response.output_text.delta", #"\#(place),"delta":"Hel\"lo","logprobs":[]"#),
                    ("response.output_text.delta", #"\#(place),"delta":"\n👋","logprobs":[]"#),
                    ("response.output_text.done", #"\#(place),"text":"Hel\"lo\n👋","logprobs":[]"#),
                    ("response.content_part.done", #"\#(place),"part":\#(part)"#),
                    ("response.output_item.done", #""output_index":0,"item":\#(item)"#),
                    ("response.completed", #""response":\#(done)"#),
                ]) + "data: [DONE]\n\n")
        #expect(text(answer.body()) == done)
    }

    @Test func `reasoning and calls are these events`() throws {
        let (_, events) = try answered([
            .output(OutputDelta(reasoning: "h")), .output(OutputDelta(text: "t", reasoning: "m")),
            .output(OutputDelta(toolCalls: [ToolCallDelta(index: 0, id: "c0", name: "f", arguments: "{")])),
            .output(
                OutputDelta(toolCalls: [ToolCallDelta(index: 0, arguments: "}"), ToolCallDelta(index: 1, name: "g")])),
            .finished(sampleEnd),
        ])
        #expect(
            events.map(\.name) == [
                "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
                "response.reasoning_text.delta", "response.reasoning_text.delta", "response.reasoning_text.done",
                "response.content_part.done", "response.output_item.done", "response.output_item.added",
                "response.content_part.added", "response.output_text.delta", "response.output_text.done",
                "response.content_part.done", "response.output_item.done", "response.output_item.added",
                "response.function_call_arguments.delta", "response.function_call_arguments.delta",
                "response.function_call_arguments.done", "response.output_item.done", "response.output_item.added",
                "response.function_call_arguments.done", "response.output_item.done", "response.completed",
            ])
        func rest(_ index: Int) -> String {
            let mark = #""sequence_number":\#(index),"#
            return String(events[index].text.split(separator: mark, maxSplits: 1).last?.dropLast() ?? "")
        }
        let thought = #"{"type":"reasoning_text","text":"hm"}"#
        #expect(
            rest(2)
                == #""output_index":0,"item":{"id":"rs_1_o0","type":"reasoning","status":"in_progress","summary":[],"#
                + #""content":[]}"#)
        #expect(
            rest(3) == #""item_id":"rs_1_o0","output_index":0,"content_index":0,"part":"#
                + #"{"type":"reasoning_text","text":""}"#)
        #expect(rest(5) == #""item_id":"rs_1_o0","output_index":0,"content_index":0,"delta":"m""#)
        #expect(rest(6) == #""item_id":"rs_1_o0","output_index":0,"content_index":0,"text":"hm""#)
        #expect(
            rest(8) == #""output_index":0,"item":{"id":"rs_1_o0","type":"reasoning","status":"completed","summary":[],"#
                + #""content":[\#(thought)]}"#)
        #expect(
            rest(15) == #""output_index":2,"item":{"id":"fc_1_o2","type":"function_call","status":"in_progress","#
                + #""call_id":"c0","name":"f","arguments":""}"#)
        #expect(rest(16) == #""item_id":"fc_1_o2","output_index":2,"delta":"{""#)
        #expect(rest(18) == #""item_id":"fc_1_o2","output_index":2,"name":"f","arguments":"{}""#)
        #expect(
            rest(22) == #""output_index":3,"item":{"id":"fc_1_o3","type":"function_call","status":"completed","#
                + #""call_id":"call_1_1","name":"g","arguments":""}"#)
    }

    @Test func `log-probabilities stand with their text, and whole at the end`() throws {
        let logprob = TokenLogprob(
            chosen: .init(token: 5, bytes: bytes("t"), logprob: -0.5),
            top: [.init(token: 6, bytes: bytes("é"), logprob: -.infinity)])
        let (answer, events) = try answered(
            [
                .output(OutputDelta(reasoning: "r", logprobs: [logprob])),
                .output(OutputDelta(text: "t", logprobs: [logprob])), .output(OutputDelta(logprobs: [logprob])),
                .finished(sampleEnd),
            ], #""top_logprobs":1"#)
        let entry =
            #"{"token":"t","logprob":-0.5,"bytes":[116],"top_logprobs":[{"token":"é","logprob":-9999.0,"#
            + #""bytes":[195,169]}]}"#
        let deltas = try events.filter { $0.name == "response.output_text.delta" }.map { try $0.node() }
        #expect(deltas.map { $0["logprobs"]?.text } == ["[\(entry)]", "[\(entry)]"])
        #expect(deltas.map { $0["delta"]?.string } == ["t", ""])
        let body = try JSONReader.read(answer.body())
        #expect(body["output"]?[1]?["content"]?[0]?["logprobs"]?.text == "[\(entry),\(entry)]")
        #expect(body["top_logprobs"]?.text == "1")
    }

    @Test func `an answer cut off by the limit is incomplete, and so is its last item`() throws {
        var end = sampleEnd
        end.finishReasons = [.length]
        let (answer, events) = try answered([.output(OutputDelta(text: "x")), .finished(end)])
        #expect(events.last?.name == "response.incomplete" && answer.status == .incomplete)
        let body = try JSONReader.read(answer.body())
        #expect(body["incomplete_details"]?.text == #"{"reason":"max_output_tokens"}"#)
        #expect(body["completed_at"]?.isNull == true && body["output"]?[0]?["status"]?.string == "incomplete")
        // Cut off before anything was said, there is nothing to show.
        let (silent, _) = try answered([.finished(end)])
        #expect(try JSONReader.read(silent.body())["output"]?.text == "[]")
    }

    @Test func `a failure is an error in both shapes and one terminal event`() throws {
        let failure = GenerationEvent.failed(.stageLost(stage: 1, reason: "killed"))
        let (answer, events) = try answered([
            .output(OutputDelta(text: "x")), failure, .output(OutputDelta(text: "y")), .finished(sampleEnd),
        ])
        #expect(events.suffix(2).map(\.name) == ["error", "response.failed"])
        let error = try #require(try events.dropLast().last?.node())
        for shape in [error, error["error"]] {
            #expect(shape?["code"]?.string == "stage_lost" && shape?["param"]?.isNull == true)
            #expect(shape?["message"]?.string?.contains("killed") == true)
        }
        #expect(error["error"]?["type"]?.string == "service_unavailable_error")
        let body = try JSONReader.read(answer.body())
        #expect(body["status"]?.string == "failed" && body["error"]?["code"]?.string == "server_error")
        #expect(body["output"]?[0]?["status"]?.string == "incomplete")
        #expect(body["output"]?[0]?["content"]?[0]?["text"]?.string == "x")
        #expect(answer.failure == .stageLost(stage: 1, reason: "killed"))
    }

    @Test func `a failure before the start still announces the response`() throws {
        let (_, events) = try answered([.failed(.overloaded(queued: 1, limit: 1, retryAfterSeconds: 1))])
        #expect(events.map(\.name) == ["response.created", "error", "response.failed"])
    }

    @Test func `one in the background waits first, and may be cancelled`() throws {
        var request = try decodeResponses(#""background":true"#)
        try request.settle(responseID: "resp_1", history: [], referenced: [])
        var answer = Responses.Answer(id: "resp_1", created: 1, request: request, emits: true)
        var events: [Responses.StreamEvent] = []
        answer.announce(into: &events)
        answer.absorb(.started(promptTokens: 1, cachedTokens: 0), at: 2, into: &events)
        answer.absorb(.output(OutputDelta(text: "x")), at: 2, into: &events)
        answer.cancel(at: 3)
        answer.absorb(.failed(.cancelled), at: 4, into: &events)
        answer.conclude(into: &events)
        answer.conclude(into: &events)
        #expect(
            events.map(\.name) == [
                "response.created", "response.queued", "response.in_progress", "response.output_item.added",
                "response.content_part.added", "response.output_text.delta", "response.incomplete",
            ])
        #expect(try events[0].node()["response"]?["status"]?.string == "queued")
        #expect(try events[2].node()["response"]?["status"]?.string == "in_progress")
        #expect(try events.last?.node()["response"]?["status"]?.string == "cancelled")
        #expect(answer.failure == nil)
    }

    @Test func `an empty answer is an empty message`() throws {
        let (answer, events) = try answered([.finished(sampleEnd)])
        #expect(events.last?.name == "response.completed")
        #expect(try JSONReader.read(answer.body())["output"]?[0]?["content"]?[0]?["text"]?.string == "")
    }

    @Test func `a call that grows after its end fails the answer instead of losing text`() throws {
        let (answer, _) = try answered([
            .output(OutputDelta(toolCalls: [ToolCallDelta(index: 0, id: "a", name: "f", arguments: "{")])),
            .output(OutputDelta(toolCalls: [ToolCallDelta(index: 1, id: "b", name: "g")])),
            .output(OutputDelta(toolCalls: [ToolCallDelta(index: 0, arguments: "}")])), .finished(sampleEnd),
        ])
        #expect(answer.status == .failed)
    }

    @Test func `too many calls fail the answer`() throws {
        let calls = (0...1024).map { ToolCallDelta(index: $0, id: "c", name: "f") }
        #expect(try answered([.output(OutputDelta(toolCalls: calls))], emits: false).answer.status == .failed)
    }

    @Test func `the response repeats what was asked for`() throws {
        let (answer, _) = try answered(
            [.finished(sampleEnd)],
            #"""
            "instructions":"i","metadata":{"a":"b"},"temperature":0.7,"top_p":0.1,"max_output_tokens":9,"store":false,
            "previous_response_id":"resp_0","user":"u","safety_identifier":"s","prompt_cache_key":"k",
            "reasoning":{"effort":"low","summary":"auto"},"truncation":"auto","parallel_tool_calls":false,
            "tools":[{"type":"function","name":"f"}],"tool_choice":"required","max_tool_calls":3,
            "text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"}},"verbosity":"low"}
            """#)
        let body = try JSONReader.read(answer.body())
        let expected = [
            "instructions": #""i""#, "metadata": #"{"a":"b"}"#, "temperature": "0.7", "top_p": "0.1",
            "max_output_tokens": "9", "store": "false", "previous_response_id": #""resp_0""#, "user": #""u""#,
            "safety_identifier": #""s""#, "prompt_cache_key": #""k""#, "max_tool_calls": "3",
            "reasoning": #"{"effort":"low","summary":"auto"}"#, "truncation": #""auto""#,
            "parallel_tool_calls": "false", "tool_choice": #""required""#,
            "tools": #"[{"type":"function","name":"f","description":null,"parameters":null,"strict":true}]"#,
            "text": #"{"format":{"type":"json_schema","name":"n","description":null,"schema":{"type":"object"},"#
                + #""strict":true},"verbosity":"low"}"#,
        ]
        for (key, value) in expected.sorted(by: { $0.key < $1.key }) { #expect(body[key]?.text == value, "\(key)") }
    }

    @Test(arguments: 0..<60)
    func `rebuilt from its events, the stream is the body`(run: Int) throws {
        let seed = seedFromEnvironment() &+ UInt64(run)
        print("SEED=\(seed)")
        var random = SeededRandom(seed: seed)
        let script = lawfulAnswer(&random)
        let (answer, events) = try answered(script)
        let (quiet, none) = try answered(script, emits: false)
        #expect(none.isEmpty && quiet.body() == answer.body(), "SEED=\(seed)")
        let rebuilt = try RebuiltResponse(events)
        let body = try JSONReader.read(answer.body())
        #expect(rebuilt.items == (body["output"]?.array ?? []).map(\.text), "SEED=\(seed)")
        #expect(rebuilt.last == body.text, "SEED=\(seed)")
    }
}

/// A random answer as a model writes it: calls one after the other.
private func lawfulAnswer(_ random: inout SeededRandom) -> [GenerationEvent] {
    var events: [GenerationEvent] = [.started(promptTokens: 10, cachedTokens: 0)]
    var calls = 0
    for _ in 0..<random.below(30) {
        var delta = OutputDelta()
        switch random.below(4) {
        case 0: delta.reasoning = randomText(&random, limit: 6)
        case 1, 2: delta.text = randomText(&random, limit: 6)
        default:
            let arguments = randomText(&random, limit: 6)
            let goesOn =
                calls > 0
                && events.last.map { if case .output(let last) = $0 { !last.toolCalls.isEmpty } else { false } } == true
            if goesOn, random.below(2) == 0 {
                delta.toolCalls = [ToolCallDelta(index: calls - 1, arguments: arguments)]
            } else {
                delta.toolCalls = [ToolCallDelta(index: calls, id: "call_\(calls)", name: "f", arguments: arguments)]
                calls += 1
            }
        }
        events.append(.output(delta))
    }
    var end = sampleEnd
    end.finishReasons = [random.below(3) == 0 ? .length : .stop]
    events.append(.finished(end))
    return events
}

/// What a careful client makes of a stream: every event in its place, every item from its deltas.
private struct RebuiltResponse {
    struct Fault: Error { let what: String }

    /// The items as their last event showed them.
    var items: [String] = []
    /// The response object of the terminal event.
    var last = ""
    private var texts: [String] = []
    private var open: Int?

    init(_ events: [Responses.StreamEvent]) throws {
        for (number, event) in events.enumerated() {
            let node = try event.node()
            guard node["type"]?.string == event.name, node["sequence_number"]?.text == "\(number)" else {
                throw Fault(what: "\(event.text) is number \(number)")
            }
            try take(event.name, node)
        }
        guard open == nil, !last.isEmpty else { throw Fault(what: "the stream ends in the middle") }
    }

    private mutating func take(_ name: String, _ node: JSONNode) throws {
        switch name {
        case "response.created", "response.in_progress": break
        case "response.completed", "response.incomplete", "response.failed": last = node["response"]?.text ?? ""
        case "response.output_item.added":
            guard open == nil, node["output_index"]?.text == "\(items.count)" else { throw Fault(what: node.text) }
            open = items.count
            items.append(node["item"]?["id"]?.string ?? "")
            texts.append("")
        case "response.output_item.done":
            let index = try place(node, id: node["item"]?["id"]?.string)
            let item = node["item"]
            let whole = item?["arguments"]?.string ?? item?["content"]?[0]?["text"]?.string
            guard whole?.utf8.elementsEqual(texts[index].utf8) == true else { throw Fault(what: node.text) }
            items[index] = item?.text ?? ""
            open = nil
        case let delta where delta.hasSuffix(".delta"):
            texts[try place(node, id: node["item_id"]?.string)] += node["delta"]?.string ?? "?"
        case "response.content_part.added", "response.content_part.done":
            _ = try place(node, id: node["item_id"]?.string)
        case let done where done.hasSuffix(".done"):
            let index = try place(node, id: node["item_id"]?.string)
            let whole = node["text"]?.string ?? node["arguments"]?.string
            guard whole?.utf8.elementsEqual(texts[index].utf8) == true else { throw Fault(what: node.text) }
        default: throw Fault(what: name)
        }
    }

    private func place(_ node: JSONNode, id: String?) throws -> Int {
        guard let open, node["output_index"]?.text == "\(open)", id == items[open] else { throw Fault(what: node.text) }
        return open
    }
}
