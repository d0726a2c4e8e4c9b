import NIOCore

/// The cluster's side of one join exchange: says hello, reads one request, sends one answer and closes.
///
/// Whatever else comes ends the connection; nothing a stranger sends is kept beyond one frame.
final class JoinServerHandler: ChannelInboundHandler {
    typealias InboundIn = JoinFrame
    typealias OutboundOut = ByteBuffer

    private enum State {
        case waiting
        case deciding
        case over
    }

    private let hello: JoinHello
    private let joins: any JoinAuthorizing
    private let deadline: NIODeadline
    private let granted: @Sendable () -> Void
    private let failed: @Sendable (ConnectionRefusal) -> Void
    private var state = State.waiting
    private var alarm: Scheduled<Void>?
    private var context: ChannelHandlerContext?

    init(
        hello: JoinHello, joins: any JoinAuthorizing, deadline: NIODeadline, granted: @escaping @Sendable () -> Void,
        failed: @escaping @Sendable (ConnectionRefusal) -> Void
    ) {
        self.hello = hello
        self.joins = joins
        self.deadline = deadline
        self.granted = granted
        self.failed = failed
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        alarm = context.eventLoop.scheduleTask(deadline: deadline) { bound.value.end(because: "it took too long") }
        send(hello.frame, context: context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        alarm?.cancel()
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        if state == .waiting { failed(.violation(finding: "it closed the connection without a request")) }
        state = .over
        alarm?.cancel()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard state == .waiting else {
            end(because: "it sent more than one request")
            return
        }
        let request: JoinRequest
        do throws(JoinFrameError) { request = try JoinRequest(unwrapInboundIn(data)) } catch {
            refuse(error.description)
            return
        }
        state = .deciding
        let joins = joins
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.makeFutureWithTask { await joins.answer(request) }.assumeIsolated().whenSuccess { decision in
            bound.value.answer(decision)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case let error as JoinFrameError: refuse(error.description)
        case is ByteToMessageDecoderError.PayloadTooLargeError:
            refuse("it sent more than one frame of the largest size")
        default: end(because: "\(error)".prefixed(200))
        }
    }

    private func answer(_ decision: JoinDecision) {
        guard state == .deciding, let context else { return }
        state = .over
        if case .granted = decision { granted() }
        send(decision.frame, context: context)
        context.close(promise: nil)
    }

    /// Tells a stranger what is wrong with its frame, then closes.
    private func refuse(_ finding: String) {
        guard state == .waiting, let context else {
            end(because: finding)
            return
        }
        state = .over
        failed(.violation(finding: finding))
        send(JoinRefusal.malformed(finding).frame, context: context)
        context.close(promise: nil)
    }

    private func end(because finding: String) {
        if state != .over { failed(.violation(finding: finding)) }
        state = .over
        context?.close(promise: nil)
    }

    private func send(_ frame: JoinFrame, context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: frame.bytes)), promise: nil)
    }
}
