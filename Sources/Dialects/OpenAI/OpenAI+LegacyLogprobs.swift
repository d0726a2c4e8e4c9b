import Vocabulary

extension OpenAI {
    /// The log-probabilities of completions: four arrays that run in parallel.
    struct LegacyLogprobs: Sendable {
        private var tokens: [UInt8] = []
        private var tokenLogprobs: [UInt8] = []
        private var topLogprobs: [UInt8] = []
        private var textOffsets: [UInt8] = []

        var isEmpty: Bool { tokens.isEmpty }

        /// Bytes kept so far.
        var size: Int { tokens.count + tokenLogprobs.count + topLogprobs.count + textOffsets.count }

        /// Adds the tokens of a piece that starts `offset` Unicode scalars into the answer.
        mutating func append(_ entries: [TokenLogprob], offset: Int) {
            var offset = offset
            for entry in entries {
                if !isEmpty {
                    for path in [\Self.tokens, \.tokenLogprobs, \.topLogprobs, \.textOffsets] {
                        self[keyPath: path].append(UInt8(ascii: ","))
                    }
                }
                JSONWriter.append(Logprobs.text(of: entry.chosen.bytes), to: &tokens)
                tokenLogprobs.append(contentsOf: Logprobs.number(entry.chosen.logprob).utf8)
                textOffsets.append(contentsOf: String(offset).utf8)
                appendTop(of: entry)
                offset += scalarCount(entry.chosen.bytes)
            }
        }

        /// The best tokens and the chosen one, as one object; of tokens with the same text the best stays.
        private mutating func appendTop(of entry: TokenLogprob) {
            var writer = JSONWriter()
            var names: [String] = []
            writer.beginObject()
            for candidate in entry.top + [entry.chosen] {
                let name = Logprobs.text(of: candidate.bytes)
                guard !names.contains(name) else { continue }
                names.append(name)
                writer.key(name)
                writer.raw(Logprobs.number(candidate.logprob))
            }
            writer.endObject()
            topLogprobs.append(contentsOf: writer.bytes)
        }

        /// `{"tokens":…,"token_logprobs":…,"top_logprobs":…,"text_offset":…}`, or `null` without tokens.
        func append(to bytes: inout [UInt8]) {
            guard !isEmpty else {
                bytes.append(contentsOf: "null".utf8)
                return
            }
            bytes.append(contentsOf: #"{"tokens":["#.utf8)
            bytes.append(contentsOf: tokens)
            bytes.append(contentsOf: #"],"token_logprobs":["#.utf8)
            bytes.append(contentsOf: tokenLogprobs)
            bytes.append(contentsOf: #"],"top_logprobs":["#.utf8)
            bytes.append(contentsOf: topLogprobs)
            bytes.append(contentsOf: #"],"text_offset":["#.utf8)
            bytes.append(contentsOf: textOffsets)
            bytes.append(contentsOf: "]}".utf8)
        }
    }

    /// Unicode scalars that start in these bytes.
    static func scalarCount(_ bytes: some Sequence<UInt8>) -> Int {
        bytes.reduce(0) { $1 & 0xC0 == 0x80 ? $0 : $0 + 1 }
    }

    /// What a completion shows of a piece. It has no place for reasoning, so that stands before the text; tool calls
    /// cannot occur, because a completion offers no tools.
    static func completionText(of delta: OutputDelta) -> String {
        delta.reasoning.isEmpty ? delta.text : delta.reasoning + delta.text
    }

    /// A completion's word for the end; it knows no tool calls.
    static func completionFinish(_ reason: FinishReason) -> String { reason == .length ? "length" : "stop" }
}
