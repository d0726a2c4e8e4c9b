import Testing
import Vocabulary

@testable import Cluster

@Suite struct `The log in memory` {
    private static func entry(_ index: UInt64, _ random: inout SeededRandom) -> LogEntry {
        let stamp = Stamp(milliseconds: Int64(index), counter: 0, node: NodeID(1))
        var events: [EventRecord] = []
        switch random.below(6) {
        case 0:
            events = [EventRecord(.votersChanged((0..<random.below(3)).map { _ in NodeID(UInt64(random.below(5))) }))]
        case 1:
            events = (0..<1 + random.below(2)).map { _ in
                EventRecord(.memberSet(Member(node: NodeID(UInt64(random.below(5))), name: "n\(index)")))
            }
        default: events = [EventRecord(.settingSet("s", Setting(value: "v", stamp: stamp)))]
        }
        return LogEntry(index: index, term: 1, stamp: stamp, command: nil, events: events)
    }

    /// What is remembered of voters and members must be what a look through all entries finds.
    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func `knows its voters and members without looking through it`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var log = EventLog()
        for _ in 0..<200 {
            let last = log.last.index
            switch random.below(12) {
            case 0 where last > log.base.index:
                log.truncate(from: log.base.index + 1 + UInt64(random.below(Int(last - log.base.index))))
            case 1 where last > log.base.index:
                log.compact(through: log.base.index + 1 + UInt64(random.below(Int(last - log.base.index))))
            case 2: log.reset(to: .init(index: last + UInt64(random.below(3)), term: 1 + UInt64(random.below(2))))
            case 3: log = EventLog(base: log.base, entries: log.entries)
            default: log.append(Self.entry(last + 1, &random))
            }
            let index = UInt64(random.below(Int(log.last.index) + 3))
            let tail = log.entries.filter { $0.index > index }
            let newest = tail.last { $0.voters != nil }
            #expect(log.voters(after: index)?.index == newest?.index, "SEED=\(seed)")
            #expect(log.voters(after: index)?.voters == newest?.voters, "SEED=\(seed)")
            #expect(log.members(after: index) == tail.flatMap(\.members), "SEED=\(seed)")
            for node in (0..<5).map({ NodeID($0) }) {
                let isVoter = tail.contains { $0.voters?.contains(node) ?? false }
                #expect(log.hasVoter(node, after: index) == isVoter, "SEED=\(seed)")
            }
        }
    }
}

@Suite struct `A newer minor release` {
    /// It adds kinds of events, and fields at the end of those that are there.
    @Test func `leaves a memory that this one reads, agrees on, and keeps as it was`() {
        var nodes = Nodes(3)
        let setting = EventRecord(
            .settingSet(
                "color",
                Setting(
                    value: "blue",
                    stamp: Stamp(
                        milliseconds: 9, counter: 0, node: Nodes.id(0)))))
        let events = [
            EventRecord(kind: 900, body: [1, 2, 3]), EventRecord(kind: setting.kind, body: setting.body + [7, 7, 7]),
        ]
        let last = nodes.stored.reduce(0) { max($0, $1.entries.last?.index ?? 0) }
        var entry = LogEntry(index: last + 1, term: 0, stamp: .zero, command: nil, events: events)
        for index in nodes.brains.indices {
            #expect(nodes.stored[index].entries.last?.index == last, "nobody is behind")
            entry.term = nodes.stored[index].term
            nodes.stored[index].apply(.append([entry]))
            nodes.restart(index)
        }
        nodes.run(.seconds(8))
        #expect(nodes.leaders.count == 1)
        for index in nodes.brains.indices {
            let state = nodes.brains[index].state
            #expect(state.index > entry.index)
            #expect(state.settings["color"]?.value == "blue")
            #expect(state.encodedBytes == nodes.brains[0].state.encodedBytes)
            let kept = nodes.stored[index].entries.first { $0.index == entry.index }
            #expect(kept?.events.map(\.body) == events.map(\.body))
            #expect(kept?.events.first?.event == .unknown(kind: 900))
        }
    }
}
