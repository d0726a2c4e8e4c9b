import Cluster
import Vocabulary

/// What was seen, to be held against what is seen later.
struct Ledger {
    /// The first thing that must never happen.
    var violation: String?
    /// Who led which term by majority.
    private var leaders = OrderedTable<UInt64, NodeID>()
    /// Digest of the state at each index, by the first node that reached it.
    private var states: [UInt64: UInt64] = [:]
    /// Commands whose callers were told that they are done, and where.
    private(set) var acknowledged = OrderedTable<CommandID, UInt64>()
    /// Index each node has reached in its present life.
    private var reached: [Int: UInt64] = [:]
    /// Digest of the whole run so far.
    private(set) var digest: UInt64 = 0xCBF2_9CE4_8422_2325

    mutating func report(_ text: String) { if violation == nil { violation = text } }

    mutating func mix(_ value: UInt64) {
        digest = (digest ^ value) &* 0x0000_0100_0000_01B3
        digest ^= digest >> 29
    }

    mutating func led(_ term: UInt64, _ node: NodeID) {
        if let other = leaders[term], other != node { report("\(other) and \(node) both lead term \(term)") }
        leaders[term] = node
    }

    var termCount: Int { leaders.count }

    mutating func acknowledge(_ command: CommandID, _ index: UInt64) {
        mix(command.number &+ index)
        if let known = acknowledged[command], known != index {
            report("command \(command) was done at \(known) and at \(index)")
        }
        acknowledged[command] = index
    }

    mutating func restarted(_ node: Int) { reached[node] = nil }

    /// A node moved on: at an index that somebody reached before, its state must be the same.
    mutating func applied(_ node: Int, _ state: ClusterState) {
        let index = state.index
        if let before = reached[node], index < before { report("node \(node) went back from \(before) to \(index)") }
        reached[node] = index
        let digest = Digest.of(state.encodedBytes)
        if let known = states[index] {
            if known != digest { report("node \(node) has another state than others at \(index)") }
        } else {
            states[index] = digest
            mix(digest)
        }
    }

    /// Whether a node is where it was in its present life.
    func isKnown(_ node: Int, at index: UInt64) -> Bool { reached[node] == index }
}

/// FNV-1a over bytes: for comparing, not for safety.
enum Digest {
    static func of(_ bytes: [UInt8]) -> UInt64 {
        var digest: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in bytes { digest = (digest ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return digest
    }
}

/// What is checked of a brain after every step, without a copy of all of it.
struct BrainLook {
    var isLeader: Bool
    var term: UInt64
    var commit: UInt64
    /// Index of the state.
    var applied: UInt64
    /// The first broken invariant.
    var broken: String?
}

extension ControlPlane {
    var look: BrainLook {
        BrainLook(
            isLeader: isLeader, term: term, commit: commit, applied: state.index, broken: brokenInvariant)
    }
}

extension World {
    /// Events that may wait, per node of the world.
    static let eventsPerNode = 2000
    /// Messages of one node that may be under way, beside some for each other node.
    static let messagesUnderWay = 400

    /// What must hold after every step, for the node that made it.
    mutating func check(_ index: Int) {
        let look = nodes[index].brain.look
        if look.isLeader { ledger.led(look.term, nodes[index].id) }
        if let broken = look.broken, scenario.faultPeriod != nil { ledger.report("node \(index): \(broken)") }
        if scenario.checksHistory, !ledger.isKnown(index, at: look.applied) {
            ledger.applied(index, nodes[index].brain.state)
        }
        if heap.count > Self.eventsPerNode * nodes.count { ledger.report("\(heap.count) events wait") }
        let underWay = nodes[index].underWay
        let limit = Self.messagesUnderWay + 4 * nodes.count
        if underWay > limit { ledger.report("node \(index) has \(underWay) messages under way, limit \(limit)") }
        ledger.mix(UInt64(index) &+ look.term &* 31 &+ look.commit &* 17)
        if figures.firstLeaderAt == nil, look.isLeader { figures.firstLeaderAt = time }
    }

    /// Every acknowledged command is part of what the cluster came to.
    var lostAcknowledgement: String? {
        guard let leader = nodes.first(where: { $0.isUp && $0.brain.isLeader })?.brain else { return nil }
        for row in ledger.acknowledged.elements {
            guard leader.state.results.index(of: row.key) == row.value else {
                return "command \(row.key) was acknowledged at \(row.value) and is lost"
            }
        }
        return nil
    }

    /// Whether everything is well: one leader, everybody up to date and alive, everything wanted serves or has a
    /// reason, and nothing else runs.
    var isConverged: Bool { divergence.isEmpty }

    var divergence: String {
        let leaders = nodes.indices.filter { nodes[$0].isUp && nodes[$0].brain.isLeader }
        guard leaders.count == 1 else { return "\(leaders.count) leaders" }
        let leader = nodes[leaders[0]].brain
        for index in nodes.indices where nodes[index].isUp {
            let brain = nodes[index].brain
            if brain.state.index != leader.state.index || brain.lastIndex != leader.lastIndex {
                return "node \(index) is at \(brain.state.index), the leader at \(leader.state.index)"
            }
            if brain.currentLeader != leader.node { return "node \(index) follows somebody else" }
            if !brain.warnings.isEmpty { return "node \(index) warns: \(brain.warnings[0])" }
            if let other = nodes.first(where: { brain.liveness(of: $0.id) != ($0.isUp ? .alive : .dead) }) {
                return
                    "node \(index) holds \(other.id) for \(brain.liveness(of: other.id).map { "\($0)" } ?? "unknown")"
            }
        }
        guard leader.state.members.count == nodes.count else { return "\(leader.state.members.count) members" }
        return scenario.faultPeriod == nil ? "" : unserved(leader.state)
    }

    private func unserved(_ state: ClusterState) -> String {
        for deployment in state.deployments.values where state.sleeping[deployment.name] == nil {
            for number in 0..<deployment.replicas {
                let key = ReplicaKey(deployment: deployment.name, index: number)
                if let record = state.replicas[key], !record.failure.isEmpty { continue }
                guard let active = state.activePlacement(of: key) else {
                    // Too little memory in the whole cluster is a reason, and it is said.
                    if state.replicas[key]?.note.contains("layers fit") == true { continue }
                    return "\(key) is not served: \(state.replicas[key]?.note ?? "no reason")"
                }
                for stage in active.stages {
                    guard let index = index(of: stage.node) else { return "\(stage.node) is nobody" }
                    guard nodes[index].runners[active.epoch]?.isServing == true else {
                        return "node \(index) does not serve epoch \(active.epoch) of \(key)"
                    }
                }
            }
        }
        for index in nodes.indices {
            if let stray = nodes[index].runners.keys.first(where: { state.placements[$0] == nil }) {
                return "node \(index) still runs epoch \(stray)"
            }
        }
        return ""
    }
}
