import Hummingbird
import NIOCore
import Vocabulary

/// A request's context: what Hummingbird needs, who sent it, and the connection, so that a client's end is noticed
/// while an answer is being made.
struct GatewayContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel
    /// Who sent the request.
    var caller = Caller.stranger
    /// Where what it costs is charged.
    var gate: AccessGate?
    /// How long an answer may take; nil for as long as it needs.
    var timeoutSeconds: Double?
    /// How long a WebSocket may be open.
    var socketLifetime = TimeAmount.seconds(0)
    /// Where its errors are counted.
    var errors: ErrorLog?

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }

    /// Whether the one who sent the request may change what is deployed.
    var mayDeploy: Bool {
        switch caller {
        case .trusted: true
        case .key(let key): key.holds(.admin)
        case .stranger: false
        }
    }

    /// Says in a request whose it is, how long it may take, and what its sender may do to how long models are loaded.
    func permit(_ request: inout GenerationRequest) {
        request.residency = permitted(request.residency)
        request.timeoutSeconds = timeoutSeconds
        request.caller = callerName
    }

    /// ... and in one for vectors.
    func permit(_ request: inout EmbeddingRequest) {
        request.residency = permitted(request.residency)
        request.timeoutSeconds = timeoutSeconds
        request.caller = callerName
    }

    /// Tells callers with keys apart; nil for anybody else.
    private var callerName: String? { if case .key(let key) = caller { key.id } else { nil } }

    /// What the one who sent a request may do to how long models are loaded, of what it asks for.
    private func permitted(_ residency: Residency?) -> Residency {
        Residency(mayDeploy: mayDeploy, keepAlive: mayDeploy ? residency?.keepAlive : nil)
    }

    /// Why less happens than a request asks for; nil when all of it does.
    func objection(to residency: Residency?) -> String? {
        guard residency?.keepAlive != nil, !mayDeploy else { return nil }
        return "'keep_alive' has no effect: the key lacks the scope 'admin'."
    }

    /// Takes what an answer cost out of its caller's bounds.
    func charge(_ meter: UsageMeter) { gate?.charge(meter.tokens, to: caller) }

    /// Sends what `sign` says whenever the stream that answers this request is silent for a while.
    func whenSilent(_ sign: @escaping @Sendable () -> [UInt8]) {
        let channel = channel
        channel.eventLoop.execute {
            (try? channel.pipeline.syncOperations.handler(type: SilenceWatch.self))?.sign = sign
        }
    }

    /// Hands what the client sends to a session from the answer's head on, which MUST have the status 101.
    func beginSocket(_ session: AsyncStream<SocketInput>.Continuation) {
        let channel = channel
        channel.eventLoop.execute {
            guard let handler = try? channel.pipeline.syncOperations.handler(type: SocketSwitch.self) else {
                session.finish()
                return
            }
            handler.arm(session)
        }
    }

    /// Runs `action` once when the client goes away, until the next call replaces it; nil watches no more.
    func whenClientLeaves(_ action: (@Sendable () -> Void)?) {
        let channel = channel
        channel.eventLoop.execute {
            guard channel.isActive else {
                action?()
                return
            }
            (try? channel.pipeline.syncOperations.handler(type: DisconnectWatch.self))?.watch(action)
        }
    }
}

/// Notices that a client closed its side of the connection, which Hummingbird tells a route only when it next writes.
final class DisconnectWatch: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = NIOAny

    /// What to do; at most once.
    private var action: (@Sendable () -> Void)?
    private var hasLeft = false

    /// Replaces what to do; it is done at once when the client has left already, perhaps with its side only, so that
    /// the channel is still active.
    func watch(_ new: (@Sendable () -> Void)?) {
        if hasLeft { new?() } else { action = new }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed { act() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        act()
        context.fireChannelInactive()
    }

    private func act() {
        hasLeft = true
        action?()
        action = nil
    }
}
