/// Turns a stream of bytes into text without ever cutting a Unicode scalar.
///
/// Bytes that may still become a scalar are kept back; bytes that cannot become U+FFFD exactly as if the whole stream
/// had been decoded at once. At most three bytes are kept.
/// **Source:** The Unicode Standard 16.0, §3.9, table 3-7 and "U+FFFD Substitution of Maximal Subparts".
package struct ScalarDecoder: Sendable {
    private var pending: [UInt8] = []

    /// Starts an empty stream.
    package init() {}

    /// Whether bytes of an unfinished scalar are kept back.
    package var keepsBytes: Bool { !pending.isEmpty }

    /// The text that is certain after these bytes.
    package mutating func push(_ bytes: [UInt8]) -> String {
        if pending.isEmpty {
            let tail = Self.unfinishedTail(of: bytes)
            if tail == 0 { return String(decoding: bytes, as: UTF8.self) }
        }
        pending.append(contentsOf: bytes)
        let tail = Self.unfinishedTail(of: pending)
        let text = String(decoding: pending.dropLast(tail), as: UTF8.self)
        pending.removeFirst(pending.count - tail)
        return text
    }

    /// The text of what is kept back, at the end of the stream.
    package mutating func finish() -> String {
        defer { pending = [] }
        return String(decoding: pending, as: UTF8.self)
    }

    /// Bytes that are missing for the scalar the text ends in the middle of, 0 … 3.
    static func missingBytes(atEndOf bytes: [UInt8]) -> Int {
        let tail = unfinishedTail(of: bytes)
        guard tail > 0 else { return 0 }
        switch bytes[bytes.count - tail] {
        case 0xC2...0xDF: return 2 - tail
        case 0xE0...0xEF: return 3 - tail
        default: return 4 - tail
        }
    }

    /// Bytes at the end that are the beginning of a well-formed scalar, 0 … 3.
    private static func unfinishedTail(of bytes: [UInt8]) -> Int {
        for length in 1...3 where length <= bytes.count {
            let start = bytes.count - length
            let lead = bytes[start]
            if lead & 0xC0 == 0x80 { continue }
            let needed =
                switch lead {
                case 0xC2...0xDF: 2
                case 0xE0...0xEF: 3
                case 0xF0...0xF4: 4
                default: 1
                }
            guard needed > length else { return 0 }
            if length >= 2, !secondBytes(after: lead).contains(bytes[start + 1]) { return 0 }
            return length
        }
        return 0
    }

    private static func secondBytes(after lead: UInt8) -> ClosedRange<UInt8> {
        switch lead {
        case 0xE0: 0xA0...0xBF
        case 0xED: 0x80...0x9F
        case 0xF0: 0x90...0xBF
        case 0xF4: 0x80...0x8F
        default: 0x80...0xBF
        }
    }
}
