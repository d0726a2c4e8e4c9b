package import Cluster
package import NIOCore
package import NIOSSL
import NIOTLS
import Synchronization

/// What a connection to the cluster port is for, as both sides agree in the TLS handshake (ALPN).
package enum PortProtocol: String, Sendable, CaseIterable {
    /// The join exchange; the client has no certificate yet.
    case join = "skein-join/1"
    /// The control channel between nodes; both sides show their certificates.
    case control = "skein-control/1"
}

/// Why a connection of the cluster port did not come to be.
package enum ConnectionRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// The peer's certificate is not accepted.
    case certificate(CertificateRefusal)
    /// The two sides have no protocol in common.
    case noProtocol(offered: String)
    /// There are too many strangers, or this one came too often.
    case crowded
    /// The peer did not show in time who it is.
    case late(milliseconds: Int64)
    /// The peer does not keep to the join protocol.
    case violation(finding: String)
    /// The handshake failed, or the connection ended in it. The peer may have refused this side's certificate.
    case handshake(finding: String)

    /// One sentence with the next step.
    package var description: String {
        switch self {
        case .certificate(let refusal): refusal.description
        case .noProtocol(let offered):
            "The peer speaks \(offered.prefixed(64)) instead of a protocol of this port; check the address and "
                + "versions."
        case .crowded:
            "Too many connections have not shown who they are, this one was closed; try again in a minute."
        case .late(let milliseconds):
            "The peer did not show within \(milliseconds) ms who it is; check the network between the nodes."
        case .violation(let finding):
            "The peer does not keep to the join protocol: \(finding); it is no Skein node, or of another version."
        case .handshake(let finding):
            "The TLS handshake failed: \(finding); the peer is no Skein node, or refuses this node's "
                + "certificate because "
                + "it was removed, has another cluster or another clock."
        }
    }
}

