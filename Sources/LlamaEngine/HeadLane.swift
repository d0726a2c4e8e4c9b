import Vocabulary

/// What a model's heads for several tokens hold of one lane, and what they have still to read. A pure value.
///
/// The heads' row at a position is made of the token there and of the hidden row before it. A lane may have holes: what
/// was computed while nobody wished for guesses was not read, and the heads know the lane from there on only.
struct HeadLane {
    /// What shall be guessed; nil while nobody asks.
    var wish: GuessWish?
    /// The position behind the last one that is in the heads' cells.
    private(set) var known: Int32 = 0
    /// Rows to be read, without gaps from `known` on.
    private(set) var waiting: [StageRow] = []
    /// What they are made of beside their tokens. **Shape:** `[waiting, width]`.
    private var beside: [Float] = []
    /// The newest position the model has computed, and its hidden row. **Shape:** `[width]`.
    private var newest: (position: Int32, hidden: [Float])?
    /// The newest token, when it was read before its own row came.
    private var ahead: (position: Int32, token: Token)?
    /// The first position whose cells are to be forgotten.
    private var lost: Int32?
    private let lane: Lane
    private let width: Int

    /// Nothing is known.
    init(_ lane: Lane, width: Int) {
        self.lane = lane
        self.width = width
    }

    /// The position behind the last one that was read or is to be.
    var end: Int32 { known + Int32(waiting.count) }

    /// Whether the newest token has been read, so that the next one can be guessed.
    var isReadAhead: Bool { ahead.map { $0.position + 1 == end } ?? false && !waiting.isEmpty }

    /// Reads a row that the model computed. **Shape:** `hidden` is `[width]`.
    mutating func read(_ row: StageRow, hidden: UnsafeBufferPointer<Float>) {
        let wasAhead = ahead.map { $0.position == row.position && $0.token == row.token } ?? false
        ahead = nil
        if !wasAhead { append(row.token, at: row.position) }
        unsafe newest = (row.position, Array(hidden))
    }

    /// Reads the token that was sampled from the row that was read last.
    mutating func readAhead(_ token: Token, at position: Int32) {
        guard token >= 0, let newest, newest.position == position - 1 else { return }
        append(token, at: position)
        ahead = (position, token)
    }

    /// Adds a row to those to be read. Where the hidden row before it is not known, behind what was copied from another
    /// lane, it gets zeros like the first one of all: one row among many that guesses are a little worse for.
    private mutating func append(_ token: Token, at position: Int32) {
        guard token >= 0 else { return }
        if position < end { lose(from: position) }
        if position > end {
            // The library takes no gaps, so what lies before one is given up.
            lose(from: 0)
            known = position
        }
        waiting.append(StageRow(lane: lane, position: position, token: token, samples: false))
        if let newest, newest.position == position - 1 {
            beside += newest.hidden
        } else {
            beside += repeatElement(0, count: width)
        }
    }

    /// The lane ends before `position`. The token that was read ahead stays when it is the next one: its row was made
    /// of what is in front of it.
    mutating func trim(from position: Int32) {
        if let newest, newest.position >= position { self.newest = nil }
        if let ahead, ahead.position <= position { return lose(from: max(position, ahead.position + 1)) }
        ahead = nil
        lose(from: position)
    }

    private mutating func lose(from position: Int32) {
        if position < known {
            lost = min(lost ?? position, position)
            known = position
            waiting = []
            beside = []
        } else if position < end {
            waiting.removeLast(Int(end - position))
            beside.removeLast(beside.count - waiting.count * width)
        }
    }

    /// The first position whose cells are to be forgotten; nil when there is none.
    mutating func takeLost() -> Int32? {
        defer { lost = nil }
        return lost
    }

    /// The rows to be read, which are known from now on, and what they are made of beside their tokens.
    mutating func takeWaiting() -> (rows: [StageRow], beside: [Float]) {
        defer {
            known = end
            (waiting, beside) = ([], [])
        }
        return (waiting, beside)
    }

    /// What another lane knows that is a copy of the first `length` positions; its cells are copied up to `known`.
    func beginning(length: Int32, in lane: Lane) -> HeadLane {
        var copy = HeadLane(lane, width: width)
        copy.known = min(known, length)
        if known < length {
            copy.waiting = waiting.filter { $0.position < length }
            for index in copy.waiting.indices { copy.waiting[index].lane = lane }
            copy.beside = Array(beside.prefix(copy.waiting.count * width))
        }
        if let newest, newest.position < length { copy.newest = newest }
        return copy
    }
}
