import Vocabulary

/// Sequences of ended requests that still stand in their lanes, so that a prompt that begins alike is not computed
/// again.
///
/// A list, not a tree: there are fewer sequences than lanes, and comparing stops at the first token that differs.
struct PrefixShelf {
    struct Resident {
        let tokens: [Token]
        /// Grows with every use: lower was used longer ago.
        var lastUse: UInt64
        /// The prompt it begins with is kept beside it, which is of use to more turns: it makes way first.
        var hasPrompt = false
        /// It is on disk, or will not be.
        var isArchived = false
    }

    private(set) var residents: [Resident?]
    private var useCount: UInt64 = 0

    init(laneCount: Int) { residents = Array(repeating: nil, count: laneCount) }

    var count: Int { residents.count { $0 != nil } }

    subscript(lane: Lane) -> Resident? { residents[Int(lane.index)] }

    /// Whether just this sequence is kept.
    func contains(_ tokens: [Token]) -> Bool { residents.contains { $0?.tokens == tokens } }

    mutating func put(_ tokens: [Token], on lane: Lane, hasPrompt: Bool = false) {
        useCount += 1
        residents[Int(lane.index)] = Resident(tokens: tokens, lastUse: useCount, hasPrompt: hasPrompt)
    }

    mutating func markArchived(_ lane: Lane) { residents[Int(lane.index)]?.isArchived = true }

    /// The one used last among those that are not on disk and long enough for it.
    func newestUnarchived(ofAtLeast length: Int) -> Lane? {
        var newest: (lane: Lane, use: UInt64)?
        for (index, resident) in residents.enumerated() {
            guard let resident, !resident.isArchived, resident.tokens.count >= length else { continue }
            if resident.lastUse >= newest?.use ?? 0 { newest = (Lane(UInt16(index)), resident.lastUse) }
        }
        return newest?.lane
    }

    mutating func remove(_ lane: Lane) { residents[Int(lane.index)] = nil }

    mutating func touch(_ lane: Lane) {
        useCount += 1
        residents[Int(lane.index)]?.lastUse = useCount
    }

    /// The one that was not used for longest, of those that make way first if there are any; but not `spared`.
    func oldest(sparing spared: Lane? = nil) -> Lane? {
        var oldest: (lane: Lane, rank: (Int, UInt64))?
        for (index, resident) in residents.enumerated() {
            guard let resident, Lane(UInt16(index)) != spared else { continue }
            let rank = (resident.hasPrompt ? 0 : 1, resident.lastUse)
            if oldest.map({ rank < $0.rank }) ?? true { oldest = (Lane(UInt16(index)), rank) }
        }
        return oldest?.lane
    }

    /// How many of a prompt's tokens another sequence can give: what both begin with, but an image whole or not at all,
    /// and none of so few rows that their ids might be another image's.
    static func sharedLength(_ sequence: some Collection<Token>, _ prompt: some Collection<Token>) -> Int {
        var length = 0
        // Where the rows of an image began.
        var image: Int?
        for (one, other) in zip(sequence, prompt) {
            if let start = image, other >= 0 {
                guard length - start >= Limits.imageRowsAlike else { return start }
                image = nil
            }
            guard one == other else { break }
            if other < 0, image == nil { image = length }
            length += 1
        }
        return image ?? length
    }

    /// How many tokens two sequences have in common from their beginning.
    static func commonLength(_ left: some Collection<Token>, _ right: some Collection<Token>) -> Int {
        var length = 0
        for (one, other) in zip(left, right) {
            guard one == other else { break }
            length += 1
        }
        return length
    }
}
