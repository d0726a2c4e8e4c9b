/// How often guesses of one answer are right, by their evidence.
///
/// Each figure is the chance of a guess to be right when those before it in its draft were.
struct AcceptanceEstimate: Hashable, Sendable {
    /// A chance that is learnt.
    struct Share: Hashable {
        private(set) var value: Double
        private var count = 0.0

        /// Before anything was seen.
        init(_ value: Double) { self.value = value }

        mutating func record(_ isRight: Bool, memory: Double = Limits.acceptanceMemory) {
            count = min(count + 1, memory)
            value += ((isRight ? 1 : 0) - value) / (count + 1)
        }
    }

    private var shares: [Share]

    /// Takes what is believed of each evidence before anything was seen.
    init(priors: [Double]) { shares = priors.map(Share.init) }

    /// A guess was compared with the token that came; those before it were right.
    mutating func record(_ isRight: Bool, evidence: Int) {
        if shares.indices.contains(evidence) { shares[evidence].record(isRight) }
    }

    /// The chance of a guess.
    func chance(evidence: Int) -> Double { shares.indices.contains(evidence) ? shares[evidence].value : 0 }
}
