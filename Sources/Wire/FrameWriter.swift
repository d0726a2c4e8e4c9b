import CChecksum

/// Encodes frames into one buffer that is refilled step after step, so the steady state allocates nothing.
///
/// Frames are appended one after the other; a frame that cannot be encoded leaves no bytes behind. The owner sends
/// `withBytes` and calls `removeAll`.
package struct FrameWriter: Sendable {
    /// The protocol version written into every header.
    package internal(set) var version: UInt16
    /// Largest frame, header included. **Units:** bytes.
    package private(set) var frameByteLimit: Int
    /// Bytes of the finished frames.
    package private(set) var byteCount = 0

    // Its count is the capacity: bytes behind `byteCount` are leftovers, so growing never has to be undone.
    private var storage: [UInt8] = []
    private var frameStart = 0

    /// Makes an empty writer.
    ///
    /// The caller MUST pass a limit in `Limits.handshakeBytes ... Limits.frameBytesMax`.
    package init(version: UInt16, frameByteLimit: Int = Limits.frameBytes) {
        precondition(
            (Limits.handshakeBytes...Limits.frameBytesMax).contains(frameByteLimit),
            "frame budget \(frameByteLimit) is outside \(Limits.handshakeBytes)...\(Limits.frameBytesMax)")
        self.version = version
        self.frameByteLimit = frameByteLimit
    }

    /// Writes all further frames in the version a handshake agreed on and within what the peer takes.
    ///
    /// `peerFrameByteLimit` is the one of the peer's hello or welcome.
    package mutating func establish(version: UInt16, peerFrameByteLimit: Int) {
        precondition(
            (Limits.handshakeBytes...Limits.frameBytesMax).contains(peerFrameByteLimit),
            "frame budget \(peerFrameByteLimit) is outside \(Limits.handshakeBytes)...\(Limits.frameBytesMax)")
        self.version = version
        frameByteLimit = min(frameByteLimit, peerFrameByteLimit)
    }

    /// Size of the buffer. **Units:** bytes.
    package var capacity: Int { storage.count }

    /// Whether no frame waits to be sent.
    package var isEmpty: Bool { byteCount == 0 }

    /// Forgets all frames and keeps the buffer.
    package mutating func removeAll() { byteCount = 0 }

    /// Hands the finished frames to `use`, without copying them.
    ///
    /// **Throws:** what `use` throws.
    package func withBytes<Result: ~Copyable, Failure: Error>(
        _ use: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let bytes = unsafe storage.span.bytes
        return try use(bytes.extracting(0..<byteCount))
    }

    /// Appends one frame whose body `fill` writes.
    mutating func frame(
        _ kind: FrameKind, stream: UInt32, _ fill: (inout FrameWriter) throws(WireError) -> Void
    ) throws(WireError) {
        let start = byteCount
        // Frames that wait together (operations before a step) are bounded too.
        let pendingLimit = 2 * frameByteLimit
        guard start + FrameHeader.byteCount <= pendingLimit else {
            throw .limitExceeded(field: "writer.pendingBytes", value: start, limit: pendingLimit)
        }
        frameStart = start
        do throws(WireError) {
            try put(UInt32(0))
            try put(kind.rawValue)
            try put(UInt8(0))
            try put(version)
            try put(stream)
            try put(UInt32(0))
            try fill(&self)
            let length = byteCount - start - FrameHeader.byteCount
            let limit = kind.bodyByteLimit(frameByteLimit: frameByteLimit)
            guard length <= limit else {
                throw .limitExceeded(field: "\(kind).length", value: length, limit: limit)
            }
            seal(start: start, length: length)
        } catch {
            byteCount = start
            throw error
        }
    }

    private mutating func seal(start: Int, length: Int) {
        overwrite(UInt32(truncatingIfNeeded: length), at: start)
        let frame = start..<byteCount
        let checksum = unsafe storage.withUnsafeBytes { bytes in
            // The checksum field still holds the zero it is defined over.
            unsafe skein_crc32c(0, bytes.baseAddress.map { unsafe $0 + frame.lowerBound }, frame.count)
        }
        overwrite(checksum, at: start + FrameHeader.checksumOffset)
    }

    // MARK: Fields

    /// Makes room for `count` bytes at the end, without setting them, and returns where they start.
    mutating func reserve(_ count: Int) throws(WireError) -> Int {
        let end = byteCount + count
        guard end - frameStart <= frameByteLimit else {
            throw .limitExceeded(field: "frame.length", value: end - frameStart, limit: frameByteLimit)
        }
        if end > storage.count {
            storage += [UInt8](repeating: 0, count: max(end, 2 * storage.count, 4096) - storage.count)
        }
        defer { byteCount = end }
        return byteCount
    }

    /// Lets `fill` write the `count` bytes at `start`, which `reserve` returned.
    mutating func withReserved(_ start: Int, _ count: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
        precondition(start >= 0 && start + count <= byteCount, "bytes \(start)+\(count) are beyond \(byteCount)")
        unsafe storage.withUnsafeMutableBytes { bytes in
            unsafe fill(UnsafeMutableRawBufferPointer(rebasing: bytes[start..<start + count]))
        }
    }

    mutating func put<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value) throws(WireError) {
        let start = try reserve(MemoryLayout<Value>.size)
        overwrite(value, at: start)
    }

    mutating func put(_ value: Float) throws(WireError) { try put(value.bitPattern) }

    mutating func put(_ value: Double) throws(WireError) { try put(value.bitPattern) }

    /// A number that must fit a u32.
    mutating func put32(_ value: Int, _ field: String, limit: Int = Int(UInt32.max)) throws(WireError) {
        guard value >= 0, value <= limit else {
            throw .cannotEncode(field: field, value: value, allowed: "0 … \(limit)")
        }
        try put(UInt32(truncatingIfNeeded: value))
    }

    /// A number that must fit a u16.
    mutating func put16(_ value: Int, _ field: String, limit: Int = Int(UInt16.max)) throws(WireError) {
        guard value >= 0, value <= limit else {
            throw .cannotEncode(field: field, value: value, allowed: "0 … \(limit)")
        }
        try put(UInt16(truncatingIfNeeded: value))
    }

    /// A position, which is never negative.
    mutating func putPosition(_ value: Int32, _ field: String) throws(WireError) {
        guard value >= 0 else { throw .cannotEncode(field: field, value: Int(value), allowed: "0 and above") }
        try put(value)
    }

    /// The bytes themselves, without their count.
    mutating func putBytes(_ bytes: RawSpan) throws(WireError) {
        let start = try reserve(bytes.byteCount)
        unsafe withReserved(start, bytes.byteCount) { target in
            unsafe bytes.withUnsafeBytes { unsafe target.copyMemory(from: $0) }
        }
    }

    /// The UTF-8 bytes of `text`, without their count.
    mutating func putText(_ text: String) throws(WireError) {
        try putBytes(unsafe text.utf8.span.bytes)
    }

    /// Replaces a field that was already written.
    mutating func overwrite<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value, at offset: Int) {
        unsafe withReserved(offset, MemoryLayout<Value>.size) { target in
            unsafe target.storeBytes(of: value.littleEndian, as: Value.self)
        }
    }
}
