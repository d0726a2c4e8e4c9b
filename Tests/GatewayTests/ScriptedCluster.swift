import Gateway
import Vocabulary

@testable import Cluster

/// A cluster of one node without sockets or disk: the real brain behind the routes.
actor ScriptedCluster: ClusterViewing {
    nonisolated let life: UInt64 = 42
    private var brain: ControlPlane
    private var now = Instant(nanoseconds: 0)
    private var commands: UInt64 = 0
    private var changes: [ClusterChange] = []
    private var seen: ClusterView
    private(set) var drains: [NodeID] = []

    init() {
        let settings = ControlPlaneSettings(
            member: Member(node: NodeID(1), name: "one", addresses: ["10.0.0.1:7535"]), seed: 1, founds: true)
        brain = ControlPlane(settings: settings)
        seen = brain.view
    }

    func begin() {
        _ = give(.wallClock(1_700_000_000_000))
        for _ in 0..<50 { _ = give(.tick) }
        seen = brain.view
        changes = []
    }

    private func give(_ input: ControlPlane.Input) -> [Effects.Reply] {
        now = now.advanced(by: .milliseconds(50))
        var replies: [Effects.Reply] = []
        var inputs = [input]
        while !inputs.isEmpty {
            let effects = brain.handle(inputs.removeFirst(), now: now)
            replies += effects.replies
            if let stored = effects.storedPosition { inputs.append(.stored(index: stored.index, term: stored.term)) }
        }
        let view = brain.view
        changes += view.changes(since: seen)
        seen = view
        return replies
    }

    func currentView() -> ClusterView { brain.view }

    func apply(_ action: Command.Action) async throws -> CommandOutcome {
        commands += 1
        if case .drain(let node, _) = action { drains.append(node) }
        var replies = give(.command(number: commands, action))
        while replies.isEmpty { replies = give(.tick) }
        return replies[0].outcome
    }

    func updates(after number: UInt64?) -> (any AsyncSequence<ClusterUpdate, Never> & Sendable)? {
        let (stream, sink) = AsyncStream<ClusterUpdate>.makeStream()
        let last = UInt64(changes.count)
        if let number, number <= last {
            if number < last { sink.yield(.changes(last, Array(changes[Int(number)...]))) }
        } else {
            sink.yield(.snapshot(last, brain.view))
        }
        sink.finish()
        return stream
    }

    func preview(_ deployment: Deployment) -> PlanPreview {
        let question = brain.planQuestion(for: deployment, now: now)
        return PlanPreview(question: question, answer: .refused(reason: "It needs 8 GiB, short by 7 GiB."))
    }
}
