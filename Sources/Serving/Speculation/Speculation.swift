/// How tokens are guessed ahead.
///
/// **Source:** docs/decisions/0010-speculation-by-default.md, 0014-draft-model-on-the-entry-node.md.
package enum Speculation: String, Hashable, Sendable, Codable, CaseIterable {
    /// By a draft model, when there is one, and by what followed the same tokens earlier; where measured costs say that
    /// it pays, for requests without a seed.
    case auto
    /// No token is guessed.
    case off
    /// By what followed the same tokens earlier in the prompt or the answer, for every request, and also while the cost
    /// of a step is unknown.
    case ngram
    /// By a draft model, and by what followed the same tokens earlier where that promises more, for every request, and
    /// also while the cost of a step is unknown.
    case draft
    /// By the model's own heads for several tokens, and by what followed the same tokens earlier where that promises
    /// more, for every request, and also while the cost of a step is unknown.
    case mtp

    /// The source of guesses by the text of one answer; nil when nothing is guessed.
    func makeSource() -> (any DraftSource)? {
        switch self {
        case .auto, .ngram, .draft, .mtp: NgramDraft()
        case .off: nil
        }
    }

    /// Whether a draft model is asked when there is one.
    package var usesModel: Bool { self == .auto || self == .draft }

    /// Whether the model's own heads are asked when it has any.
    package var usesHeads: Bool { self == .mtp }

    /// Whether a request's answers may be guessed. Kernels round a row by how many stand beside it, so guesses may
    /// change a token at a near tie: who sends a seed wants the same answer again.
    func covers(seeded: Bool) -> Bool {
        switch self {
        case .auto: !seeded
        case .off: false
        case .ngram, .draft, .mtp: true
        }
    }

    /// Whether guesses wait until it is known what steps cost.
    var needsCosts: Bool { self == .auto }
}

/// What guesses of one source brought.
package struct SpeculationCounts: Hashable, Sendable, Codable {
    /// Guesses that went through all stages.
    package var drafted = 0
    /// Those of them that were right.
    package var accepted = 0
    /// Tokens of steps with guesses whose time could be compared with that of steps without.
    package var windowTokens = 0.0
    /// Tokens that steps without guesses would have brought in the same time.
    package var plainTokens = 0.0

    /// Nothing was guessed.
    package init() {}

    /// Tokens per time of steps with guesses over that of steps without; nil before there are any.
    package var gain: Double? { plainTokens > 0 ? windowTokens / plainTokens : nil }

    /// Counts of several placements together.
    package static func + (left: SpeculationCounts, right: SpeculationCounts) -> SpeculationCounts {
        var sum = left
        sum.drafted += right.drafted
        sum.accepted += right.accepted
        sum.windowTokens += right.windowTokens
        sum.plainTokens += right.plainTokens
        return sum
    }
}
