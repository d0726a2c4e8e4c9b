package import NIOCore
import NIOPosix
import NIOTLS

/// The one port of a node for other nodes: those who join and those who have joined.
///
/// Strangers are counted by a gate before anything is read, and have a few seconds for the handshake and the whole join
/// exchange. Members leave the gate as soon as their certificate has been checked, joiners when they have been let in.
package struct ClusterPort: Sendable {
    /// Sets up the control channel of a member; what arrives until the future completes is kept back.
    package typealias Control = @Sendable (any Channel, PeerIdentity) -> EventLoopFuture<Void>

    private let security: ClusterSecurity
    private let gate: ConnectionGate
    private let versions: JoinVersions
    private let joins: any JoinAuthorizing
    private let milliseconds: Int64
    private let refused: @Sendable (SocketAddress?, ConnectionRefusal) -> Void
    private let control: Control

    /// Makes a port. `refused` is told about connections that came to nothing, for a log; it MUST be quick.
    package init(
        security: ClusterSecurity, gate: ConnectionGate, versions: JoinVersions, joins: any JoinAuthorizing,
        milliseconds: Int64 = Limits.exchangeMilliseconds,
        refused: @escaping @Sendable (SocketAddress?, ConnectionRefusal) -> Void = { _, _ in },
        control: @escaping Control
    ) {
        self.security = security
        self.gate = gate
        self.versions = versions
        self.joins = joins
        self.milliseconds = milliseconds
        self.refused = refused
        self.control = control
    }

    /// Listens on a TCP port; 0 takes any free one.
    ///
    /// **Throws:** what the operating system says when the address cannot be bound.
    package func listen(host: String, port: Int, on group: any EventLoopGroup) async throws -> any Channel {
        try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: Limits.backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try accept(channel) }
            }
            .bind(host: host, port: port).get()
    }

    /// Makes an accepted connection one of this port. MUST be called on its event loop, in its initializer; it is
    /// closed when this throws.
    ///
    /// **Throws:** `ConnectionRefusal.crowded` when the gate is full.
    package func accept(_ channel: any Channel) throws {
        let address = channel.remoteAddress
        guard let pass = gate.enter(address) else {
            refused(address, .crowded)
            throw ConnectionRefusal.crowded
        }
        channel.closeFuture.whenComplete { _ in pass.leave(authenticated: false) }
        let slot = try security.addServerTLS(to: channel)
        let refused = refused
        let watch = HandshakeWatch(slot: slot, milliseconds: milliseconds) { refused(address, $0) }
        // One deadline for handshake and join exchange together.
        let deadline = channel.eventLoop.now + .milliseconds(milliseconds)
        let negotiation = ApplicationProtocolNegotiationHandler { result, channel in
            switch result {
            case .negotiated(PortProtocol.control.rawValue):
                guard let peer = slot.peer else {
                    return channel.eventLoop.makeFailedFuture(ConnectionRefusal.certificate(.missing))
                }
                pass.leave(authenticated: true)
                watch.finish()
                return control(channel, peer)
            case .negotiated(PortProtocol.join.rawValue):
                return channel.eventLoop.makeCompletedFuture {
                    watch.finish()
                    try addJoin(to: channel, deadline: deadline, pass: pass)
                }
            default:
                return channel.eventLoop.makeFailedFuture(ConnectionRefusal.noProtocol(offered: "\(result)"))
            }
        }
        try channel.pipeline.syncOperations.addHandlers([negotiation, watch])
    }

    private func addJoin(to channel: any Channel, deadline: NIODeadline, pass: ConnectionGate.Pass) throws {
        let hello = JoinHello(versions: versions, clock: security.now(), cluster: security.credentials.cluster)
        let (address, refused) = (channel.remoteAddress, refused)
        let handler = JoinServerHandler(
            hello: hello, joins: joins, deadline: deadline, granted: { pass.leave(authenticated: true) },
            failed: { refused(address, $0) })
        // Never more than one frame is kept, whatever arrives.
        let decoder = ByteToMessageHandler(
            JoinFrameDecoder(), maximumBufferSize: Limits.frameBytes + JoinFrame.headerBytes)
        try channel.pipeline.syncOperations.addHandlers([decoder, handler])
    }
}
