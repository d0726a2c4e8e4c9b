import Dialects
import Testing
import Vocabulary

@Suite struct `Anthropic answers` {
    private static let start: GenerationEvent = .started(promptTokens: 12, cachedTokens: 4)

    private func stream(
        _ events: [GenerationEvent], stops: [String] = [], omitsThinking: Bool = false
    ) -> [UInt8] {
        var encoder = Anthropic.MessageEncoder(
            id: "msg_1", model: "m", stopSequences: stops, omitsThinking: omitsThinking, requestID: "r1")
        var bytes: [UInt8] = []
        for event in events { encoder.encode(event, into: &bytes) }
        return bytes
    }

    private func body(_ events: [GenerationEvent], stops: [String] = [], omitsThinking: Bool = false) -> String? {
        var aggregate = Anthropic.MessageAggregate(
            id: "msg_1", model: "m", stopSequences: stops, omitsThinking: omitsThinking)
        for event in events { aggregate.absorb(event) }
        guard case .complete(let bytes) = aggregate.outcome() else { return nil }
        return text(bytes)
    }

    private static let head =
        #"event: message_start"# + "\n"
        + #"data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","#
        + #""content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":8,"#
        + #""cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":0}}}"# + "\n\n"
        + "event: ping\ndata: {\"type\":\"ping\"}\n\n"

    private static let usage =
        #""usage":{"input_tokens":8,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"#
        + #""output_tokens":5,"output_tokens_details":{"thinking_tokens":2}}"#

    private static func event(_ name: String, _ rest: String) -> String {
        "event: \(name)\ndata: {\"type\":\"\(name)\"\(rest)}\n\n"
    }

