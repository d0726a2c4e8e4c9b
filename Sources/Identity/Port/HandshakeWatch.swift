import NIOCore
import NIOSSL

/// Stands behind TLS while a connection is a stranger's: reports how it failed, ends it when it takes too long, and
/// goes away when the peer is known.
final class HandshakeWatch: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let slot: PeerSlot
    private let milliseconds: Int64
    private let failed: @Sendable (ConnectionRefusal) -> Void
    private var deadline: Scheduled<Void>?
    private var context: ChannelHandlerContext?
    private var isOver = false

    init(slot: PeerSlot, milliseconds: Int64, failed: @escaping @Sendable (ConnectionRefusal) -> Void) {
        self.slot = slot
        self.milliseconds = milliseconds
        self.failed = failed
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let milliseconds = milliseconds
        deadline = context.eventLoop.scheduleTask(in: .milliseconds(milliseconds)) {
            bound.value.fail(.late(milliseconds: milliseconds))
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline?.cancel()
        self.context = nil
    }

    /// The peer is known: nothing is reported any more, and this handler leaves.
    func finish() {
        isOver = true
        deadline?.cancel()
        guard let context else { return }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    private func fail(_ refusal: ConnectionRefusal) {
        guard !isOver else { return }
        isOver = true
        deadline?.cancel()
        failed(slot.refusal.map(ConnectionRefusal.certificate) ?? refusal)
        context?.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(error as? ConnectionRefusal ?? .handshake(finding: "\(error)".prefixed(200)))
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(.handshake(finding: "the peer closed the connection"))
        context.fireChannelInactive()
    }
}
