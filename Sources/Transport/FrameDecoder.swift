package import NIOCore
package import Wire

/// A frame whose header and checksum have been verified.
package struct InboundFrame: Sendable {
    /// The header.
    package let header: FrameHeader
    /// The body, a slice of the receive buffer: no copy was made.
    package let body: ByteBuffer
}

/// Cuts the byte stream into verified frames.
///
/// A body is gathered only up to the length its kind may have, so a peer cannot make the buffer grow beyond the link's
/// budget.
struct FrameDecoder: ByteToMessageDecoder {
    typealias InboundOut = InboundFrame

    let rules: NIOLoopBoundBox<FrameRules>

    mutating func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        guard let header = try FrameHeader.parse(buffer.readableBytesSpan, rules: rules.value),
            buffer.readableBytes >= header.frameByteCount
        else { return .needMoreData }
        try header.verify(frame: buffer.readableBytesSpan.extracting(0..<header.frameByteCount))
        buffer.moveReaderIndex(forwardBy: FrameHeader.byteCount)
        guard let body = buffer.readSlice(length: header.bodyByteCount) else { return .needMoreData }
        context.fireChannelRead(wrapInboundOut(InboundFrame(header: header, body: body)))
        return .continue
    }

    mutating func decodeLast(
        context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool
    ) throws -> DecodingState {
        // A partial frame at the end of a connection is lost with it; the closure itself is reported.
        try decode(context: context, buffer: &buffer)
    }
}

extension FrameWriter {
    /// Moves the pending frames into a buffer for a link.
    package mutating func takeBuffer() -> ByteBuffer {
        defer { removeAll() }
        return withBytes { bytes in
            var buffer = ByteBufferAllocator().buffer(capacity: bytes.byteCount)
            bytes.withUnsafeBytes { _ = buffer.writeBytes($0) }
            return buffer
        }
    }
}
