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
            let told = membership.statusQueue.take(budget: &budget, times: 1)
            #expect(told.map(\.status) == [.alive])
            #expect(told.map(\.incarnation) == [accusation.incarnation + 1])
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
            let membership = membership(of: count)
            let seconds = Double(membership.readingPeriod.milliseconds) / 1000
            return Double(count * membership.readingRetransmissions) / seconds
        }
        #expect(membership(of: 3).readingPeriod == .seconds(5))
        #expect(membership(of: 10).readingPeriod == .seconds(5))
        for count in [30, 100, 1000, 4096] { #expect(abs(load(count) / load(10) - 1) < 0.01, "\(count) members") }
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
        let old = try NodeReading(encoded: Array(reading.encoded.dropLast(3)))
        #expect(old == reading)
        reading.prefillOperationsPerSecond = 1 << 40
        reading.attentionOperationsPerSecond = 1 << 30
        reading.weightRates = (0..<20).map { WeightRate(type: "type \($0)", bytesPerSecond: .max) }
        let bounded = reading.bounded().reading
        #expect(bounded.weightRates.count == Limits.reportedRates)
        #expect(try NodeReading(encoded: bounded.encoded) == bounded)
        #expect(throws: CodecError.self) { try NodeReading(encoded: reading.encoded) }
        reading.weightRates = [WeightRate(type: String(repeating: "q", count: 17), bytesPerSecond: 1)]
        #expect(throws: CodecError.self) { try NodeReading(encoded: reading.encoded) }
    }
}
