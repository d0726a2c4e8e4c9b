/// Reads a header front to back through a window, checking every length against the bytes that remain.
struct HeaderCursor<Source: ByteSource> {
    private let source: Source
    private let limits: GGUFLimits
    private let fileByteCount: UInt64
    private var window: [UInt8] = []
    private var windowOffset: UInt64 = 0
    private var indexInWindow = 0

    init(_ source: Source, limits: GGUFLimits) {
        precondition(limits.windowByteCount >= 16, "a window of \(limits.windowByteCount) bytes is too small")
        self.source = source
        self.limits = limits
        fileByteCount = source.byteCount
    }

    /// Absolute offset of the next byte.
    var position: UInt64 { windowOffset + UInt64(indexInWindow) }

    /// Bytes between `position` and the end of the file.
    var remaining: UInt64 { fileByteCount - position }

    /// Refuses when fewer than `count` bytes remain, or the header would exceed its limit. Nothing is read.
    func require(_ count: UInt64, _ field: @autoclosure () -> String) throws(GGUFError) {
        guard count <= remaining else {
            throw .truncated(field: field(), offset: position, needed: count, remaining: remaining)
        }
        // No overflow: both are at most the file's size.
        guard position + count <= limits.headerByteCountMax else {
            throw .limitExceeded(
                field: "end of the \(field())", offset: position, value: position + count,
                limit: limits.headerByteCountMax)
        }
    }

    /// Makes the next `count` (at most 16) bytes present in the window.
    private mutating func fill(_ count: Int, _ field: @autoclosure () -> String) throws(GGUFError) {
        guard window.count - indexInWindow < count else { return }
        try require(UInt64(count), field())
        try slide()
    }

    /// Moves the window so that it starts at `position`.
    private mutating func slide() throws(GGUFError) {
        let offset = position
        let count = Int(min(UInt64(limits.windowByteCount), fileByteCount - offset))
        let bytes = try source.read(at: offset, count: count)
        guard bytes.count == count else {
            throw .readFailed(offset: offset, count: count, reason: "the source returned \(bytes.count) bytes")
        }
        window = bytes
        windowOffset = offset
        indexInWindow = 0
    }

    mutating func readUInt8(_ field: @autoclosure () -> String) throws(GGUFError) -> UInt8 {
        try fill(1, field())
        let value = window[indexInWindow]
        indexInWindow += 1
        return value
    }

    mutating func readUInt16(_ field: @autoclosure () -> String) throws(GGUFError) -> UInt16 {
        try fill(2, field())
        let value = UInt16(window[indexInWindow]) | UInt16(window[indexInWindow + 1]) << 8
        indexInWindow += 2
        return value
    }

    mutating func readUInt32(_ field: @autoclosure () -> String) throws(GGUFError) -> UInt32 {
        try fill(4, field())
        let index = indexInWindow
        let low = UInt32(window[index]) | UInt32(window[index + 1]) << 8
        let high = UInt32(window[index + 2]) | UInt32(window[index + 3]) << 8
        indexInWindow += 4
        return low | high << 16
    }

    mutating func readUInt64(_ field: @autoclosure () -> String) throws(GGUFError) -> UInt64 {
        try fill(8, field())
        let low = try readUInt32(field())
        let high = try readUInt32(field())
        return UInt64(low) | UInt64(high) << 32
    }

    /// Appends the next `count` bytes to `bytes`, window by window; the caller has bounded `count`.
    mutating func read(_ count: UInt64, into bytes: inout [UInt8], _ field: @autoclosure () -> String)
        throws(GGUFError)
    {
        try require(count, field())
        var left = count
        while left > 0 {
            if indexInWindow == window.count { try slide() }
            let piece = Int(min(left, UInt64(window.count - indexInWindow)))
            bytes.append(contentsOf: window[indexInWindow..<indexInWindow + piece])
            indexInWindow += piece
            left -= UInt64(piece)
        }
    }

    /// A length field, refused above `limit` or above what remains.
    mutating func readLength(_ field: @autoclosure () -> String, limit: UInt64) throws(GGUFError) -> UInt64 {
        let offset = position
        let length = try readUInt64("length of the \(field())")
        guard length <= limit else {
            throw .limitExceeded(field: "length of the \(field())", offset: offset, value: length, limit: limit)
        }
        try require(length, field())
        return length
    }

    /// A key or tensor name: not empty, printable ASCII.
    mutating func readName(_ field: @autoclosure () -> String, limit: UInt64) throws(GGUFError) -> String {
        let start = position
        let length = try readLength(field(), limit: limit)
        guard length > 0 else { throw .emptyName(field: field(), offset: start) }
        let offset = position
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(length))
        try read(length, into: &bytes, field())
        for (index, byte) in bytes.enumerated() where byte < 0x20 || byte > 0x7E {
            throw .badNameByte(field: field(), offset: offset + UInt64(index), byte: byte)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
