import Cluster
import Vocabulary

/// A cluster in one thread: the brains of production under virtual clocks, network, disks and runners, all drawn from
/// one seed. The same seed gives the same run, whatever the process.
///
/// Read `run` first, then `World+Shell` (how effects are carried out), `World+Faults`, and `World+Checks`.
package struct World {
    /// What the world is made of.
    package let scenario: Scenario
    var nodes: [SimulatedNode] = []
    var heap = EventHeap()
    /// World time. **Units:** nanoseconds.
    package internal(set) var time: Int64 = 0
    // One stream per concern, so that a further draw in one does not shift the others.
    var networkRandom: SeededRandom
    var faultRandom: SeededRandom
    var workRandom: SeededRandom
    var runnerRandom: SeededRandom
    var memoryRandom: SeededRandom
    var coordinatorRandom: SeededRandom
    /// Directed pairs that are cut, `from * count + to`, and when they are healed.
    var cuts: [Int: Int64] = [:]
    var coordinator = SimulatedCoordinator()
    /// Nodes that do not reach the coordinator, and when they do again.
    var coordinatorCuts: [Int: Int64] = [:]
    var isCalm = false
    var deploymentCount = 0
    var commandCount: UInt64 = 0
    var ledger = Ledger()
    var figures = Figures()

    /// Makes a world whose nodes are all admitted, as after a restart of the whole cluster.
    package init(_ scenario: Scenario) {
        self.scenario = scenario
        networkRandom = SeededRandom(seed: scenario.seed &+ 1 &* 0x9E37_79B9)
        faultRandom = SeededRandom(seed: scenario.seed ^ 0xA5A5_0001)
        workRandom = SeededRandom(seed: scenario.seed ^ 0xA5A5_0002)
        runnerRandom = SeededRandom(seed: scenario.seed ^ 0xA5A5_0003)
        memoryRandom = SeededRandom(seed: scenario.seed ^ 0xA5A5_0005)
        coordinatorRandom = SeededRandom(seed: scenario.seed ^ 0xA5A5_0006)
        coordinator.isUnfenced = scenario.mutation == .unfencedCoordinator
        var random = SeededRandom(seed: scenario.seed ^ 0xA5A5_0004)
        let members = (0..<scenario.nodeCount).map { index in
            let identity = UInt64(index + 1) << 32 | (random.next() & 0xFFFF_0000) | UInt64(index)
            return Member(node: NodeID(identity), name: "n\(index)")
        }
        let isSmall = scenario.faultPeriod != nil
        // Small worlds grow from their founder by joining; large ones start as if the power had come back.
        let stored = isSmall ? StoredCluster() : Self.restored(members)
        if !isSmall { figures.countsFrom = 5_000_000_000 }
        for (index, member) in members.enumerated() {
            var settings = ControlPlaneSettings(
                member: member, seed: random.next(), founds: isSmall && index == 0)
            settings.assertsInvariants = isSmall
            if scenario.isCoordinated {
                var coordination = CoordinationSettings(name: "etcd")
                coordination.entriesBeforeSnapshot = isSmall ? 24 : 2048
                coordination.seeds = !isSmall && index == 0
                settings.coordination = coordination
            }
            if scenario.isImpatient {
                settings.timings.degradedAfter = .milliseconds(600)
                settings.timings.replanPeriod = .seconds(1)
                settings.timings.replanSettling = .seconds(2)
            }
            nodes.append(
                SimulatedNode(
                    id: member.node, brain: ControlPlane(settings: settings, stored: stored),
                    disk: SimulatedDisk(stored), memory: UInt64(150 + random.below(400))))
            nodes[index].clockOffset = Int64(random.below(1_000_000_000)) * 1000
            if isSmall { nodes[index].driftPerMille = Int64(random.below(61)) - 30 }
            self.settings.append(settings)
        }
    }

    var settings: [ControlPlaneSettings] = []

    /// The disk of every member of a cluster that ran before.
    static func restored(_ members: [Member]) -> StoredCluster {
        var stored = StoredCluster()
        var events: [EventRecord] = []
        for (index, member) in members.enumerated() {
            var member = member
            member.stamp = Stamp(milliseconds: Int64(index + 1), counter: 0, node: member.node)
            events.append(EventRecord(index == 0 ? .founded(cluster: 1, member: member) : .memberSet(member)))
        }
        let voters = members.prefix(VoterCount.of(members.count)).map(\.node).sorted()
        events.append(EventRecord(.votersChanged(voters)))
        let stamp = Stamp(milliseconds: 1_000_000, counter: 0, node: members[0].node)
        stored.snapshot.apply(LogEntry(index: 1, term: 1, stamp: stamp, command: nil, events: events))
        stored.snapshotTerm = 1
        stored.term = 1
        (stored.baseIndex, stored.baseTerm) = (1, 1)
        return stored
    }

    /// Runs the world to its end, or to the first violation.
    package mutating func run() -> Outcome {
        begin()
        let faultEnd = scenario.faultTime.nanoseconds
        let end = faultEnd + scenario.calmTime.nanoseconds
        while ledger.violation == nil, let next = heap.nextTime, next <= end {
            if !isCalm, next >= faultEnd { calm(at: faultEnd) }
            guard let event = heap.pop() else { break }
            time = event.time
            happen(event.kind)
            if isCalm, figures.isMeasuring, figures.convergedAt == nil, figures.shouldLook(time), isConverged {
                figures.convergedAt = time
                if scenario.faultPeriod != nil { break }
            }
        }
        if ledger.violation == nil, figures.convergedAt == nil, !scenario.isIdle {
            ledger.violation = "not converged: \(divergence)"
        }
        if ledger.violation == nil { ledger.violation = lostAcknowledgement }
        return outcome
    }

    private mutating func begin() {
        for index in nodes.indices {
            give(.wallClock(wall(of: index)), to: index)
            heap.push(.measure(node: index, life: 0), at: time)
        }
        if scenario.faultPeriod != nil {
            for index in nodes.indices.dropFirst() { give(.join(seed: nodes[0].id), to: index) }
            heap.push(.fault, at: 3_000_000_000)
            heap.push(.work, at: 500_000_000)
            if scenario.isCoordinated { heap.push(.coordinatorFault, at: 4_000_000_000) }
        } else {
            recall()
            guard !scenario.isIdle else { return }
            heap.push(.work, at: 5_000_000_000)
            heap.push(.killLeader, at: 10_000_000_000)
        }
    }

    /// A large world has been there for long, so everybody knows what the others have.
    private mutating func recall() {
        let readings = nodes.indices.map { index in
            var reading = reading(of: index)
            reading.stamp = Stamp(milliseconds: 1_000_000, counter: 0, node: nodes[index].id)
            return reading
        }
        let known = Exchange.telling(readings)
        for index in nodes.indices where nodes.count > 1 {
            give(.received(.sync(known), from: nodes[index == 0 ? 1 : 0].id), to: index)
        }
    }

    /// What the node's wall clock shows. **Units:** milliseconds since 1970.
    func wall(of index: Int) -> Int64 { 1_700_000_000_000 + time / 1_000_000 + nodes[index].wallError }

    private mutating func happen(_ kind: WorldEvent.Kind) {
        switch kind {
        case .deliver(let from, let to, let message):
            if scenario.mutation != .unboundedGrowth { nodes[from].underWay -= 1 }
            guard nodes[to].isUp, cuts[from * nodes.count + to] == nil else { return }
            give(.received(message, from: nodes[from].id), to: to)
        case .wake(let node, let life, let instant):
            guard nodes[node].isUp, nodes[node].life == life, nodes[node].wakeAt == instant else { return }
            nodes[node].wakeAt = nil
            give(.tick, to: node)
        case .stage(let node, let life, let report): tellStage(node, life, report)
        case .planned(let node, let life, let question):
            guard nodes[node].isUp, nodes[node].life == life else { return }
            give(.planned(question: question.id, SimulatedPlanner().plan(question)), to: node)
        case .restart(let node, let life): if nodes[node].life == life { restart(node) }
        case .heal(let from, let to):
            let key = from * nodes.count + to
            if let end = cuts[key], end <= time { cuts[key] = nil }
        case .freeDisk(let node): if nodes[node].diskFullUntil <= time { nodes[node].disk.isFull = false }
        case .killLeader: killLeader()
        case .fault: fault()
        case .work: work()
        case .measure(let node, let life): measure(node, life)
        case .ask, .coordinatorAnswer, .coordinatorFault, .healCoordinator: happenOutside(kind)
        }
    }

    private mutating func happenOutside(_ kind: WorldEvent.Kind) {
        switch kind {
        case .ask(let node, let life, let question, let answers):
            reachCoordinator(node, life, question, answers: answers)
        case .coordinatorAnswer(let node, let life, let number, let answer):
            guard nodes[node].isUp, nodes[node].life == life else { return }
            give(.coordinator(number: number, answer), to: node)
        case .coordinatorFault: coordinatorFault()
        case .healCoordinator(let node):
            if let end = coordinatorCuts[node], end <= time { coordinatorCuts[node] = nil }
        default: break
        }
    }

    private mutating func measure(_ index: Int, _ life: Int) {
        guard nodes[index].isUp, nodes[index].life == life else { return }
        give(.reading(reading(of: index)), to: index)
        heap.push(.measure(node: index, life: life), at: time + 2_000_000_000)
    }

    private func reading(of index: Int) -> NodeReading {
        var reading = NodeReading(node: nodes[index].id)
        let used = nodes[index].usedMemory
        reading.totalBytes = nodes[index].memory
        reading.usableBytes = nodes[index].memory > used ? nodes[index].memory - used : 0
        // Where bytes are counted, a reading is as long as a real one: two models, a device and sixteen links.
        guard scenario.faultPeriod == nil else { return reading }
        reading.freeDiskBytes = 900_000_000_000 - UInt64(time / 1000)
        reading.weightBytesPerSecond = 38_000_000_000
        reading.holds = [index % 16, 16 + index % 5].map { number in
            let digits = String(number, radix: 16)
            return "sha256:" + String(repeating: "0", count: 64 - digits.count) + digits
        }
        reading.devices = [DeviceReading(name: "CPU", compute: "cpu", totalBytes: 68_719_476_736)]
        reading.links = (1...16).filter { $0 < nodes.count }.map { step in
            let microseconds = 200 + (UInt64(time / 1_000_000) + UInt64(31 * index + 7 * step)) % 1200
            return LinkReading(
                peer: nodes[(index + step) % nodes.count].id, roundTripMicroseconds: microseconds, bytesPerSecond: nil)
        }
        return reading
    }

    /// Nodes carry their index in the low bits of their ids.
    func index(of id: NodeID) -> Int? {
        let index = Int(id.value & 0xFFFF)
        return index < nodes.count && nodes[index].id == id ? index : nil
    }
}

/// The number of voters a cluster starts with.
enum VoterCount {
    static func of(_ memberCount: Int) -> Int { memberCount < 3 ? 1 : memberCount < 5 ? 3 : 5 }
}

extension Duration {
    /// **Units:** nanoseconds.
    var nanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}
