import Dialects
import HTTPTypes
import NIOCore
import NIOHTTPTypes
import NIOWebSocket

/// Turns an HTTP connection into a WebSocket when a route answers with 101: from then on each piece of the route's body
/// is a text message to the client, and what the client sends goes to the session the route runs.
///
/// So a WebSocket passes the same checks as any request, and its session is an answer that takes long.
///
/// **Isolation:** the channel's event loop.
final class SocketSwitch: ChannelOutboundHandler, RemovableChannelHandler {
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let limits: ConnectionLimits
    private var session: AsyncStream<SocketInput>.Continuation?
    private var frames: SocketFrames?

    init(limits: ConnectionLimits) { self.limits = limits }

    /// Prepares for a route that is about to answer with 101.
    func arm(_ session: AsyncStream<SocketInput>.Continuation) { self.session = session }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head) where head.status == .switchingProtocols:
            context.writeAndFlush(data, promise: promise)
            begin(context)
        case .body(let buffer) where frames != nil:
            frames?.send(buffer, promise)
        case .end where frames != nil:
            frames?.close(.normal)
            promise?.succeed()
        default:
            context.write(data, promise: promise)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { session?.finish() }

    private func begin(_ context: ChannelHandlerContext) {
        guard let session else { return context.close(promise: nil) }
        let frames = SocketFrames(limits: limits, session: session)
        let decoder = ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: Dialects.Limits.bodyBytes))
        do {
            // They stand in front of HTTP's handlers, which hear no more of what the client sends.
            let front: [any ChannelHandler] = [WebSocketFrameEncoder(), decoder, frames]
            try context.pipeline.syncOperations.addHandlers(front, position: .first)
            self.frames = frames
        } catch {
            session.finish()
            context.close(promise: nil)
        }
    }
}
