package import NIOCore
import NIOSSL
import Synchronization

/// TLS on links between machines, for both sides: bounds those who have not shown who they are, asks for everybody's
/// certificate and whether the log trusts it, and closes the links of nodes that are trusted no more.
///
/// **Isolation:** safe from any thread, but for `accept` and `dial`.
package final class LinkDoor: Sendable {
    private struct Link {
        var channel: any Channel
        var peer: PeerIdentity
    }

    /// What the door goes by.
    package let security: ClusterSecurity
    private let gate: ConnectionGate
    private let milliseconds: Int64
    private let open = Mutex<[ObjectIdentifier: Link]>([:])

    /// Makes a door; strangers have `milliseconds` to show who they are.
    package init(
        security: ClusterSecurity, gate: ConnectionGate, milliseconds: Int64 = Limits.exchangeMilliseconds
    ) {
        self.security = security
        self.gate = gate
        self.milliseconds = milliseconds
    }

    /// Links whose peer has shown who it is.
    package var openCount: Int { open.withLock { $0.count } }

    /// Makes an accepted connection one side of a link. MUST be called on its event loop, in its initializer; it is
    /// closed when this throws.
    ///
    /// **Throws:** `ConnectionRefusal.crowded` when too many strangers stand there already.
    package func accept(_ channel: any Channel) throws {
        guard let pass = gate.enter(channel.remoteAddress) else { throw ConnectionRefusal.crowded }
        channel.closeFuture.whenComplete { _ in pass.leave(authenticated: false) }
        let slot = try security.addLinkServerTLS(to: channel)
        try watch(channel, slot) { pass.leave(authenticated: true) }
    }

    /// Makes a connection that was dialed one side of a link to the node of this name (`NodeName.hostName`). MUST be
    /// called on its event loop, in its initializer.
    ///
    /// **Throws:** `ConnectionRefusal.handshake` when the name is none of this cluster.
    package func dial(_ channel: any Channel, named host: String) throws {
        guard let name = NodeName(hostName: host), name.cluster == security.credentials.cluster else {
            throw ConnectionRefusal.handshake(finding: "\(host.prefixed(64)) is no node of this cluster")
        }
        try watch(channel, try security.addLinkClientTLS(to: channel, expecting: name.node)) {}
    }

    /// Goes by this from now on; links of nodes it does not trust are closed.
    ///
    /// **Throws:** `IdentityError` when it is not as a node writes it; nothing changes then.
    package func adopt(_ pass: LinkPass) throws(IdentityError) {
        try security.adopt(pass)
        closeUntrusted()
    }

    /// Closes the links of nodes that are trusted no more.
    package func closeUntrusted() {
        let trust = security.trust
        let gone = open.withLock { $0.values.filter { trust.refusal(of: $0.peer) != nil }.map(\.channel) }
        for channel in gone { channel.close(promise: nil) }
    }

    private func watch(_ channel: any Channel, _ slot: PeerSlot, known: @escaping @Sendable () -> Void) throws {
        let watch = HandshakeWatch(
            slot: slot, milliseconds: milliseconds,
            known: { [weak self] channel, peer in
                known()
                self?.admit(channel, peer)
            }, failed: { _ in })
        try channel.pipeline.syncOperations.addHandler(watch)
    }

    private func admit(_ channel: any Channel, _ peer: PeerIdentity) {
        let id = ObjectIdentifier(channel)
        let hasRoom = open.withLock { open in
            guard open.count < Limits.openLinks else { return false }
            open[id] = Link(channel: channel, peer: peer)
            return true
        }
        // Trust may have ended during the handshake, before anybody could find the link.
        guard hasRoom, security.trust.refusal(of: peer) == nil else {
            open.withLock { $0[id] = nil }
            channel.close(promise: nil)
            return
        }
        channel.closeFuture.whenComplete { [weak self] _ in self?.open.withLock { $0[id] = nil } }
    }
}
