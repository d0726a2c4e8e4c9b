package import Cluster

/// What a node sends over its authenticated connection to get its next certificate.
package struct RenewalRequest: Hashable, Sendable, Codable {
    /// A signing request for the same key or a new one.
    package let signingRequest: [UInt8]

    /// Asks for a certificate of `key`.
    ///
    /// **Throws:** `IdentityError.signingRequest` when the library cannot write it.
    package init(node: NodeID, key: NodeKey) throws(IdentityError) {
        signingRequest = try key.signingRequest(for: node)
    }

    /// Takes a signing request as it came.
    package init(signingRequest: [UInt8]) { self.signingRequest = signingRequest }
}

/// The answer to `RenewalRequest`.
package enum RenewalReply: Hashable, Sendable, Codable {
    /// The next certificate, in DER.
    case renewed([UInt8])
    /// This node holds no authority; ask another one.
    case cannotIssue
    /// One sentence that says why not.
    case refused(String)
}

extension ClusterAuthority {
    /// Answers a request for renewal.
    ///
    /// The caller MUST take `peer` from the connection (`ClusterSecurity`), and MUST have asked the cluster's state
    /// whether the node is still a member. A new key is accepted when `mayChangeKey`: the caller then has to make the
    /// new fingerprint known before the certificate is used.
    package func renew(
        _ request: RenewalRequest, for peer: PeerIdentity, mayChangeKey: Bool = false, now: WallTime,
        entropy: Entropy = .system
    ) -> RenewalReply {
        guard peer.name.cluster == certificate.cluster else {
            let refusal = CertificateRefusal.wrongCluster(
                expected: certificate.cluster, presented: peer.name.cluster)
            return .refused("\(refusal)")
        }
        do throws(IdentityError) {
            let key = try Self.key(of: request.signingRequest, for: peer.node)
            guard mayChangeKey || key == peer.key else {
                return .refused("\(CertificateRefusal.otherKey(peer.node, known: peer.key, presented: key))")
            }
            return .renewed(try issue(request.signingRequest, for: peer.node, now: now, entropy: entropy).der)
        } catch {
            return .refused("\(error)")
        }
    }
}

extension NodeCredentials {
    /// Whether it is time to ask for the next certificate.
    package func needsRenewal(now: WallTime) -> Bool { now >= certificate.identity.renewAt }

    /// Takes the certificate of a renewal.
    ///
    /// **Throws:** `IdentityError` when it was not issued for this node, this key and this cluster, or does not last
    /// longer than what it replaces.
    package func renewed(by der: [UInt8], key newKey: NodeKey? = nil) throws(IdentityError) -> NodeCredentials {
        let next: NodeCertificate
        do { next = try NodeCertificate(der: der, issuedBy: authority) } catch {
            throw .malformed(what: "certificate of this node", finding: "\(error)")
        }
        guard next.identity.notAfter > certificate.identity.notAfter else {
            throw .malformed(
                what: "renewed certificate",
                finding: "it ends at \(next.identity.notAfter), no later than the present one")
        }
        guard next.identity.node == node else {
            throw .malformed(what: "certificate of this node", finding: "it names node \(next.identity.node)")
        }
        return try NodeCredentials(key: newKey ?? key, certificate: next, authority: authority)
    }
}
