import NIOCore
import NIOTLS

/// Stands behind TLS while a connection is a stranger's: reports how it failed, ends it when it takes too long, and
/// goes away when the peer is known. On a link, where nothing is negotiated, it notices by itself that the peer is.
final class HandshakeWatch: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let slot: PeerSlot
    private let milliseconds: Int64
    private let known: (@Sendable (any Channel, PeerIdentity) -> Void)?
    private let failed: @Sendable (ConnectionRefusal) -> Void
    private var deadline: Scheduled<Void>?
    private var context: ChannelHandlerContext?
    private var isOver = false

    init(
        slot: PeerSlot, milliseconds: Int64, known: (@Sendable (any Channel, PeerIdentity) -> Void)? = nil,
        failed: @escaping @Sendable (ConnectionRefusal) -> Void
    ) {
        self.slot = slot
        self.milliseconds = milliseconds
        self.known = known
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
        let reason = slot.refusal.map(ConnectionRefusal.certificate) ?? refusal
        failed(reason)
        // What a link's end has to say is told behind.
        if known != nil { context?.fireErrorCaught(reason) }
        context?.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        context.fireUserInboundEventTriggered(event)
        guard let known, !isOver, case .handshakeCompleted? = event as? TLSUserEvent else { return }
        guard let peer = slot.peer else { return fail(.certificate(.missing)) }
        let channel = context.channel
        finish()
        known(channel, peer)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(error as? ConnectionRefusal ?? .handshake(finding: "\(error)".prefixed(200)))
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(.handshake(finding: "the peer closed the connection"))
        context.fireChannelInactive()
    }
}
