import Fabric
import NIOCore
import NIOPosix
import Synchronization
import Testing
import Vocabulary

@testable import Cluster

@Suite(.timeLimit(.minutes(2))) struct `Control channel` {
    private static func nack(_ sequence: UInt64) -> ClusterMessage { .nack(sequence: sequence) }

    @Test func `messages arrive once and in order, both ways`() async throws {
        let a = try await TestFabric(1)
        let b = try await TestFabric(2)
        b.fabric.follow(TestFabric.roster(a))
        a.fabric.follow(TestFabric.roster(b))
        #expect(try await a.probe.connected() == b.node)
        #expect(try await b.probe.connected() == a.node)
        for number in 0..<500 as Range<UInt64> {
            a.fabric.send(.succeed(term: number), to: b.node)
            b.fabric.send(.succeed(term: number + 1000), to: a.node)
        }
        for number in 0..<500 as Range<UInt64> {
            let (there, from) = try await b.probe.message()
            #expect(there == .succeed(term: number) && from == a.node)
            let (back, _) = try await a.probe.message()
            #expect(back == .succeed(term: number + 1000))
        }
        let peers = await a.fabric.peers()
        #expect(peers.map(\.node) == [b.node])
        #expect(peers[0].dropped == 0)
        await a.fabric.close()
        #expect(try await b.probe.loss() == .refused(Self.leaving(a)))
        await b.fabric.close()
    }

    private static func leaving(_ fabric: TestFabric) -> FabricRefusal {
        FabricRefusal(.leaving, "Node \(fabric.node) stops.")
    }

    @Test func `of two calls at the same time one connection stays`() async throws {
        for round in 0..<20 as Range<UInt64> {
            let a = try await TestFabric(1, boot: round + 1)
            let b = try await TestFabric(2, boot: round + 1)
            // Each dials the other: by its address, and as a member.
            a.fabric.call([b.address])
            b.fabric.call([a.address])
            a.fabric.follow(TestFabric.roster(b))
            b.fabric.follow(TestFabric.roster(a))
            a.fabric.send(Self.nack(round), to: b.node)
            b.fabric.send(Self.nack(round), to: a.node)
            _ = try await a.probe.connected()
            _ = try await b.probe.connected()
            // What is sent until it passes shows that both kept the same one.
            try await Self.exchange(a, b)
            try await Self.exchange(b, a)
            await a.fabric.close()
            await b.fabric.close()
        }
    }

    /// Sends until something passes: a message on the connection that goes may be lost.
    private static func exchange(_ from: TestFabric, _ to: TestFabric) async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let sender = loop.scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(5)) { _ in
            from.fabric.send(.succeed(term: 77), to: to.node)
        }
        defer { sender.cancel() }
        _ = try await to.probe.next("a message after the choice") {
            if case .received(.succeed(term: 77), _) = $0 { true } else { nil }
        }
    }

    @Test func `a peer that restarts is reached again, and its process's end is noticed at once`() async throws {
        let a = try await TestFabric(1)
        let b = try await TestFabric(2)
        a.fabric.follow(TestFabric.roster(b))
        _ = try await a.probe.connected()
        let clock = ContinuousClock()
        let start = clock.now
        await b.fabric.close()
        let ended = try await a.probe.next("the end of b") { if case .ended(let node) = $0 { node } else { nil } }
        #expect(ended == b.node)
        print("end of a process noticed after \(clock.now - start)")
        let again = try await TestFabric(2, boot: 2, port: b.fabric.port)
        #expect(try await a.probe.connected() == b.node)
        await a.fabric.close()
        await again.fabric.close()
    }

    @Test func `other clusters, removed nodes, clones and strangers get a reason`() async throws {
        let a = try await TestFabric(1)
        let other = try await TestFabric(2) { $0.cluster = 8 }
        other.fabric.call([a.address])
        guard case .refused(let refusal) = try await other.probe.failure() else {
            Issue.record("not refused")
            return
        }
        #expect(refusal.code == .otherCluster)
        await other.fabric.close()

        a.fabric.follow(FabricRoster(cluster: 7, peers: [:], removed: [NodeID(3)]))
        let removed = try await TestFabric(3)
        removed.fabric.call([a.address])
        guard case .refused(let second) = try await removed.probe.failure() else {
            Issue.record("not refused")
            return
        }
        #expect(second.code == .removed)
        await removed.fabric.close()

        let clone = try await TestFabric(1, boot: 9)
        clone.fabric.call([a.address])
        guard case .refused(let third) = try await clone.probe.failure() else {
            Issue.record("not refused")
            return
        }
        #expect(third.code == .clonedIdentity)
        await clone.fabric.close()

        let later = try await TestFabric(4, boot: 5)
        later.fabric.call([a.address])
        _ = try await later.probe.connected()
        let earlier = try await TestFabric(4, boot: 4)
        earlier.fabric.call([a.address])
        guard case .refused(let fourth) = try await earlier.probe.failure() else {
            Issue.record("not refused")
            return
        }
        #expect(fourth.code == .clonedIdentity)
        await earlier.fabric.close()
        await later.fabric.close()
        await a.fabric.close()
    }

    @Test func `a version that both lack is told in a sentence`() async throws {
        let a = try await TestFabric(1)
        let stranger = try await RawPeer.connect(a.address)
        let hello = ControlHello(versions: 7...9, cluster: 7, node: NodeID(5), boot: 1, call: 1, nonce: 2)
        try await stranger.send(RawPeer.frame(.hello, hello.body))
        let closure = try await a.probe.failure()
        guard case .refusedHere(let refusal) = closure else {
            Issue.record("\(closure)")
            return
        }
        #expect(refusal.code == .versions)
        #expect(refusal.description.contains("7 to 9"))
        try await stranger.waitForEnd()
        await a.fabric.close()
    }

    /// Bytes before and after the hello, and what they end with.
    private static let attacks: [(String, [UInt8], @Sendable (FabricClosure) -> Bool)] = {
        let hello = RawPeer.hello(9)
        let message = RawPeer.frame(.message, ClusterMessage.nack(sequence: 1).encodedBytes, sequence: 1)
        var flipped = message
        flipped[flipped.count - 1] ^= 1
        return [
            (
                "garbage", Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8),
                { if case .oversized = $0 { true } else { false } }
            ),
            ("zeros", Array(repeating: 0, count: 64), { if case .garbage = $0 { true } else { false } }),
            ("oversized hello", [0, 0, 1, 0], { $0 == .oversized(bytes: 65536, limit: 4096) }),
            ("message before the hello", message, { if case .garbage = $0 { true } else { false } }),
            ("cut hello", Array(hello.prefix(40)), { $0 == .truncated(bytes: 40) }),
            ("short hello", RawPeer.frame(.hello, [1, 2, 3]), { if case .truncated = $0 { true } else { false } }),
            (
                "foreign hello", RawPeer.frame(.hello, Array(repeating: 9, count: 60)),
                {
                    if case .garbage = $0 { true } else { false }
                }
            ),
            ("oversized", hello + [0xFF, 0xFF, 0xFF, 0x7F], { if case .oversized = $0 { true } else { false } }),
            ("truncated", hello + message.dropLast(), { if case .truncated = $0 { true } else { false } }),
            ("replayed", hello + message + message, { $0 == .outOfOrder(sequence: 1, expected: 2) }),
            ("replayed hello", hello + hello, { if case .garbage = $0 { true } else { false } }),
            (
                "reordered", hello + RawPeer.frame(.ping, Array(repeating: 0, count: 8), sequence: 2),
                {
                    $0 == .outOfOrder(sequence: 2, expected: 1)
                }
            ),
            ("flipped", hello + flipped, { if case .checksum = $0 { true } else { false } }),
            (
                "unreadable", hello + RawPeer.frame(.message, [200, 200], sequence: 1),
                {
                    if case .unreadable = $0 { true } else { false }
                }
            ),
            (
                "short ping", hello + RawPeer.frame(.ping, [1], sequence: 1),
                { if case .garbage = $0 { true } else { false } }
            ),
        ]
    }()

    @Test(arguments: attacks.map(\.0))
    func `hostile bytes end their own connection with a reason, and no other`(name: String) async throws {
        let attack = try #require(Self.attacks.first { $0.0 == name })
        let a = try await TestFabric(1)
        let friend = try await TestFabric(2)
        friend.fabric.call([a.address])
        _ = try await friend.probe.connected()
        let attacker = try await RawPeer.connect(a.address)
        try await attacker.send(attack.1)
        if name == "cut hello" || name == "truncated" { try await attacker.finish() }
        let closure = try await a.probe.next("the end of the attack") { event -> FabricClosure? in
            switch event {
            case .failed(_, _, let closure): closure
            case .lost(NodeID(9), let closure): closure
            default: nil
            }
        }
        #expect(attack.2(closure), "\(name): \(closure)")
        #expect(closure.isViolation)
        if name != "cut hello", name != "truncated" { try await attacker.waitForEnd() }
        friend.fabric.send(Self.nack(5), to: a.node)
        #expect(try await a.probe.message().0 == Self.nack(5))
        await friend.fabric.close()
        await a.fabric.close()
    }

    @Test func `random bytes never do harm`() async throws {
        let a = try await TestFabric(1)
        var random = SeededRandom(seed: 3)
        print("SEED=3")
        for round in 0..<60 {
            let attacker = try await RawPeer.connect(a.address)
            var bytes = round % 2 == 0 ? [] : RawPeer.hello(50 + UInt64(round))
            bytes += (0..<random.below(3000)).map { _ in UInt8(random.below(256)) }
            try? await attacker.send(bytes)
            try? await attacker.finish()
        }
        let friend = try await TestFabric(2)
        friend.fabric.call([a.address])
        _ = try await friend.probe.connected()
        friend.fabric.send(Self.nack(5), to: a.node)
        #expect(try await a.probe.message().0 == Self.nack(5))
        await friend.fabric.close()
        await a.fabric.close()
    }

    @Test func `who says nothing is closed in time, before and after the hello`() async throws {
        let hasty = try await TestFabric(1) { $0.timings.hello = .milliseconds(100) }
        let mute = try await RawPeer.connect(hasty.address)
        #expect(try await hasty.probe.failure() == .helloTimeout(milliseconds: 100))
        try await mute.waitForEnd()
        await hasty.fabric.close()

        // One with time for the hello: on a busy machine this one may take longer than the other allows.
        let patient = try await TestFabric(2) {
            $0.timings.ping = .milliseconds(50)
            $0.timings.silence = .milliseconds(200)
        }
        let silent = try await RawPeer.connect(patient.address)
        try await silent.send(RawPeer.hello(9))
        guard case .silent = try await patient.probe.loss() else {
            Issue.record("not silent")
            return
        }
        try await silent.waitForEnd()
        await patient.fabric.close()
    }

    @Test func `nobody at an address is tried again, and then the next address`() async throws {
        let gone = try await TestFabric(3)
        let deserted = gone.address
        await gone.fabric.close()
        let a = try await TestFabric(1)
        let b = try await TestFabric(2)
        a.fabric.follow(
            FabricRoster(cluster: 7, peers: [b.node: ["\(deserted)", "127.0.0.1:\(b.fabric.port)"]]))
        #expect(try await a.probe.failure() == .nobodyListens(address: "\(deserted)"))
        #expect(try await a.probe.connected() == b.node)
        a.fabric.call([deserted])
        _ = try await a.probe.failure()
        _ = try await a.probe.failure()
        let late = try await TestFabric(3, boot: 2, port: deserted.port)
        #expect(try await a.probe.connected(late.node) == late.node)
        for fabric in [a, b, late] { await fabric.fabric.close() }
    }

    @Test func `a queue has its bound, and loses the oldest probes first`() async throws {
        let a = try await TestFabric(1)
        let deaf = try await RawPeer.connect(a.address)
        try await deaf.send(RawPeer.hello(9))
        _ = try await a.probe.connected()
        // Far more than sockets hold, to a peer whose socket is not read while the loop is busy sending.
        let large = ClusterMessage.snapshot(
            SnapshotChunk(
                term: 1, lastIndex: 1, lastTerm: 1, offset: 0, total: 1 << 20,
                bytes: Array(repeating: 7, count: 1 << 20),
                sentAt: 0))
        a.fabric.send((0..<40).map { _ in (NodeID(9), large) } + (0..<3000).map { (NodeID(9), Self.nack($0)) })
        let status = try #require(await a.fabric.peers().first)
        #expect(status.dropped > 0)
        #expect(status.waiting <= FabricLimits.queueCount)
        await a.fabric.close()
    }

    @Test func `the round trip is measured`() async throws {
        let a = try await TestFabric(1) { $0.timings.ping = .milliseconds(20) }
        let b = try await TestFabric(2) { $0.timings.ping = .milliseconds(20) }
        a.fabric.call([b.address])
        _ = try await a.probe.connected()
        let measured = try await within(20, "a measurement") { [fabric = a.fabric] in
            while true {
                if let peer = await fabric.peers().first, let time = peer.roundTrip.smoothed { return time }
            }
        }
        #expect(measured > 0)
        await a.fabric.close()
        await b.fabric.close()
        var trip = RoundTrip()
        for _ in 0..<100 { trip.add(1_000_000) }
        #expect(trip.smoothed == 1_000_000)
        #expect(trip.jitter < 10_000)
        trip.add(9_000_000)
        #expect(trip.smoothed == 2_000_000)
    }

    @Test func `addresses are tried by what they reach`() {
        let texts = [
            "127.0.0.1:1", "169.254.3.4:1", "[fe80::1]:1", "172.17.0.2:1", "100.100.1.1:1", "10.0.0.5:1",
            "nonsense", "[2001:db8::1]:1", "host.example:1", "10.0.0.5:1", "10.0.0.6:0", "a:b:1",
        ]
        let ranked = PeerAddress.ranked(texts, worked: PeerAddress("172.17.0.2:1")).map(\.description)
        #expect(
            ranked == [
                "172.17.0.2:1", "10.0.0.5:1", "[2001:db8::1]:1", "host.example:1", "100.100.1.1:1", "169.254.3.4:1",
                "[fe80::1]:1", "127.0.0.1:1",
            ])
    }
}
