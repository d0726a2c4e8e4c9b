/// Reads what `RecordWriter` wrote; every length is checked against the end before memory is taken for it.
struct RecordReader {
    private let bytes: [UInt8]
    private(set) var offset: Int
    private var end: Int

    /// Reads all of `bytes`.
    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        offset = 0
        end = bytes.count
    }

    /// Whether the record has no more fields: what follows in newer versions takes its default.
    var isAtEnd: Bool { offset >= end }

    private var remaining: Int { end - offset }

    /// Reads an unsigned number.
    ///
    /// **Throws:** when it is cut off or longer than 64 bits.
    mutating func number(_ field: String) throws(CodecError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        let start = offset
        while true {
            guard offset < end else {
                throw .truncated(field: field, offset: start, needed: offset - start + 1, available: offset - start)
            }
            let byte = bytes[offset]
            offset += 1
            guard shift < 63 || byte <= 1 else {
                throw .invalidValue(field: field, offset: start, value: UInt64(byte))
            }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
    }

    /// Reads a number that may be negative.
    ///
    /// **Throws:** as `number` does.
    mutating func signed(_ field: String) throws(CodecError) -> Int64 {
        let value = try number(field)
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    /// Reads an unsigned number of at most `limit`.
    ///
    /// **Throws:** when it is cut off or above the limit.
    mutating func number(_ field: String, limit: UInt64) throws(CodecError) -> UInt64 {
        let start = offset
        let value = try number(field)
        guard value <= limit else {
            throw .limitExceeded(field: field, offset: start, value: value, limit: limit)
        }
        return value
    }

    /// Reads a number that somebody counts on from, as a term, an index or an epoch: a peer must not bring it to where
    /// the next one does not exist.
    ///
    /// **Throws:** when it is cut off or above `Limits.largestNumber`.
    mutating func counter(_ field: String) throws(CodecError) -> UInt64 {
        try number(field, limit: Limits.largestNumber)
    }

    /// Reads a wall clock, from which others are subtracted.
    ///
    /// **Units:** milliseconds since 1970.
    /// **Throws:** when it is cut off, negative, or above `Limits.largestNumber`.
    mutating func milliseconds(_ field: String) throws(CodecError) -> Int64 {
        let start = offset
        // Taken for an unsigned one, a negative number is above the limit.
        let value = UInt64(bitPattern: try signed(field))
        guard value <= Limits.largestNumber else {
            throw .limitExceeded(field: field, offset: start, value: value, limit: Limits.largestNumber)
        }
        return Int64(value)
    }

    /// Reads a count or index of at most `limit`.
    ///
    /// **Throws:** when it is cut off or above the limit.
    mutating func count(_ field: String, limit: Int) throws(CodecError) -> Int {
        Int(try number(field, limit: UInt64(limit)))
    }

    /// Reads a number of 32 bits.
    ///
    /// **Throws:** when it is cut off or larger.
    mutating func number32(_ field: String) throws(CodecError) -> UInt32 {
        UInt32(try count(field, limit: Int(UInt32.max)))
    }

    /// Reads yes or no.
    ///
    /// **Throws:** when it is cut off or neither 0 nor 1.
    mutating func bool(_ field: String) throws(CodecError) -> Bool {
        let start = offset
        let value = try number(field)
        guard value <= 1 else { throw .invalidValue(field: field, offset: start, value: value) }
        return value == 1
    }

    /// Reads bytes behind their length.
    ///
    /// **Throws:** when they are cut off or longer than `limit`.
    mutating func data(_ field: String, limit: Int) throws(CodecError) -> [UInt8] {
        let length = try length(field, limit: limit)
        defer { offset += length }
        return Array(bytes[offset..<offset + length])
    }

    /// Reads UTF-8 behind its length.
    ///
    /// **Throws:** when it is cut off, longer than `limit` bytes, or not UTF-8.
    mutating func text(_ field: String, limit: Int = Limits.textBytes) throws(CodecError) -> String {
        let length = try length(field, limit: limit)
        guard let text = String(validating: bytes[offset..<offset + length], as: UTF8.self) else {
            throw .invalidText(field: field, offset: offset)
        }
        offset += length
        return text
    }

    /// Reads a record behind its length; what is behind the fields this version knows is skipped.
    ///
    /// **Throws:** when it is cut off or one of its fields is wrong.
    mutating func record<Value: Recordable>(
        _ field: String, _ type: Value.Type = Value.self
    ) throws(CodecError) -> Value {
        let length = try length(field, limit: Limits.recordBytes)
        let (outer, inner) = (end, offset + length)
        end = inner
        let value = try Value(from: &self)
        end = outer
        offset = inner
        return value
    }

    /// Reads a list of records.
    ///
    /// **Throws:** when there are more than `limit`, or one is wrong.
    mutating func list<Value: Recordable>(
        _ field: String, limit: Int, _ type: Value.Type = Value.self
    ) throws(CodecError) -> [Value] {
        let count = try count(field, limit: limit)
        // A record takes a byte at least, so a lying count fails before memory is taken for it.
        guard count <= remaining else {
            throw .truncated(field: field, offset: offset, needed: count, available: remaining)
        }
        var values: [Value] = []
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try record(field)) }
        return values
    }

    /// Reads a number that may be missing.
    ///
    /// **Throws:** when it is cut off.
    mutating func optionalNumber(_ field: String) throws(CodecError) -> UInt64? {
        try bool(field) ? try number(field) : nil
    }

    /// Reads a record that may be missing.
    ///
    /// **Throws:** when it is cut off or wrong.
    mutating func optionalRecord<Value: Recordable>(
        _ field: String, _ type: Value.Type = Value.self
    ) throws(CodecError) -> Value? {
        try bool(field) ? try record(field, type) : nil
    }

    private mutating func length(_ field: String, limit: Int) throws(CodecError) -> Int {
        let length = try count(field, limit: limit)
        guard length <= remaining else {
            throw .truncated(field: field, offset: offset, needed: length, available: remaining)
        }
        return length
    }
}

extension RecordReader {
    /// Reads a list of texts, at most `Limits.listCount`.
    ///
    /// **Throws:** when there are more, or one is wrong.
    mutating func texts(_ field: String) throws(CodecError) -> [String] {
        let count = try count(field, limit: Limits.listCount)
        var texts: [String] = []
        for _ in 0..<count { texts.append(try text(field)) }
        return texts
    }
}
