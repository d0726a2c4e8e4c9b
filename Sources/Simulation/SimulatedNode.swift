import Cluster
import Vocabulary

/// A node of the simulated world: the brain that runs in production, a disk, clocks, and runners that obey.
struct SimulatedNode {
    /// A stage as the simulated runner has it.
    struct Runner {
        var placement: PlacedReplica
        var stage: Int
        var isServing = false
    }

    let id: NodeID
    var brain: ControlPlane
    var disk: SimulatedDisk
    var isUp = true
    /// Whether its disk has lost everything when it starts again.
    var losesMemory = false
    /// When the last reason for its disk to be full ends. **Units:** nanoseconds of the world.
    var diskFullUntil: Int64 = 0
    /// Counts lives, so that timers of an earlier one are ignored.
    var life = 0
    /// The timer the brain asked for; others are ignored.
    var wakeAt: Instant?
    /// The node's clock against the world's. **Units:** nanoseconds, and parts per thousand.
    var clockOffset: Int64 = 0
    var driftPerMille: Int64 = 0
    /// The wall clock's error. **Units:** milliseconds.
    var wallError: Int64 = 0
    /// Memory for stages. **Units:** bytes.
    var memory: UInt64
    var runners = OrderedTable<Epoch, Runner>()
    /// Highest epoch of each replica that ever served here, over all lives.
    var served = OrderedTable<ReplicaKey, Epoch>()
    /// Commands this node's callers wait for.
    var waiting = OrderedTable<UInt64, Bool>()
    /// Messages sent that have neither arrived nor been lost.
    var underWay = 0

    /// What the node's monotonic clock shows.
    func clock(_ world: Int64) -> Instant {
        Instant(nanoseconds: clockOffset + world + world / 1000 * driftPerMille)
    }

    /// The world's time at which the node's clock will show `instant`.
    func world(_ instant: Instant) -> Int64 {
        (instant.nanoseconds - clockOffset) / (1000 + driftPerMille) * 1000
    }

    var usedMemory: UInt64 {
        runners.values.reduce(0) { $0 + $1.placement.stages[$1.stage].bytes.bytes }
    }
}

/// Spreads four layers over as many nodes as their memory needs.
struct SimulatedPlanner: PlacementPlanning {
    static let layerCount = 4
    static let layerBytes: UInt64 = 100

    func plan(_ question: PlanQuestion) -> PlanAnswer {
        var stages: [StageAssignment] = []
        var first = 0
        let widest = max(1, Self.layerCount / max(1, min(question.width, Self.layerCount)))
        for candidate in question.candidates where first < Self.layerCount {
            guard let usable = candidate.reading?.usableBytes else { continue }
            let free = usable + candidate.creditedBytes
            guard free > candidate.promisedBytes else { continue }
            let fits = min(widest, Int((free - candidate.promisedBytes) / Self.layerBytes))
            guard fits > 0 else { continue }
            let end = min(first + fits, Self.layerCount)
            stages.append(
                StageAssignment(
                    node: candidate.member.node, layers: LayerRange(first: first, end: end),
                    bytes: ByteCount(UInt64(end - first) * Self.layerBytes)))
            first = end
        }
        // Fewer machines do as well.
        if let serving = question.serving, first < Self.layerCount || stages.count >= serving.stages.count {
            return .kept
        }
        guard first == Self.layerCount else {
            return .refused(reason: "\(first) of \(Self.layerCount) layers fit; add a node or free memory.")
        }
        return .placed(stages, contextTokens: 1024, lanes: 4)
    }
}
