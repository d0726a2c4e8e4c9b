import Cluster
import Vocabulary

/// What a node hands to its runners, at their start and whenever it changes: what proves whose they are, and whom the
/// log lets them believe.
///
/// **Encoding:** JSON on the runner's standard input; key and certificates in DER. It holds a private key.
package struct LinkPass: Hashable, Sendable, Codable {
    /// A member and its key.
    package struct Member: Hashable, Sendable, Codable {
        var node: UInt64
        var key: String?
    }

    /// The node's private key.
    var key: [UInt8]
    /// The node's certificate.
    var certificate: [UInt8]
    /// The cluster's certificate.
    var authority: [UInt8]
    /// The members the log has, ascending.
    var members: [Member]
    /// The nodes it removed, ascending.
    var removed: [UInt64]
    /// Fingerprints of keys that are trusted no more, ascending.
    var revokedKeys: [String]
    /// Serial numbers of certificates that are trusted no more, ascending.
    var revokedSerials: [String]
    /// Whether a node that is no member is refused.
    var refusesStrangers: Bool

    /// Puts credentials and trust together.
    package init(_ credentials: NodeCredentials, _ trust: PeerTrust) {
        key = credentials.key.der
        certificate = credentials.certificate.der
        authority = credentials.authority.der
        members = trust.members.map { Member(node: $0.key.value, key: $0.value?.description) }
            .sorted { $0.node < $1.node }
        removed = trust.removed.map(\.value).sorted()
        revokedKeys = trust.revokedKeys.map(\.description).sorted()
        revokedSerials = trust.revokedSerials.sorted()
        refusesStrangers = trust.refusesStrangers
    }

    /// What the node shows.
    ///
    /// **Throws:** `IdentityError.malformed` or `.keyMismatch` when the parts are not as a node writes them.
    func credentials() throws(IdentityError) -> NodeCredentials {
        let own: NodeCertificate
        let root: AuthorityCertificate
        do throws(CertificateRefusal) {
            root = try AuthorityCertificate(der: authority)
            own = try NodeCertificate(der: certificate, issuedBy: root)
        } catch { throw .malformed(what: "certificate", finding: "\(error)") }
        return try NodeCredentials(key: try NodeKey(der: key), certificate: own, authority: root)
    }

    /// Whom the log lets the node believe.
    var trust: PeerTrust {
        var trust = PeerTrust()
        for member in members {
            trust.members[NodeID(member.node)] = .some(member.key.flatMap { Fingerprint(hexadecimal: $0) })
        }
        trust.removed = Set(removed.map { NodeID($0) })
        trust.revokedKeys = Set(revokedKeys.compactMap { Fingerprint(hexadecimal: $0) })
        trust.revokedSerials = Set(revokedSerials)
        trust.refusesStrangers = refusesStrangers
        return trust
    }
}

extension ClusterSecurity {
    /// Credentials and trust as they are now, for a runner.
    package var pass: LinkPass { LinkPass(credentials, trust) }

    /// Sets up TLS with what a node handed over.
    ///
    /// **Throws:** `IdentityError` when it is not as a node writes it.
    package convenience init(
        _ pass: LinkPass, now: @escaping @Sendable () -> WallTime
    ) throws(IdentityError) {
        try self.init(try pass.credentials(), now: now)
        trust = pass.trust
    }

    /// Uses what a node handed over from now on.
    ///
    /// **Throws:** `IdentityError` when it is not as a node writes it; what there was stays in use.
    package func adopt(_ pass: LinkPass) throws(IdentityError) {
        if pass.certificate != credentials.certificate.der { try replace(try pass.credentials()) }
        trust = pass.trust
    }
}
