import CChecksum

/// What a receiver accepts at this point of a connection.
package struct FrameRules: Hashable, Sendable {
    /// The version the handshake agreed on; nil while only hello, welcome and refuse are allowed.
    package var version: UInt16?
    /// Largest frame, header included. **Units:** bytes.
    package var frameByteLimit: Int

    /// The rules before the handshake is done.
    package static let handshake = FrameRules(version: nil, frameByteLimit: Limits.handshakeBytes)

    /// The rules after a handshake that agreed on `version`.
    ///
    /// The caller MUST pass a limit in `Limits.handshakeBytes ... Limits.frameBytesMax`.
    package static func established(version: UInt16, frameByteLimit: Int = Limits.frameBytes) -> FrameRules {
        precondition(
            (Limits.handshakeBytes...Limits.frameBytesMax).contains(frameByteLimit),
            "frame budget \(frameByteLimit) is outside \(Limits.handshakeBytes)...\(Limits.frameBytesMax)")
        return FrameRules(version: version, frameByteLimit: frameByteLimit)
    }
}

/// The first 16 bytes of every frame.
///
/// **Units/encoding:** little-endian: u32 body length, u8 kind, u8 flags (0), u16 protocol version, u32 stream (the
/// step id of steps, operations, results and failures; the sequence number of events; else 0), u32 CRC-32C of the
/// header, with zero in this field, and the body.
/// **Source:** docs/protocols/stage-frames.md.
package struct FrameHeader: Hashable, Sendable {
    /// Size of a header. **Units:** bytes.
    package static let byteCount = 16
    /// Where the checksum lies in a header.
    static let checksumOffset = 12

    /// Number of bytes that follow the header.
    package var bodyByteCount: Int
    /// What the frame says.
    package var kind: FrameKind
    /// The protocol version the frame is written in.
    package var version: UInt16
    /// What the frame belongs to: a step id or an event's sequence number.
    package var stream: UInt32
    /// CRC-32C the frame carries.
    package var checksum: UInt32

    /// Size of the whole frame. **Units:** bytes.
    package var frameByteCount: Int { Self.byteCount + bodyByteCount }

    /// Reads and checks the header at the start of `bytes`, or returns nil when fewer than 16 bytes are there.
    ///
    /// Nothing of the body is needed, so an impossible length, kind or version is refused before memory is taken for
    /// it.
    /// **Throws:** `unknownKind`, `unexpectedKind`, `limitExceeded`, `invalidValue` for flags, `versionMismatch`.
    package static func parse(_ bytes: RawSpan, rules: FrameRules) throws(WireError) -> FrameHeader? {
        guard bytes.byteCount >= byteCount else { return nil }
        var reader = ByteReader(bytes)
        let length = Int(try reader.u32(bytes, "frame.length"))
        let rawKind = try reader.u8(bytes, "frame.kind")
        let flags = try reader.u8(bytes, "frame.flags")
        let version = try reader.u16(bytes, "frame.version")
        let stream = try reader.u32(bytes, "frame.stream")
        let checksum = try reader.u32(bytes, "frame.checksum")
        guard let kind = FrameKind(rawValue: rawKind) else { throw .unknownKind(rawKind) }
        let limit = kind.bodyByteLimit(frameByteLimit: rules.frameByteLimit)
        guard length <= limit else { throw .limitExceeded(field: "frame.length", value: length, limit: limit) }
        if let agreed = rules.version {
            guard !kind.isHandshake else { throw .unexpectedKind(kind, expected: "a frame after the handshake") }
            guard version == agreed else { throw .versionMismatch(found: version, agreed: agreed) }
            guard flags == 0 else {
                throw .invalidValue(field: "frame.flags", offset: 5, value: Int(flags), allowed: "0")
            }
        } else {
            guard kind.isHandshake else { throw .unexpectedKind(kind, expected: "hello, welcome or refuse") }
        }
        return FrameHeader(bodyByteCount: length, kind: kind, version: version, stream: stream, checksum: checksum)
    }

    /// Checks that `body` is what the sender sent after this header, as read from `frame`.
    ///
    /// **Shape:** `frame` is the whole frame, header first; the caller MUST pass exactly `frameByteCount` bytes.
    /// **Throws:** `checksumMismatch`.
    package func verify(frame: RawSpan) throws(WireError) {
        precondition(
            frame.byteCount == frameByteCount, "frame has \(frame.byteCount) bytes, its header says \(frameByteCount)")
        let computed = Self.checksum(frame: frame)
        guard computed == checksum else { throw .checksumMismatch(carried: checksum, computed: computed) }
    }

    /// CRC-32C of a whole frame, taking the checksum field as zero.
    static func checksum(frame: RawSpan) -> UInt32 {
        unsafe frame.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return 0 }
            let head = unsafe skein_crc32c(0, start, checksumOffset)
            let blank = unsafe withUnsafeBytes(of: UInt32(0)) { zero in
                unsafe skein_crc32c(head, zero.baseAddress, zero.count)
            }
            return unsafe skein_crc32c(blank, start + byteCount, bytes.count - byteCount)
        }
    }
}
