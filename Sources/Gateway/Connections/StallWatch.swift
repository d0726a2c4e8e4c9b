import NIOCore

/// Closes a connection whose client reads nothing while bytes wait for it, so that nobody keeps an answer, or a place
/// among the connections, by not reading. One that waits for the model has nothing to read and is left alone.
///
/// It costs nothing per piece: a clock runs only while the channel takes no more, and then looks whether anything of
/// what waits has gone since it looked before. Who stops reading is thus found after one to two times the patience.
///
/// **Isolation:** the channel's event loop.
final class StallWatch: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = NIOAny

    private let patience: TimeAmount
    private var timer: Scheduled<Void>?

    init(patience: TimeAmount) { self.patience = patience }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        stop()
        if !context.channel.isWritable { look(context, waiting: Self.waitingBytes(context)) }
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        stop()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { stop() }

    private func stop() {
        timer?.cancel()
        timer = nil
    }

    /// Looks after a while whether fewer bytes wait than now.
    private func look(_ context: ChannelHandlerContext, waiting before: Int) {
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: patience) {
            let waiting = Self.waitingBytes(context)
            guard waiting < before else { return context.close(promise: nil) }
            self.look(context, waiting: waiting)
        }
    }

    /// What was written and the system has not taken yet; 0 when the channel is closed.
    private static func waitingBytes(_ context: ChannelHandlerContext) -> Int {
        (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }
}
