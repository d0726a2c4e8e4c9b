import NIOCore
import NIOHTTPTypes

/// Sends a sign of life on a stream that has been silent for a while, so that nobody between here and the client takes
/// the connection for dead while a request waits or the model thinks. It costs nothing per token: pieces pass by, and a
/// clock of the connection's own looks every now and then.
///
/// **Isolation:** the channel's event loop.
final class SilenceWatch: ChannelOutboundHandler, RemovableChannelHandler {
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    /// What a sign of life looks like in the answer that comes next; nil for answers that have none.
    var sign: (@Sendable () -> [UInt8])?

    private let interval: TimeAmount
    private var lastWrite = NIODeadline.uptimeNanoseconds(0)
    private var timer: Scheduled<Void>?

    init(interval: TimeAmount) { self.interval = interval }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head:
            lastWrite = context.eventLoop.now
            if sign != nil { look(context, in: interval) }
        case .body: lastWrite = context.eventLoop.now
        case .end: stop()
        }
        context.write(data, promise: promise)
    }

    func handlerRemoved(context: ChannelHandlerContext) { stop() }

    private func stop() {
        timer?.cancel()
        timer = nil
        sign = nil
    }

    private func look(_ context: ChannelHandlerContext, in time: TimeAmount) {
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: time) { self.act(context) }
    }

    private func act(_ context: ChannelHandlerContext) {
        guard let sign, context.channel.isActive else { return }
        let silence = context.eventLoop.now - lastWrite
        guard silence >= interval else { return look(context, in: interval - silence) }
        lastWrite = context.eventLoop.now
        // A client that does not read has no use for more.
        if context.channel.isWritable {
            context.writeAndFlush(wrapOutboundOut(.body(ByteBuffer(bytes: sign()))), promise: nil)
        }
        look(context, in: interval)
    }
}
