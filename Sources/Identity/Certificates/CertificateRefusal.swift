package import Cluster

/// Why a peer's certificate is not accepted.
package enum CertificateRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// The peer showed none.
    case missing
    /// The peer showed more than a node's and its authority's.
    case tooMany(count: Int, limit: Int)
    /// It cannot be parsed.
    case unreadable(finding: String)
    /// Another authority issued it, or nobody did.
    case otherAuthority(expected: ClusterID)
    /// Its validity begins later.
    case notYetValid(from: WallTime, now: WallTime)
    /// Its validity is over.
    case expired(at: WallTime, now: WallTime)
    /// It is not made for nodes.
    case wrongPurpose(finding: String)
    /// It names another cluster.
    case wrongCluster(expected: ClusterID, presented: ClusterID)
    /// It names another node than the one that was dialed.
    case unexpectedNode(expected: NodeID, presented: NodeID)
    /// The node was removed from the cluster.
    case removed(NodeID)
    /// This one certificate, or every one of this key, was revoked.
    case revoked(serial: String)
    /// The node is known with another key: one of the two is a copy or an impostor.
    case otherKey(NodeID, known: Fingerprint, presented: Fingerprint)
    /// The cluster has no such member.
    case notMember(NodeID)

    /// One sentence with the next step.
    package var description: String {
        switch self {
        case .missing:
            "The peer showed no certificate; it must join the cluster first."
        case .tooMany(let count, let limit):
            "The peer showed \(count) certificates, the limit is \(limit); it is no node of this cluster."
        case .unreadable(let finding):
            "The peer's certificate cannot be read: \(finding); it is no node of this cluster."
        case .otherAuthority(let cluster):
            "The peer's certificate was not issued by cluster \(cluster); check the address, or join the peer "
                + "to this cluster."
        case .notYetValid(let from, let now):
            "The peer's certificate begins at \(from) and this machine's clock shows \(now); set the clocks."
        case .expired(let time, let now):
            "The peer's certificate ended at \(time) and this machine's clock shows \(now); set the clocks, "
                + "or join the peer again."
        case .wrongPurpose(let finding):
            "The peer's certificate is not made for a node: \(finding)."
        case .wrongCluster(let expected, let presented):
            "The peer belongs to cluster \(presented), this node to \(expected); check the address."
        case .unexpectedNode(let expected, let presented):
            "Node \(expected) was dialed and \(presented) answered; its address is out of date."
        case .removed(let node):
            "Node \(node) was removed from the cluster; to come back it must join as a new node."
        case .revoked(let serial):
            "The peer's certificate \(serial) is revoked; the node must join again."
        case .otherKey(let node, let known, let presented):
            "Node \(node) is known by key \(known.short) and showed \(presented.short); one of them is a copy, "
                + "remove the copied data directory."
        case .notMember(let node):
            "Node \(node) is no member of this cluster; it must join with a token."
        }
    }
}

/// Who is at the other end of a connection, as its certificate proves.
package struct PeerIdentity: Hashable, Sendable {
    /// Node and cluster.
    package let name: NodeName
    /// Names the peer's public key.
    package let key: Fingerprint
    /// Serial number of the certificate, in hexadecimal.
    package let serial: String
    /// When the certificate begins to be valid.
    package let notBefore: WallTime
    /// When the certificate ends.
    package let notAfter: WallTime

    /// The node.
    package var node: NodeID { name.node }

    /// Makes an identity of its parts; what comes from a peer is made by `AuthorityCertificate.check`.
    package init(name: NodeName, key: Fingerprint, serial: String, notBefore: WallTime, notAfter: WallTime) {
        self.name = name
        self.key = key
        self.serial = serial
        self.notBefore = notBefore
        self.notAfter = notAfter
    }

    /// Whether both are the same machine's identity: node and key agree. The same node with another key is a copy.
    package func isSamePerson(as other: PeerIdentity) -> Bool { name == other.name && key == other.key }

    /// When the node asks for the next certificate: after two thirds of the validity.
    package var renewAt: WallTime {
        notBefore.advanced(by: .milliseconds((notAfter.milliseconds - notBefore.milliseconds) / 3 * 2))
    }
}
