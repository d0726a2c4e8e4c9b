import Cluster
import Identity
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Synchronization

/// How a control connection ended.
enum DialOutcome: Hashable, Sendable {
    /// The other side answered.
    case echoed(PeerIdentity)
    /// This side refused.
    case refused(ConnectionRefusal)
    /// The other side closed it after the handshake.
    case closed
}

/// Dials the control channel of a port as a node does.
enum Dialer {
    static func dial(_ security: ClusterSecurity, port: Int, expecting node: NodeID? = nil) async throws -> DialOutcome
    {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let promise = eventLoop.makePromise(of: DialOutcome.self)
        let channel = try await ClientBootstrap(group: eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try security.configureControlClient(
                        channel, expecting: node, failed: { promise.succeed(.refused($0)) },
                        ready: { channel, peer in
                            channel.eventLoop.makeCompletedFuture {
                                try channel.pipeline.syncOperations.addHandler(Asker(peer: peer, promise: promise))
                            }
                        })
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        let outcome = try await promise.futureResult.get()
        channel.close(promise: nil)
        return outcome
    }

    private final class Asker: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let peer: PeerIdentity
        private let promise: EventLoopPromise<DialOutcome>

        init(peer: PeerIdentity, promise: EventLoopPromise<DialOutcome>) {
            self.peer = peer
            self.promise = promise
        }

        func handlerAdded(context: ChannelHandlerContext) {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "?")), promise: nil)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) { promise.succeed(.echoed(peer)) }

        func channelInactive(context: ChannelHandlerContext) { promise.succeed(.closed) }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { promise.succeed(.closed) }
    }
}

/// A stranger that keeps to no rules: TLS without checks, any bytes.
enum Stranger {
    /// What a stranger sees of a connection.
    struct Sight: Sendable {
        var bytes: [UInt8] = []
        var negotiated: String?
        var completedHandshake = false
    }

    /// Connects, sends `bytes` after the handshake when there is one, and reads until the other side closes.
    static func visit(
        port: Int, protocols: [String] = [PortProtocol.join.rawValue], tls: Bool = true, sending bytes: [UInt8] = [],
        credentials: NodeCredentials? = nil, closing: Bool = false
    ) async throws -> Sight {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        configuration.applicationProtocols = protocols
        if let credentials {
            configuration.certificateChain = [
                .certificate(try NIOSSLCertificate(bytes: credentials.certificate.der, format: .der))
            ]
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: credentials.key.der, format: .der))
        }
        let context = try NIOSSLContext(configuration: configuration)
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let promise = eventLoop.makePromise(of: Sight.self)
        do {
            _ = try await ClientBootstrap(group: eventLoop)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let pipeline = channel.pipeline.syncOperations
                        if tls {
                            try pipeline.addHandler(NIOSSLClientHandler(context: context, serverHostname: nil))
                        }
                        try pipeline.addHandler(Reader(tls: tls, bytes: bytes, closing: closing, promise: promise))
                    }
                }
                .connect(host: "127.0.0.1", port: port).get()
        } catch {
            promise.fail(error)
        }
        return try await promise.futureResult.get()
    }

    private final class Reader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let tls: Bool
        private let bytes: [UInt8]
        private let closing: Bool
        private let promise: EventLoopPromise<Sight>
        private var sight = Sight()
        private var patience: Scheduled<Void>?

        init(tls: Bool, bytes: [UInt8], closing: Bool, promise: EventLoopPromise<Sight>) {
            self.tls = tls
            self.bytes = bytes
            self.closing = closing
            self.promise = promise
        }

        /// A connection that the operating system has forgotten on one side must not hold up a test.
        func handlerAdded(context: ChannelHandlerContext) {
            let channel = context.channel
            patience = context.eventLoop.scheduleTask(in: .seconds(20)) { channel.close(promise: nil) }
        }

        func handlerRemoved(context: ChannelHandlerContext) { patience?.cancel() }

        func channelActive(context: ChannelHandlerContext) {
            if !tls { send(context) }
            context.fireChannelActive()
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case .handshakeCompleted(let negotiated)? = event as? TLSUserEvent {
                sight.negotiated = negotiated
                sight.completedHandshake = true
                send(context)
            }
        }

        private func send(_ context: ChannelHandlerContext) {
            if !bytes.isEmpty { context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil) }
            if closing { context.close(promise: nil) }
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            sight.bytes += Array(unwrapInboundIn(data).readableBytesView)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        func channelInactive(context: ChannelHandlerContext) { promise.succeed(sight) }
    }
}

/// A link as two runners have it: TLS checked by the library, a byte there and back.
enum LinkCheck {
    static func echoes(_ server: TLSConfiguration, _ client: TLSConfiguration, name: String) async throws -> Bool {
        let (serverContext, clientContext) = (
            try NIOSSLContext(configuration: server), try NIOSSLContext(configuration: client)
        )
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let listener = try await ServerBootstrap(group: eventLoop)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: serverContext))
                    try Echo.add(to: channel)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let promise = eventLoop.makePromise(of: Bool.self)
        let channel = try await ClientBootstrap(group: eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        NIOSSLClientHandler(context: clientContext, serverHostname: name), Asker(promise: promise),
                    ])
                }
            }
            .connect(host: "127.0.0.1", port: listener.localAddress?.port ?? 0).get()
        let echoed = try await promise.futureResult.get()
        channel.close(promise: nil)
        try await listener.close().get()
        return echoed
    }

    final class Asker: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let promise: EventLoopPromise<Bool>

        init(promise: EventLoopPromise<Bool>) { self.promise = promise }

        func channelActive(context: ChannelHandlerContext) {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "?")), promise: nil)
            context.fireChannelActive()
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) { promise.succeed(true) }

        func channelInactive(context: ChannelHandlerContext) { promise.succeed(false) }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}

/// A server in the clutches of somebody else: shows any credentials and counts what it is told.
enum Impostor {
    /// Serves `credentials`; `hello` is sent at once. Counts application bytes that clients send.
    static func with(
        _ credentials: NodeCredentials, chain: [[UInt8]]? = nil, protocols: [String] = [PortProtocol.join.rawValue],
        hello: [UInt8] = [], _ body: (Int, SharedCount) async throws -> Void
    ) async throws {
        let sources = try (chain ?? [credentials.certificate.der, credentials.authority.der]).map {
            NIOSSLCertificateSource.certificate(try NIOSSLCertificate(bytes: $0, format: .der))
        }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: sources,
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: credentials.key.der, format: .der)))
        configuration.applicationProtocols = protocols
        let context = try NIOSSLContext(configuration: configuration)
        let count = SharedCount()
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        NIOSSLServerHandler(context: context), Listener(hello: hello, count: count),
                    ])
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        do { try await body(listener.localAddress?.port ?? 0, count) } catch {
            try await listener.close().get()
            throw error
        }
        try await listener.close().get()
    }

    private final class Listener: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let hello: [UInt8]
        private let count: SharedCount

        init(hello: [UInt8], count: SharedCount) {
            self.hello = hello
            self.count = count
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case .handshakeCompleted? = event as? TLSUserEvent, !hello.isEmpty {
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: hello)), promise: nil)
            }
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            count.add(unwrapInboundIn(data).readableBytes)
            context.close(promise: nil)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}

/// A number that two threads share.
final class SharedCount: Sendable {
    private let number = Mutex(0)

    func add(_ amount: Int) { number.withLock { $0 += amount } }

    func raise(to other: Int) { number.withLock { $0 = max($0, other) } }

    var value: Int { number.withLock { $0 } }
}
