package import Cluster

/// Everything a node needs to show who it is: its key, its certificate and the cluster's.
package struct NodeCredentials: Sendable {
    /// The node's private key.
    package let key: NodeKey
    /// The node's certificate.
    package let certificate: NodeCertificate
    /// The cluster's certificate.
    package let authority: AuthorityCertificate

    /// The node.
    package var node: NodeID { certificate.identity.node }
    /// The cluster.
    package var cluster: ClusterID { authority.cluster }

    /// Puts key and certificates together.
    ///
    /// **Throws:** `IdentityError.keyMismatch` when the certificate is of another key.
    package init(
        key: NodeKey, certificate: NodeCertificate, authority: AuthorityCertificate
    ) throws(IdentityError) {
        guard certificate.identity.key == key.fingerprint else {
            throw .keyMismatch(of: "the certificate of node \(certificate.identity.node)")
        }
        self.key = key
        self.certificate = certificate
        self.authority = authority
    }
}

/// Who a node is: drawn once, kept across restarts; credentials once it belongs to a cluster.
package struct NodeIdentity: Sendable {
    /// The node's identity.
    package let node: NodeID
    /// The node's private key.
    package let key: NodeKey
    /// What it shows others; nil before it founded or joined a cluster.
    package let credentials: NodeCredentials?

    /// A node that is in no cluster yet.
    package init(node: NodeID, key: NodeKey) {
        self.node = node
        self.key = key
        credentials = nil
    }

    /// A node in its cluster.
    package init(_ credentials: NodeCredentials) {
        node = credentials.node
        key = credentials.key
        self.credentials = credentials
    }

    /// Draws the identity of a new node.
    package static func draw(_ entropy: Entropy = .system) -> NodeIdentity {
        NodeIdentity(node: NodeID(entropy.number()), key: NodeKey())
    }
}
