/// How often the guesses of one answer are right, by their evidence and their place in the draft.
struct AcceptanceEstimate: Hashable, Sendable {
    private struct Share: Hashable {
        /// Before anything was seen: as likely right as wrong.
        var value = 0.5
        var count = 0

        mutating func record(_ isRight: Bool) {
            let weight = max(1 / Double(count + 2), 1 / Limits.acceptanceMemory)
            value += weight * ((isRight ? 1 : 0) - value)
            count += 1
        }
    }

    private var shares: [[Share]]

    init(evidenceCount: Int) {
        shares = Array(
            repeating: Array(repeating: Share(), count: Limits.draftWidth), count: max(1, evidenceCount))
    }

    /// A guess at `place` was compared with the token that came; those before it were right.
    mutating func record(_ isRight: Bool, evidence: Int, place: Int) {
        guard shares.indices.contains(evidence), shares[evidence].indices.contains(place) else { return }
        shares[evidence][place].record(isRight)
    }

    /// The chance of each of `count` guesses to be right when those before it were. A place that was never reached is
    /// taken to be as good as the one before it.
    func chances(evidence: Int, count: Int) -> [Double] {
        guard shares.indices.contains(evidence) else { return [] }
        var chances: [Double] = []
        chances.reserveCapacity(count)
        for share in shares[evidence].prefix(count) {
            chances.append(share.count == 0 ? chances.last ?? share.value : share.value)
        }
        return chances
    }
}
