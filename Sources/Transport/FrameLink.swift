package import NIOCore
import Synchronization
package import Wire

/// One connection that carries frames both ways.
///
/// **Isolation:** `send` and `close` from any thread; the delegate is called on the link's event loop.
package final class FrameLink: Sendable {
    /// The connection.
    package let channel: any Channel
    private let rules: NIOLoopBoundBox<FrameRules>
    private let wasClosedHere = Atomic<Bool>(false)

    init(channel: any Channel, rules: NIOLoopBoundBox<FrameRules>) {
        self.channel = channel
        self.rules = rules
    }

    /// After the handshake: only frames of the agreed version pass. Call on the event loop.
    package func establish(_ agreed: FrameRules) { rules.value = agreed }

    /// Whether the handshake is over. Call on the event loop.
    var isEstablished: Bool { rules.value != .handshake }

    /// Sends whole frames. Frames sent from one thread arrive in that order.
    package func send(_ frames: ByteBuffer) { channel.writeAndFlush(frames, promise: nil) }

    /// Sends what the writer holds and empties it.
    package func send(_ writer: inout FrameWriter) { send(writer.takeBuffer()) }

    /// Whether what was sent so far has left, but for a little.
    package var isClear: Bool { channel.isWritable }

    /// Closes the connection after what was sent has left: NIO drops what still waits when it closes, so the end queues
    /// behind the last frame.
    package func close() {
        wasClosedHere.store(true, ordering: .releasing)
        let channel = channel
        channel.writeAndFlush(ByteBuffer()).whenComplete { _ in channel.close(promise: nil) }
    }

    /// Who ended a connection that had no error.
    var closure: LinkClosure { wasClosedHere.load(ordering: .acquiring) ? .closedHere : .closedByPeer }
}

/// Receives what a link brings. Called on the link's event loop only.
package protocol FrameLinkDelegate: AnyObject, Sendable {
    /// A frame arrived.
    func link(_ link: FrameLink, received frame: InboundFrame)
    /// The link is gone; nothing follows.
    func link(_ link: FrameLink, closed reason: LinkClosure)
}

/// The end of the pipeline: hands frames to the delegate and reports the end exactly once.
final class FrameLinkHandler: ChannelInboundHandler {
    typealias InboundIn = InboundFrame

    private let link: FrameLink
    private let delegate: any FrameLinkDelegate
    private var reason: LinkClosure?

    init(link: FrameLink, delegate: any FrameLinkDelegate) {
        self.link = link
        self.delegate = delegate
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard reason == nil else { return }
        delegate.link(link, received: unwrapInboundIn(data))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if reason == nil {
            reason =
                if let error = error as? WireError {
                    .protocolViolation(reason: "\(error)")
                } else {
                    .failed(reason: "\(error)")
                }
        }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        delegate.link(link, closed: reason ?? link.closure)
    }
}
