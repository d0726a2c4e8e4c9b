/// Writes records: fields in their order, numbers as LEB128, records and texts behind their length.
///
/// A record grows only at its end. A reader of an older minor version skips what it does not know behind the fields
/// it knows, and a reader of a newer one takes defaults for what is missing.
struct RecordWriter {
    /// What was written.
    private(set) var bytes: [UInt8] = []

    /// Starts empty.
    init() {}

    /// Writes an unsigned number in 1 to 10 bytes.
    mutating func put(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    /// Writes a number that may be negative.
    mutating func put(signed value: Int64) { put(UInt64(bitPattern: (value << 1) ^ (value >> 63))) }

    /// Writes a count or index, never negative.
    mutating func put(count value: Int) { put(UInt64(max(0, value))) }

    /// Writes yes or no.
    mutating func put(_ value: Bool) { bytes.append(value ? 1 : 0) }

    /// Writes bytes behind their length.
    mutating func put(_ value: [UInt8]) {
        put(count: value.count)
        bytes.append(contentsOf: value)
    }

    /// Writes UTF-8 behind its length.
    mutating func put(_ value: String) {
        put(count: value.utf8.count)
        bytes.append(contentsOf: value.utf8)
    }

    /// Writes a record behind its length.
    mutating func put(_ value: some Recordable) {
        // Written in place behind a length of one byte, and moved when it needs more: most records are short, and a
        // buffer for each of them costs more than its bytes.
        let start = bytes.count
        bytes.append(0)
        value.write(to: &self)
        let count = bytes.count - start - 1
        guard count >= 0x80 else {
            bytes[start] = UInt8(count)
            return
        }
        var length = RecordWriter()
        length.put(count: count)
        bytes.replaceSubrange(start...start, with: length.bytes)
    }

    /// Writes a list of records behind their number.
    mutating func put(list values: [some Recordable]) {
        put(count: values.count)
        for value in values { put(value) }
    }

    /// Writes a value that may be missing.
    mutating func put(optional value: UInt64?) {
        put(value != nil)
        if let value { put(value) }
    }

    /// Writes a record that may be missing.
    mutating func put(optional value: (some Recordable)?) {
        put(value != nil)
        if let value { put(value) }
    }
}

/// A value with an encoding: the same value always gives the same bytes.
protocol Recordable: Sendable {
    /// Writes the fields in their order.
    func write(to writer: inout RecordWriter)

    /// Reads the fields back; fields missing at the end take their defaults.
    ///
    /// **Throws:** when a field is cut off, above its limit, or without meaning.
    init(from reader: inout RecordReader) throws(CodecError)
}

extension Recordable {
    /// The fields, without a length before them.
    var encoded: [UInt8] {
        var writer = RecordWriter()
        write(to: &writer)
        return writer.bytes
    }

    /// Reads a value from bytes made by `encoded`.
    ///
    /// **Throws:** as `init(from:)` does.
    init(encoded bytes: [UInt8]) throws(CodecError) {
        var reader = RecordReader(bytes)
        try self.init(from: &reader)
    }
}

extension RecordWriter {
    /// Writes a list of texts behind their number.
    mutating func put(texts: [String]) {
        put(count: texts.count)
        for text in texts { put(text) }
    }
}
