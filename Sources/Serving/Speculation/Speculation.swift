/// How tokens are guessed ahead.
///
/// **Source:** docs/decisions/0010-speculation-by-default.md.
package enum Speculation: String, Hashable, Sendable, Codable, CaseIterable {
    /// By what followed the same tokens earlier, where measured costs say that it pays, for requests without a seed.
    case auto
    /// No token is guessed.
    case off
    /// By what followed the same tokens earlier in the prompt or the answer, for every request, and also while the cost
    /// of a step is unknown.
    case ngram

    /// The source of guesses for one answer; nil when nothing is guessed.
    func makeSource() -> (any DraftSource)? {
        switch self {
        case .auto, .ngram: NgramDraft()
        case .off: nil
        }
    }

    /// Whether a request's answers may be guessed. Kernels round a row by how many stand beside it, so guesses may
    /// change a token at a near tie: who sends a seed wants the same answer again.
    func covers(seeded: Bool) -> Bool {
        switch self {
        case .auto: !seeded
        case .off: false
        case .ngram: true
        }
    }

    /// Whether guesses wait until it is known what steps cost.
    var needsCosts: Bool { self == .auto }
}
