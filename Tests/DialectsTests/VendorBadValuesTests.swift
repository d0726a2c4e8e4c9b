import Dialects
import Testing
import Vocabulary

/// Anthropic's and Ollama's numbers against the values that made other servers write out of bounds.
@Suite struct `Bad values of other dialects` {
    private enum Place { case message, generate, chat }

    private func failure(_ place: Place, _ fields: String) -> DialectError? {
        do {
            switch place {
            case .message: _ = try decodeMessage(fields)
            case .generate:
                let body = bytes(#"{"model":"m","prompt":"x",\#(fields)}"#)
                _ = try Ollama.AnswerRequest.decode(body, route: .generate, id: RequestID(1))
            case .chat:
                let body = bytes(#"{"model":"m","messages":[],\#(fields)}"#)
                _ = try Ollama.AnswerRequest.decode(body, route: .chat, id: RequestID(1))
            }
            return nil
        } catch {
            return error
        }
    }

    private static let options = [
        "num_predict", "top_k", "repeat_last_n", "num_ctx", "num_batch", "num_gpu", "num_thread", "num_keep",
        "mirostat", "dry_allowed_length",
    ]

    @Test func `integers beyond their range, fractions and other kinds are refused by name`() {
        var fields: [(Place, String)] = [(.message, "top_k"), (.chat, "top_logprobs")]
        for option in Self.options { fields += [(.generate, "options.\(option)"), (.chat, "options.\(option)")] }
        for (place, name) in fields {
            for value in ["-3", "2147483648", "4294967296", "9223372036854775808", "1e309", "-1e309"] {
                switch failure(place, body(name, value)) {
                case .belowMinimum(name, value, _, .integer), .aboveMaximum(name, value, _, .integer): break
                case let other: Issue.record("\(name)=\(value): \(String(describing: other))")
                }
            }
            for value in ["1.5", "1e-3", #""5""#, "true", "[]", "{}"] {
                guard case .wrongType(name, "an integer", _)? = failure(place, body(name, value)) else {
                    Issue.record("\(name)=\(value) is accepted")
                    continue
                }
            }
        }
    }

    /// A field's JSON; what stands behind a dot is a member of `options`.
    private func body(_ name: String, _ value: String) -> String {
        guard name.hasPrefix("options.") else { return #""\#(name)":\#(value)"# }
        return #""options":{"\#(name.dropFirst("options.".count))":\#(value)}"#
    }

    @Test(arguments: [
        "temperature", "top_p", "min_p", "typical_p", "repeat_penalty", "presence_penalty", "frequency_penalty",
        "mirostat_tau", "mirostat_eta", "tfs_z",
    ])
    func `decimals beyond their range and other kinds are refused by name`(option: String) {
        let name = "options.\(option)"
        for value in ["-3", "1e30", "1e309", "-1e309", "1e99999"] {
            switch failure(.chat, body(name, value)) {
            case .belowMinimum(name, value, _, .decimal), .aboveMaximum(name, value, _, .decimal): break
            case let other: Issue.record("\(name)=\(value): \(String(describing: other))")
            }
        }
        for value in [#""0.5""#, "false", "[0.5]", "{}"] {
            guard case .wrongType(name, "a number", _)? = failure(.chat, body(name, value)) else {
                Issue.record("\(name)=\(value) is accepted")
                continue
            }
        }
        guard case .malformedJSON? = failure(.chat, body(name, "NaN")) else {
            Issue.record("\(name)=NaN is accepted")
            return
        }
    }

    @Test func `flags are booleans only`() {
        for (place, name) in [
            (Place.message, "stream"), (.generate, "stream"), (.generate, "raw"), (.chat, "logprobs"),
            (.chat, "truncate"), (.chat, "shift"), (.chat, "options.use_mmap"), (.chat, "options.numa"),
        ] {
            for value in ["0", "1", #""true""#, "[]", "{}"] {
                guard case .wrongType(name, "a boolean", _)? = failure(place, body(name, value)) else {
                    Issue.record("\(name)=\(value) is accepted")
                    continue
                }
            }
        }
    }

    @Test func `lists longer than their limit are refused with the numbers`() {
        let blocks = Array(repeating: #"{"type":"text","text":"x"}"#, count: Limits.contentParts + 1)
        #expect(
            conversationError(#"[{"role":"user","content":[\#(blocks.joined(separator: ","))]}]"#)
                == .tooMany(
                    field: "messages[0].content", count: Limits.contentParts + 1, limit: Limits.contentParts))
        let stops = Array(repeating: #""x""#, count: Limits.stopTexts + 1).joined(separator: ",")
        #expect(
            messageError(#""stop_sequences":[\#(stops)]"#)
                == .tooMany(field: "stop_sequences", count: Limits.stopTexts + 1, limit: Limits.stopTexts))
        let turns = Array(repeating: #"{"role":"user","content":"x"}"#, count: Limits.messages + 1)
        #expect(
            conversationError("[\(turns.joined(separator: ","))]")
                == .tooMany(field: "messages", count: Limits.messages + 1, limit: Limits.messages))
        let long = String(repeating: "x", count: Limits.toolCallIDBytes + 1)
        #expect(
            conversationError(#"[{"role":"user","content":[{"type":"tool_result","tool_use_id":"\#(long)"}]}]"#)
                == .tooLong(
                    field: "messages[0].content[0].tool_use_id", bytes: Limits.toolCallIDBytes + 1,
                    limit: Limits.toolCallIDBytes))
        #expect(
            failure(.chat, #""keep_alive":"\#(String(repeating: "1", count: 65))""#)
                == .tooLong(field: "keep_alive", bytes: 65, limit: Limits.durationBytes))
    }
}
