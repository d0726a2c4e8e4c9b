import Cluster
import NIOCore
import Testing
import Vocabulary

@testable import Identity

@Suite struct `The gate` {
    private let start = Instant(nanoseconds: 0)

    private func limits() -> GateLimits {
        var limits = GateLimits()
        (limits.connections, limits.connectionsPerAddress, limits.attemptsPerMinute, limits.addresses) = (4, 2, 3, 5)
        return limits
    }

    @Test func `connections are bounded in all and of each address`() {
        var table = GateTable(limits: limits())
        #expect(table.enter("a", now: start) == true)
        #expect(table.enter("a", now: start) == true)
        #expect(table.enter("a", now: start) == false)
        #expect(table.enter("b", now: start) == true)
        #expect(table.enter("c", now: start) == true)
        #expect(table.enter("d", now: start) == false)
        table.leave("a", authenticated: false)
        #expect(table.enter("d", now: start) == true)
        #expect(table.open == 4)
    }

    @Test func `attempts are bounded within a minute, and those who show themselves are not held to it`() {
        var table = GateTable(limits: limits())
        for _ in 0..<3 {
            #expect(table.enter("a", now: start) == true)
            table.leave("a", authenticated: false)
        }
        #expect(table.enter("a", now: start.advanced(by: .seconds(59))) == false)
        #expect(table.enter("a", now: start.advanced(by: .seconds(60))) == true)
        for _ in 0..<100 {
            #expect(table.enter("b", now: start) == true)
            table.leave("b", authenticated: true)
        }
        #expect(table.rows["b"] == nil)
    }

    @Test func `any number of addresses takes bounded memory, and nobody is shut out by it`() {
        var table = GateTable(limits: limits())
        #expect(table.enter("stays", now: start) == true)
        for index in 0..<10_000 {
            let now = start.advanced(by: .milliseconds(index))
            #expect(table.enter("a\(index)", now: now) == true)
            table.leave("a\(index)", authenticated: false)
            #expect(table.rows.count <= 5)
        }
        #expect(table.rows["stays"]?.open == 1)
        table.leave("stays", authenticated: false)
        table.leave("stays", authenticated: false)
        table.leave("never came", authenticated: true)
        #expect(table.open == 0)
    }

    @Test(arguments: [
        ("10.0.0.1", "10.0.0.1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8::1", "2001:db8:0:0::/64"), ("::1", "0:0:0:0::/64"), ("fe80::a:b:c:d", "fe80:0:0:0::/64"),
    ])
    func `an IPv6 machine counts as its network`(text: String, key: String) throws {
        #expect(ConnectionGate.key(of: try SocketAddress(ipAddress: text, port: 1)) == key)
    }
}

