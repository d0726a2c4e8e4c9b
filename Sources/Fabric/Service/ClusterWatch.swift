package import Cluster
import Synchronization

/// The changes kept for watchers: a ring of bounded length. A watcher asks for what is behind the number it has; what
/// is no longer kept is answered with everything.
struct ChangeHistory: Sendable {
    private(set) var number: UInt64 = 0
    private(set) var view: ClusterView
    private var changes: [ClusterChange] = []

    init(_ view: ClusterView) { self.view = view }

    /// Whether anything is different.
    mutating func note(_ new: ClusterView) -> Bool {
        let news = new.changes(since: view)
        view = new
        guard !news.isEmpty else { return false }
        changes += news
        number += UInt64(news.count)
        if changes.count > FabricLimits.changeHistory {
            changes.removeFirst(changes.count - FabricLimits.changeHistory)
        }
        return true
    }

    /// What is behind `seen`; nil when nothing is.
    func update(after seen: UInt64?) -> ClusterUpdate? {
        guard let seen, seen <= number, number - seen <= UInt64(changes.count) else { return .snapshot(number, view) }
        guard seen < number else { return nil }
        return .changes(number, Array(changes.suffix(Int(number - seen))))
    }
}

/// Rings for everybody who waits for a change.
final class WatchBells: Sendable {
    private struct Bells {
        var next: UInt64 = 0
        var ringers: [UInt64: AsyncStream<Void>.Continuation] = [:]
    }

    private let bells = Mutex(Bells())

    /// A bell of its own; nil when there are too many.
    func add() -> AsyncStream<Void>? {
        let (bell, ringer) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let id: UInt64? = bells.withLock { bells in
            guard bells.ringers.count < FabricLimits.watchers else { return nil }
            bells.next += 1
            bells.ringers[bells.next] = ringer
            return bells.next
        }
        guard let id else { return nil }
        ringer.onTermination = { [self] _ in bells.withLock { _ = $0.ringers.removeValue(forKey: id) } }
        return bell
    }

    func ring() { for ringer in bells.withLock({ Array($0.ringers.values) }) { ringer.yield() } }

    func finish() { for ringer in bells.withLock({ Array($0.ringers.values) }) { ringer.finish() } }

    var count: Int { bells.withLock { $0.ringers.count } }
}

/// The changes of a cluster, one update after the other. A slow watcher is never waited for: it gets everything anew.
package struct ClusterWatch: AsyncSequence, Sendable {
    /// See `AsyncSequence`.
    package typealias Element = ClusterUpdate

    let service: ClusterService
    let bell: AsyncStream<Void>
    let seen: UInt64?

    /// Steps through the updates.
    package struct Iterator: AsyncIteratorProtocol {
        let service: ClusterService
        var bell: AsyncStream<Void>.Iterator
        var seen: UInt64?

        /// The next update; nil when the service has stopped or the task was cancelled.
        package mutating func next(
            isolation actor: isolated (any Actor)? = #isolation
        ) async -> ClusterUpdate? {
            while !Task.isCancelled {
                if let update = await service.update(after: seen) {
                    seen = update.number
                    return update
                }
                guard await bell.next(isolation: actor) != nil else { return nil }
            }
            return nil
        }
    }

    /// Begins to watch.
    package func makeAsyncIterator() -> Iterator {
        Iterator(service: service, bell: bell.makeAsyncIterator(), seen: seen)
    }
}