/// Everything TLS needs on the ports of a node: its credentials, whom it trusts, and the time.
///
/// **Isolation:** safe from any thread. Credentials and trust can be replaced while connections are open; a change
/// counts for connections made after it, so the caller closes those of a node that was removed.
package final class ClusterSecurity: Sendable {
    private struct State {
        var credentials: NodeCredentials
        var server: NIOSSLContext
        var client: NIOSSLContext
        var linkServer: NIOSSLContext
        var linkClient: NIOSSLContext
        var trust = PeerTrust()
    }

    private let state: Mutex<State>
    let now: @Sendable () -> WallTime

    /// Sets up TLS with a node's credentials; `now` dates the certificates of peers.
    ///
    /// **Throws:** `IdentityError.tls` when the TLS library refuses key or certificate.
    package init(
        _ credentials: NodeCredentials, now: @escaping @Sendable () -> WallTime
    ) throws(IdentityError) {
        state = Mutex(try Self.state(credentials))
        self.now = now
    }

    /// The node's credentials.
    package var credentials: NodeCredentials { state.withLock { $0.credentials } }

    /// Whom this node trusts.
    package var trust: PeerTrust {
        get { state.withLock { $0.trust } }
        set { state.withLock { $0.trust = newValue } }
    }

    /// Uses renewed credentials from now on.
    ///
    /// **Throws:** `IdentityError.tls` when the TLS library refuses them; the old ones stay in use.
    package func replace(_ credentials: NodeCredentials) throws(IdentityError) {
        let fresh = try Self.state(credentials)
        state.withLock { state in
            let trust = state.trust
            state = fresh
            state.trust = trust
        }
    }

    /// The TLS context of the listening side. It asks for a certificate and goes on without one, for those who join;
    /// it MUST be used with `addServerTLS`, which checks what is shown.
    package var serverTLSContext: NIOSSLContext { state.withLock { $0.server } }

    /// The TLS context of the dialing side for the control channel. It MUST be used with `addClientTLS`.
    package var clientTLSContext: NIOSSLContext { state.withLock { $0.client } }

    /// Checks the certificates a peer showed, as in a handshake.
    ///
    /// **Throws:** why it is refused.
    package func peer(
        of certificates: [NIOSSLCertificate], expecting node: NodeID? = nil
    ) throws(CertificateRefusal) -> PeerIdentity {
        var chain: [[UInt8]] = []
        for certificate in certificates.prefix(Limits.chainCertificates + 1) {
            do { chain.append(try certificate.toDERBytes()) } catch { throw .unreadable(finding: "\(error)") }
        }
        let (authority, trust) = state.withLock { ($0.credentials.authority, $0.trust) }
        let peer = try authority.check(chain, now: now())
        if let node, node != peer.node { throw .unexpectedNode(expected: node, presented: peer.node) }
        if let refusal = trust.refusal(of: peer) { throw refusal }
        return peer
    }

    /// TLS for libraries that set up their connections themselves, as those of HTTP: the chain is checked by the
    /// cluster's certificate, and on the dialing side the name `NodeName.hostName` of the node that is dialed. Both
    /// sides show certificates. Trust in single nodes is not asked for: the caller does.
    ///
    /// **Throws:** `IdentityError.tls` when the TLS library cannot read key or certificate.
    package func linkConfiguration(dialing: Bool) throws(IdentityError) -> TLSConfiguration {
        let credentials = credentials
        var configuration = try Self.configuration(credentials, dialing: dialing)
        do {
            configuration.trustRoots = .certificates([
                try NIOSSLCertificate(bytes: credentials.authority.der, format: .der)
            ])
        } catch { throw .tls(finding: "\(error)") }
        configuration.certificateVerification = dialing ? .fullVerification : .noHostnameVerification
        return configuration
    }

    private static func configuration(
        _ credentials: NodeCredentials, dialing: Bool
    ) throws(IdentityError) -> TLSConfiguration {
        do {
            let chain = [credentials.certificate.der, credentials.authority.der]
            let sources = try chain.map {
                NIOSSLCertificateSource.certificate(try NIOSSLCertificate(bytes: $0, format: .der))
            }
            let key = NIOSSLPrivateKeySource.privateKey(try NIOSSLPrivateKey(bytes: credentials.key.der, format: .der))
            var configuration: TLSConfiguration
            if dialing {
                configuration = .makeClientConfiguration()
                configuration.certificateChain = sources
                configuration.privateKey = key
            } else {
                configuration = .makeServerConfiguration(certificateChain: sources, privateKey: key)
            }
            configuration.minimumTLSVersion = .tlsv13
            configuration.trustRoots = .certificates([])
            configuration.shutdownTimeout = .seconds(1)
            return configuration
        } catch { throw .tls(finding: "\(error)") }
    }

    private static func state(_ credentials: NodeCredentials) throws(IdentityError) -> State {
        var server = try configuration(credentials, dialing: false)
        // Whoever shows a certificate has it checked; whoever shows none gets as far as the join exchange.
        server.certificateVerification = .optionalVerification
        server.applicationProtocols = [PortProtocol.control.rawValue, PortProtocol.join.rawValue]
        var client = try configuration(credentials, dialing: true)
        client.certificateVerification = .noHostnameVerification
        client.applicationProtocols = [PortProtocol.control.rawValue]
        // Both sides of a link show certificates, and nothing is negotiated.
        var linkServer = try configuration(credentials, dialing: false)
        linkServer.certificateVerification = .noHostnameVerification
        var linkClient = try configuration(credentials, dialing: true)
        linkClient.certificateVerification = .noHostnameVerification
        do {
            return State(
                credentials: credentials, server: try NIOSSLContext(configuration: server),
                client: try NIOSSLContext(configuration: client),
                linkServer: try NIOSSLContext(configuration: linkServer),
                linkClient: try NIOSSLContext(configuration: linkClient))
        } catch { throw .tls(finding: "\(error)") }
    }
}

