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
    var now = Instant(nanoseconds: 0)
    /// Nodes that neither hear nor speak.
    var isolated: Set<Int> = []
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
            give(.wallClock(1_700_000_000_000), to: index)
        }
        for index in 1..<max(count, 1) where index < count { give(.join(seed: Self.id(0)), to: index) }
        run(.seconds(12))
    }

    mutating func give(_ input: ControlPlane.Input, to index: Int) {
        let effects = brains[index].handle(input, now: now)
        for record in effects.persist { stored[index].apply(record) }
        for envelope in effects.send {
            inbox.append((Int(envelope.to.value) - 1, index, envelope.message))
        }
        for reply in effects.replies { outcomes[reply.command] = reply.outcome }
        tasks[index] += effects.tasks
        plans += effects.plans
        if let stored = effects.storedPosition { give(.stored(index: stored.index, term: stored.term), to: index) }
    }

    mutating func run(_ duration: Duration) {
        let end = now.advanced(by: duration)
        while now < end {
            now = now.advanced(by: .milliseconds(10))
            for index in brains.indices where !isolated.contains(index) { give(.tick, to: index) }
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

    var leaders: [Int] { brains.indices.filter { !isolated.contains($0) && brains[$0].isLeader } }
}
