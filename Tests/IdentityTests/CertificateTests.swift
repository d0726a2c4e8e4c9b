import Cluster
import Crypto
import Foundation
import Identity
import SwiftASN1
import Testing
import Vocabulary
import X509

@Suite struct `Certificates` {
    private let now = WallTime(milliseconds: 1_795_000_000_000)
    private let node = NodeID(0xABC)

    private func issued(_ authority: ClusterAuthority, key: NodeKey = NodeKey()) throws -> NodeCertificate {
        try authority.issue(try key.signingRequest(for: node), for: node, now: now)
    }

    @Test func `a certificate proves node, cluster and key`() throws {
        let authority = try TestCluster.authority(now: now)
        let key = NodeKey()
        let certificate = try issued(authority, key: key)
        let peer = try authority.certificate.check([certificate.der, authority.certificate.der], now: now)
        #expect(peer.name.uri == "skein://00000000000000c1/node/0000000000000abc")
        #expect(peer.key == key.fingerprint)
        #expect(peer.serial.count == 32)
        #expect(peer.notBefore == now.advanced(by: .seconds(-3600)))
        #expect(peer.notAfter == now.advanced(by: .seconds(30 * 86_400)))
        #expect(authority.certificate.notAfter == now.advanced(by: .seconds(3650 * 86_400)))
        #expect(NodeName(uri: peer.name.uri) == peer.name)
        #expect(NodeName(uri: peer.name.uri.uppercased()) == nil)
    }

    @Test func `serials are drawn from the entropy that is handed in`() throws {
        let authority = try TestCluster.authority(now: now)
        let request = try NodeKey().signingRequest(for: node)
        let serials = try [7, 7, 8].map { seed in
            try authority.issue(request, for: node, now: now, entropy: Draws.entropy(seed: seed)).identity.serial
        }
        #expect(serials[0] == serials[1])
        #expect(serials[0] != serials[2])
    }

