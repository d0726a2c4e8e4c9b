/// Finds stop texts in an answer as it grows, however it is cut into pieces.
///
/// Byte by byte: the first stop text to be complete wins, and of several complete at the same byte the longest, so the
/// result depends on the text alone. What may still become a stop text is kept back.
/// **Source:** Knuth, Morris, Pratt, "Fast pattern matching in strings", SIAM J. Comput. 6(2), 1977.
package struct StopMatcher: Sendable {
    private struct Pattern {
        let text: String
        let bytes: [UInt8]
        /// For each matched length, the next shorter length that still matches.
        let fallback: [Int]
    }

    private let patterns: [Pattern]
    /// Bytes matched so far, per pattern.
    private var matched: [Int]
    /// The end of the text, which may still become a stop text.
    private var kept: [UInt8] = []

    /// Watches for these texts; empty ones are ignored.
    package init(_ texts: [String]) {
        patterns = texts.filter { !$0.isEmpty }.map { text in
            let bytes = Array(text.utf8)
            return Pattern(text: text, bytes: bytes, fallback: Self.fallback(of: bytes))
        }
        matched = Array(repeating: 0, count: patterns.count)
    }

    /// The text that is certain not to belong to a stop text, and the stop text that was met, if any; after a match
    /// the rest of `text` is dropped and the matcher MUST not be used again.
    package mutating func push(_ text: String) -> (released: String, met: String?) {
        if patterns.isEmpty { return (text, nil) }
        for byte in text.utf8 {
            kept.append(byte)
            guard let met = advance(byte) else { continue }
            return (String(decoding: kept.dropLast(met.bytes.count), as: UTF8.self), met.text)
        }
        let withheld = matched.max() ?? 0
        let released = String(decoding: kept.dropLast(withheld), as: UTF8.self)
        kept.removeFirst(kept.count - withheld)
        return (released, nil)
    }

    /// The text kept back, at the end of the answer.
    package mutating func finish() -> String {
        defer { kept = [] }
        return String(decoding: kept, as: UTF8.self)
    }

    private mutating func advance(_ byte: UInt8) -> Pattern? {
        var longest: Pattern?
        for index in patterns.indices {
            let bytes = patterns[index].bytes
            var length = matched[index]
            while length > 0, bytes[length] != byte { length = patterns[index].fallback[length] }
            if bytes[length] == byte { length += 1 }
            matched[index] = length
            if length == bytes.count, bytes.count > (longest?.bytes.count ?? 0) { longest = patterns[index] }
        }
        return longest
    }

    /// `fallback[n]` is the length of the longest proper border of the first `n` bytes.
    private static func fallback(of bytes: [UInt8]) -> [Int] {
        var table = Array(repeating: 0, count: bytes.count + 1)
        var length = 0
        for index in bytes.indices.dropFirst() {
            while length > 0, bytes[length] != bytes[index] { length = table[length] }
            if bytes[length] == bytes[index] { length += 1 }
            table[index + 1] = length
        }
        return table
    }
}
