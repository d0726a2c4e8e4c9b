import Testing
import Vocabulary

@testable import Cluster

@Suite struct `Accusations` {
    /// A simulated node came back without its memory and knew nobody to tell; it stayed dead to the others for good.
    @Test func `whoever still believes an old accusation hears the objection again`() {
        var membership = Membership(node: Nodes.id(0), timings: Timings())
        let accusation = StatusUpdate(node: Nodes.id(0), status: .dead, incarnation: membership.incarnation)
        for _ in 0..<3 {
            membership.learn(accusation, from: Nodes.id(1), now: Instant(nanoseconds: 0))
            var budget = 1000
            let told = membership.statusQueue.take(budget: &budget)
            #expect(told.map(\.status) == [.alive])
            #expect(told.map(\.incarnation) == [accusation.incarnation + 1])
        }
    }

    @Test func `are answered with an incarnation that others read, whatever the accuser said`() {
        for incarnation in [Limits.largestNumber, .max] {
            var membership = Membership(node: Nodes.id(0), timings: Timings())
            let accusation = StatusUpdate(node: Nodes.id(0), status: .suspect, incarnation: incarnation)
            membership.learn(accusation, from: Nodes.id(1), now: Instant(nanoseconds: 0))
            #expect(membership.incarnation == Limits.largestNumber)
        }
    }
}

@Suite struct `Readings on the gossip` {
    private func membership(of count: Int) -> Membership {
        var membership = Membership(node: Nodes.id(0), timings: Timings())
        membership.follow((0..<count).map(Nodes.id), now: Instant(nanoseconds: 0))
        return membership
    }

