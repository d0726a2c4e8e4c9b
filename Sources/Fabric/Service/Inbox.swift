import Cluster
import Synchronization

/// What waits for the brain: bounded in all and per peer, filled from any thread, emptied by one reader.
///
/// Messages beyond the bounds are dropped and counted, as any message may be lost; what this node says itself is few
/// and never dropped.
final class Inbox: Sendable {
    enum Item: Sendable {
        case input(ControlPlane.Input)
        case fabric(FabricEvent)
    }

    private struct Waiting {
        var items: [Item] = []
        var perPeer: [NodeID: Int] = [:]
        var dropped = 0
    }

    private let waiting = Mutex(Waiting())
    /// Rings when something came or a time is reached; one ring stands for all that came meanwhile.
    let bell: AsyncStream<Void>
    private let ringer: AsyncStream<Void>.Continuation

    init() { (bell, ringer) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

    func ring() { ringer.yield() }

    func offer(_ input: ControlPlane.Input) {
        waiting.withLock { $0.items.append(.input(input)) }
        ring()
    }

    func offer(_ event: FabricEvent) {
        waiting.withLock { waiting in
            if case .received(_, let peer) = event {
                let count = waiting.perPeer[peer, default: 0]
                guard count < FabricLimits.inboxPerPeer, waiting.items.count < FabricLimits.inboxCount else {
                    waiting.dropped += 1
                    return
                }
                waiting.perPeer[peer] = count + 1
            }
            waiting.items.append(.fabric(event))
        }
        ring()
    }

    /// Takes up to `count` items out, in their order, and rings again while others are left.
    func take(_ count: Int) -> [Item] {
        let (taken, isRest): ([Item], Bool) = waiting.withLock { waiting in
            let taken = Array(waiting.items.prefix(count))
            waiting.items.removeFirst(taken.count)
            if waiting.items.isEmpty {
                waiting.perPeer.removeAll(keepingCapacity: true)
            } else {
                for case .fabric(.received(_, let peer)) in taken { waiting.perPeer[peer, default: 1] -= 1 }
            }
            return (taken, !waiting.items.isEmpty)
        }
        if isRest { ring() }
        return taken
    }

    var dropped: Int { waiting.withLock { $0.dropped } }
}
