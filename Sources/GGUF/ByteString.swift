/// A string of a model file: bytes that are usually, but not necessarily, UTF-8.
package struct ByteString: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
    /// The bytes as they stand in the file.
    package var bytes: [UInt8]

    /// Wraps bytes.
    package init(bytes: [UInt8]) { self.bytes = bytes }

    /// The UTF-8 bytes of a text.
    package init(_ text: String) { bytes = Array(text.utf8) }

    /// The UTF-8 bytes of a literal.
    package init(stringLiteral value: String) { self.init(value) }

    /// The text, with U+FFFD in place of what is not UTF-8.
    package var text: String { String(decoding: bytes, as: UTF8.self) }

    /// The text, with U+FFFD in place of what is not UTF-8.
    package var description: String { text }
}

/// An array of strings held as one run of bytes, so that a vocabulary of 152,000 entries costs two allocations.
///
/// **Shape:** string `i` is `bytes[ends[i - 1] ..< ends[i]]`, with 0 before the first.
package struct StringTable: Hashable, Sendable {
    /// All strings, one after the other.
    private(set) var bytes: [UInt8]
    /// Where each string ends in `bytes`.
    private(set) var ends: [UInt32]

    /// An empty table.
    package init() {
        bytes = []
        ends = []
    }

    /// A table of the given texts.
    package init(_ texts: some Sequence<String>) {
        self.init()
        for text in texts { append(text.utf8) }
    }

    /// Number of strings.
    package var count: Int { ends.count }

    /// Sum of the strings' lengths. **Units:** bytes.
    package var byteCount: Int { bytes.count }

    /// Appends one string; the table MUST stay below 4 GiB.
    package mutating func append(_ string: some Sequence<UInt8>) {
        bytes.append(contentsOf: string)
        closeString()
    }

    /// The bytes of string `index`; the caller MUST pass `0 <= index < count`.
    package subscript(index: Int) -> ArraySlice<UInt8> {
        precondition(index >= 0 && index < ends.count, "string \(index) of a table of \(ends.count)")
        return bytes[(index == 0 ? 0 : Int(ends[index - 1]))..<Int(ends[index])]
    }

    /// String `index` as text, with U+FFFD in place of what is not UTF-8; the caller MUST pass `0 <= index < count`.
    package func text(_ index: Int) -> String { String(decoding: self[index], as: UTF8.self) }

    /// All strings as text; meant for short tables.
    package var texts: [String] { (0..<count).map(text) }

    /// Room for `count` strings, taken at once.
    mutating func reserve(count: Int) { ends.reserveCapacity(count) }

    /// Hands the blob to the reader, which appends one string's bytes and then calls `closeString`.
    mutating func withBlob<Failure: Error>(
        _ body: (inout [UInt8]) throws(Failure) -> Void
    ) throws(Failure) { try body(&bytes) }

    /// Ends the string whose bytes were appended last.
    mutating func closeString() {
        precondition(bytes.count <= Int(UInt32.max), "a string table of \(bytes.count) bytes is beyond 4 GiB")
        ends.append(UInt32(truncatingIfNeeded: bytes.count))
    }
}
