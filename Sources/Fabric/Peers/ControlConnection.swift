import Cluster
import NIOCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// One connection: its handshake, its pulse and its end. Lives on the switchboard's event loop.
final class ControlConnection: ChannelInboundHandler {
    typealias InboundIn = InboundControlFrame
    typealias OutboundOut = ByteBuffer

    let rules: ControlFrameRules
    /// Number of this call when this side dialled; nil when it accepted.
    let call: UInt64?
    /// The other end, for reports.
    private(set) var address: String
    /// Who is at the other end; nil before its hello.
    private(set) var peer: ControlHello?
    private(set) var isEstablished = false
    private(set) var roundTrip = RoundTrip()
    private(set) var sentBytes = 0
    private(set) var receivedBytes = 0

    private let board: Switchboard
    private var context: ChannelHandlerContext?
    /// Who the connection was proven to be of; nil where nobody proves anything.
    var proven: NodeID?
    private var version = FabricLimits.versions.upperBound
    private var sequence: UInt64 = 0
    private var reason: FabricClosure?
    private var isClosing = false
    private var deadline: Scheduled<Void>?
    private var lastHeard = NIODeadline.now()
    private var lastMessage = NIODeadline.now()
    private var lastProgress = NIODeadline.now()
    private var bufferedBytes = 0

    init(board: Switchboard, rules: ControlFrameRules, address: String, call: UInt64?) {
        self.board = board
        self.rules = rules
        self.address = address
        self.call = call
    }

