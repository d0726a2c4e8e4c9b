import Vocabulary

@testable import Cluster

/// Random records of every kind, also those a control plane would never write: the store takes any sequence.
struct RecordMaker {
    var random: SeededRandom
    private(set) var index: UInt64 = 0

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    mutating func batch() -> [StoredRecord] { (0..<(1 + random.below(4))).map { _ in record() } }

    private mutating func record() -> StoredRecord {
        switch random.below(25) {
        case 0, 1: return .election(term: number(), vote: random.below(3) == 0 ? nil : NodeID(number()))
        case 2: return .truncate(from: place())
        case 3: return .snapshot(state(), term: number())
        case 4: return .compact(through: place(), term: number())
        case 5: return .clearEntries(base: number(), term: number())
        case 6, 7: return .fence(replica(), Epoch(term: number(), number: number()))
        case 8: return .unfence(replica())
        case 9: return .branch(random.below(2) == 0 ? nil : branch())
        case 24: return .forgotten(random.below(2) == 0)
        case 10: return random.below(4) == 0 ? .rebase(stored()) : .append([])
        default: return .append((0..<random.below(6)).map { _ in entry() })
        }
    }

    /// Small numbers, and those at the ends of the range.
    private mutating func number() -> UInt64 {
        switch random.below(6) {
        case 0: UInt64.max - UInt64(random.below(2))
        case 1: (1 << 63) - 1 + UInt64(random.below(3))
        default: UInt64(random.below(50))
        }
    }

    /// The same within what is read of a record.
    private mutating func counter() -> UInt64 {
        random.below(6) == 0 ? Limits.largestNumber - UInt64(random.below(2)) : UInt64(random.below(50))
    }

    private mutating func place() -> UInt64 { random.below(8) == 0 ? number() : UInt64(random.below(Int(index) + 2)) }

    private mutating func replica() -> ReplicaKey {
        ReplicaKey(deployment: ["a", "b", "é😀", ""][random.below(4)], index: random.below(3))
    }

    mutating func entry() -> LogEntry {
        if random.below(20) == 0 { index = UInt64(random.below(Int(index) + 1)) }
        index += 1
        var member = Member(node: NodeID(number()), name: "n\(random.below(9))")
        member.addresses = ["10.0.0.\(random.below(255)):7534"]
        let events: [ClusterEvent] = [
            .memberSet(member), .deploymentSet(Deployment(name: "d\(random.below(5))", model: "m")),
            .termBegan(leader: NodeID(number())), .settingSet("s", Setting(value: "v", stamp: stamp())),
        ]
        return LogEntry(
            index: random.below(30) == 0 ? counter() : index, term: counter(), stamp: stamp(),
            command: random.below(2) == 0 ? nil : CommandID(origin: NodeID(number()), number: number()),
            events: events.prefix(random.below(5)).map { EventRecord($0) })
    }

    private mutating func stamp() -> Stamp {
        Stamp(milliseconds: Int64(random.below(1 << 40)), counter: UInt32(random.below(9)), node: NodeID(number()))
    }

    mutating func state() -> ClusterState {
        var state = ClusterState()
        state.apply(
            LogEntry(
                index: 1, term: 1, stamp: stamp(), command: nil,
                events: [EventRecord(.founded(cluster: 7, member: Member(node: NodeID(1))))]))
        for place in 0..<UInt64(random.below(8)) {
            var entry = entry()
            entry.index = place + 2
            state.apply(entry)
        }
        return state
    }

    private mutating func branch() -> StoredBranch {
        StoredBranch(
            term: counter(), leader: NodeID(number()), version: counter(),
            state: random.below(2) == 0 ? nil : state(),
            unmerged: random.below(2) == 0 ? BranchContent() : state().content)
    }

    private mutating func stored() -> StoredCluster {
        var stored = StoredCluster()
        (stored.term, stored.snapshotTerm) = (number(), number())
        (stored.baseIndex, stored.baseTerm) = (number(), number())
        stored.snapshot = state()
        stored.entries = (0..<random.below(20)).map { _ in entry() }
        stored.fences[replica()] = Epoch(term: number(), number: number())
        stored.branch = random.below(2) == 0 ? nil : branch()
        stored.hasForgotten = random.below(2) == 0
        return stored
    }
}
