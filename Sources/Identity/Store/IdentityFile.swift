import Cluster
import SwiftASN1
import Vocabulary

/// The form of the file that holds a node's identity: some lines of text, PEM, and a checksum over all of it.
///
/// One file, so that key and certificate are replaced together or not at all.
enum IdentityFile {
    private static let title = "skein identity 1"
    private static let keyType = "PRIVATE KEY"
    private static let certificateType = "CERTIFICATE"

    static func text(of identity: NodeIdentity) -> String {
        var text = "\(title)\nnode \(identity.node)\n"
        var documents = [PEMDocument(type: keyType, derBytes: identity.key.der)]
        if let credentials = identity.credentials {
            text += "cluster \(credentials.cluster)\n"
            documents.append(PEMDocument(type: certificateType, derBytes: credentials.certificate.der))
            documents.append(PEMDocument(type: certificateType, derBytes: credentials.authority.der))
        }
        text += documents.map { $0.pemString + "\n" }.joined()
        return text + "checksum \(Fingerprint(of: text.utf8))\n"
    }

    /// Reads what `text` wrote. The error is the finding alone; the caller adds the file.
    static func parse(_ text: String) throws(Finding) -> NodeIdentity {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count > 4, lines.removeLast().isEmpty, let last = lines.popLast(), last.hasPrefix("checksum ")
        else { throw Finding("its end is missing") }
        let body = lines.joined(separator: "\n") + "\n"
        guard Fingerprint(hexadecimal: last.dropFirst("checksum ".count)) == Fingerprint(of: body.utf8) else {
            throw Finding("its checksum does not fit")
        }
        guard lines[0] == title else { throw Finding("it begins with another line than \"\(title)\"") }
        guard lines[1].hasPrefix("node "), let node = Hexadecimal.number(lines[1].dropFirst("node ".count)) else {
            throw Finding("it names no node")
        }
        guard let start = lines.firstIndex(where: { $0.hasPrefix("-----BEGIN ") }),
            let documents = try? PEMDocument.parseMultiple(pemString: lines[start...].joined(separator: "\n")),
            let first = documents.first, first.discriminator == keyType
        else { throw Finding("it holds no private key") }
        let key = try Finding.wrap { () throws(IdentityError) in try NodeKey(der: first.derBytes) }
        let certificates = documents.dropFirst()
        if certificates.isEmpty { return NodeIdentity(node: NodeID(node), key: key) }
        guard certificates.count == 2, certificates.allSatisfy({ $0.discriminator == certificateType }) else {
            throw Finding("it holds \(certificates.count) certificates instead of two")
        }
        return try membership(Array(certificates), node: NodeID(node), key: key)
    }

    private static func membership(
        _ certificates: [PEMDocument], node: NodeID, key: NodeKey
    ) throws(Finding) -> NodeIdentity {
        let authority = try Finding.wrap { () throws(CertificateRefusal) in
            try AuthorityCertificate(der: certificates[1].derBytes)
        }
        let certificate = try Finding.wrap { () throws(CertificateRefusal) in
            try NodeCertificate(der: certificates[0].derBytes, issuedBy: authority)
        }
        guard certificate.identity.node == node else {
            throw Finding("its certificate is of node \(certificate.identity.node), not \(node)")
        }
        let credentials = try Finding.wrap { () throws(IdentityError) in
            try NodeCredentials(key: key, certificate: certificate, authority: authority)
        }
        return NodeIdentity(credentials)
    }

    /// What is wrong with a file.
    struct Finding: Error {
        let text: String

        init(_ text: String) { self.text = text }

        static func wrap<Value, Failure: Error>(_ body: () throws(Failure) -> Value) throws(Finding) -> Value {
            do { return try body() } catch { throw Finding("\(error)") }
        }
    }
}
