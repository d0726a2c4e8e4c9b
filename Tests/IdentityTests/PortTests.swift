import Cluster
import Identity
import NIOCore
import NIOPosix
import NIOSSL
import Testing
import Vocabulary

@Suite(.timeLimit(.minutes(1))) struct `The cluster port` {
    private func member(_ cluster: TestCluster, node: UInt64 = 2) throws -> NodeCredentials {
        try TestCluster.credentials(cluster.authority, node: NodeID(node), now: cluster.clock.now)
    }

    private func dial(
        _ credentials: NodeCredentials, _ cluster: TestCluster, expecting node: NodeID? = nil
    ) async throws -> DialOutcome {
        let security = try ClusterSecurity(credentials, now: { cluster.clock.now })
        return try await Dialer.dial(security, port: cluster.port, expecting: node)
    }

    @Test func `members reach each other and know who the other is`() async throws {
        try await TestCluster.with { cluster in
            let outcome = try await dial(try member(cluster), cluster, expecting: NodeID(1))
            #expect(outcome == .echoed(cluster.security.credentials.certificate.identity))
            #expect(cluster.refusals.all.isEmpty)
        }
    }

    @Test func `a certificate of another cluster is refused on both sides`() async throws {
        try await TestCluster.with { cluster in
            let other = try TestCluster.authority(0xC2, now: cluster.clock.now)
            let foreign = try TestCluster.credentials(other, node: NodeID(2), now: cluster.clock.now)
            let here = try await dial(foreign, cluster)
            #expect(here == .refused(.certificate(.otherAuthority(expected: other.certificate.cluster))))
            // A stranger that trusts anybody gets no further: the port checks too.
            let sight = try await Stranger.visit(
                port: cluster.port, protocols: [PortProtocol.control.rawValue], sending: [1, 2, 3],
                credentials: foreign)
            #expect(sight.bytes.isEmpty)
            #expect(
                try await cluster.refusals(2).contains(
                    .certificate(.otherAuthority(expected: cluster.authority.certificate.cluster))))
        }
    }

    @Test func `a dialer that reaches another node than it meant hangs up`() async throws {
        try await TestCluster.with { cluster in
            let outcome = try await dial(try member(cluster), cluster, expecting: NodeID(77))
            #expect(
                outcome
                    == .refused(.certificate(.unexpectedNode(expected: NodeID(77), presented: NodeID(1)))))
        }
    }

    @Test func `removed, revoked, copied and unknown nodes are refused by name`() async throws {
        try await TestCluster.with { cluster in
            let credentials = try member(cluster)
            let peer = credentials.certificate.identity
            let known = NodeKey().fingerprint
            var removed = PeerTrust()
            removed.removed = [peer.node]
            var serial = PeerTrust()
            serial.revokedSerials = [peer.serial]
            var key = PeerTrust()
            key.revokedKeys = [peer.key]
            var copied = PeerTrust()
            copied.members = [peer.node: known]
            var strangers = PeerTrust()
            strangers.refusesStrangers = true
            let expected: [(PeerTrust, CertificateRefusal)] = [
                (removed, .removed(peer.node)), (serial, .revoked(serial: peer.serial)),
                (key, .revoked(serial: peer.serial)),
                (copied, .otherKey(peer.node, known: known, presented: peer.key)),
                (strangers, .notMember(peer.node)),
            ]
            for (index, (trust, refusal)) in expected.enumerated() {
                cluster.security.trust = trust
                #expect(try await dial(credentials, cluster) == .closed)
                let refusals = try await cluster.refusals(index + 1)
                #expect(refusals.count == index + 1)
                #expect(refusals.last == .certificate(refusal))
            }
            var member = PeerTrust()
            member.refusesStrangers = true
            member.members = [peer.node: peer.key]
            cluster.security.trust = member
            #expect(try await dial(credentials, cluster) == .echoed(cluster.security.credentials.certificate.identity))
        }
    }

    @Test func `an expired certificate is refused until it is renewed`() async throws {
        try await TestCluster.with { cluster in
            let old = try member(cluster)
            cluster.clock.advance(by: .seconds(31 * 86_400))
            try cluster.security.replace(
                try TestCluster.credentials(cluster.authority, node: NodeID(1), now: cluster.clock.now))
            #expect(try await dial(old, cluster) == .closed)
            guard case .certificate(.expired)? = try await cluster.refusals(1).last else {
                Issue.record("\(cluster.refusals.all)")
                return
            }
            let outcome = try await dial(try member(cluster), cluster)
            #expect(outcome == .echoed(cluster.security.credentials.certificate.identity))
        }
    }

    @Test func `the control channel needs a certificate`() async throws {
        try await TestCluster.with { cluster in
            let sight = try await Stranger.visit(
                port: cluster.port, protocols: [PortProtocol.control.rawValue], sending: [1, 2, 3])
            #expect(sight.bytes.isEmpty)
            #expect(cluster.refusals.all == [.certificate(.missing)])
        }
    }

    @Test(arguments: [[], ["h2", "http/1.1"], ["skein-join/2"]])
    func `other protocols are refused`(protocols: [String]) async throws {
        try await TestCluster.with { cluster in
            let sight = try await Stranger.visit(port: cluster.port, protocols: protocols, sending: [1])
            #expect(sight.bytes.isEmpty)
            #expect(cluster.refusals.all.count == 1)
        }
    }

    @Test func `garbage, cut-off and oversized frames of strangers end their connection alone`() async throws {
        let seed: UInt64 = 20_261_122
        print("SEED=\(seed)")
        var random = SeededRandom(seed: seed)
        var frames: [[UInt8]] = [
            [0], [2, 0, 0, 0, 0], [2, 255, 255, 255, 255], [2, 0, 0, 64, 1], [1, 0, 0, 0, 0], [4, 0, 0, 0, 0],
            [2, 0, 0, 0, 3, 10, 255, 255], [2, 0, 0, 0, 2, 1, 0], Array("GET / HTTP/1.1\r\n\r\n".utf8),
            [2, 0, 0, 64, 0] + [UInt8](repeating: 0, count: 16_384),
            [2, 0, 0, 0, 0] + [2, 0, 0, 0, 0], [UInt8](repeating: 2, count: 200_000),
        ]
        for _ in 0..<20 { frames.append((0..<random.below(300)).map { _ in UInt8(random.below(256)) }) }
        try await TestCluster.with(milliseconds: 1500) { cluster in
            for frame in frames {
                let sight = try await Stranger.visit(port: cluster.port, sending: frame, closing: frame.count < 3)
                switch Answers.last(sight.bytes) {
                case nil, .refused(.malformed)?: break
                case let answer?: Issue.record("\(frame.prefix(20)): \(answer)")
                }
            }
            #expect(await cluster.leader.requests.isEmpty)
            // Bytes that are not TLS at all.
            for frame in [
                [0], Array("GET / HTTP/1.1\r\n\r\n".utf8), [22, 3, 1, 255, 255] + [UInt8](repeating: 1, count: 65_540),
            ] {
                _ = try await Stranger.visit(port: cluster.port, tls: false, sending: frame, closing: frame.count < 3)
            }
            let (_, secret) = try await cluster.leader.token()
            _ = try await cluster.join(try cluster.ticket(secret: secret))
        }
    }

    @Test func `whoever dawdles is hung up on, in the handshake and after it`() async throws {
        try await TestCluster.with(milliseconds: 200) { cluster in
            _ = try await Stranger.visit(port: cluster.port, tls: false)
            #expect(cluster.refusals.all == [.late(milliseconds: 200)])
            let sight = try await Stranger.visit(port: cluster.port, sending: [2, 0, 0])
            #expect(sight.completedHandshake)
            #expect(cluster.refusals.all.last == .violation(finding: "it took too long"))
            try await cluster.emptied()
        }
    }

    @Test func `a thousand strangers at once are bounded, and members still get in`() async throws {
        var limits = GateLimits()
        limits.connections = 32
        limits.connectionsPerAddress = 31
        limits.attemptsPerMinute = 2000
        try await TestCluster.with(milliseconds: 1000, limits: limits) { cluster in
            let most = SharedCount()
            await withTaskGroup(of: Void.self) { group in
                for index in 0..<1000 {
                    // Never more on their way than the operating system keeps for us, or it would drop them itself.
                    if index >= 100 { await group.next() }
                    group.addTask {
                        _ = try? await Stranger.visit(port: cluster.port, tls: index % 8 == 0)
                        most.raise(to: cluster.gate.openCount)
                    }
                }
            }
            #expect(most.value <= 31)
            try await cluster.emptied()
            #expect(cluster.gate.addressCount <= 1)
            #expect(cluster.refusals.all.contains(.crowded))
            let outcome = try await dial(try member(cluster), cluster)
            #expect(outcome == .echoed(cluster.security.credentials.certificate.identity))
        }
    }

    /// Most are turned away before the handshake, as the gate bounds what one address may try in a minute.
    @Test func `of ten thousand that want to join at once few are heard, and members still get in`() async throws {
        var limits = GateLimits()
        limits.connections = 32
        limits.connectionsPerAddress = 31
        limits.attemptsPerMinute = 100
        try await TestCluster.with(milliseconds: 2000, limits: limits) { cluster in
            let most = SharedCount()
            await withTaskGroup(of: Void.self) { group in
                for index in 0..<10_000 {
                    // Never more on their way than the operating system keeps for us, or it would drop them itself.
                    if index >= 100 { await group.next() }
                    group.addTask {
                        _ = try? await Stranger.visit(
                            port: cluster.port, tls: index % 100 == 0, sending: [1, 0, 0])
                        most.raise(to: cluster.gate.openCount)
                    }
                }
            }
            #expect(most.value <= 31)
            try await cluster.emptied()
            #expect(cluster.gate.addressCount <= 1)
            #expect(await cluster.leader.requests.isEmpty)
            // The address has used up its minute; another minute, and a member from there is let in.
            cluster.clock.advance(by: .seconds(61))
            let outcome = try await dial(try member(cluster), cluster)
            #expect(outcome == .echoed(cluster.security.credentials.certificate.identity))
        }
    }

    @Test func `links between stages check the name of the node that is dialed`() async throws {
        // The TLS library dates these by the clock of the machine.
        let clock = ManualClock(WallTime.current)
        let authority = try TestCluster.authority(now: clock.now)
        func security(_ authority: ClusterAuthority, _ node: UInt64) throws -> ClusterSecurity {
            try ClusterSecurity(
                try TestCluster.credentials(authority, node: NodeID(node), now: clock.now), now: { clock.now })
        }
        let (one, two) = (try security(authority, 1), try security(authority, 2))
        let stranger = try security(try TestCluster.authority(now: clock.now), 2)
        let server = try one.linkConfiguration(dialing: false)
        let name = one.credentials.certificate.identity.name
        let other = two.credentials.certificate.identity.name
        #expect(try await LinkCheck.echoes(server, try two.linkConfiguration(dialing: true), name: name.hostName))
        #expect(try await !LinkCheck.echoes(server, try two.linkConfiguration(dialing: true), name: other.hostName))
        #expect(try await !LinkCheck.echoes(server, try stranger.linkConfiguration(dialing: true), name: name.hostName))
        var bare = try two.linkConfiguration(dialing: true)
        bare.certificateChain = []
        bare.privateKey = nil
        #expect(try await !LinkCheck.echoes(server, bare, name: name.hostName))
    }

    @Test func `an address that never shows who it is waits a minute, members do not count`() async throws {
        var limits = GateLimits()
        limits.attemptsPerMinute = 3
        try await TestCluster.with(limits: limits) { cluster in
            for _ in 0..<10 {
                let outcome = try await dial(try member(cluster), cluster)
                #expect(outcome == .echoed(cluster.security.credentials.certificate.identity))
            }
            for _ in 0..<3 {
                _ = try await Stranger.visit(port: cluster.port, tls: false, sending: [1, 2, 3, 4, 5, 6])
            }
            #expect(!cluster.refusals.all.contains(.crowded))
            _ = try? await Stranger.visit(port: cluster.port, tls: false, sending: [1, 2, 3, 4, 5, 6])
            #expect(cluster.refusals.all.last == .crowded)
            cluster.clock.advance(by: .seconds(61))
            let outcome = try await dial(try member(cluster), cluster)
            #expect(outcome == .echoed(cluster.security.credentials.certificate.identity))
        }
    }
}
