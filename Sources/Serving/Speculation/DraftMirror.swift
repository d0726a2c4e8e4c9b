import Vocabulary

/// What the draft model's lanes hold, as far as the brain has told it: they follow the lanes of the stages.
///
/// A lane's sequence is known to be right up to `settled`; behind it stand guesses, which may have come true.
struct DraftMirror {
    struct Slot {
        var isOpen = false
        /// Positions that hold the lane's own tokens.
        var settled = 0
        /// Guesses the draft model computed behind them.
        var guessed: [Token] = []
        /// Positions it may know: those that are right, when the guesses were.
        var known: Int { settled + guessed.count }
        /// Grows whenever a lane is opened: what was guessed for an earlier sequence says nothing of this one.
        var opening: UInt64 = 0
    }

    /// What the draft model was asked for one lane.
    struct Order {
        let lane: Lane
        let opening: UInt64
        let request: RequestID
        let choice: Int
    }

    private(set) var slots: [Slot]
    /// Operations decided and not yet sent, in order.
    private(set) var operations: [SequenceOperation] = []
    /// The work the draft model does, and the lanes it guesses for; nil while it is free.
    var inFlight: (id: UInt64, orders: [Order])?
    var workCount: UInt64 = 0
    private var openings: UInt64 = 0
    /// Pieces of work in a row that failed.
    var failures = 0

    init(laneCount: Int) { slots = Array(repeating: Slot(), count: laneCount) }

    subscript(lane: Lane) -> Slot { slots[Int(lane.index)] }

    /// Takes over the beginning of another lane's sequence, as far as it is known there.
    mutating func copy(from: Lane, to: Lane, length: Int, sampling: LaneSampling) {
        let known = min(self[from].settled, length)
        guard known > 0 else { return }
        open(to, sampling)
        operations.append(.copy(from: from, to: to, length: Int32(known)))
        slots[Int(to.index)].settled = known
    }

    /// Follows a change of the stages' lanes. What is told to the draft model is only what it has to know: lanes it has
    /// never seen stay empty there.
    mutating func follow(_ operation: SequenceOperation, sampling: LaneSampling?) {
        switch operation {
        case .open, .trim, .archive, .guess: break
        case .copy(let from, let to, let length):
            if let sampling { copy(from: from, to: to, length: Int(length), sampling: sampling) }
        case .free(let lane):
            guard self[lane].isOpen else { return }
            operations.append(.free(lane: lane))
            slots[Int(lane.index)] = Slot()
        }
    }

    private mutating func open(_ lane: Lane, _ sampling: LaneSampling) {
        if self[lane].isOpen { operations.append(.free(lane: lane)) }
        operations.append(.open(lane: lane, sampling: sampling))
        openings += 1
        slots[Int(lane.index)] = Slot(isOpen: true, opening: openings)
    }

    /// Makes sure that the lane is open and holds only what agrees with its tokens. Answers the first position that is
    /// missing, which is never behind `limit`: the row there has to be computed anew to guess from.
    mutating func settle(_ lane: Lane, limit: Int, sampling: LaneSampling, token: (Int) -> Token) -> Int {
        if !self[lane].isOpen { open(lane, sampling) }
        var slot = self[lane]
        for guess in slot.guessed {
            guard slot.settled < limit, token(slot.settled) == guess else { break }
            slot.settled += 1
        }
        slot.settled = min(slot.settled, limit)
        slot.guessed = []
        slots[Int(lane.index)] = slot
        operations.append(.trim(lane: lane, from: Int32(slot.settled)))
        return slot.settled
    }

    /// Rows up to a position are on their way to the draft model.
    mutating func fed(_ lane: Lane, to position: Int) { slots[Int(lane.index)].settled = position }

    /// The draft model guessed behind the lane's rows: all but the last guess are in its cache.
    mutating func guessed(_ drafted: DraftedLane, _ order: Order) {
        guard isCurrent(order) else { return }
        slots[Int(drafted.lane.index)].guessed = Array(drafted.tokens.dropLast())
    }

    /// Whether the lane still holds the sequence that was asked for.
    func isCurrent(_ order: Order) -> Bool { self[order.lane].opening == order.opening }

    mutating func takeOperations() -> [SequenceOperation] {
        defer { operations.removeAll() }
        return operations
    }

    /// Nothing the draft model holds is of use any more.
    mutating func clear() {
        operations = slots.indices.map { .free(lane: Lane(UInt16($0))) }
        slots = Array(repeating: Slot(), count: slots.count)
    }
}