/// What a handshake has found out about the peer. Lives on the connection's event loop.
package final class PeerSlot {
    /// The peer, once its certificate was checked; MUST not be used before the handshake is complete.
    package fileprivate(set) var peer: PeerIdentity?
    /// Why its certificate was refused.
    package fileprivate(set) var refusal: CertificateRefusal?

    init() {}
}

extension ClusterSecurity {
    /// Adds TLS of the listening side to a new connection. MUST be called on its event loop.
    ///
    /// **Throws:** when the pipeline is closed already.
    package func addServerTLS(to channel: any Channel) throws -> PeerSlot {
        try addServer(serverTLSContext, to: channel)
    }

    /// Adds TLS of the listening side of a link.
    func addLinkServerTLS(to channel: any Channel) throws -> PeerSlot {
        try addServer(state.withLock { $0.linkServer }, to: channel)
    }

    private func addServer(_ context: NIOSSLContext, to channel: any Channel) throws -> PeerSlot {
        let slot = PeerSlot()
        let handler = NIOSSLServerHandler(
            context: context, customVerificationCallback: verification(expecting: nil, slot: slot))
        try channel.pipeline.syncOperations.addHandler(handler)
        return slot
    }

    /// Adds TLS of the dialing side to a new connection. MUST be called on its event loop.
    ///
    /// **Throws:** when the pipeline is closed already.
    package func addClientTLS(to channel: any Channel, expecting node: NodeID?) throws -> PeerSlot {
        try addClient(clientTLSContext, to: channel, expecting: node)
    }

    /// Adds TLS of the dialing side of a link.
    func addLinkClientTLS(to channel: any Channel, expecting node: NodeID) throws -> PeerSlot {
        try addClient(state.withLock { $0.linkClient }, to: channel, expecting: node)
    }

    private func addClient(
        _ context: NIOSSLContext, to channel: any Channel, expecting node: NodeID?
    ) throws -> PeerSlot {
        let slot = PeerSlot()
        let handler = try NIOSSLClientHandler(
            context: context, serverHostname: nil,
            customVerificationCallback: verification(expecting: node, slot: slot))
        try channel.pipeline.syncOperations.addHandler(handler)
        return slot
    }

    private func verification(expecting node: NodeID?, slot: PeerSlot) -> NIOSSLCustomVerificationCallback {
        { certificates, promise in
            do throws(CertificateRefusal) {
                slot.peer = try self.peer(of: certificates, expecting: node)
                promise.succeed(.certificateVerified)
            } catch {
                slot.refusal = error
                promise.succeed(.failed)
            }
        }
    }

    /// Makes a new connection the dialing side of a control channel. MUST be called on its event loop, in the
    /// initializer of the channel.
    ///
    /// `ready` is called when the peer has shown who it is, and sets up the rest of the pipeline; what arrives until
    /// its future completes is kept back. The peer may still refuse this side's certificate: then the connection ends
    /// with an error of TLS. `failed` is called once when the connection ends before `ready`.
    ///
    /// **Throws:** when the pipeline is closed already.
    package func configureControlClient(
        _ channel: any Channel, expecting node: NodeID?, milliseconds: Int64 = Limits.exchangeMilliseconds,
        failed: @escaping @Sendable (ConnectionRefusal) -> Void,
        ready: @escaping @Sendable (any Channel, PeerIdentity) -> EventLoopFuture<Void>
    ) throws {
        let slot = try addClientTLS(to: channel, expecting: node)
        let watch = HandshakeWatch(slot: slot, milliseconds: milliseconds, failed: failed)
        let negotiation = ApplicationProtocolNegotiationHandler { result, channel in
            guard result == .negotiated(PortProtocol.control.rawValue) else {
                return channel.eventLoop.makeFailedFuture(ConnectionRefusal.noProtocol(offered: "\(result)"))
            }
            guard let peer = slot.peer else {
                return channel.eventLoop.makeFailedFuture(ConnectionRefusal.certificate(.missing))
            }
            watch.finish()
            return ready(channel, peer)
        }
        try channel.pipeline.syncOperations.addHandlers([negotiation, watch])
    }
}