    @Test func `a certificate is valid in its time only`() throws {
        let authority = try TestCluster.authority(now: now)
        let der = try issued(authority).der
        let end = now.advanced(by: .seconds(30 * 86_400))
        #expect(throws: CertificateRefusal.expired(at: end, now: end.advanced(by: .seconds(1)))) {
            try authority.certificate.check([der], now: end.advanced(by: .seconds(1)))
        }
        let early = now.advanced(by: .seconds(-3601))
        #expect(throws: CertificateRefusal.notYetValid(from: now.advanced(by: .seconds(-3600)), now: early)) {
            try authority.certificate.check([der], now: early)
        }
        _ = try authority.certificate.check([der], now: now.advanced(by: .seconds(-3599)))
    }

    @Test func `another authority's certificate is refused, also when it has the same name`() throws {
        let authority = try TestCluster.authority(now: now)
        for cluster: UInt64 in [0xC1, 0xC2] {
            let other = try TestCluster.authority(cluster, now: now)
            let der = try issued(other).der
            #expect(throws: CertificateRefusal.otherAuthority(expected: authority.certificate.cluster)) {
                try authority.certificate.check([der, other.certificate.der], now: now)
            }
        }
    }

    @Test func `no changed certificate is accepted`() throws {
        let authority = try TestCluster.authority(now: now)
        let der = try issued(authority).der
        let original = try authority.certificate.check([der], now: now)
        for index in der.indices {
            var changed = der
            changed[index] ^= 1
            guard let peer = try? authority.certificate.check([changed], now: now) else { continue }
            // The frame around the signature may say that its last bit, when it is 0, does not count: that changes
            // neither what is signed nor the signature.
            #expect(peer == original && index > der.count - 80, "byte \(index)")
        }
        for length in 0..<der.count {
            #expect(throws: CertificateRefusal.self) {
                try authority.certificate.check([Array(der.prefix(length))], now: now)
            }
        }
    }

    @Test func `the authority's own certificate is no node's`() throws {
        let authority = try TestCluster.authority(now: now)
        #expect(throws: CertificateRefusal.self) {
            try authority.certificate.check([authority.certificate.der], now: now)
        }
        let der = try issued(authority).der
        #expect(throws: CertificateRefusal.self) { try AuthorityCertificate(der: der) }
    }

    @Test func `a chain is bounded, and an empty one is none`() throws {
        let authority = try TestCluster.authority(now: now)
        let der = try issued(authority).der
        #expect(throws: CertificateRefusal.missing) { try authority.certificate.check([], now: now) }
        #expect(throws: CertificateRefusal.tooMany(count: 3, limit: 2)) {
            try authority.certificate.check([der, der, der], now: now)
        }
        #expect(throws: CertificateRefusal.self) {
            try authority.certificate.check([[UInt8](repeating: 0x30, count: 5000)], now: now)
        }
    }

    /// What a certificate signed with the authority's real key may not be.
    enum Flaw: CaseIterable {
        case authority, noUsage, clientOnly, noName, twoNames, otherCluster, unknownCritical
    }

    @Test(arguments: Flaw.allCases)
    func `a certificate of the right authority must still be one for nodes`(flaw: Flaw) throws {
        let authority = try TestCluster.authority(now: now)
        let key = try P256.Signing.PrivateKey(derRepresentation: authority.keyDER)
        let subject = P256.Signing.PrivateKey()
        let name = "skein://00000000000000c1/node/0000000000000abc"
        var extensions = try Certificate.Extensions {
            if flaw == .authority {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
            } else {
                Critical(BasicConstraints.notCertificateAuthority)
            }
            if flaw != .noUsage { Critical(KeyUsage(digitalSignature: true)) }
            try ExtendedKeyUsage(flaw == .clientOnly ? [.clientAuth] : [.serverAuth, .clientAuth])
        }
        var names = [GeneralName.uniformResourceIdentifier(name)]
        switch flaw {
        case .noName: names = [.dnsName("x")]
        case .twoNames: names.append(.uniformResourceIdentifier(name.replacing("abc", with: "abd")))
        case .otherCluster: names = [.uniformResourceIdentifier(name.replacing("c1", with: "c2"))]
        default: break
        }
        try extensions.append(Certificate.Extension(SubjectAlternativeNames(names), critical: false))
        if flaw == .unknownCritical {
            try extensions.append(.init(oid: [1, 2, 3, 4], critical: true, value: [5, 0]))
        }
        let issuer = try DistinguishedName { CommonName("skein cluster 00000000000000c1") }
        let certificate = try Certificate(
            version: .v3, serialNumber: .init(), publicKey: .init(subject.publicKey),
            notValidBefore: now.date, notValidAfter: now.advanced(by: .seconds(60)).date, issuer: issuer,
            subject: try DistinguishedName { CommonName("x") }, signatureAlgorithm: .ecdsaWithSHA256,
            extensions: extensions, issuerPrivateKey: .init(key))
        let der = try certificate.serializeAsPEM().derBytes
        do throws(CertificateRefusal) {
            _ = try authority.certificate.check([der], now: now)
            Issue.record("accepted")
        } catch {
            switch error {
            case .wrongPurpose: #expect(flaw != .otherCluster)
            case .wrongCluster: #expect(flaw == .otherCluster)
            default: Issue.record("\(error)")
            }
        }
    }

    @Test func `a signing request counts for the node it was made for only`() throws {
        let authority = try TestCluster.authority(now: now)
        let key = NodeKey()
        let request = try key.signingRequest(for: node)
        #expect(throws: IdentityError.self) { try authority.issue(request, for: NodeID(1), now: now) }
        var accepted = 0
        for index in request.indices {
            var changed = request
            changed[index] ^= 4
            guard let issued = try? authority.issue(changed, for: node, now: now) else { continue }
            // Bits that the encoding leaves unused say nothing, so the request is still the same one.
            accepted += 1
            #expect(issued.identity.key == key.fingerprint && issued.identity.node == node, "byte \(index)")
        }
        #expect(accepted <= 2)
        #expect(throws: IdentityError.self) { try authority.issue(request + request, for: node, now: now) }
        #expect(throws: IdentityError.self) {
            try authority.issue([UInt8](repeating: 0, count: 4096), for: node, now: now)
        }
    }

    @Test func `a key on another curve is refused`() throws {
        let authority = try TestCluster.authority(now: now)
        let request = try CertificateSigningRequest(
            version: .v1, subject: try DistinguishedName { CommonName("skein node \(node)") },
            privateKey: .init(P384.Signing.PrivateKey()), attributes: .init(), signatureAlgorithm: .ecdsaWithSHA384)
        let bytes = try request.serializeAsPEM().derBytes
        #expect(throws: IdentityError.signingRequest(finding: "its key is not on the curve P-256")) {
            try authority.issue(bytes, for: node, now: now)
        }
    }

    @Test func `an authority is put together from its own key only`() throws {
        let authority = try TestCluster.authority(now: now)
        let again = try ClusterAuthority(certificate: authority.certificate, keyDER: authority.keyDER)
        _ = try authority.certificate.check([try issued(again).der], now: now)
        #expect(throws: IdentityError.self) {
            try ClusterAuthority(certificate: authority.certificate, keyDER: NodeKey().der)
        }
        #expect(throws: IdentityError.self) { try NodeKey(der: [1, 2, 3]) }
        #expect(throws: IdentityError.self) { try NodeKey(der: [UInt8](repeating: 0, count: 2000)) }
    }

    @Test func `an authority issues nothing beyond its own end`() throws {
        let authority = try TestCluster.authority(now: now)
        let end = authority.certificate.notAfter
        let request = try NodeKey().signingRequest(for: node)
        let last = try authority.issue(request, for: node, now: end.advanced(by: .seconds(-60)))
        #expect(last.identity.notAfter == end)
        #expect(throws: IdentityError.authorityExpired(at: end, now: end)) {
            try authority.issue(request, for: node, now: end)
        }
    }

    @Test func `times and fingerprints are written as people read them`() {
        #expect("\(WallTime(milliseconds: 1_795_000_000_000))" == "2026-11-18T11:06:40Z")
        #expect(WallTime(milliseconds: .max) == WallTime(milliseconds: .max).advanced(by: .seconds(1)))
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        #expect("\(Fingerprint(of: [UInt8]()))" == empty)
        #expect(Fingerprint(hexadecimal: empty) == Fingerprint(of: [UInt8]()))
        #expect(Fingerprint(hexadecimal: "e3") == nil)
    }
}

