import Cluster
import Testing
import Vocabulary

/// A few control planes on one virtual clock, with a perfect network that a test can cut.
struct Nodes {
    var brains: [ControlPlane] = []
    var stored: [StoredCluster] = []
    var outcomes: [CommandID: CommandOutcome] = [:]
    var tasks: [[StageTask]] = []
    var plans: [PlanQuestion] = []
    /// When each node wants to be woken.
    var wakes: [Instant?] = []
    var now = Instant(nanoseconds: 0)
    /// Nodes that neither hear nor speak.
    var isolated: Set<Int> = []
    /// What the runners say when they are told to do something; nil leaves every task and plan to the test.
    var runners: ((StageTask) -> StageStatus?)?
    /// What was sent since a test emptied it, delivered or not.
    var sent: [(from: Int, Effects.Envelope)] = []
    private var inbox: [(to: Int, from: Int, ClusterMessage)] = []
    private var commandCount: UInt64 = 0

    static func id(_ index: Int) -> NodeID { NodeID(UInt64(index + 1)) }

    static func settings(_ index: Int, seed: UInt64 = 1) -> ControlPlaneSettings {
        ControlPlaneSettings(
            member: Member(node: id(index), name: "n\(index)"), seed: seed &+ UInt64(index) &* 77,
            founds: index == 0)
    }

    init(_ count: Int) {
        for index in 0..<count {
            brains.append(ControlPlane(settings: Self.settings(index)))
            stored.append(StoredCluster())
            tasks.append([])
            wakes.append(nil)
            give(.wallClock(1_700_000_000_000), to: index)
        }
        for index in 1..<max(count, 1) where index < count { give(.join(seed: Self.id(0)), to: index) }
        run(.seconds(12))
    }

    mutating func give(_ input: ControlPlane.Input, to index: Int) {
        let effects = brains[index].handle(input, now: now)
        wakes[index] = effects.wakeAt
        for record in effects.persist { stored[index].apply(record) }
        for envelope in effects.send {
            inbox.append((Int(envelope.to.value) - 1, index, envelope.message))
            sent.append((index, envelope))
        }
        for reply in effects.replies { outcomes[reply.command] = reply.outcome }
        tasks[index] += effects.tasks
        if let runners {
            for question in effects.plans { give(.planned(question: question.id, Self.spread(question)), to: index) }
            for task in effects.tasks {
                guard let status = runners(task), let epoch = task.epoch else { continue }
                give(.stage(StageReport(epoch: epoch, status: status)), to: index)
            }
        }
        plans += effects.plans
        if let stored = effects.storedPosition { give(.stored(index: stored.index, term: stored.term), to: index) }
    }

    mutating func run(_ duration: Duration) {
        let end = now.advanced(by: duration)
        while now < end {
            now = now.advanced(by: .milliseconds(10))
            for index in brains.indices where !isolated.contains(index) { give(.tick, to: index) }
            deliver()
        }
    }

    /// As `run`, but nodes are woken only when they asked for it, as their shells do it.
    mutating func runAsWoken(_ duration: Duration) {
        let end = now.advanced(by: duration)
        while let next = brains.indices.filter({ !isolated.contains($0) }).compactMap({ wakes[$0] }).min(), next <= end
        {
            // A shell is a little late.
            now = max(now, next).advanced(by: .milliseconds(1))
            for index in brains.indices where !isolated.contains(index) && wakes[index].map({ $0 <= now }) ?? false {
                give(.tick, to: index)
            }
            deliver()
        }
        now = max(now, end)
    }

    private mutating func deliver() {
        var rounds = 0
        while !inbox.isEmpty, rounds < 50 {
            rounds += 1
            let messages = inbox
            inbox = []
            for (to, from, message) in messages
            where to < brains.count && !isolated.contains(to) && !isolated.contains(from) {
                give(.received(message, from: Self.id(from)), to: to)
            }
        }
    }

    @discardableResult
    mutating func command(_ action: Command.Action, at index: Int) -> CommandID {
        commandCount += 1
        give(.command(number: commandCount, action), to: index)
        return CommandID(origin: Self.id(index), number: commandCount)
    }

    mutating func restart(_ index: Int) {
        brains[index] = ControlPlane(settings: Self.settings(index, seed: 9), stored: stored[index])
        give(.wallClock(1_700_000_000_000), to: index)
    }

    /// The node starts again with a disk that lost everything.
    mutating func forget(_ index: Int) {
        stored[index] = StoredCluster()
        var settings = Self.settings(index, seed: 9)
        (settings.founds, settings.hasForgotten) = (false, true)
        brains[index] = ControlPlane(settings: settings)
        give(.wallClock(1_700_000_000_000), to: index)
        give(.join(seed: Self.id(index == 0 ? 1 : 0)), to: index)
    }

    var leaders: [Int] { brains.indices.filter { !isolated.contains($0) && brains[$0].isLeader } }
}

extension Nodes {
    /// One layer on each candidate.
    private static func spread(_ question: PlanQuestion) -> PlanAnswer {
        guard !question.candidates.isEmpty else { return .refused(reason: "Nobody may run it.") }
        let stages = question.candidates.enumerated().map { index, candidate in
            StageAssignment(
                node: candidate.member.node, layers: LayerRange(first: index, end: index + 1), bytes: ByteCount(1))
        }
        return .placed(stages, contextTokens: 64, lanes: 1)
    }

    /// Runners that do all they are told.
    static func obedient(_ task: StageTask) -> StageStatus? {
        switch task {
        case .load: .loaded
        case .prove: .proven
        case .serve: .serving
        case .drain: .drained
        case .stop: nil
        }
    }

    /// The epoch of the first replica of `a` that serves.
    var serving: PlacedReplica? { leaderState?.activePlacement(of: ReplicaKey(deployment: "a", index: 0)) }

    /// Why the first replica of `a` was given up; empty while it was not.
    var failure: String { leaderState?.replicas[ReplicaKey(deployment: "a", index: 0)]?.failure ?? "" }

    private var leaderState: ClusterState? { leaders.first.map { brains[$0].state } }
}

extension StageTask {
    fileprivate var epoch: Epoch? {
        switch self {
        case .load(let placement, _): placement.epoch
        case .prove(let epoch), .serve(let epoch), .drain(let epoch), .stop(let epoch): epoch
        }
    }
}
