package import Cluster

/// What the cluster's log says about nodes: who is a member and by which key, who was removed, what is revoked.
///
/// A certificate proves who somebody is; this decides whether that is enough. The empty value
/// trusts every certificate of the cluster: right for a node that has not seen the log yet and dials out.
package struct PeerTrust: Hashable, Sendable {
    /// Members, with the fingerprint of their key where it is known.
    package var members: [NodeID: Fingerprint?] = [:]
    /// Nodes that were removed.
    package var removed: Set<NodeID> = []
    /// Keys that are not trusted any more, whoever holds them.
    package var revokedKeys: Set<Fingerprint> = []
    /// Serial numbers of certificates that are not trusted any more, in lower-case hexadecimal.
    package var revokedSerials: Set<String> = []
    /// Whether a node that is no member is refused. Off until the node knows the log.
    package var refusesStrangers = false

    /// Trusts every certificate of the cluster.
    package init() {}

    /// Why a peer with a sound certificate is refused; nil when it is not.
    package func refusal(of peer: PeerIdentity) -> CertificateRefusal? {
        if removed.contains(peer.node) { return .removed(peer.node) }
        if revokedKeys.contains(peer.key) || revokedSerials.contains(peer.serial) {
            return .revoked(serial: peer.serial)
        }
        guard let known = members[peer.node] else { return refusesStrangers ? .notMember(peer.node) : nil }
        if let known, known != peer.key { return .otherKey(peer.node, known: known, presented: peer.key) }
        return nil
    }
}

/// Notices that one identity is used by two machines, which happens when a data directory is copied.
///
/// Two signs: the node shows another key than before, or a session that had been superseded speaks again. A restarted
/// node begins a new session too, but its old one stays silent for ever.
package struct IdentityWatch: Sendable {
    /// What a sighting means.
    package enum Finding: Hashable, Sendable {
        /// Nothing strange.
        case same
        /// The node's process began anew.
        case restarted
        /// The node shows another key.
        case otherKey(known: Fingerprint, presented: Fingerprint)
        /// Two processes use one identity at the same time.
        case twoAtOnce(sessions: [UInt64])
    }

    private struct Row {
        var key: Fingerprint
        var session: UInt64
        var superseded: [UInt64] = []
    }

    private var rows: [NodeID: Row] = [:]

    /// Has seen nobody.
    package init() {}

    /// A message of `peer` came, from a process that drew `session` at its start.
    package mutating func saw(_ peer: PeerIdentity, session: UInt64) -> Finding {
        guard var row = rows[peer.node] else {
            if rows.count < Limits.watchedNodes { rows[peer.node] = Row(key: peer.key, session: session) }
            return .same
        }
        guard row.key == peer.key else { return .otherKey(known: row.key, presented: peer.key) }
        if row.session == session { return .same }
        if row.superseded.contains(session) { return .twoAtOnce(sessions: [row.session, session]) }
        row.superseded = row.superseded.suffix(Limits.watchedSessions - 1) + [row.session]
        row.session = session
        rows[peer.node] = row
        return .restarted
    }

    /// Forgets a node: it was removed, or its new key was agreed on.
    package mutating func forget(_ node: NodeID) { rows[node] = nil }
}
