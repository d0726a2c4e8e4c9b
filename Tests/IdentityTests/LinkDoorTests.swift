import Cluster
import Foundation
import Identity
import NIOCore
import NIOPosix
import NIOSSL
import Testing
import Vocabulary

@Suite(.timeLimit(.minutes(1))) struct `The door of links between machines` {
    /// A node of the cluster with its door.
    private struct Side {
        let credentials: NodeCredentials
        let security: ClusterSecurity
        let door: LinkDoor

        init(
            _ authority: ClusterAuthority, _ node: UInt64, _ clock: ManualClock, limits: GateLimits = GateLimits(),
            milliseconds: Int64 = 5000
        ) throws {
            credentials = try TestCluster.credentials(authority, node: NodeID(node), now: clock.now)
            security = try ClusterSecurity(credentials) { clock.now }
            let gate = ConnectionGate(limits: limits) { Instant(nanoseconds: clock.now.milliseconds * 1_000_000) }
            door = LinkDoor(security: security, gate: gate, milliseconds: milliseconds)
        }

        var host: String { credentials.certificate.identity.name.hostName }
    }

    private static func listening(_ side: Side, _ body: (Int) async throws -> Void) async throws {
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try side.door.accept(channel)
                    try Echo.add(to: channel)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        do {
            try await body(listener.localAddress?.port ?? 0)
        } catch {
            try await listener.close().get()
            throw error
        }
        try await listener.close().get()
    }

    /// A link that was dialed; nil when a byte did not come back.
    private static func dial(_ side: Side, _ port: Int, named host: String) async throws -> (any Channel)? {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let promise = eventLoop.makePromise(of: Bool.self)
        let channel: any Channel
        do {
            channel = try await ClientBootstrap(group: eventLoop)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try side.door.dial(channel, named: host)
                        try channel.pipeline.syncOperations.addHandler(LinkCheck.Asker(promise: promise))
                    }
                }
                .connect(host: "127.0.0.1", port: port).get()
        } catch {
            promise.succeed(false)
            _ = try await promise.futureResult.get()
            return nil
        }
        guard try await promise.futureResult.get() else { return nil }
        return channel
    }

    @Test func `lets in who is of the cluster and trusted, and leads to the node that is meant alone`() async throws {
        let clock = ManualClock()
        let authority = try TestCluster.authority(now: clock.now)
        let (one, two) = (try Side(authority, 1, clock), try Side(authority, 2, clock))
        let other = try Side(try TestCluster.authority(now: clock.now), 3, clock)
        let foreign = try Side(try TestCluster.authority(0xC2, now: clock.now), 1, clock)
        try await Self.listening(one) { port in
            let link = try #require(try await Self.dial(two, port, named: one.host))
            #expect(one.door.openCount == 1 && two.door.openCount == 1)
            try await link.close().get()
            // Another node than it meant, another authority of the same name, a name of another cluster, and no name.
            #expect(try await Self.dial(two, port, named: two.host) == nil)
            #expect(try await Self.dial(other, port, named: one.host) == nil)
            #expect(try await Self.dial(two, port, named: foreign.host) == nil)
            #expect(try await Self.dial(two, port, named: "localhost") == nil)
            let bare = try await Stranger.visit(port: port, protocols: [], sending: [1, 2, 3])
            #expect(bare.bytes.isEmpty)
            one.security.trust.removed = [NodeID(2)]
            #expect(try await Self.dial(two, port, named: one.host) == nil)
            one.security.trust = PeerTrust()
            one.security.trust.members = [NodeID(2): two.credentials.key.fingerprint]
            one.security.trust.refusesStrangers = true
            #expect(try await Self.dial(two, port, named: one.host) != nil)
            let clone = try Side(authority, 2, clock)
            #expect(try await Self.dial(clone, port, named: one.host) == nil)
            #expect(try await Self.dial(try Side(authority, 9, clock), port, named: one.host) == nil)
            clock.advance(by: .seconds(31 * 86_400))
            #expect(try await Self.dial(two, port, named: one.host) == nil)
        }
    }

    @Test func `shows a renewed certificate from when it was handed over`() async throws {
        let clock = ManualClock()
        let authority = try TestCluster.authority(now: clock.now)
        let (one, two) = (try Side(authority, 1, clock), try Side(authority, 2, clock))
        try await Self.listening(one) { port in
            let old = try #require(try await Self.dial(two, port, named: one.host))
            clock.advance(by: .seconds(29 * 86_400))
            func renewed(_ side: Side) throws -> NodeCredentials {
                try TestCluster.credentials(
                    authority, node: side.credentials.node, key: side.credentials.key, now: clock.now)
            }
            let (first, second) = (try renewed(one), try renewed(two))
            try one.door.adopt(LinkPass(first, PeerTrust()))
            try two.door.adopt(LinkPass(second, PeerTrust()))
            // What was there goes on.
            #expect(old.isActive && one.door.openCount == 1)
            clock.advance(by: .seconds(2 * 86_400))
            let link = try #require(try await Self.dial(two, port, named: one.host))
            let shown = try await link.nioSSL_peerCertificate().get()
            #expect(try shown?.toDERBytes() == first.certificate.der)
        }
    }

    @Test func `closes the links of a node that was removed, on both sides, and no others`() async throws {
        let clock = ManualClock()
        let authority = try TestCluster.authority(now: clock.now)
        let sides = try (1...3).map { try Side(authority, $0, clock) }
        try await Self.listening(sides[0]) { port in
            let kept = try #require(try await Self.dial(sides[1], port, named: sides[0].host))
            let lost = try #require(try await Self.dial(sides[2], port, named: sides[0].host))
            var trust = PeerTrust()
            trust.removed = [NodeID(3)]
            try sides[0].door.adopt(LinkPass(sides[0].credentials, trust))
            try await lost.closeFuture.get()
            #expect(kept.isActive)
            trust.removed = [NodeID(1)]
            sides[1].security.trust = trust
            sides[1].door.closeUntrusted()
            try await kept.closeFuture.get()
            try await until { sides[0].door.openCount == 0 }
        }
    }

    @Test func `bounds strangers, hangs up on who dawdles, and members still get in`() async throws {
        let clock = ManualClock()
        let authority = try TestCluster.authority(now: clock.now)
        var limits = GateLimits()
        (limits.connections, limits.connectionsPerAddress) = (8, 7)
        (limits.attemptsPerMinute) = 10_000
        let one = try Side(authority, 1, clock, limits: limits, milliseconds: 300)
        let two = try Side(authority, 2, clock)
        try await Self.listening(one) { port in
            for bytes in [
                [0], Array("GET / HTTP/1.1\r\n\r\n".utf8), [22, 3, 1, 255, 255] + [UInt8](repeating: 1, count: 65_540),
            ] {
                _ = try? await Stranger.visit(port: port, tls: false, sending: bytes, closing: bytes.count < 3)
            }
            // They say nothing at all, and are closed one by one when their time is over.
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<60 { group.addTask { _ = try? await Stranger.visit(port: port, tls: false) } }
            }
            #expect(one.door.openCount == 0)
            let link = try await Self.dial(two, port, named: one.host)
            #expect(link != nil)
        }
    }

    @Test func `a pass says the same after its way through a pipe, and a broken one changes nothing`() throws {
        let clock = ManualClock()
        let authority = try TestCluster.authority(now: clock.now)
        let side = try Side(authority, 1, clock)
        var trust = PeerTrust()
        trust.members = [NodeID(1): side.credentials.key.fingerprint, NodeID(.max): nil]
        trust.removed = [NodeID(7)]
        trust.revokedKeys = [Fingerprint(of: [1])]
        trust.revokedSerials = ["ab"]
        trust.refusesStrangers = true
        side.security.trust = trust
        let line = try JSONEncoder().encode(side.security.pass)
        #expect(!line.contains(UInt8(ascii: "\n")))
        let pass = try JSONDecoder().decode(LinkPass.self, from: line)
        #expect(pass == side.security.pass)
        let other = try ClusterSecurity(pass) { clock.now }
        #expect(other.trust == trust)
        #expect(other.credentials.certificate.der == side.credentials.certificate.der)
        let stranger = try TestCluster.credentials(authority, node: NodeID(2), now: clock.now)
        var text = try #require(String(data: try JSONEncoder().encode(LinkPass(stranger, trust)), encoding: .utf8))
        text = text.replacing(#""key":[48,"#, with: #""key":[49,"#)
        let broken = try JSONDecoder().decode(LinkPass.self, from: Data(text.utf8))
        #expect(throws: IdentityError.self) { try other.adopt(broken) }
        #expect(other.credentials.certificate.der == side.credentials.certificate.der)
    }
}