    // MARK: Beginning

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { opened(context) }
    }

    func channelActive(context: ChannelHandlerContext) { opened(context) }

    private func opened(_ context: ChannelHandlerContext) {
        guard deadline == nil else { return }
        lastHeard = .now()
        if call == nil, let remote = context.remoteAddress?.description { address = remote }
        let limit = board.settings.timings.hello
        deadline = board.after(limit) { [weak self] in
            self?.end(.helloTimeout(milliseconds: limit.nanoseconds / 1_000_000))
        }
        begin()
    }

    private func begin() {
        guard let call else { return }
        write(.hello, board.hello(call: call).body)
    }

    // MARK: Reading

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard reason == nil, !isClosing else { return }
        let frame = unwrapInboundIn(data)
        lastHeard = .now()
        receivedBytes += frame.body.count + ControlFrame.headerBytes
        switch frame.kind {
        case .hello: greeted(frame.body)
        case .refuse: end(.refused(FabricRefusal(body: frame.body)))
        case .message: received(frame.body)
        case .ping:
            guard frame.body.count == 8 else {
                return end(.garbage(field: "the size of a ping", value: UInt64(frame.body.count)))
            }
            write(.pong, frame.body)
        case .pong:
            let sent = ByteBuffer(bytes: frame.body).getInteger(at: 0, endianness: .little, as: Int64.self)
            guard let sent, frame.body.count == 8 else {
                return end(.garbage(field: "the size of a pong", value: UInt64(frame.body.count)))
            }
            roundTrip.add(Int64(NIODeadline.now().uptimeNanoseconds) &- sent)
        }
    }

    private func greeted(_ body: [UInt8]) {
        let hello: ControlHello
        do throws(FabricClosure) {
            hello = try ControlHello(body: body)
        } catch {
            return end(error)
        }
        if let proven, proven != hello.node {
            return refuse(
                FabricRefusal(.unproven, "The certificate is that of \(proven), the hello of \(hello.node)."))
        }
        peer = hello
        if let refusal = board.refusal(of: self, hello) { return refuse(refusal) }
        version = board.hello(call: 0).agreed(with: hello) ?? version
        if call == nil { write(.hello, board.hello(call: 0).body) }
        rules.isOpen = true
        isEstablished = true
        deadline?.cancel()
        lastMessage = .now()
        board.established(self, hello)
        pulse()
    }

    private func received(_ body: [UInt8]) {
        guard let peer else { return }
        lastMessage = .now()
        do throws(CodecError) {
            board.received(try ClusterMessage(bytes: body), from: peer.node)
        } catch {
            end(.unreadable(error))
        }
    }

    // MARK: Writing

    /// Whether more messages may be handed to the socket.
    var isWritable: Bool { isEstablished && !isClosing && context?.channel.isWritable == true }

    /// Sends messages in their order.
    func send(_ bodies: [[UInt8]]) {
        guard let context, !isClosing else { return }
        var buffer = context.channel.allocator.buffer(
            capacity: bodies.reduce(0) { $0 + $1.count + ControlFrame.headerBytes })
        for body in bodies {
            ControlFrame.write(.message, version: version, sequence: sequence, body: body, into: &buffer)
            sequence += 1
        }
        lastMessage = .now()
        sentBytes += buffer.readableBytes
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
    }

    private func write(_ kind: ControlFrameKind, _ body: [UInt8]) {
        guard let context, !isClosing else { return }
        var buffer = context.channel.allocator.buffer(capacity: body.count + ControlFrame.headerBytes)
        ControlFrame.write(kind, version: version, sequence: sequence, body: body, into: &buffer)
        sequence += 1
        sentBytes += buffer.readableBytes
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        lastProgress = .now()
        if let peer, context.channel.isWritable { board.pump(peer.node) }
        context.fireChannelWritabilityChanged()
    }

    // MARK: Pulse

    /// Measures the round trip, and ends a connection that is dead, stuck or not needed.
    private func pulse() {
        guard reason == nil, !isClosing, let peer else { return }
        let timings = board.settings.timings
        let now = NIODeadline.now()
        if now - lastHeard >= timings.silence { return end(.silent(milliseconds: Self.milliseconds(now - lastHeard))) }
        let buffered = (try? context?.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
        if buffered < bufferedBytes || buffered == 0 { lastProgress = now }
        bufferedBytes = buffered
        if now - lastProgress >= timings.stall {
            return end(.stalled(milliseconds: Self.milliseconds(now - lastProgress), waitingBytes: buffered))
        }
        if now - lastMessage >= timings.idle, !board.isEager(peer.node) {
            return refuse(FabricRefusal(.idle, "Nothing was to be said."), .idle)
        }
        var body = ByteBuffer()
        body.writeInteger(Int64(now.uptimeNanoseconds), endianness: .little)
        if buffered == 0 { write(.ping, Array(body.readableBytesView)) }
        deadline = board.after(timings.ping) { [weak self] in self?.pulse() }
    }

    /// The peer tries to make another connection, so it may have lost this one: it answers soon, or is closed.
    func challenge() {
        let asked = NIODeadline.now()
        var body = ByteBuffer()
        body.writeInteger(Int64(asked.uptimeNanoseconds), endianness: .little)
        write(.ping, Array(body.readableBytesView))
        let limit = board.settings.timings.challenge
        _ = board.after(limit) { [weak self] in
            guard let self, lastHeard < asked else { return }
            end(.silent(milliseconds: limit.nanoseconds / 1_000_000))
        }
    }

    private static func milliseconds(_ amount: TimeAmount) -> Int64 { amount.nanoseconds / 1_000_000 }

    // MARK: Ending

    /// Tells the peer why, then closes.
    func refuse(_ refusal: FabricRefusal, _ closure: FabricClosure? = nil) {
        guard reason == nil, let context, !isClosing else { return }
        write(.refuse, refusal.body)
        reason = closure ?? .refusedHere(refusal)
        isClosing = true
        // What was written leaves first; a peer that takes nothing is not waited for.
        let channel = context.channel
        channel.writeAndFlush(ByteBuffer()).whenComplete { _ in channel.close(promise: nil) }
        _ = board.after(board.settings.timings.challenge) { channel.close(promise: nil) }
        if isEstablished { report() }
    }

    func end(_ closure: FabricClosure) {
        if reason == nil { reason = closure }
        isClosing = true
        context?.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case let error as FabricClosure: end(error)
        case let error as IOError where error.errnoCode == ECONNRESET || error.errnoCode == EPIPE: end(.closedByPeer)
        default: end(.failed(reason: "\(error)"))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if reason == nil { reason = .closedByPeer }
        isClosing = true
        report()
        self.context = nil
        context.fireChannelInactive()
    }

    private var isReported = false

    private func report() {
        guard !isReported else { return }
        isReported = true
        deadline?.cancel()
        board.closed(self, reason ?? .closedByPeer)
    }
}
