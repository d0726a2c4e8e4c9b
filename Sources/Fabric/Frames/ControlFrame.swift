import CChecksum
package import NIOCore

/// What a frame of the control channel is for.
package enum ControlFrameKind: UInt8, Sendable {
    /// Who is speaking; first frame of either side.
    case hello = 1
    /// Why the sender does not talk to the receiver; its last frame.
    case refuse = 2
    /// A `ClusterMessage`.
    case message = 3
    /// Asks for a `pong` with the same body: the sender's clock.
    case ping = 4
    /// Answers a `ping`.
    case pong = 5
}

/// The head of a frame; `docs/protocols/control.md` has the table.
package enum ControlFrame {
    /// **Units:** bytes.
    package static let headerBytes = 20
    /// Where the checksum stands; it covers what is before it, and the body.
    static let checksumOffset = 16

    /// Appends a frame.
    package static func write(
        _ kind: ControlFrameKind, version: UInt16, sequence: UInt64, body: [UInt8], into buffer: inout ByteBuffer
    ) {
        let start = buffer.writerIndex
        buffer.reserveCapacity(minimumWritableBytes: headerBytes + body.count)
        buffer.writeInteger(UInt32(body.count), endianness: .little)
        buffer.writeInteger(kind.rawValue)
        buffer.writeInteger(0 as UInt8)
        buffer.writeInteger(version, endianness: .little)
        buffer.writeInteger(sequence, endianness: .little)
        buffer.writeInteger(0 as UInt32)
        buffer.writeBytes(body)
        let sum = checksum(buffer, at: start, bodyBytes: body.count)
        buffer.setInteger(sum, at: start + checksumOffset, endianness: .little)
    }

    /// CRC-32C of a frame's header up to the checksum, and of its body.
    static func checksum(_ buffer: ByteBuffer, at start: Int, bodyBytes: Int) -> UInt32 {
        buffer.withUnsafeReadableBytes { bytes in
            let first = start - buffer.readerIndex
            let head = UnsafeRawBufferPointer(rebasing: bytes[first..<first + checksumOffset])
            let body = UnsafeRawBufferPointer(
                rebasing: bytes[(first + headerBytes)..<(first + headerBytes + bodyBytes)])
            return skein_crc32c(skein_crc32c(0, head.baseAddress, head.count), body.baseAddress, body.count)
        }
    }
}

/// A frame whose header and checksum have been verified.
struct InboundControlFrame {
    let kind: ControlFrameKind
    let body: [UInt8]
}

/// What a connection expects at the moment; changed by the connection, read by its decoder, on one event loop.
final class ControlFrameRules {
    /// Whether the hello is through.
    var isOpen = false
    /// Number of the next frame.
    var nextSequence: UInt64 = 0

    var bodyLimit: Int { isOpen ? FabricLimits.messageBytes : FabricLimits.helloBytes }
}

/// Cuts the byte stream into verified frames; the length is checked before a body is waited for.
struct ControlFrameDecoder: ByteToMessageDecoder {
    typealias InboundOut = InboundControlFrame

    let rules: ControlFrameRules

    mutating func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        guard let frame = try parse(&buffer) else { return .needMoreData }
        context.fireChannelRead(wrapInboundOut(frame))
        return .continue
    }

    private func parse(_ buffer: inout ByteBuffer) throws(FabricClosure) -> InboundControlFrame? {
        let start = buffer.readerIndex
        // What is no frame is seen by its first bytes, whether or not more follows.
        if let length = buffer.getInteger(at: start, endianness: .little, as: UInt32.self) {
            guard length <= UInt32(rules.bodyLimit) else {
                throw .oversized(bytes: Int(length), limit: rules.bodyLimit)
            }
        }
        guard buffer.readableBytes >= ControlFrame.headerBytes,
            let length = buffer.getInteger(at: start, endianness: .little, as: UInt32.self),
            let kindNumber = buffer.getInteger(at: start + 4, as: UInt8.self),
            let flags = buffer.getInteger(at: start + 5, as: UInt8.self),
            let sequence = buffer.getInteger(at: start + 8, endianness: .little, as: UInt64.self),
            let sum = buffer.getInteger(at: start + ControlFrame.checksumOffset, endianness: .little, as: UInt32.self)
        else { return nil }
        guard let kind = ControlFrameKind(rawValue: kindNumber) else {
            throw .garbage(field: "the kind", value: UInt64(kindNumber))
        }
        guard flags == 0 || !rules.isOpen else { throw .garbage(field: "the flags", value: UInt64(flags)) }
        let isGreeting = kind == .hello || kind == .refuse
        guard rules.isOpen ? kind != .hello : isGreeting else {
            throw .garbage(field: "the kind of a \(rules.isOpen ? "later" : "first") frame", value: UInt64(kindNumber))
        }
        guard sequence == rules.nextSequence else {
            throw .outOfOrder(sequence: sequence, expected: rules.nextSequence)
        }
        guard buffer.readableBytes >= ControlFrame.headerBytes + Int(length) else { return nil }
        let expected = ControlFrame.checksum(buffer, at: start, bodyBytes: Int(length))
        guard sum == expected else { throw .checksum(expected: expected, actual: sum) }
        buffer.moveReaderIndex(forwardBy: ControlFrame.headerBytes)
        rules.nextSequence += 1
        return InboundControlFrame(kind: kind, body: buffer.readBytes(length: Int(length)) ?? [])
    }

    mutating func decodeLast(
        context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool
    ) throws -> DecodingState {
        if let frame = try parse(&buffer) {
            context.fireChannelRead(wrapInboundOut(frame))
            return .continue
        }
        if buffer.readableBytes > 0 { throw FabricClosure.truncated(bytes: buffer.readableBytes) }
        return .needMoreData
    }
}
