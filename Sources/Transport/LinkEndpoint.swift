package import NIOCore
import NIOPosix
import Wire

/// Makes links: listens and connects, over TCP or Unix sockets, in the clear or with TLS.
package struct LinkEndpoint: Sendable {
    /// Settings of one side.
    package struct Options: Sendable {
        /// Adds TLS to a new connection, on its event loop; what throws closes it. Nil sends in the clear, which is for
        /// one machine only.
        package var secure: (@Sendable (any Channel) throws -> Void)?
        /// Conditions on what this side sends.
        package var conditions = LinkConditions()
        /// How long connecting may take. **Units:** seconds.
        package var connectSeconds: Int64 = 10
        /// How long an accepted connection may take to shake hands, from its beginning. **Units:** seconds.
        package var handshakeSeconds: Int64 = 20

        /// In the clear, without conditions.
        package init() {}

        /// What connecting to `target` takes; `secure` adds TLS that lets only the node of the name answer.
        ///
        /// **Throws:** `LinkClosure.failed` when it is on another machine and there is no TLS to reach it with.
        package init(
            to target: LinkTarget, conditions: LinkConditions = LinkConditions(),
            secure: (@Sendable (any Channel, String) throws -> Void)?
        ) throws(LinkClosure) {
            self.conditions = conditions
            guard let name = target.serverName else { return }
            guard let secure else {
                throw .failed(reason: "\(target) is on another machine, and this runner has no certificate")
            }
            self.secure = { try secure($0, name) }
        }
    }

    /// Receive buffers grow to this size while large frames arrive. **Units:** bytes.
    private static let receiveBufferByteCount = 1 << 20
    /// Connections waiting to be accepted.
    private static let backlog: Int32 = 64

    private let eventLoop: any EventLoop
    private let options: Options

    /// Makes links that live on `eventLoop`.
    package init(on eventLoop: any EventLoop, options: Options = Options()) {
        self.eventLoop = eventLoop
        self.options = options
    }

    /// Listens; every accepted connection gets its delegate from `accept`, which is called on the event loop.
    ///
    /// **Throws:** `LinkClosure.failed` when the address cannot be bound.
    package func listen(
        at address: LinkAddress, accept: @escaping @Sendable () -> any FrameLinkDelegate
    ) async throws(LinkClosure) -> any Channel {
        do {
            let bootstrap = ServerBootstrap(group: eventLoop)
                .serverChannelOption(.backlog, value: Self.backlog)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.recvAllocator, value: Self.receiveAllocator)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try options.secure?(channel)
                        expectHandshake(on: try configure(channel, delegate: accept()))
                    }
                }
            switch address {
            case .unix(let path):
                return try await bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
            case .tcp(let host, let port):
                return try await bootstrap.childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                    .bind(host: host, port: port).get()
            }
        } catch {
            throw .failed(reason: "listening at \(address): \(error)")
        }
    }

    /// Connects.
    ///
    /// **Throws:** `LinkClosure.failed` when nobody answers within `connectSeconds`.
    package func connect(
        to address: LinkAddress, delegate: any FrameLinkDelegate
    ) async throws(LinkClosure) -> FrameLink {
        do {
            let made = eventLoop.makePromise(of: FrameLink.self)
            let bootstrap = ClientBootstrap(group: eventLoop)
                .connectTimeout(.seconds(options.connectSeconds))
                .channelOption(.recvAllocator, value: Self.receiveAllocator)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try options.secure?(channel)
                        made.succeed(try configure(channel, delegate: delegate))
                    }
                }
            do {
                switch address {
                case .unix(let path): _ = try await bootstrap.connect(unixDomainSocketPath: path).get()
                case .tcp(let host, let port):
                    _ = try await bootstrap.channelOption(.tcpOption(.tcp_nodelay), value: 1)
                        .connect(host: host, port: port).get()
                }
            } catch {
                made.fail(error)
                _ = try? await made.futureResult.get()
                throw error
            }
            return try await made.futureResult.get()
        } catch {
            throw .failed(reason: "connecting to \(address): \(error)")
        }
    }

    private static var receiveAllocator: any RecvByteBufferAllocator {
        AdaptiveRecvByteBufferAllocator(minimum: 4096, initial: 65536, maximum: receiveBufferByteCount)
    }

    /// Whoever is let in and says nothing does not stay.
    private func expectHandshake(on link: FrameLink) {
        let deadline = link.channel.eventLoop.scheduleTask(in: .seconds(options.handshakeSeconds)) {
            if !link.isEstablished { link.channel.close(promise: nil) }
        }
        link.channel.closeFuture.whenComplete { _ in deadline.cancel() }
    }

    private func configure(_ channel: any Channel, delegate: any FrameLinkDelegate) throws -> FrameLink {
        let rules = NIOLoopBoundBox(FrameRules.handshake, eventLoop: channel.eventLoop)
        let link = FrameLink(channel: channel, rules: rules)
        let pipeline = channel.pipeline.syncOperations
        if !options.conditions.isClear { try pipeline.addHandler(LinkConditioner(options.conditions)) }
        try pipeline.addHandler(ByteToMessageHandler(FrameDecoder(rules: rules)))
        try pipeline.addHandler(FrameLinkHandler(link: link, delegate: delegate))
        return link
    }
}