@Suite struct `Renewal` {
    private let clock = ManualClock()
    private let node = NodeID(7)

    @Test func `a node asks after two thirds of the validity and gets a later certificate`() throws {
        let authority = try TestCluster.authority(now: clock.now)
        let credentials = try TestCluster.credentials(authority, node: node, now: clock.now)
        clock.advance(by: .seconds(19 * 86_400))
        #expect(!credentials.needsRenewal(now: clock.now))
        clock.advance(by: .seconds(86_400))
        #expect(credentials.needsRenewal(now: clock.now))
        let reply = authority.renew(
            try RenewalRequest(node: node, key: credentials.key), for: credentials.certificate.identity, now: clock.now)
        guard case .renewed(let der) = reply else {
            Issue.record("\(reply)")
            return
        }
        let next = try credentials.renewed(by: der)
        #expect(!next.needsRenewal(now: clock.now))
        #expect(next.certificate.identity.isSamePerson(as: credentials.certificate.identity))
        #expect(throws: IdentityError.self) { try next.renewed(by: credentials.certificate.der) }
    }

    @Test func `a new key needs leave`() throws {
        let authority = try TestCluster.authority(now: clock.now)
        let credentials = try TestCluster.credentials(authority, node: node, now: clock.now)
        clock.advance(by: .seconds(86_400))
        let key = NodeKey()
        let request = try RenewalRequest(node: node, key: key)
        let peer = credentials.certificate.identity
        guard case .refused = authority.renew(request, for: peer, now: clock.now),
            case .renewed(let der) = authority.renew(request, for: peer, mayChangeKey: true, now: clock.now)
        else {
            Issue.record("the new key was not judged")
            return
        }
        #expect(throws: IdentityError.self) { try credentials.renewed(by: der) }
        #expect(try credentials.renewed(by: der, key: key).key.fingerprint == key.fingerprint)
    }

    @Test func `nobody renews for another node or cluster`() throws {
        let authority = try TestCluster.authority(now: clock.now)
        let peer = try TestCluster.credentials(authority, node: node, now: clock.now).certificate.identity
        let other = try TestCluster.authority(0xC2, now: clock.now)
        let key = NodeKey()
        for (authority, request) in [
            (authority, try RenewalRequest(node: NodeID(8), key: key)),
            (other, try RenewalRequest(node: node, key: key)),
            (authority, RenewalRequest(signingRequest: [1])),
        ] {
            guard case .refused = authority.renew(request, for: peer, mayChangeKey: true, now: clock.now) else {
                Issue.record("renewed")
                continue
            }
        }
    }
}
