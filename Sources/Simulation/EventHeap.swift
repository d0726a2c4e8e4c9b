import Cluster
import Vocabulary

/// Something that will happen in the simulated world.
struct WorldEvent {
    enum Kind {
        case deliver(from: Int, to: Int, ClusterMessage)
        case wake(node: Int, life: Int, at: Instant)
        indirect case stage(node: Int, life: Int, StageReport)
        indirect case planned(node: Int, life: Int, PlanQuestion)
        case restart(node: Int, life: Int)
        case heal(from: Int, to: Int)
        case freeDisk(node: Int)
        case killLeader
        case fault
        case work
        case measure(node: Int, life: Int)
        indirect case ask(node: Int, life: Int, CoordinatorQuestion, answers: Bool)
        indirect case coordinatorAnswer(node: Int, life: Int, UInt64, CoordinatorAnswer)
        case coordinatorFault
        case healCoordinator(node: Int)
    }

    /// World time. **Units:** nanoseconds.
    var time: Int64
    var kind: Kind
}

/// What happens next: a binary heap by (time, sequence), so that equal seeds give equal runs.
///
/// Only places move in the heap; events stay where they are until they happen.
struct EventHeap {
    private struct Place {
        var time: Int64
        /// Order of events at the same time.
        var sequence: UInt64
        /// Where its event is.
        var slot: Int

        func precedes(_ other: Self) -> Bool { (time, sequence) < (other.time, other.sequence) }
    }

    private var places: [Place] = []
    private var slots: [WorldEvent.Kind?] = []
    private var freeSlots: [Int] = []
    private var sequence: UInt64 = 0

    var count: Int { places.count }
    var nextTime: Int64? { places.first?.time }

    mutating func push(_ kind: WorldEvent.Kind, at time: Int64) {
        sequence += 1
        let slot = freeSlots.popLast() ?? slots.count
        if slot == slots.count { slots.append(kind) } else { slots[slot] = kind }
        let place = Place(time: time, sequence: sequence, slot: slot)
        places.append(place)
        var child = places.count - 1
        while child > 0, place.precedes(places[(child - 1) / 2]) {
            places[child] = places[(child - 1) / 2]
            child = (child - 1) / 2
        }
        places[child] = place
    }

    mutating func pop() -> WorldEvent? {
        guard let first = places.first, let last = places.popLast() else { return nil }
        var parent = 0
        while !places.isEmpty {
            var least = 2 * parent + 1
            guard least < places.count else { break }
            if least + 1 < places.count, places[least + 1].precedes(places[least]) { least += 1 }
            guard places[least].precedes(last) else { break }
            places[parent] = places[least]
            parent = least
        }
        if !places.isEmpty { places[parent] = last }
        freeSlots.append(first.slot)
        guard let kind = slots[first.slot] else { return nil }
        slots[first.slot] = nil
        return WorldEvent(time: first.time, kind: kind)
    }
}
