import Vocabulary

extension Anthropic {
    /// Into which content blocks an answer falls; stream and body are cut by the same rule.
    struct AnswerBlocks: Sendable {
        /// What a block holds.
        enum Kind: Hashable, Sendable {
            case thinking
            case text
            /// The call with this index among the answer's calls.
            case tool(Int)
        }

        private(set) var kinds: [Kind] = []

        /// The block a piece belongs to. Text and thinking go on in the last block or begin a new one; a call stays in
        /// its block wherever that is.
        mutating func place(_ kind: Kind) -> (index: Int, isNew: Bool) {
            if kinds.last == kind { return (kinds.count - 1, false) }
            if case .tool = kind, let index = kinds.lastIndex(of: kind) { return (index, false) }
            kinds.append(kind)
            return (kinds.count - 1, true)
        }

        var last: (index: Int, kind: Kind)? { kinds.last.map { (kinds.count - 1, $0) } }

        var hasCalls: Bool {
            kinds.contains { if case .tool = $0 { true } else { false } }
        }
    }

    /// What every event and body of one answer repeats.
    struct Envelope: Sendable {
        let id: String
        let model: String
        /// The client's own stop texts; those the template adds are nobody's business.
        let stopSequences: [String]

        /// What clients send back with a thinking block. Nothing is signed here, but some clients drop blocks whose
        /// signature is empty.
        static let signature = "skein"

        /// The identity of a call the serving side gave none: stable within the answer.
        func toolID(_ index: Int) -> String { "toolu_\(id)_\(index)" }

        /// The members of a message in front of its content.
        func open(_ writer: inout JSONWriter) {
            writer.key("id")
            writer.string(id)
            writer.key("type")
            writer.string("message")
            writer.key("role")
            writer.string("assistant")
            writer.key("model")
            writer.string(model)
        }

        /// `stop_reason` and `stop_sequence`.
        func writeStop(_ completion: Completion, hasCalls: Bool, to writer: inout JSONWriter) {
            let met = (completion.stopTexts.first ?? nil).flatMap { stopSequences.contains($0) ? $0 : nil }
            let reason =
                switch completion.finishReason(of: 0) {
                case .length: "max_tokens"
                case .toolCalls where hasCalls: "tool_use"
                case .stop, .toolCalls: met == nil ? "end_turn" : "stop_sequence"
                }
            writer.key("stop_reason")
            writer.string(reason)
            writer.key("stop_sequence")
            writer.string(orNull: reason == "stop_sequence" ? met : nil)
        }
    }

    /// `usage`. Anthropic counts cached tokens beside the others, not among them; nil as output is the message's start.
    static func writeUsage(prompt: Int, cached: Int, output: Usage?, to writer: inout JSONWriter) {
        writer.key("usage")
        writer.beginObject()
        for (name, count) in [
            ("input_tokens", prompt - cached), ("cache_creation_input_tokens", 0), ("cache_read_input_tokens", cached),
            ("output_tokens", output?.outputTokens ?? 0),
        ] {
            writer.key(name)
            writer.integer(count)
        }
        if let output {
            writer.key("output_tokens_details")
            writer.beginObject()
            writer.key("thinking_tokens")
            writer.integer(output.reasoningTokens)
            writer.endObject()
        }
        writer.endObject()
    }
}
