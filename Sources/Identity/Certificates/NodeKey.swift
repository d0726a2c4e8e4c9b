package import Cluster
import Crypto
import Foundation
import SwiftASN1
import X509

/// The private key of a node, on the curve P-256. It never leaves its machine.
package struct NodeKey: Sendable {
    let key: P256.Signing.PrivateKey

    /// Makes a new key.
    package init() { key = P256.Signing.PrivateKey() }

    /// Reads a key.
    ///
    /// **Throws:** `IdentityError.malformed` for anything but a P-256 key in PKCS #8.
    package init(der: [UInt8]) throws(IdentityError) {
        guard der.count <= Limits.privateKeyBytes else {
            throw .malformed(
                what: "private key", finding: "it has \(der.count) bytes, the limit is \(Limits.privateKeyBytes)")
        }
        do { key = try P256.Signing.PrivateKey(derRepresentation: der) } catch {
            throw .malformed(what: "private key", finding: "it is not a P-256 key in PKCS #8")
        }
    }

    /// The key as PKCS #8. Keep it secret.
    package var der: [UInt8] { Array(key.derRepresentation) }

    /// Names the public half.
    package var fingerprint: Fingerprint { Fingerprint(of: key.publicKey.derRepresentation) }

    /// What a node sends to be certified: proof that it has the key, and for which node.
    ///
    /// **Throws:** `IdentityError.signingRequest` when the library cannot write it.
    package func signingRequest(for node: NodeID) throws(IdentityError) -> [UInt8] {
        do {
            let request = try CertificateSigningRequest(
                version: .v1, subject: try CertificateForm.subject(of: node), privateKey: .init(key),
                attributes: .init(), signatureAlgorithm: .ecdsaWithSHA256)
            return try CertificateForm.bytes(of: request)
        } catch {
            throw .signingRequest(finding: "it could not be written (\(error))")
        }
    }
}

/// What Skein's certificates look like: one place for those who write and those who check them.
enum CertificateForm {
    static func subject(of node: NodeID) throws -> DistinguishedName {
        try DistinguishedName { CommonName("skein node \(node)") }
    }

    static func subject(of cluster: ClusterID) throws -> DistinguishedName {
        try DistinguishedName { CommonName("skein cluster \(cluster)") }
    }

    static func uri(of cluster: ClusterID) -> String { "skein://\(cluster)" }

    static func bytes(of element: some DERSerializable) throws -> [UInt8] {
        var serializer = DER.Serializer()
        try serializer.serialize(element)
        return serializer.serializedBytes
    }

    /// Names the public key of a certificate; nil when it is of another kind than ours.
    static func fingerprint(of key: Certificate.PublicKey) -> Fingerprint? {
        P256.Signing.PublicKey(key).map { Fingerprint(of: $0.derRepresentation) }
    }

    /// The URIs among the subject's other names.
    static func uris(of certificate: Certificate) -> [String] {
        guard let names = try? certificate.extensions.subjectAlternativeNames else { return [] }
        return names.compactMap { name in
            guard case .uniformResourceIdentifier(let uri) = name else { return nil }
            return uri
        }
    }

    /// Parses a certificate that anybody may have made.
    static func parse(_ der: [UInt8]) throws(CertificateRefusal) -> Certificate {
        guard der.count <= Limits.certificateBytes else {
            throw .unreadable(finding: "it has \(der.count) bytes, the limit is \(Limits.certificateBytes)")
        }
        do { return try Certificate(derEncoded: der) } catch {
            throw .unreadable(finding: "it is not a certificate in DER")
        }
    }
}
