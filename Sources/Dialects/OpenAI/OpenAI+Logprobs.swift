import Vocabulary

extension OpenAI {
    /// Log-probabilities in the two shapes OpenAI has for them.
    enum Logprobs {
        /// What OpenAI sends for a token outside the reported ones; JSON has no infinity.
        private static let unlikely = -9999.0

        /// Appends the entries of chat's `logprobs.content`, separated by commas.
        static func appendEntries(_ entries: [TokenLogprob], to bytes: inout [UInt8]) {
            for (position, entry) in entries.enumerated() {
                if position > 0 { bytes.append(UInt8(ascii: ",")) }
                var writer = JSONWriter(reserving: 256)
                writer.beginObject()
                write(entry.chosen, to: &writer)
                writer.key("top_logprobs")
                writer.beginArray()
                for candidate in entry.top {
                    writer.beginObject()
                    write(candidate, to: &writer)
                    writer.endObject()
                }
                writer.endArray()
                writer.endObject()
                bytes.append(contentsOf: writer.bytes)
            }
        }

        private static func write(_ candidate: TokenLogprob.Candidate, to writer: inout JSONWriter) {
            writer.key("token")
            writer.string(text(of: candidate.bytes))
            writer.key("logprob")
            writer.raw(number(candidate.logprob))
            writer.key("bytes")
            writer.beginArray()
            for byte in candidate.bytes { writer.integer(byte) }
            writer.endArray()
        }

        /// The token as text; bytes that are not whole UTF-8 are shown as `bytes:\xe2\x80`, as OpenAI does, so that
        /// different tokens stay different.
        static func text(of bytes: [UInt8]) -> String {
            let text = String(decoding: bytes, as: UTF8.self)
            guard !text.utf8.elementsEqual(bytes) else { return text }
            return bytes.reduce(into: "bytes:") { text, byte in
                text += byte < 16 ? "\\x0" : "\\x"
                text += String(byte, radix: 16)
            }
        }

        static func number(_ logprob: Float) -> String {
            logprob.isFinite ? logprob.description : unlikely.description
        }
    }
}
