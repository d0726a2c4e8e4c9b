import Dialects
import NIOCore
import NIOWebSocket

/// The frames of one WebSocket: puts messages together, answers pings and closings, asks whether the client is alive,
/// and closes what breaks the protocol or a bound.
///
/// **Isolation:** the channel's event loop.
final class SocketFrames: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    private let limits: ConnectionLimits
    private let session: AsyncStream<SocketInput>.Continuation
    private var context: ChannelHandlerContext?
    /// The pieces of a message that is not complete.
    private var message: ByteBuffer?
    private var isClosing = false
    private var isAlive = true
    private var pulse: Scheduled<Void>?
    private var expiry: Scheduled<Void>?

    init(limits: ConnectionLimits, session: AsyncStream<SocketInput>.Continuation) {
        self.limits = limits
        self.session = session
    }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        let loop = context.eventLoop.assumeIsolated()
        expiry = loop.scheduleTask(in: limits.socketLifetime) { [session] in _ = session.yield(.expired) }
        beat()
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    private func end() {
        session.finish()
        pulse?.cancel()
        expiry?.cancel()
        (pulse, expiry, context) = (nil, nil, nil)
    }

    /// Two beats without any frame of the client's, the answer to a ping among them, mean that it is gone.
    private func beat() {
        guard let context else { return }
        pulse = context.eventLoop.assumeIsolated().scheduleTask(in: limits.silence) { [self] in
            guard let context = self.context else { return }
            guard isAlive else { return context.close(promise: nil) }
            isAlive = false
            write(.ping, ByteBuffer(), nil)
            beat()
        }
    }

    // MARK: To the client

    /// Sends a text message.
    func send(_ text: ByteBuffer, _ promise: EventLoopPromise<Void>?) {
        guard context != nil, !isClosing else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        write(.text, text, promise)
    }

    /// Says why and closes; the client's own closing is awaited for a moment.
    func close(_ reason: SocketClosure) {
        guard let context, !isClosing else { return }
        isClosing = true
        var data = ByteBuffer()
        data.writeInteger(reason.rawValue)
        write(.connectionClose, data, nil)
        session.finish()
        pulse?.cancel()
        pulse = context.eventLoop.assumeIsolated().scheduleTask(in: .seconds(1)) { context.close(promise: nil) }
    }

    private func write(_ opcode: WebSocketOpcode, _ data: ByteBuffer, _ promise: EventLoopPromise<Void>?) {
        let frame = WebSocketFrame(fin: true, opcode: opcode, data: data)
        context?.writeAndFlush(wrapOutboundOut(frame), promise: promise)
    }

    // MARK: From the client

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        isAlive = true
        // A client MUST mask what it sends, and no extension was agreed on.
        guard frame.maskKey != nil, !frame.rsv1, !frame.rsv2, !frame.rsv3 else { return close(.protocolError) }
        switch frame.opcode {
        case .connectionClose:
            answerClosing(frame, context)
        case _ where isClosing:
            break
        case .ping:
            write(.pong, frame.unmaskedData, nil)
        case .pong:
            break
        case .text:
            guard message == nil else { return close(.protocolError) }
            take(frame)
        case .continuation:
            guard message != nil else { return close(.protocolError) }
            take(frame)
        case .binary:
            close(.unsupportedData)
        default:
            close(.protocolError)
        }
    }

    /// Takes a piece of a message in.
    private func take(_ frame: WebSocketFrame) {
        var message = self.message ?? ByteBuffer()
        // A second reference would have every piece copy all that came before it.
        self.message = nil
        let piece = frame.unmaskedData
        guard message.readableBytes + piece.readableBytes <= Dialects.Limits.bodyBytes else {
            return close(.messageTooBig)
        }
        message.writeImmutableBuffer(piece)
        guard frame.fin else {
            self.message = message
            return
        }
        if case .dropped = session.yield(.message(Array(message.readableBytesView))) { close(.policyViolation) }
    }

    private func answerClosing(_ frame: WebSocketFrame, _ context: ChannelHandlerContext) {
        if !isClosing {
            isClosing = true
            var code = frame.unmaskedData
            write(.connectionClose, code.readSlice(length: min(2, code.readableBytes)) ?? ByteBuffer(), nil)
        }
        session.finish()
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? NIOWebSocketError else { return context.fireErrorCaught(error) }
        close(error == .invalidFrameLength ? .messageTooBig : .protocolError)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent { session.yield(.draining) }
        context.fireUserInboundEventTriggered(event)
        // A client that closes its side alone has left, too.
        if let event = event as? ChannelEvent, event == .inputClosed { context.close(promise: nil) }
    }
}
