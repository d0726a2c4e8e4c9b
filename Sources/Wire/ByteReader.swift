/// A place in a frame's body, moved forward field by field; every read is checked against the end first.
///
/// The bytes are handed to each call, because a stored `RawSpan` needs lifetime annotations that the language has not
/// settled yet.
struct ByteReader {
    /// Offset of the next byte.
    private(set) var offset: Int
    private let end: Int

    init(_ bytes: RawSpan) {
        offset = 0
        end = bytes.byteCount
    }

    /// Bytes not read yet.
    var remaining: Int { end - offset }

    /// Throws unless `count` more bytes are there; asked before memory is taken for them.
    func require(_ count: Int, _ field: String) throws(WireError) {
        guard count <= remaining else {
            throw .truncated(field: field, offset: offset, needed: count, available: remaining)
        }
    }

    mutating func u8(_ bytes: RawSpan, _ field: String) throws(WireError) -> UInt8 {
        try integer(bytes, field)
    }

    mutating func u16(_ bytes: RawSpan, _ field: String) throws(WireError) -> UInt16 {
        try integer(bytes, field)
    }

    mutating func u32(_ bytes: RawSpan, _ field: String) throws(WireError) -> UInt32 {
        try integer(bytes, field)
    }

    mutating func u64(_ bytes: RawSpan, _ field: String) throws(WireError) -> UInt64 {
        try integer(bytes, field)
    }

    mutating func i32(_ bytes: RawSpan, _ field: String) throws(WireError) -> Int32 {
        try integer(bytes, field)
    }

    mutating func i64(_ bytes: RawSpan, _ field: String) throws(WireError) -> Int64 {
        try integer(bytes, field)
    }

    mutating func f32(_ bytes: RawSpan, _ field: String) throws(WireError) -> Float {
        Float(bitPattern: try integer(bytes, field))
    }

    mutating func f64(_ bytes: RawSpan, _ field: String) throws(WireError) -> Double {
        Double(bitPattern: try integer(bytes, field))
    }

    /// A u32 no larger than `limit`.
    mutating func count(_ bytes: RawSpan, _ field: String, limit: Int) throws(WireError) -> Int {
        let value = Int(try u32(bytes, field))
        guard value <= limit else { throw .limitExceeded(field: field, value: value, limit: limit) }
        return value
    }

    /// A u16 no larger than `limit`.
    mutating func shortCount(_ bytes: RawSpan, _ field: String, limit: Int) throws(WireError) -> Int {
        let value = Int(try u16(bytes, field))
        guard value <= limit else { throw .limitExceeded(field: field, value: value, limit: limit) }
        return value
    }

    /// A non-negative position.
    mutating func position(_ bytes: RawSpan, _ field: String) throws(WireError) -> Int32 {
        let value = try i32(bytes, field)
        guard value >= 0 else {
            throw .invalidValue(field: field, offset: offset - 4, value: Int(value), allowed: "0 and above")
        }
        return value
    }

    /// `count` bytes as they are.
    mutating func bytes(_ bytes: RawSpan, count: Int, _ field: String) throws(WireError) -> [UInt8] {
        try require(count, field)
        defer { offset += count }
        return unsafe bytes.extracting(offset..<offset + count).withUnsafeBytes { unsafe [UInt8]($0) }
    }

    /// `count` bytes of UTF-8.
    mutating func text(_ bytes: RawSpan, count: Int, _ field: String) throws(WireError) -> String {
        try require(count, field)
        let text = unsafe bytes.extracting(offset..<offset + count).withUnsafeBytes {
            unsafe String(validating: $0, as: UTF8.self)
        }
        guard let text else { throw .invalidText(field: field, offset: offset) }
        offset += count
        return text
    }

    /// Passes over `count` bytes.
    mutating func skip(_ count: Int, _ field: String) throws(WireError) {
        try require(count, field)
        offset += count
    }

    /// A field that MUST be zero in this version.
    mutating func reserved8(_ bytes: RawSpan, _ field: String) throws(WireError) {
        let value = try u8(bytes, field)
        guard value == 0 else {
            throw .invalidValue(field: field, offset: offset - 1, value: Int(value), allowed: "0")
        }
    }

    /// A field that MUST be zero in this version.
    mutating func reserved16(_ bytes: RawSpan, _ field: String) throws(WireError) {
        let value = try u16(bytes, field)
        guard value == 0 else {
            throw .invalidValue(field: field, offset: offset - 2, value: Int(value), allowed: "0")
        }
    }

    /// Throws when bytes are left.
    func finish(_ field: String) throws(WireError) {
        guard remaining == 0 else { throw .lengthMismatch(field: field, value: end, expected: offset) }
    }

    private mutating func integer<Value: FixedWidthInteger & BitwiseCopyable>(
        _ bytes: RawSpan, _ field: String
    ) throws(WireError) -> Value {
        let size = MemoryLayout<Value>.size
        try require(size, field)
        defer { offset += size }
        return Value(littleEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: Value.self))
    }
}
