/// How tokens are guessed ahead.
package enum Speculation: String, Hashable, Sendable, Codable, CaseIterable {
    /// The best source there is, when it pays.
    case auto
    /// No token is guessed.
    case off
    /// By what followed the same tokens earlier in the prompt or the answer, when it pays.
    case ngram

    /// The source of guesses for one answer; nil when nothing is guessed.
    func makeSource() -> (any DraftSource)? {
        switch self {
        case .auto, .ngram: NgramDraft()
        case .off: nil
        }
    }
}
