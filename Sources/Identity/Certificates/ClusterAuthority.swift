package import Cluster
import Crypto
import Foundation
import SwiftASN1
import X509

/// Issues the certificates of a cluster: its certificate together with its private key.
///
/// Every node that may vote holds one, so that a cluster outlives its founder (decision 8). A certificate proves who a
/// node is; whether it takes part is said by the cluster's log.
package struct ClusterAuthority: Sendable {
    /// The certificate of the cluster.
    package let certificate: AuthorityCertificate
    private let key: NodeKey

    /// Makes the authority of a new cluster.
    ///
    /// **Throws:** `IdentityError.malformed` when the library cannot write the certificate.
    package static func found(
        _ cluster: ClusterID, now: WallTime, entropy: Entropy = .system
    ) throws(IdentityError) -> ClusterAuthority {
        let key = NodeKey()
        do {
            let subject = try CertificateForm.subject(of: cluster)
            let certificate = try Certificate(
                version: .v3, serialNumber: .init(bytes: serial(entropy)), publicKey: .init(key.key.publicKey),
                notValidBefore: now.advanced(by: .zero - Limits.clockSkew).date,
                notValidAfter: now.advanced(by: Limits.authorityValidity).date, issuer: subject, subject: subject,
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                    Critical(KeyUsage(keyCertSign: true))
                    SubjectAlternativeNames([.uniformResourceIdentifier(CertificateForm.uri(of: cluster))])
                    SubjectKeyIdentifier(hash: .init(key.key.publicKey))
                }, issuerPrivateKey: .init(key.key))
            return ClusterAuthority(
                certificate: try AuthorityCertificate(der: try CertificateForm.bytes(of: certificate)), key: key)
        } catch {
            throw .malformed(what: "cluster certificate", finding: "\(error)")
        }
    }

    private init(certificate: AuthorityCertificate, key: NodeKey) {
        self.certificate = certificate
        self.key = key
    }

    /// Puts a certificate and its key together again.
    ///
    /// **Throws:** `IdentityError.malformed` when the key cannot be read, `.keyMismatch` when it is another's.
    package init(certificate: AuthorityCertificate, keyDER: [UInt8]) throws(IdentityError) {
        let key = try NodeKey(der: keyDER)
        guard CertificateForm.fingerprint(of: certificate.certificate.publicKey) == key.fingerprint else {
            throw .keyMismatch(of: "the certificate of cluster \(certificate.cluster)")
        }
        self.init(certificate: certificate, key: key)
    }

    /// The private key as PKCS #8, for a node that may vote; it travels only inside TLS and rests only in files of
    /// mode 0600.
    package var keyDER: [UInt8] { key.der }

    /// Names the key of a signing request, when the request is sound and speaks for `node`.
    ///
    /// **Throws:** `IdentityError.signingRequest` when it is too large, malformed, not signed by its own key, on
    /// another curve, or made for another node.
    package static func key(of request: [UInt8], for node: NodeID) throws(IdentityError) -> Fingerprint {
        try parse(request, for: node).fingerprint
    }

    /// Certifies the key of a signing request for `node`; nothing but the key is taken from the request.
    ///
    /// **Throws:** `IdentityError.signingRequest` as `key(of:for:)` does, `.authorityExpired` outside of the
    /// authority's own validity.
    package func issue(
        _ request: [UInt8], for node: NodeID, now: WallTime, entropy: Entropy = .system
    ) throws(IdentityError) -> NodeCertificate {
        let subjectKey = try Self.parse(request, for: node).key
        let earliest = WallTime(certificate.certificate.notValidBefore)
        guard now >= earliest, now < certificate.notAfter else {
            throw .authorityExpired(at: certificate.notAfter, now: now)
        }
        let name = NodeName(cluster: certificate.cluster, node: node)
        do {
            let issued = try Certificate(
                version: .v3, serialNumber: .init(bytes: Self.serial(entropy)), publicKey: .init(subjectKey),
                notValidBefore: max(earliest, now.advanced(by: .zero - Limits.clockSkew)).date,
                notValidAfter: min(certificate.notAfter, now.advanced(by: Limits.nodeValidity)).date,
                issuer: certificate.certificate.subject, subject: try CertificateForm.subject(of: node),
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.notCertificateAuthority)
                    Critical(KeyUsage(digitalSignature: true))
                    try ExtendedKeyUsage([.serverAuth, .clientAuth])
                    SubjectAlternativeNames([.uniformResourceIdentifier(name.uri), .dnsName(name.hostName)])
                    SubjectKeyIdentifier(hash: .init(subjectKey))
                }, issuerPrivateKey: .init(key.key))
            return try NodeCertificate(der: try CertificateForm.bytes(of: issued), issuedBy: certificate)
        } catch {
            throw .malformed(what: "node certificate", finding: "\(error)")
        }
    }

    private static func parse(
        _ bytes: [UInt8], for node: NodeID
    ) throws(IdentityError) -> (key: P256.Signing.PublicKey, fingerprint: Fingerprint) {
        guard bytes.count <= Limits.signingRequestBytes else {
            throw .signingRequest(finding: "it has \(bytes.count) bytes, the limit is \(Limits.signingRequestBytes)")
        }
        guard let request = try? CertificateSigningRequest(derEncoded: bytes) else {
            throw .signingRequest(finding: "it is not a PKCS #10 request in DER")
        }
        guard let key = P256.Signing.PublicKey(request.publicKey) else {
            throw .signingRequest(finding: "its key is not on the curve P-256")
        }
        guard request.publicKey.isValidSignature(request.signature, for: request) else {
            throw .signingRequest(finding: "it is not signed by its own key")
        }
        guard let subject = try? CertificateForm.subject(of: node), request.subject == subject else {
            throw .signingRequest(finding: "it was not made for node \(node)")
        }
        return (key, Fingerprint(of: key.derRepresentation))
    }

    /// Sixteen random bytes, positive as RFC 5280 §4.1.2.2 asks.
    private static func serial(_ entropy: Entropy) -> [UInt8] {
        var bytes = entropy.bytes(16)
        bytes[0] = bytes[0] & 0x7F | 0x40
        return bytes
    }
}
