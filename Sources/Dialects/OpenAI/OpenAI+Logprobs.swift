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
                append(entry.chosen, to: &bytes)
                bytes.append(contentsOf: #","top_logprobs":["#.utf8)
                for (rank, candidate) in entry.top.enumerated() {
                    if rank > 0 { bytes.append(UInt8(ascii: ",")) }
                    append(candidate, to: &bytes)
                    bytes.append(UInt8(ascii: "}"))
                }
                bytes.append(contentsOf: "]}".utf8)
            }
        }

        /// Appends a candidate without its closing bracket.
        private static func append(_ candidate: TokenLogprob.Candidate, to bytes: inout [UInt8]) {
            bytes.append(contentsOf: #"{"token":"#.utf8)
            JSONWriter.append(text(of: candidate.bytes), to: &bytes)
            bytes.append(contentsOf: #","logprob":"#.utf8)
            bytes.append(contentsOf: number(candidate.logprob).utf8)
            bytes.append(contentsOf: #","bytes":["#.utf8)
            for (position, byte) in candidate.bytes.enumerated() {
                if position > 0 { bytes.append(UInt8(ascii: ",")) }
                JSONWriter.append(byte, to: &bytes)
            }
            bytes.append(UInt8(ascii: "]"))
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
