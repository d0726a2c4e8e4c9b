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

@Suite struct `What a leader sends` {
    private func appends(_ nodes: Nodes, to node: Int) -> [Append] {
        nodes.sent.compactMap { _, envelope in
            if envelope.to == Nodes.id(node), case .append(let append) = envelope.message { append } else { nil }
        }
    }

    /// It was the largest part of what a cluster of a thousand sent: the whole state, five times a second, to a machine
    /// that had died.
    @Test func `to a voter that is silent says where the log ends, and no more`() throws {
        var nodes = Nodes(3)
        let leader = try #require(nodes.leaders.first)
        let silent = (leader + 1) % 3
        nodes.isolated = [silent]
        nodes.command(.configure("a", String(repeating: "x", count: 500)), at: leader)
        nodes.sent = []
        nodes.run(.seconds(10))
        let sent = appends(nodes, to: silent)
        #expect(sent.count > 40)
        #expect(sent.reduce(0) { $0 + $1.entries.count } <= 2)
        nodes.isolated = []
        nodes.run(.seconds(1))
        #expect(nodes.brains[silent].state.settings["a"] != nil)
    }

    @Test func `to a machine that died is no snapshot`() throws {
        var nodes = Nodes(3)
        let leader = try #require(nodes.leaders.first)
        let silent = (leader + 1) % 3
        nodes.isolated = [silent]
        nodes.run(.seconds(5))
        // What it lacks is in no log any more, as for a leader that has just begun and knows nothing of it.
        let base = nodes.brains[leader].log.base.index
        nodes.brains[leader].log.compact(through: nodes.brains[leader].commit)
        #expect(nodes.brains[leader].log.base.index > base)
        let index = try #require(nodes.brains[leader].leading?.progress.index(of: Nodes.id(silent)))
        nodes.brains[leader].leading?.progress.update(at: index) { ($0.match, $0.next) = (0, 1) }
        nodes.sent = []
        nodes.run(.seconds(5))
        #expect(appends(nodes, to: silent).count > 20)
        #expect(!nodes.sent.contains { if case .snapshot = $0.1.message { true } else { false } })
        nodes.isolated = []
        nodes.run(.seconds(5))
        #expect(nodes.brains[silent].state.index == nodes.brains[leader].state.index)
    }

    @Test func `to members that do not vote is committed`() throws {
        var nodes = Nodes(7)
        let leader = try #require(nodes.leaders.first)
        let voters = nodes.brains[leader].currentVoters
        let learner = try #require((0..<7).first { !voters.contains(Nodes.id($0)) })
        nodes.sent = []
        let id = nodes.command(.configure("a", "1"), at: learner)
        nodes.run(.seconds(1))
        let sent = appends(nodes, to: learner).filter { !$0.entries.isEmpty }
        #expect(sent.count == 1)
        #expect(sent.allSatisfy { $0.commit >= $0.entries.last?.index ?? .max })
        #expect(nodes.outcomes[id].map { if case .done = $0 { true } else { false } } == true)
    }
}
