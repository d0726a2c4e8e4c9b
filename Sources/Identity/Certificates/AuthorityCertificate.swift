import Cluster
import Foundation
import SwiftASN1
import Vocabulary
import X509

/// The certificate of a cluster, and the one place where certificates of nodes are checked.
package struct AuthorityCertificate: Hashable, Sendable {
    /// The cluster it stands for.
    package let cluster: ClusterID
    /// The certificate in DER.
    package let der: [UInt8]
    let certificate: Certificate

    /// Names the certificate; join tickets carry it.
    package var fingerprint: Fingerprint { Fingerprint(of: der) }

    /// When it ends.
    package var notAfter: WallTime { WallTime(certificate.notValidAfter) }

    /// Reads the certificate of a cluster.
    ///
    /// **Throws:** `CertificateRefusal` when it is not a self-signed certificate as `ClusterAuthority` makes them.
    package init(der: [UInt8]) throws(CertificateRefusal) {
        let certificate = try CertificateForm.parse(der)
        guard let uri = CertificateForm.uris(of: certificate).first, uri.hasPrefix("skein://"),
            let cluster = Hexadecimal.number(uri.dropFirst("skein://".count)).flatMap({ ClusterID($0) }),
            CertificateForm.uri(of: cluster) == uri
        else { throw .wrongPurpose(finding: "it names no cluster") }
        guard case .isCertificateAuthority? = try? certificate.extensions.basicConstraints else {
            throw .wrongPurpose(finding: "it is not the certificate of an authority")
        }
        guard certificate.issuer == certificate.subject,
            certificate.publicKey.isValidSignature(certificate.signature, for: certificate)
        else { throw .otherAuthority(expected: cluster) }
        self.cluster = cluster
        self.der = der
        self.certificate = certificate
    }

    /// Checks what a peer presented: its own certificate first, then perhaps the authority's.
    ///
    /// Every certificate of a cluster is signed by its authority directly, so there is no path to search: the issuer's
    /// key must fit this very certificate. **Throws:** the first rule that is broken.
    package func check(_ chain: [[UInt8]], now: WallTime) throws(CertificateRefusal) -> PeerIdentity {
        guard let leaf = chain.first else { throw .missing }
        guard chain.count <= Limits.chainCertificates else {
            throw .tooMany(count: chain.count, limit: Limits.chainCertificates)
        }
        return try check(try CertificateForm.parse(leaf), now: now)
    }

    func check(_ leaf: Certificate, now: WallTime) throws(CertificateRefusal) -> PeerIdentity {
        guard leaf.issuer == certificate.subject, leaf.signatureAlgorithm == .ecdsaWithSHA256,
            certificate.publicKey.isValidSignature(leaf.signature, for: leaf)
        else { throw .otherAuthority(expected: cluster) }
        try Self.checkPurpose(of: leaf)
        let uris = CertificateForm.uris(of: leaf)
        guard uris.count == 1, let name = NodeName(uri: uris[0]) else {
            throw .wrongPurpose(finding: "it does not name one node")
        }
        guard name.cluster == cluster else { throw .wrongCluster(expected: cluster, presented: name.cluster) }
        guard let key = CertificateForm.fingerprint(of: leaf.publicKey) else {
            throw .wrongPurpose(finding: "its key is not on the curve P-256")
        }
        let identity = PeerIdentity(
            name: name, key: key, serial: Hexadecimal.text(leaf.serialNumber.bytes),
            notBefore: WallTime(leaf.notValidBefore), notAfter: WallTime(leaf.notValidAfter))
        try Self.checkTime(identity.notBefore, identity.notAfter, now: now)
        try Self.checkTime(WallTime(certificate.notValidBefore), notAfter, now: now)
        return identity
    }

    private static func checkTime(
        _ notBefore: WallTime, _ notAfter: WallTime, now: WallTime
    ) throws(CertificateRefusal) {
        guard notBefore <= now else { throw .notYetValid(from: notBefore, now: now) }
        guard now <= notAfter else { throw .expired(at: notAfter, now: now) }
    }

    private static let knownExtensions: Set<ASN1ObjectIdentifier> = [
        .X509ExtensionID.basicConstraints, .X509ExtensionID.keyUsage, .X509ExtensionID.extendedKeyUsage,
        .X509ExtensionID.subjectAlternativeName,
    ]

    private static func checkPurpose(of leaf: Certificate) throws(CertificateRefusal) {
        for field in leaf.extensions where field.critical && !knownExtensions.contains(field.oid) {
            throw .wrongPurpose(finding: "it has the critical extension \(field.oid), which this version does not know")
        }
        guard case .notCertificateAuthority? = try? leaf.extensions.basicConstraints else {
            throw .wrongPurpose(finding: "it is the certificate of an authority")
        }
        guard let usage = try? leaf.extensions.keyUsage, usage.digitalSignature, !usage.keyCertSign else {
            throw .wrongPurpose(finding: "its key is not for signing connections")
        }
        guard let purposes = try? leaf.extensions.extendedKeyUsage, purposes.contains(.serverAuth),
            purposes.contains(.clientAuth)
        else { throw .wrongPurpose(finding: "it is not for both ends of a connection") }
    }
}

/// The certificate of a node, as its authority issued it.
package struct NodeCertificate: Hashable, Sendable {
    /// The certificate in DER.
    package let der: [UInt8]
    /// What it proves.
    package let identity: PeerIdentity

    /// Reads a certificate that `authority` issued; its validity is judged where it is used.
    ///
    /// **Throws:** the rule it breaks.
    package init(der: [UInt8], issuedBy authority: AuthorityCertificate) throws(CertificateRefusal) {
        let certificate = try CertificateForm.parse(der)
        let (begins, ends) = (WallTime(certificate.notValidBefore), WallTime(certificate.notValidAfter))
        guard begins <= ends else { throw .expired(at: ends, now: begins) }
        identity = try authority.check(certificate, now: begins)
        self.der = der
    }
}
