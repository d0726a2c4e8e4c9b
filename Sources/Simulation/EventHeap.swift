import Cluster
import Vocabulary

/// Something that will happen in the simulated world.
struct WorldEvent {
    enum Kind {
        case deliver(from: Int, to: Int, ClusterMessage)
        case wake(node: Int, life: Int, at: Instant)
        case stage(node: Int, life: Int, StageReport)
        case planned(node: Int, life: Int, PlanQuestion)
        case restart(node: Int)
        case heal(from: Int, to: Int)
        case freeDisk(node: Int)
        case killLeader
        case fault
        case work
        case measure(node: Int, life: Int)
        case ask(node: Int, life: Int, CoordinatorQuestion, answers: Bool)
        case coordinatorAnswer(node: Int, life: Int, UInt64, CoordinatorAnswer)
        case coordinatorFault
        case healCoordinator(node: Int)
    }

    /// World time. **Units:** nanoseconds.
    var time: Int64
    /// Order of events at the same time.
    var sequence: UInt64
    var kind: Kind
}

/// What happens next: a binary heap by (time, sequence), so that equal seeds give equal runs.
struct EventHeap {
    private var events: [WorldEvent] = []
    private var sequence: UInt64 = 0

    var count: Int { events.count }
    var nextTime: Int64? { events.first?.time }

    private func precedes(_ left: Int, _ right: Int) -> Bool {
        (events[left].time, events[left].sequence) < (events[right].time, events[right].sequence)
    }

    mutating func push(_ kind: WorldEvent.Kind, at time: Int64) {
        sequence += 1
        events.append(WorldEvent(time: time, sequence: sequence, kind: kind))
        var child = events.count - 1
        while child > 0, precedes(child, (child - 1) / 2) {
            events.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func pop() -> WorldEvent? {
        guard !events.isEmpty else { return nil }
        events.swapAt(0, events.count - 1)
        let event = events.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < events.count && precedes(child, least) {
                least = child
            }
            if least == parent { break }
            events.swapAt(parent, least)
            parent = least
        }
        return event
    }
}
