import Cluster
import Foundation
import Identity
import NIOCore
import SystemPackage
import Testing
import Vocabulary

@Suite(.timeLimit(.minutes(1))) struct `Joining` {
    @Test func `a machine joins with one line and can show who it is`() async throws {
        try await TestCluster.with { cluster in
            let (token, secret) = try await cluster.leader.token()
            let line = try cluster.ticket(secret: secret).text
            try await TemporaryFolder.with { folder in
                let store = try IdentityStore(dataDirectory: FilePath(folder))
                let answer = try await cluster.join(try JoinTicket(line), as: store.identity)
                try store.adopt(answer.credentials, authority: answer.authority)
                #expect(answer.part == .member)
                #expect(answer.peers.map(\.node) == [NodeID(1)])
                #expect(answer.credentials.node == store.identity.node)
                #expect(store.authority?.certificate == cluster.authority.certificate)

                let security = try ClusterSecurity(answer.credentials, now: { cluster.clock.now })
                let outcome = try await Dialer.dial(security, port: cluster.port, expecting: NodeID(1))
                #expect(outcome == .echoed(cluster.security.credentials.certificate.identity))
            }
            #expect(await cluster.leader.tokens[token.id]?.usesLeft == 0)
            #expect(await cluster.leader.requests.first?.name == "second")
        }
    }

    @Test func `a worker gets no copy of the cluster's key, by its own wish or the token's`() async throws {
        try await TestCluster.with { cluster in
            let (_, free) = try await cluster.leader.token()
            let (_, bound) = try await cluster.leader.token(part: .worker)
            for (secret, part) in [(free, JoinPart.worker), (bound, .member)] {
                let answer = try await cluster.join(try cluster.ticket(secret: secret), part: part)
                #expect(answer.part == .worker)
                #expect(answer.authority == nil)
            }
        }
    }

    @Test func `a joiner is let in by whoever holds the key, after the founder is gone`() async throws {
        try await TestCluster.with { cluster in
            let (_, secret) = try await cluster.leader.token()
            let answer = try await cluster.join(try cluster.ticket(secret: secret))
            let heir = try #require(answer.authority)
            let issued = try TestCluster.credentials(heir, node: NodeID(3), now: cluster.clock.now)
            let security = try ClusterSecurity(issued, now: { cluster.clock.now })
            let outcome = try await Dialer.dial(security, port: cluster.port)
            #expect(outcome == .echoed(cluster.security.credentials.certificate.identity))
        }
    }

    @Test func `the next address is tried when one does not answer, and all are named when none does`() async throws {
        try await TestCluster.with { cluster in
            let (_, secret) = try await cluster.leader.token()
            let dead = try ClusterAddress(host: "127.0.0.1", port: 1)
            let hash = cluster.authority.certificate.fingerprint
            let ticket = try JoinTicket(addresses: [dead, try cluster.address()], authority: hash, secret: secret)
            _ = try await cluster.join(ticket)
            let error = await cluster.refusal(try JoinTicket(addresses: [dead], authority: hash, secret: secret))
            guard case .unreachable(let attempts)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(attempts.count == 1 && attempts[0].hasPrefix("127.0.0.1:1: "))
            #expect(error?.exitCode == .unreachable)
        }
    }

    @Test func `somebody in the cluster's place never sees the secret`() async throws {
        let clock = ManualClock()
        // An impostor with the same cluster id and a hello that would please.
        let other = try TestCluster.authority(now: clock.now)
        let credentials = try TestCluster.credentials(other, node: NodeID(1), now: clock.now)
        try await TestCluster.with(clock: clock) { cluster in
            let (_, secret) = try await cluster.leader.token()
            let hash = cluster.authority.certificate.fingerprint
            let genuine = cluster.security.credentials
            let chains: [([[UInt8]], String)] = [
                ([credentials.certificate.der, other.certificate.der], "its own chain"),
                (
                    [credentials.certificate.der, genuine.authority.der],
                    "the real authority behind its own certificate"
                ),
                ([credentials.certificate.der], "no authority"),
            ]
            for (chain, name) in chains {
                try await Impostor.with(credentials, chain: chain) { port, count in
                    let address = try ClusterAddress(host: "127.0.0.1", port: port)
                    let ticket = try JoinTicket(addresses: [address], authority: hash, secret: secret)
                    let error = await cluster.refusal(ticket)
                    #expect(count.value == 0, "\(name)")
                    switch error {
                    case .otherAuthority(address, hash, let presented)?:
                        #expect(presented == Fingerprint(of: chain[chain.count - 1]), "\(name)")
                        #expect(error?.exitCode == .otherAuthority)
                    case .untrusted(address, _)?: #expect(name.hasPrefix("the real authority"))
                    default: Issue.record("\(name): \(String(describing: error))")
                    }
                }
            }
        }
    }

    @Test func `a server that talks wrongly never sees the secret`() async throws {
        let clock = ManualClock()
        let authority = try TestCluster.authority(now: clock.now)
        let credentials = try TestCluster.credentials(authority, node: NodeID(1), now: clock.now)
        let hellos: [[UInt8]] = [
            Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8), [1, 0, 0, 0, 0], [1, 255, 255, 255, 255],
        ]
        try await TestCluster.with(clock: clock) { cluster in
            let (_, secret) = try await cluster.leader.token()
            for hello in hellos {
                try await Impostor.with(credentials, hello: hello) { port, count in
                    let ticket = try JoinTicket(
                        addresses: [try ClusterAddress(host: "127.0.0.1", port: port)],
                        authority: authority.certificate.fingerprint, secret: secret)
                    let error = await cluster.refusal(ticket)
                    #expect(count.value == 0)
                    #expect(error?.exitCode == .violation, "\(String(describing: error))")
                }
            }
            try await Impostor.with(credentials, protocols: ["h2"]) { port, count in
                let ticket = try JoinTicket(
                    addresses: [try ClusterAddress(host: "127.0.0.1", port: port)],
                    authority: authority.certificate.fingerprint, secret: secret)
                let error = await cluster.refusal(ticket)
                #expect(count.value == 0)
                #expect(error?.exitCode == .violation, "\(String(describing: error))")
            }
        }
    }

    @Test func `an expired, used-up, revoked or unknown token is refused with its own sentence`() async throws {
        try await TestCluster.with { cluster in
            let (expiring, first) = try await cluster.leader.token(life: .seconds(60))
            let (revoked, second) = try await cluster.leader.token()
            let (_, third) = try await cluster.leader.token()
            try await cluster.leader.revoke(revoked.id)
            _ = try await cluster.join(try cluster.ticket(secret: third))
            cluster.clock.advance(by: .seconds(61))
            let unknown = try JoinTicket("skein1:h:1:\(expiring.digest):\(String(repeating: "A", count: 43))")
            let expected: [(JoinSecret, JoinRefusal, JoinExitCode)] = [
                (first, .expired(at: expiring.expires), .expired), (second, .revoked(revoked.id), .revoked),
                (third, .usedUp(uses: 1), .usedUp), (unknown.secret, .unknownToken, .unknownToken),
            ]
            for (secret, refusal, code) in expected {
                let error = await cluster.refusal(try cluster.ticket(secret: secret))
                #expect(error == .refused(refusal))
                #expect(error?.exitCode == code)
            }
        }
    }

    @Test func `a machine of another cluster keeps it, and is told so before it dials`() async throws {
        try await TestCluster.with { cluster in
            let (_, secret) = try await cluster.leader.token()
            let other = try TestCluster.authority(0xC2, now: cluster.clock.now)
            let credentials = try TestCluster.credentials(other, node: NodeID(5), now: cluster.clock.now)
            let error = await cluster.refusal(try cluster.ticket(secret: secret), as: NodeIdentity(credentials))
            #expect(error == .identity(.alreadyMember(of: other.certificate.cluster, node: NodeID(5))))
            #expect(error?.exitCode == .alreadyMember)
            // A client that sends its request all the same is refused by the cluster.
            let key = NodeKey()
            let request = JoinRequest(
                versions: TestCluster.versions, clock: cluster.clock.now, secret: secret, node: NodeID(5),
                signingRequest: try key.signingRequest(for: NodeID(5)), cluster: other.certificate.cluster)
            let sight = try await Stranger.visit(port: cluster.port, sending: request.bytes)
            #expect(
                Answers.last(sight.bytes)
                    == .refused(
                        .wrongCluster(
                            expected: cluster.authority.certificate.cluster, presented: other.certificate.cluster)))
            #expect(await cluster.leader.tokens.tokens.first?.usesLeft == 1)
        }
    }

    @Test func `versions without a common protocol part before the secret`() async throws {
        try await TestCluster.with { cluster in
            let (_, secret) = try await cluster.leader.token()
            let future = JoinVersions(release: "9.0.0", protocols: 2...3)
            let error = await cluster.refusal(try cluster.ticket(secret: secret), versions: future)
            #expect(error == .refused(.unsupportedVersion(joiner: future, cluster: TestCluster.versions)))
            #expect(error?.exitCode == .unsupportedVersion)
            #expect(await cluster.leader.requests.isEmpty)
            let request = JoinRequest(
                versions: future, clock: cluster.clock.now, secret: secret, node: NodeID(5), signingRequest: [])
            let sight = try await Stranger.visit(port: cluster.port, sending: request.bytes)
            #expect(
                Answers.last(sight.bytes)
                    == .refused(.unsupportedVersion(joiner: future, cluster: TestCluster.versions)))
        }
    }

    @Test(arguments: [3601, -3601, 40 * 86_400, -40 * 86_400])
    func `a clock that is off is told both times, before the secret is sent`(seconds: Int) async throws {
        try await TestCluster.with { cluster in
            let (_, secret) = try await cluster.leader.token()
            let now = cluster.clock.now.advanced(by: .seconds(seconds))
            let error = await cluster.refusal(try cluster.ticket(secret: secret), now: now)
            #expect(error == .refused(.clockOff(joiner: now, cluster: cluster.clock.now)))
            #expect(error?.exitCode == .clockOff)
            #expect("\(error.map(\.description) ?? "")".contains("\(now)"))
            #expect("\(error.map(\.description) ?? "")".contains("\(cluster.clock.now)"))
            #expect(await cluster.leader.requests.isEmpty)
            let request = JoinRequest(
                versions: TestCluster.versions, clock: now, secret: secret, node: NodeID(5), signingRequest: [])
            let sight = try await Stranger.visit(port: cluster.port, sending: request.bytes)
            #expect(Answers.last(sight.bytes) == .refused(.clockOff(joiner: now, cluster: cluster.clock.now)))
        }
    }

    @Test func `a clock within the hour joins`() async throws {
        try await TestCluster.with { cluster in
            for seconds in [3599, -3599] {
                let (_, secret) = try await cluster.leader.token()
                _ = try await cluster.join(
                    try cluster.ticket(secret: secret), now: cluster.clock.now.advanced(by: .seconds(seconds)))
            }
        }
    }

    @Test func `a server whose certificate has ended is not told the secret`() async throws {
        let clock = ManualClock()
        try await TestCluster.with(clock: clock) { cluster in
            let (_, secret) = try await cluster.leader.token()
            clock.advance(by: .seconds(31 * 86_400))
            let error = await cluster.refusal(try cluster.ticket(secret: secret))
            guard case .untrusted(_, .expired)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(error?.exitCode == .untrusted)
            #expect(await cluster.leader.requests.isEmpty)
        }
    }

    @Test func `a removed node and a copied identity are refused`() async throws {
        try await TestCluster.with { cluster in
            let identity = NodeIdentity.draw()
            await cluster.leader.set(.removed, of: identity.node)
            let (token, secret) = try await cluster.leader.token()
            let ticket = try cluster.ticket(secret: secret)
            var error = await cluster.refusal(ticket, as: identity)
            #expect(error == .refused(.nodeRemoved(identity.node)))
            #expect(error?.exitCode == .nodeRemoved)
            await cluster.leader.set(.member(NodeKey().fingerprint), of: identity.node)
            error = await cluster.refusal(ticket, as: identity)
            #expect(error == .refused(.identityTaken(identity.node)))
            #expect(error?.exitCode == .identityTaken)
            #expect(await cluster.leader.tokens[token.id]?.usesLeft == 1)
            await cluster.leader.set(.member(identity.key.fingerprint), of: identity.node)
            _ = try await cluster.join(ticket, as: identity)
        }
    }

    @Test func `a node without the cluster's key says so, and the joiner goes on to the next`() async throws {
        try await TestCluster.with(issues: false) { cluster in
            let (_, secret) = try await cluster.leader.token()
            let error = await cluster.refusal(try cluster.ticket(secret: secret))
            #expect(error == .refused(.cannotIssue))
            #expect(error?.exitCode == .cannotIssue)
        }
    }

    @Test func `a repeated request of the same key is answered, the request of another node is not`() async throws {
        try await TestCluster.with { cluster in
            let (token, secret) = try await cluster.leader.token()
            let identity = NodeIdentity.draw()
            func request(for node: NodeID, _ signing: [UInt8]) -> [UInt8] {
                JoinRequest(
                    versions: TestCluster.versions, clock: cluster.clock.now, secret: secret, node: node,
                    signingRequest: signing
                ).bytes
            }
            let signing = try identity.key.signingRequest(for: identity.node)
            for _ in 0..<2 {
                let sight = try await Stranger.visit(
                    port: cluster.port, sending: request(for: identity.node, signing))
                guard case .granted(let grant)? = Answers.last(sight.bytes) else {
                    Issue.record("not granted")
                    return
                }
                let peer = try cluster.authority.certificate.check([grant.certificate], now: cluster.clock.now)
                #expect(peer.key == identity.key.fingerprint)
            }
            #expect(await cluster.leader.tokens[token.id]?.usesLeft == 0)
            // The same signing request under another name: it is signed for one node only.
            let sight = try await Stranger.visit(port: cluster.port, sending: request(for: NodeID(9), signing))
            guard case .refused(.malformed)? = Answers.last(sight.bytes) else {
                Issue.record("granted to another node")
                return
            }
        }
    }
}

/// Reads what a port answers.
enum Answers {
    /// The last frame of a connection, when it is an answer.
    static func last(_ bytes: [UInt8]) -> JoinDecision? {
        var rest = bytes[...]
        var answer: JoinDecision?
        while rest.count >= 5 {
            let header = Array(rest.prefix(5))
            let length = header[1...].reduce(0) { $0 << 8 | Int($1) }
            guard rest.count >= 5 + length else { break }
            answer = JoinDecision(bytes: Array(rest.prefix(5 + length)))
            rest = rest.dropFirst(5 + length)
        }
        return answer
    }
}