    @Test func `go around so seldom in large clusters that nobody passes on more of them`() {
        func load(_ count: Int) -> Double {
            Double(count * Limits.readingTellings) / Double(membership(of: count).readingPeriod.milliseconds)
        }
        #expect(membership(of: 3).readingPeriod == .seconds(5))
        #expect(membership(of: 10).readingPeriod == .seconds(5))
        for count in [30, 100, 1000, 4096] { #expect(abs(load(count) / load(10) - 1) < 0.01, "\(count) members") }
    }

    @Test func `are told as often in clusters of every size, but for what a fetch depends on`() {
        func tellings(_ part: ReadingPart, _ count: Int) -> Int {
            var membership = membership(of: count)
            var reading = NodeReading(node: Nodes.id(1))
            reading.holds = ["sha256:1"]
            membership.tell(ReadingNews(part, of: reading, at: ReadingVersion(value: 1)))
            return (0..<100).count { _ in !membership.gossip(LeaderHint()).news.isEmpty }
        }
        for part in [ReadingPart.figures, .stages, .links] {
            #expect([10, 100, 1000].map { tellings(part, $0) } == [4, 4, 4])
        }
        #expect([10, 100, 1000].map { tellings(.holds, $0) } == [4, 7, 10])
    }

    @Test func `too large for a message hold nothing up`() {
        var membership = membership(of: 3)
        var reading = NodeReading(node: Nodes.id(1))
        reading.holds = Array(repeating: String(repeating: "x", count: 100), count: 20)
        membership.tell(ReadingNews(.holds, of: reading, at: ReadingVersion(value: 1)))
        membership.tell(ReadingNews(.figures, of: reading, at: ReadingVersion(value: 1)))
        #expect(membership.gossip(LeaderHint()).news.map(\.part) == [.figures])
    }

    @Test func `are told at once to a member that has just started`() {
        var nodes = Nodes(3)
        for index in 0..<3 {
            var reading = NodeReading(node: Nodes.id(index))
            reading.usableBytes = UInt64(100 + index)
            nodes.give(.reading(reading), to: index)
        }
        nodes.run(.seconds(12))
        nodes.restart(2)
        #expect(nodes.brains[2].reading(of: Nodes.id(1)) == nil)
        // It learns who is there with the leader's next heartbeats; the others' own next readings are seconds away.
        nodes.run(.seconds(1))
        #expect(nodes.brains[2].reading(of: Nodes.id(0))?.usableBytes == 100)
        #expect(nodes.brains[2].reading(of: Nodes.id(1))?.usableBytes == 101)
    }

    @Test func `tell speeds since this version, and are read without them`() throws {
        var reading = NodeReading(node: Nodes.id(0))
        reading.weightBytesPerSecond = 7
        let old = try NodeReading(encoded: Array(reading.encoded.dropLast(4)))
        #expect(old == reading)
        reading.prefillOperationsPerSecond = 1 << 40
        reading.attentionOperationsPerSecond = 1 << 30
        reading.weightRates = (0..<20).map { WeightRate(type: "type \($0)", bytesPerSecond: .max) }
        let bounded = reading.bounded()
        #expect(bounded.weightRates.count == Limits.reportedRates)
        #expect(try NodeReading(encoded: bounded.encoded) == bounded)
        #expect(throws: CodecError.self) { try NodeReading(encoded: reading.encoded) }
        reading.weightRates = [WeightRate(type: String(repeating: "q", count: 17), bytesPerSecond: 1)]
        #expect(throws: CodecError.self) { try NodeReading(encoded: reading.encoded) }
    }

    @Test func `bring each part as new as it is, in whatever order they come`() throws {
        var nodes = Nodes(2)
        func news(_ part: ReadingPart, _ version: UInt64, usable: UInt64 = 0, epoch: UInt64 = 0) -> ReadingNews {
            var reading = NodeReading(node: Nodes.id(1))
            reading.usableBytes = usable
            reading.stages = [StageReport(epoch: Epoch(term: 1, number: epoch), status: .serving)]
            return ReadingNews(part, of: reading, at: ReadingVersion(value: version))
        }
        // Later than anything the node told itself.
        let base = ReadingVersion(try #require(nodes.brains[0].reading(of: Nodes.id(1))).stamp).value + (1 << 32)
        func tell(_ news: ReadingNews) {
            var gossip = Gossip()
            gossip.news = [news]
            nodes.give(.received(.ping(sequence: 1, gossip), from: Nodes.id(1)), to: 0)
        }
        tell(news(.stages, base + 30, epoch: 3))
        tell(news(.figures, base + 20, usable: 20))
        tell(news(.stages, base + 10, epoch: 1))
        tell(news(.figures, base + 5, usable: 5))
        let known = try #require(nodes.brains[0].reading(of: Nodes.id(1)))
        #expect(known.usableBytes == 20)
        #expect(known.stages.map(\.epoch.number) == [3])
        // Nobody takes the older of the two for as new as the newer one.
        #expect(ReadingVersion(known.stamp).value == base + 20)
    }

    @Test func `survive their encoding, and a part of a newer release is passed over`() throws {
        var reading = NodeReading(node: Nodes.id(3))
        reading.usableBytes = 7
        reading.freeDiskBytes = 1 << 40
        reading.holds = ["sha256:1", "sha256:2"]
        reading.links = [LinkReading(peer: Nodes.id(1), roundTripMicroseconds: 300, bytesPerSecond: nil)]
        reading.stages = [StageReport(epoch: Epoch(term: 2, number: 1), status: .loading, reason: "why")]
        reading.devices = [DeviceReading(name: "CPU", compute: "cpu", totalBytes: 9)]
        (reading.weightBytesPerSecond, reading.tilesWeights) = (5, true)
        reading.weightRates = [WeightRate(type: "q8_0", bytesPerSecond: 4)]
        let version = ReadingVersion(Stamp(milliseconds: 1_700_000_000_000, counter: 5, node: Nodes.id(3)))
        for part in ReadingPart.allCases {
            let news = ReadingNews(part, of: reading, at: version)
            #expect(try ReadingNews(encoded: news.encoded) == news)
        }
        var writer = RecordWriter()
        writer.put(Nodes.id(3).value)
        writer.put(version.value)
        writer.put(99 as UInt64)
        writer.put("something")
        #expect(try ReadingNews(encoded: writer.bytes).part == nil)
        #expect(throws: CodecError.self) { try ReadingNews(encoded: [1, 2]) }
    }
}

@Suite struct `Exchanges between members` {
    private func exchanges(_ effects: Effects, to node: Int) -> [Exchange] {
        effects.send.compactMap { envelope in
            if envelope.to == Nodes.id(node), case .sync(let exchange) = envelope.message { exchange } else { nil }
        }
    }

    private func begin(_ nodes: inout Nodes, _ index: Int) -> Exchange? {
        nodes.brains[index].membership.returned = [Nodes.id(1 - index)]
        return exchanges(nodes.brains[index].handle(.tick, now: nodes.now), to: 1 - index).first
    }

    private func measured() -> Nodes {
        var nodes = Nodes(2)
        for index in 0..<2 {
            var reading = NodeReading(node: Nodes.id(index))
            reading.usableBytes = 100
            reading.holds = ["sha256:\(index)"]
            nodes.give(.reading(reading), to: index)
        }
        nodes.run(.seconds(20))
        return nodes
    }

    @Test func `end with the question where nothing differs`() throws {
        var nodes = measured()
        let question = try #require(begin(&nodes, 0))
        #expect(question.encoded.count < 250)
        let effects = nodes.brains[1].handle(.received(.sync(question), from: Nodes.id(0)), now: nodes.now)
        #expect(exchanges(effects, to: 0).isEmpty)
    }

    @Test func `mend whatever gossip missed, on both sides`() throws {
        var nodes = measured()
        // Node 0 still believes in a stage that ended; node 1 has not heard what node 0 holds now.
        let own = ReadingVersion(value: try #require(nodes.brains[0].marks[Nodes.id(1)])[.stages].value - 1)
        var stale = try #require(nodes.brains[0].readings[Nodes.id(1)])
        stale.stages = [StageReport(epoch: Epoch(term: 1, number: 9), status: .serving)]
        nodes.brains[0].readings[Nodes.id(1)] = stale
        nodes.brains[0].marks[Nodes.id(1)]?[.stages] = own
        nodes.brains[0].marks[Nodes.id(1)]?.digest(stale)
        var known = try #require(nodes.brains[1].readings[Nodes.id(0)])
        known.holds = []
        nodes.brains[1].readings[Nodes.id(0)] = known
        nodes.brains[1].marks[Nodes.id(0)]?[.holds] = ReadingVersion()
        nodes.brains[1].marks[Nodes.id(0)]?.digest(known)
        var messages = [(1, try #require(begin(&nodes, 0)))]
        var count = 0
        while let (to, message) = messages.popLast(), count < 10 {
            count += 1
            let effects = nodes.brains[to].handle(.received(.sync(message), from: Nodes.id(1 - to)), now: nodes.now)
            messages += exchanges(effects, to: 1 - to).map { (1 - to, $0) }
        }
        #expect(nodes.brains[0].readings[Nodes.id(1)]?.stages.isEmpty == true)
        #expect(nodes.brains[1].readings[Nodes.id(0)]?.holds == ["sha256:0"])
        #expect(count < 6)
    }

    @Test func `tell in how few buckets two members differ`() {
        var first = BucketDigest()
        var second = BucketDigest()
        for index in 0..<500 {
            first.add(BucketDigest.mix(Nodes.id(index), 1, 0), of: Nodes.id(index))
            second.add(BucketDigest.mix(Nodes.id(index), 1, index == 77 ? 1 : 0), of: Nodes.id(index))
        }
        let differing = first.differing(from: second)
        #expect(differing.contains(Nodes.id(77)))
        #expect((0..<500).count { differing.contains(Nodes.id($0)) } < 60)
        #expect(first.differing(from: first).isEmpty)
        #expect(BucketDigest(first.bytes) == first)
        #expect(!BucketDigest([1, 2, 3]).differing(from: first).isEmpty)
    }
}

@Suite struct `Changes of stages` {
    @Test func `go around together when they come within a second, and at once to the leader`() throws {
        var nodes = Nodes(3)
        nodes.runners = Nodes.obedient
        let leader = try #require(nodes.leaders.first)
        let follower = (leader + 1) % 3
        nodes.command(.deploy(Deployment(name: "a", model: "m")), at: leader)
        nodes.run(.seconds(4))
        let epoch = try #require(nodes.brains[follower].hostedEpochs.first)
        nodes.brains[follower].membership.stageQueue = GossipQueue()
        nodes.brains[follower].rounds.stagesAt = nodes.now
        var reports = 0
        for status in [StageStatus.draining, .drained, .crashed] {
            let effects = nodes.brains[follower].handle(
                .stage(StageReport(epoch: epoch, status: status)), now: nodes.now)
            reports += effects.send.count { if case .report = $0.message { true } else { false } }
            #expect(nodes.brains[follower].membership.stageQueue.count == 0)
        }
        #expect(reports == 3)
        let due = try #require(nodes.brains[follower].rounds.stagesDue)
        #expect(due == nodes.now.advanced(by: .seconds(1)))
        _ = nodes.brains[follower].handle(.tick, now: due)
        #expect(nodes.brains[follower].membership.stageQueue.count == 1)
    }
}
