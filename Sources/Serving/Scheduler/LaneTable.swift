import Vocabulary

/// Who holds which lane, and which lanes are still in flight.
///
/// A lane can be taken when nobody owns it and no microbatch carries it any more: so an answer that comes back for a
/// lane without an owner belongs to a request that ended meanwhile, and is dropped.
struct LaneTable {
    /// The choice of a running request that holds a lane.
    struct Owner: Hashable {
        /// Index in the brain's list of active requests.
        var request: Int
        /// Index of the choice.
        let choice: Int
    }

    struct Slot {
        var owner: Owner?
        /// Microbatches that carry it: a decoding lane is in one at most, a prompt's chunks follow each other.
        var inFlight = 0
    }

    private(set) var slots: [Slot]
    /// Lanes that may have an owner at once.
    private let permits: Int

    init(count: Int, permits: Int) {
        slots = Array(repeating: Slot(), count: count)
        self.permits = permits
    }

    subscript(lane: Lane) -> Slot { slots[Int(lane.index)] }

    var availableCount: Int {
        var (free, owned) = (0, 0)
        for slot in slots {
            if slot.owner != nil { owned += 1 } else if slot.inFlight == 0 { free += 1 }
        }
        return min(free, permits - owned)
    }

    /// Gives the lowest available lane that is not in use otherwise to the owner.
    mutating func take(for owner: Owner, unless isUsed: (Lane) -> Bool) -> Lane? {
        guard let lane = spare(unless: isUsed) else { return nil }
        slots[Int(lane.index)].owner = owner
        return lane
    }

    /// A lane nobody owns or carries and that is not in use otherwise.
    func spare(unless isUsed: (Lane) -> Bool) -> Lane? {
        slots.indices.first { slots[$0].owner == nil && slots[$0].inFlight == 0 && !isUsed(Lane(UInt16($0))) }
            .map { Lane(UInt16($0)) }
    }

    mutating func release(_ lane: Lane) { slots[Int(lane.index)].owner = nil }

    mutating func board(_ lane: Lane) { slots[Int(lane.index)].inFlight += 1 }

    mutating func land(_ lane: Lane) { slots[Int(lane.index)].inFlight -= 1 }

    /// Follows the removal of the active request at `index`, whose lanes MUST be released already.
    mutating func requestRemoved(at index: Int) {
        for slot in slots.indices {
            if let owner = slots[slot].owner, owner.request > index { slots[slot].owner?.request -= 1 }
        }
    }

    /// Nobody owns a lane and nothing is in flight.
    mutating func clear() {
        for slot in slots.indices { slots[slot] = Slot() }
    }
}