@Suite struct `Copied identities` {
    private func peer(_ key: UInt8 = 1) throws -> PeerIdentity {
        let now = WallTime(milliseconds: 0)
        return PeerIdentity(
            name: NodeName(cluster: try #require(ClusterID(1)), node: NodeID(5)), key: Fingerprint(of: [key]),
            serial: "1", notBefore: now, notAfter: now)
    }

    @Test func `a restart is no copy`() throws {
        var watch = IdentityWatch()
        #expect(watch.saw(try peer(), session: 1) == .same)
        #expect(watch.saw(try peer(), session: 1) == .same)
        #expect(watch.saw(try peer(), session: 2) == .restarted)
        #expect(watch.saw(try peer(), session: 2) == .same)
    }

    @Test func `a session that speaks after it was superseded is a copy`() throws {
        var watch = IdentityWatch()
        _ = watch.saw(try peer(), session: 1)
        _ = watch.saw(try peer(), session: 2)
        #expect(watch.saw(try peer(), session: 1) == .twoAtOnce(sessions: [2, 1]))
        for session: UInt64 in 3..<200 { #expect(watch.saw(try peer(), session: session) == .restarted) }
    }

    @Test func `another key is a copy or an impostor until it is agreed on`() throws {
        var watch = IdentityWatch()
        _ = watch.saw(try peer(), session: 1)
        let (known, presented) = (try peer().key, try peer(2).key)
        #expect(watch.saw(try peer(2), session: 2) == .otherKey(known: known, presented: presented))
        #expect(!(try peer(2)).isSamePerson(as: try peer()))
        watch.forget(NodeID(5))
        #expect(watch.saw(try peer(2), session: 2) == .same)
    }
}

@Suite struct `Join frames` {
    private static let cluster = ClusterID(0xC1)
    private static let versions = JoinVersions(release: "1.0.0")
    private static let time = WallTime(milliseconds: 1_795_000_000_000)

    private static func refusals() throws -> [JoinRefusal] {
        let cluster = try #require(cluster)
        return [
            .unknownToken, .expired(at: time), .usedUp(uses: 3), .revoked(try #require(JoinTokenID("0123abcd"))),
            .wrongCluster(expected: cluster, presented: cluster),
            .unsupportedVersion(joiner: versions, cluster: JoinVersions(release: "2", protocols: 2...3)),
            .clockOff(joiner: time, cluster: WallTime(milliseconds: 0)), .nodeRemoved(NodeID(1)),
            .identityTaken(NodeID(2)), .malformed("a field is cut off"), .cannotIssue, .busy(retrySeconds: 60),
            .unavailable("there is no leader"), .other(code: 99, "the moon is full"),
        ]
    }

    @Test func `every refusal arrives as it was meant, with its own exit code and a sentence`() throws {
        let refusals = try Self.refusals()
        for refusal in refusals {
            #expect(JoinDecision(bytes: JoinDecision.refused(refusal).bytes) == .refused(refusal))
            #expect(refusal.description.count > 30)
        }
        #expect(Set(refusals.map(\.exitCode)).count == refusals.count)
        #expect(Set(JoinExitCode.allCases.map(\.rawValue)).count == JoinExitCode.allCases.count)
    }

    @Test func `requests and grants arrive as they were meant`() throws {
        let secret = JoinSecret(Entropy.system)
        let address = try ClusterAddress("[fe80::1]:4750")
        let request = JoinRequest(
            versions: Self.versions, clock: Self.time, secret: secret, node: NodeID(.max), signingRequest: [1, 2],
            part: .worker, name: "größer", addresses: [address, try ClusterAddress("h:1")], cluster: Self.cluster)
        #expect(JoinRequest(bytes: request.bytes) == request)
        let grant = JoinGrant(
            certificate: [UInt8](repeating: 7, count: 900), part: .member, authorityKey: [9],
            peers: [JoinPeer(node: NodeID(3), addresses: [address]), JoinPeer(node: NodeID(4), addresses: [])])
        #expect(JoinDecision(bytes: JoinDecision.granted(grant).bytes) == .granted(grant))
    }

    @Test func `the largest grant fits a frame`() throws {
        let host = String(repeating: "h", count: 253)
        let addresses = try (1...8).map { try ClusterAddress(host: host, port: $0) }
        let grant = JoinGrant(
            certificate: [UInt8](repeating: 7, count: Limits.certificateBytes), part: .member,
            authorityKey: [UInt8](repeating: 1, count: Limits.privateKeyBytes),
            peers: (0..<100).map { JoinPeer(node: NodeID($0), addresses: addresses) })
        let bytes = JoinDecision.granted(grant).bytes
        #expect(bytes.count <= Limits.frameBytes + JoinFrame.headerBytes)
        guard case .granted(let arrived)? = JoinDecision(bytes: bytes) else {
            Issue.record("unreadable")
            return
        }
        #expect(arrived.certificate == grant.certificate)
        #expect(!arrived.peers.isEmpty)
    }

    @Test func `fields of later versions are passed over`() throws {
        var frame = JoinFrame(.refused)
        frame = JoinRefusal.busy(retrySeconds: 5).frame
        let later = [UInt8(200), 0, 2, 1, 2]
        var bytes = frame.bytes + later
        bytes[4] += UInt8(later.count)
        #expect(JoinDecision(bytes: bytes) == .refused(.busy(retrySeconds: 5)))
    }

    @Test func `texts from the other side cannot drive a terminal`() throws {
        let refusal = JoinRefusal.other(code: 99, "\u{1B}[2Jgone\u{7}\u{9B}x")
        guard case .refused(.other(_, let text))? = JoinDecision(bytes: JoinDecision.refused(refusal).bytes) else {
            Issue.record("unreadable")
            return
        }
        #expect(text == " [2Jgone  x")
    }

    @Test func `mutated frames are read or refused, never more`() throws {
        let seed: UInt64 = 20_261_123
        print("SEED=\(seed)")
        var random = SeededRandom(seed: seed)
        let request = JoinRequest(
            versions: Self.versions, clock: Self.time, secret: JoinSecret(Entropy.system), node: NodeID(1),
            signingRequest: [1, 2, 3], addresses: [try ClusterAddress("h:1")], cluster: Self.cluster)
        let originals = [request.bytes] + (try Self.refusals()).map { JoinDecision.refused($0).bytes }
        for _ in 0..<5000 {
            var bytes = originals[random.below(originals.count)]
            for _ in 0...random.below(4) { bytes[random.below(bytes.count)] = UInt8(random.below(256)) }
            if random.below(3) == 0 { bytes = Array(bytes.prefix(random.below(bytes.count))) }
            if let again = JoinRequest(bytes: bytes) { #expect(JoinRequest(bytes: again.bytes) == again) }
            if let again = JoinDecision(bytes: bytes) { #expect(JoinDecision(bytes: again.bytes) == again) }
        }
    }

    @Test func `every error is a sentence with a next step`() {
        let errors: [any CustomStringConvertible] = [
            IdentityError.notMember, IdentityError.exposed(path: "p", mode: 0o644),
            IdentityError.inUse(path: "p", process: "process 1"), IdentityError.lost(path: "p", remaining: "q"),
            CertificateRefusal.missing, CertificateRefusal.removed(NodeID(1)), ConnectionRefusal.crowded,
            JoinTokenError.full(limit: 64), JoinTokenError.uses(0, limit: 5), JoinTokenError.unknown("x"),
        ]
        for error in errors { #expect("\(error)".hasSuffix(".") && "\(error)".count > 40, "\(error)") }
    }
}