    private static func tail(_ reason: String, _ sequence: String = "null") -> String {
        event("message_delta", #","delta":{"stop_reason":"\#(reason)","stop_sequence":\#(sequence)},\#(usage)"#)
            + event("message_stop", "")
    }

    @Test func `a text answer is these bytes`() {
        let events: [GenerationEvent] = [
            .queued(position: 2, predictedWaitSeconds: 1.5), Self.start, .output(OutputDelta(text: "Hé\n")),
            .output(OutputDelta(text: "👋")), .finished(sampleEnd), .output(OutputDelta(text: "late")),
        ]
        #expect(
            text(stream(events))
                == ": queued position=2 wait=1.5s\n\n" + Self.head
                + Self.event("content_block_start", #","index":0,"content_block":{"type":"text","text":""}"#)
                + Self.event("content_block_delta", #","index":0,"delta":{"type":"text_delta","text":"Hé\n"}"#)
                + Self.event("content_block_delta", #","index":0,"delta":{"type":"text_delta","text":"👋"}"#)
                + Self.event("content_block_stop", #","index":0"#) + Self.tail("end_turn"))
        #expect(
            body(events)
                == #"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"#
                + #""Hé\n👋"}],"stop_reason":"end_turn","stop_sequence":null,\#(Self.usage)}"#)
    }

    @Test func `thinking, text and two calls are blocks one after the other`() {
        var end = sampleEnd
        end.finishReasons = [.toolCalls]
        let events: [GenerationEvent] = [
            Self.start, .output(OutputDelta(reasoning: "Hm")), .output(OutputDelta(text: "I look.", reasoning: "m.")),
            .output(OutputDelta(toolCalls: [ToolCallDelta(index: 0, id: "c1", name: "f", arguments: #"{"a""#)])),
            .output(
                OutputDelta(toolCalls: [
                    ToolCallDelta(index: 0, arguments: ": 1}"), ToolCallDelta(index: 1, id: "c2", name: "g"),
                ])), .finished(end),
        ]
        let input = #""delta":{"type":"input_json_delta","partial_json":"#
        #expect(
            text(stream(events))
                == Self.head
                + Self.event(
                    "content_block_start",
                    #","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}"#)
                + Self.event("content_block_delta", #","index":0,"delta":{"type":"thinking_delta","thinking":"Hm"}"#)
                + Self.event("content_block_delta", #","index":0,"delta":{"type":"thinking_delta","thinking":"m."}"#)
                + Self.event(
                    "content_block_delta", #","index":0,"delta":{"type":"signature_delta","signature":"skein"}"#)
                + Self.event("content_block_stop", #","index":0"#)
                + Self.event("content_block_start", #","index":1,"content_block":{"type":"text","text":""}"#)
                + Self.event("content_block_delta", #","index":1,"delta":{"type":"text_delta","text":"I look."}"#)
                + Self.event("content_block_stop", #","index":1"#)
                + Self.event(
                    "content_block_start",
                    #","index":2,"content_block":{"type":"tool_use","id":"c1","name":"f","input":{}}"#)
                + Self.event("content_block_delta", #","index":2,\#(input)"{\"a\""}"#)
                + Self.event("content_block_delta", #","index":2,\#(input)": 1}"}"#)
                + Self.event("content_block_stop", #","index":2"#)
                + Self.event(
                    "content_block_start",
                    #","index":3,"content_block":{"type":"tool_use","id":"c2","name":"g","input":{}}"#)
                + Self.event("content_block_stop", #","index":3"#) + Self.tail("tool_use"))
        #expect(
            body(events)
                == #"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"thinking","#
                + #""signature":"skein","thinking":"Hmm."},{"type":"text","text":"I look."},{"type":"tool_use","#
                + #""id":"c1","name":"f","input":{"a":1}},{"type":"tool_use","id":"c2","name":"g","input":{}}],"#
                + #""stop_reason":"tool_use","stop_sequence":null,\#(Self.usage)}"#)
    }

    @Test func `thinking whose text is not wanted is an empty block`() {
        let events: [GenerationEvent] = [
            Self.start, .output(OutputDelta(reasoning: "secret")), .output(OutputDelta(text: "x")),
            .finished(sampleEnd),
        ]
        let bytes = text(stream(events, omitsThinking: true))
        #expect(!bytes.contains("secret") && bytes.contains("signature_delta"))
        #expect(body(events, omitsThinking: true)?.contains(#""signature":"skein","thinking":"""#) == true)
        #expect(body(events, omitsThinking: true)?.contains("secret") == false)
    }

    @Test(arguments: [
        (FinishReason.stop, nil, "end_turn", "null"), (.length, nil, "max_tokens", "null"),
        (.stop, "END", "stop_sequence", #""END""#), (.stop, "<|im_end|>", "end_turn", "null"),
        (.toolCalls, nil, "end_turn", "null"),
    ])
    func `why it ended, as Anthropic says it`(reason: FinishReason, stop: String?, name: String, sequence: String) {
        var end = sampleEnd
        end.finishReasons = [reason]
        end.stopTexts = [stop]
        let events: [GenerationEvent] = [Self.start, .output(OutputDelta(text: "x")), .finished(end)]
        #expect(text(stream(events, stops: ["END"])).hasSuffix(Self.tail(name, sequence)))
        #expect(
            body(events, stops: ["END"])?
                .contains(#""stop_reason":"\#(name)","stop_sequence":\#(sequence)"#) == true)
    }

    @Test func `an empty answer has no blocks`() {
        let events: [GenerationEvent] = [Self.start, .finished(sampleEnd)]
        #expect(text(stream(events)) == Self.head + Self.tail("end_turn"))
        #expect(body(events)?.contains(#""content":[]"#) == true)
    }

    @Test func `a failure is the last event, before and after the start`() {
        let failure: GenerationEvent = .failed(.stageLost(stage: 1, reason: "killed"))
        let event =
            "event: error\ndata: "
            + #"{"type":"error","error":{"type":"overloaded_error","message":"Stage 1 of the model was lost while "#
            + #"answering (killed); send the request again."},"request_id":"r1"}"# + "\n\n"
        #expect(text(stream([failure])) == event)
        #expect(text(stream([Self.start, failure, .finished(sampleEnd)])) == Self.head + event)
    }

    @Test func `arguments that are no object become text in a whole message`() {
        var end = sampleEnd
        end.finishReasons = [.toolCalls]
        for arguments in ["[1]", #"{"a":"#, "nonsense"] {
            let delta = ToolCallDelta(index: 0, id: "c", name: "f", arguments: arguments)
            let body = body([Self.start, .output(OutputDelta(toolCalls: [delta])), .finished(end)])
            #expect(body?.contains(#""type":"tool_use""#) == false)
            #expect(body?.contains(#""text":"f("#) == true)
            #expect(body?.contains(#""stop_reason":"end_turn""#) == true)
        }
    }

    @Test func `a stream put together is the whole message, whatever the pieces`() throws {
        for run in 0..<200 as Range<UInt64> {
            let seed = seedFromEnvironment() &+ run
            var random = SeededRandom(seed: seed)
            // Random arguments are hardly ever JSON; whole messages show those as text.
            let events = randomEvents(&random, choices: 1).map { event in
                guard case .output(var delta) = event else { return event }
                for index in delta.toolCalls.indices { delta.toolCalls[index].arguments = "" }
                return .output(delta)
            }
            let rebuilt = try RebuiltMessage(stream(events))
            let whole = try JSONReader.read(bytes(try #require(body(events))))
            #expect(rebuilt.content.map { text($0) } == whole["content"]?.array?.map { $0.text }, "SEED=\(seed)")
            #expect(rebuilt.stopReason == whole["stop_reason"]?.string, "SEED=\(seed)")
            #expect(rebuilt.usage == whole["usage"]?.text, "SEED=\(seed)")
        }
    }

    @Test(arguments: [
        (GenerationError.modelNotFound(name: "x", available: ["m"]), 404, "not_found_error"),
        (.contextLengthExceeded(promptTokens: 9, outputTokens: 1, window: 8), 400, "invalid_request_error"),
        (.overloaded(queued: 5, limit: 5, retryAfterSeconds: 0), 429, "rate_limit_error"),
        (.modelNotReady(name: "m", reason: "loading", retryAfterSeconds: 7), 503, "overloaded_error"),
        (.deadlineExceeded(seconds: 3), 504, "timeout_error"), (.engineFailed(reason: "x"), 500, "api_error"),
    ])
    func `errors have Anthropic's status and type`(error: GenerationError, status: Int, type: String) throws {
        let report = ErrorReport(error)
        #expect(report.status == status)
        let body = try JSONReader.read(Anthropic.errorBody(report, requestID: "r"))
        #expect(body["type"]?.string == "error" && body["request_id"]?.string == "r")
        #expect(body["error"]?["type"]?.string == type)
        #expect(body["error"]?["message"]?.string?.isEmpty == false)
    }

    @Test func `every class of errors has one of Anthropic's words`() {
        let words = [
            "invalid_request_error", "authentication_error", "permission_error", "not_found_error",
            "request_too_large", "rate_limit_error", "api_error", "overloaded_error", "timeout_error",
        ]
        for kind in ErrorReport.Kind.allCases { #expect(words.contains(Anthropic.errorType(kind))) }
    }

    @Test func `an answer too large for one piece fails instead of growing`() {
        var aggregate = Anthropic.MessageAggregate(id: "msg_1", model: "m")
        let piece = String(repeating: "x", count: 8 << 20)
        for _ in 0...(Limits.answerBytes / (8 << 20)) { aggregate.absorb(.output(OutputDelta(text: piece))) }
        guard case .failed = aggregate.outcome() else {
            Issue.record("the answer is not refused")
            return
        }
    }
}

/// A message put together from its events the way SDKs do, with their order checked.
struct RebuiltMessage {
    private(set) var content: [[UInt8]] = []
    private(set) var stopReason: String?
    private(set) var usage: String?

    struct Fault: Error { let event: String }

    init(_ stream: [UInt8]) throws {
        var parts: [(start: JSONNode, text: [UInt8], signature: String)] = []
        var open: Int?
        var isEnded = false
        for event in text(stream).split(separator: "\n\n") where !event.hasPrefix(":") {
            let lines = event.split(separator: "\n")
            guard lines.count == 2, lines[0].hasPrefix("event: "), lines[1].hasPrefix("data: "), !isEnded else {
                throw Fault(event: String(event))
            }
            let node = try JSONReader.read(Array(lines[1].dropFirst(6).utf8))
            guard let type = node["type"]?.string, lines[0] == "event: \(type)" else {
                throw Fault(event: String(event))
            }
            let index: Int? =
                if case .exact(let value)? = node["index"]?.number?.integer { Int(value) } else { nil }
            switch type {
            case "message_start", "ping": guard parts.isEmpty else { throw Fault(event: String(event)) }
            case "content_block_start":
                guard open == nil, index == parts.count, let block = node["content_block"] else {
                    throw Fault(event: String(event))
                }
                parts.append((block, [], ""))
                open = index
            case "content_block_delta":
                guard let index, parts.indices.contains(index), let delta = node["delta"] else {
                    throw Fault(event: String(event))
                }
                let piece = delta["text"]?.string ?? delta["thinking"]?.string ?? delta["partial_json"]?.string
                parts[index].text += bytes(piece ?? "")
                parts[index].signature += delta["signature"]?.string ?? ""
            case "content_block_stop":
                guard index == open else { throw Fault(event: String(event)) }
                open = nil
            case "message_delta":
                stopReason = node["delta"]?["stop_reason"]?.string
                usage = node["usage"]?.text
            case "message_stop": isEnded = true
            default: throw Fault(event: String(event))
            }
        }
        guard open == nil, isEnded else { throw Fault(event: "the end") }
        content = parts.map(Self.block)
    }

    /// The block as a whole message has it.
    private static func block(_ part: (start: JSONNode, text: [UInt8], signature: String)) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        for member in part.start.members ?? [] {
            switch member.key {
            case "thinking", "text":
                if member.key == "thinking" {
                    writer.key("signature")
                    writer.string(part.signature)
                }
                writer.key(member.key)
                writer.string(text(part.text))
            case "signature": break
            default:
                writer.key(member.key)
                writer.node(member.value)
            }
        }
        writer.endObject()
        return writer.bytes
    }
}
