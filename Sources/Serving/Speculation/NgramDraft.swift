package import Vocabulary

/// Guesses that what followed the newest tokens when they last occurred follows again: quotations, code that is edited,
/// arguments that are repeated.
///
/// The longest of the last 4, 3 and 2 tokens that occurred before decides. A table of fixed size knows where each such
/// group was followed last; a newer group takes the place of an older one with the same hash, so the oldest are
/// forgotten first, and every hit is compared with the tokens themselves.
package struct NgramDraft: DraftSource, Hashable {
    private static let longest = 4
    private static let shortest = 2

    private var tokens: [Token] = []
    /// Index of the token behind a group, by the group's hash; 0 is none, because a group stands before it.
    private var followers: [Int32]
    private let mask: UInt64

    /// Makes an empty source; `slotCount` is rounded up to a power of two.
    package init(slotCount: Int = Limits.draftSlots) {
        var size = 1
        while size < min(slotCount, Limits.draftSlots) { size *= 2 }
        followers = Array(repeating: 0, count: size)
        mask = UInt64(size - 1)
    }

    /// One for each length of the group that was found.
    package var evidenceCount: Int { Self.longest - Self.shortest + 1 }

    /// Takes the next token and remembers that it followed the groups before it.
    package mutating func push(_ token: Token) {
        var hash = Self.seed
        for length in 1...Self.longest where length <= tokens.count {
            hash = Self.mixed(hash, tokens[tokens.count - length])
            if length >= Self.shortest { followers[slot(hash, length)] = Int32(truncatingIfNeeded: tokens.count) }
        }
        tokens.append(token)
    }

    /// What followed last time. When that ends at the newest token, the tokens repeat with that period, and the guess
    /// goes round it.
    package func draft(width: Int) -> Draft {
        guard width > 0, let found = newestFollower() else { return Draft() }
        var guesses: [Token] = []
        guesses.reserveCapacity(width)
        let period = tokens.count - found.index
        for offset in 0..<width {
            guesses.append(offset < period ? tokens[found.index + offset] : guesses[offset - period])
        }
        return Draft(tokens: guesses, evidence: found.length - Self.shortest)
    }

    private func newestFollower() -> (index: Int, length: Int)? {
        var best: (index: Int, length: Int)?
        var hash = Self.seed
        for length in 1...Self.longest where length <= tokens.count {
            hash = Self.mixed(hash, tokens[tokens.count - length])
            guard length >= Self.shortest else { continue }
            let index = Int(followers[slot(hash, length)])
            guard index >= length else { continue }
            let isSame = (1...length).allSatisfy { tokens[index - $0] == tokens[tokens.count - $0] }
            if isSame { best = (index, length) }
        }
        return best
    }

    private static let seed: UInt64 = 0x9E37_79B9_7F4A_7C15

    /// **Source:** the finaliser of splitmix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators",
    /// OOPSLA 2014).
    private static func mixed(_ hash: UInt64, _ token: Token) -> UInt64 {
        var mixed = (hash ^ UInt64(UInt32(bitPattern: token))) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    private func slot(_ hash: UInt64, _ length: Int) -> Int { Int((hash &+ UInt64(length)) & mask) }
}
