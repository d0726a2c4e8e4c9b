/// How often the guesses of one answer are right, by the evidence of their draft.
///
/// The first guess of a draft and the others are counted apart: whether a text repeats itself at all is one question,
/// how long it goes on once it does another.
struct AcceptanceEstimate: Hashable, Sendable {
    private struct Share: Hashable {
        /// Before anything was seen: as likely right as wrong.
        var value = 0.5
        var count = 0.0

        mutating func record(_ isRight: Bool) {
            count = min(count + 1, Limits.acceptanceMemory)
            value += ((isRight ? 1 : 0) - value) / (count + 1)
        }
    }

    private var first: [Share]
    private var later: [Share]

    init(evidenceCount: Int) {
        first = Array(repeating: Share(), count: max(1, evidenceCount))
        later = first
    }

    /// A draft's first guess was compared with the token that came.
    mutating func recordFirst(_ isRight: Bool, evidence: Int) {
        if first.indices.contains(evidence) { first[evidence].record(isRight) }
    }

    /// A further guess was compared with the token that came; those before it were right.
    mutating func recordLater(_ isRight: Bool, evidence: Int) {
        if later.indices.contains(evidence) { later[evidence].record(isRight) }
    }

    /// The chance of each of `count` guesses to be right when those before it were.
    func chances(evidence: Int, count: Int) -> [Double] {
        guard count > 0, first.indices.contains(evidence) else { return [] }
        var chances = Array(repeating: later[evidence].value, count: count)
        chances[0] = first[evidence].value
        return chances
    }
}
