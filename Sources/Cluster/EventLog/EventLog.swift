/// The entries behind the last snapshot, in memory. What is on disk is the same, or the storage is in trouble.
struct EventLog: Sendable {
    /// A place in the log: an index and the term of the entry there.
    struct Position: Hashable, Sendable, Comparable {
        var index: UInt64 = 0
        var term: UInt64 = 0

        /// Which of two logs is more up to date, by their last entries.
        static func < (left: Position, right: Position) -> Bool {
            (left.term, left.index) < (right.term, right.index)
        }
    }

    /// Everything up to here is in the snapshot only.
    private(set) var base = Position()
    private(set) var entries: [LogEntry] = []
    /// Entries that set the voters, ascending: few among many, and asked for with every input.
    private var voterMarks: [(index: UInt64, voters: [NodeID])] = []
    /// Entries that set members, ascending.
    private var memberMarks: [(index: UInt64, members: [Member])] = []

    var last: Position { entries.last.map { Position(index: $0.index, term: $0.term) } ?? base }

    init() {}

    /// Takes over what the disk had: entries that do not follow each other without a gap are ignored.
    init(base: Position, entries: [LogEntry]) {
        self.base = base
        for entry in entries where entry.index == last.index + 1 { add(entry) }
    }

    private mutating func add(_ entry: LogEntry) {
        entries.append(entry)
        if let voters = entry.voters { voterMarks.append((entry.index, voters)) }
        let members = entry.members
        if !members.isEmpty { memberMarks.append((entry.index, members)) }
    }

    func entry(at index: UInt64) -> LogEntry? {
        guard index > base.index, index <= last.index else { return nil }
        return entries[Int(index - base.index - 1)]
    }

    func term(at index: UInt64) -> UInt64? { index == base.index ? base.term : entry(at: index)?.term }

    /// Entries from `index` on, within the bounds of one message.
    func entries(from index: UInt64) -> [LogEntry] {
        guard index > base.index, index <= last.index else { return [] }
        let start = Int(index - base.index - 1)
        var size = 0
        var end = start
        while end < entries.count, end - start < Limits.entriesPerAppend, size < Limits.appendBytes {
            size += entries[end].size
            end += 1
        }
        return Array(entries[start..<end])
    }

    mutating func append(_ entry: LogEntry) {
        precondition(entry.index == last.index + 1, "entry \(entry.index) does not follow \(last.index)")
        add(entry)
    }

    /// Removes the entries from `index` on.
    mutating func truncate(from index: UInt64) {
        precondition(index > base.index, "entry \(index) is in the snapshot up to \(base.index)")
        entries.removeLast(max(0, Int(last.index) - Int(index) + 1))
        while let mark = voterMarks.last, mark.index >= index { voterMarks.removeLast() }
        while let mark = memberMarks.last, mark.index >= index { memberMarks.removeLast() }
    }

    /// Forgets the entries up to `index`, which a snapshot holds.
    mutating func compact(through index: UInt64) {
        guard index > base.index, let term = term(at: index) else { return }
        entries.removeFirst(Int(index - base.index))
        voterMarks.removeAll { $0.index <= index }
        memberMarks.removeAll { $0.index <= index }
        base = Position(index: index, term: term)
    }

    /// Starts anew behind a snapshot that came from the leader; keeps what follows it, when it fits.
    mutating func reset(to position: Position) {
        if term(at: position.index) == position.term {
            compact(through: position.index)
        } else {
            entries = []
            voterMarks = []
            memberMarks = []
            base = position
        }
    }

    /// The first index of the run of entries that has the term of the entry at `index`.
    func firstIndex(ofTermAt index: UInt64) -> UInt64 {
        guard let term = term(at: index) else { return last.index + 1 }
        var first = index
        while first > base.index + 1, self.term(at: first - 1) == term { first -= 1 }
        return first
    }

    /// The voters set by the newest entry behind `index`.
    func voters(after index: UInt64) -> (index: UInt64, voters: [NodeID])? {
        voterMarks.last.flatMap { $0.index > index ? $0 : nil }
    }

    /// Whether one of the entries behind `index` has this node among the voters.
    func hasVoter(_ node: NodeID, after index: UInt64) -> Bool {
        for mark in voterMarks.reversed() {
            guard mark.index > index else { return false }
            if mark.voters.contains(node) { return true }
        }
        return false
    }

    /// Members set by the entries behind `index`, in their order.
    func members(after index: UInt64) -> [Member] {
        guard let last = memberMarks.last, last.index > index else { return [] }
        let first = memberMarks.lastIndex { $0.index <= index }.map { $0 + 1 } ?? 0
        return memberMarks[first...].flatMap(\.members)
    }
}
