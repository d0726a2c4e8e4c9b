import Cluster
import ClusterStore
import Fabric
import LlamaEngine
import Vocabulary

/// How many events per second the control plane decides, keeps and applies: a leader and a member that follows, each
/// with its own memory on the disk.
package enum EventBench {
    /// The least a node must apply, brain and disk together. **Units:** events per second.
    package static let bound = 20_000.0
    /// Settings that are written in turn; each write is an event.
    private static let settings: UInt64 = 200
    /// Time that passes in the brains between two batches. **Units:** microseconds.
    private static let step: Int64 = 500
    /// Exchanges after which the two must have no more to say about a batch.
    private static let exchanges = 64

    /// Runs `runs` times `events` commands of one event each, in batches as the service makes them. The files are made
    /// below `folder` and are not removed.
    ///
    /// **Throws:** `StoreFailure` when the disk takes nothing, `BenchError.events` when an event is missing at the end.
    package static func run(events: Int, runs: Int, folder: String) throws -> BenchReport {
        var report = BenchReport(
            "events", model: "none",
            settings: ["events": "\(events)", "batch": "\(FabricLimits.inputsPerWrite)"],
            engine: LlamaLibrary.version)
        var figures: [String: [Double]] = [:]
        for run in 0..<runs {
            var pair = try Pair(folder: "\(folder)/\(run)")
            try pair.join()
            pair.forgetTimes()
            try pair.apply(events)
            for (name, node) in [("leader", pair.leader), ("follower", pair.follower)] {
                let count = Double(events)
                figures["\(name)_events_s", default: []].append(count / (node.thinking + node.writing).inSeconds)
                figures["\(name)_brain_events_s", default: []].append(count / node.thinking.inSeconds)
                figures["\(name)_writes", default: []].append(Double(node.writes))
            }
        }
        var misses: [String] = []
        for name in ["leader", "follower"] {
            let both = BenchReport.Result("\(name)_events_s", unit: "events/s", figures["\(name)_events_s"] ?? [])
            report.results += [
                both,
                .init("\(name)_brain_events_s", unit: "events/s", figures["\(name)_brain_events_s"] ?? []),
                .init("\(name)_writes", unit: "writes", figures["\(name)_writes"] ?? []),
            ]
            guard both.p50 < bound else { continue }
            misses.append("The \(name) applies \(Int(both.p50)) events/s, less than \(Int(bound)).")
        }
        report.misses = misses
        return report
    }

    /// A brain and its memory.
    private struct BenchNode {
        let id: NodeID
        var brain: ControlPlane
        var store: SQLiteEventStore
        var thinking = Duration.zero
        var writing = Duration.zero
        var writes = 0
        var done = 0

        init(_ number: UInt64, founds: Bool, path: String) throws {
            id = NodeID(number)
            store = try SQLiteEventStore(path: path)
            var told = ControlPlaneSettings(
                member: Member(node: id, name: "n\(number)"), seed: number, founds: founds)
            told.assertsInvariants = false
            brain = ControlPlane(settings: told, stored: try store.load())
        }

        /// What `ClusterService.process` does: one write serves the inputs, and what follows from it is an input too.
        mutating func process(_ inputs: [ControlPlane.Input], now: Instant) throws -> [ClusterMessage] {
            var inputs = inputs[...]
            var messages: [ClusterMessage] = []
            while !inputs.isEmpty {
                var effects = Effects()
                let began = ContinuousClock.now
                while let input = inputs.popFirst() { effects.merge(brain.handle(input, now: now)) }
                let thought = ContinuousClock.now
                try store.write(effects.persist)
                writing += ContinuousClock.now - thought
                thinking += thought - began
                if !effects.persist.isEmpty { writes += 1 }
                messages += effects.send.map(\.message)
                done += effects.replies.count { if case .done = $0.outcome { true } else { false } }
                if let stored = effects.storedPosition {
                    inputs.append(.stored(index: stored.index, term: stored.term))
                }
            }
            return messages
        }
    }

    private struct Pair {
        var leader: BenchNode
        var follower: BenchNode
        private var now = Instant(nanoseconds: 0)

        init(folder: String) throws {
            leader = try BenchNode(1, founds: true, path: "\(folder)/leader.sqlite")
            follower = try BenchNode(2, founds: false, path: "\(folder)/follower.sqlite")
        }

        mutating func join() throws {
            _ = try leader.process([.wallClock(1_700_000_000_000)], now: now)
            _ = try follower.process([.wallClock(1_700_000_000_000)], now: now)
            try exchange([], [.join(seed: leader.id)])
            var rounds = 0
            while follower.brain.state.members.count < 2 {
                rounds += 1
                guard rounds < 10_000 else { throw BenchError.events(expected: 2, actual: rounds) }
                try exchange([.tick], [.tick])
            }
        }

        mutating func forgetTimes() {
            (leader.thinking, leader.writing, leader.writes, leader.done) = (.zero, .zero, 0, 0)
            (follower.thinking, follower.writing, follower.writes) = (.zero, .zero, 0)
        }

        mutating func apply(_ events: Int) throws {
            var sent = 0
            while sent < events {
                let count = min(FabricLimits.inputsPerWrite, events - sent)
                let batch = (sent..<sent + count).map { number -> ControlPlane.Input in
                    .command(
                        number: UInt64(number) + 1,
                        .configure("setting-\(UInt64(number) % EventBench.settings)", "value \(number)"))
                }
                sent += count
                try exchange(batch, [])
            }
            for _ in 0..<EventBench.exchanges where follower.brain.state.index < leader.brain.state.index {
                try exchange([.tick], [.tick])
            }
            guard leader.done == events else { throw BenchError.events(expected: events, actual: leader.done) }
            guard follower.brain.state.index == leader.brain.state.index else {
                throw BenchError.events(
                    expected: Int(leader.brain.state.index), actual: Int(follower.brain.state.index))
            }
        }

        /// Gives inputs to both, and each what the other says, until neither says anything.
        private mutating func exchange(
            _ toLeader: [ControlPlane.Input], _ toFollower: [ControlPlane.Input]
        ) throws {
            now = now.advanced(by: .microseconds(EventBench.step))
            var (toLeader, toFollower) = (toLeader, toFollower)
            for _ in 0..<EventBench.exchanges where !(toLeader.isEmpty && toFollower.isEmpty) {
                let said = try leader.process(toLeader, now: now)
                let heard = said.map { ControlPlane.Input.received($0, from: leader.id) }
                let answered = try follower.process(toFollower + heard, now: now)
                toLeader = answered.map { .received($0, from: follower.id) }
                toFollower = []
            }
        }
    }
}
