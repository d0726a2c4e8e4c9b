import Vocabulary

/// Guesses one answer's tokens and learns how good the guesses are.
///
/// It learns from guesses that were not sent, too: a draft is kept and compared with the tokens that come. So a request
/// for which windows do not pay costs nothing, and begins to use them as soon as its guesses become right.
struct Drafter: Sendable {
    private var source: any DraftSource
    private var acceptance: AcceptanceEstimate
    /// The draft of the token that comes next; empty when none was made.
    private var newest = Draft()
    /// The draft whose further guesses are being compared.
    private var watched = Draft()
    /// Guesses of it that were right.
    private var matched = 0

    /// Reads the newest tokens of the prompt.
    init(_ source: any DraftSource, prompt: [Token]) {
        self.source = source
        acceptance = AcceptanceEstimate(evidenceCount: source.evidenceCount)
        for token in prompt.suffix(Limits.draftHistory) { self.source.push(token) }
    }

    /// Takes the answer's next token.
    mutating func push(_ token: Token) {
        source.push(token)
        if let guess = newest.tokens.first { acceptance.recordFirst(guess == token, evidence: newest.evidence) }
        newest = Draft()
        guard matched < watched.tokens.count else { return }
        let isRight = watched.tokens[matched] == token
        if matched > 0 { acceptance.recordLater(isRight, evidence: watched.evidence) }
        if isRight { matched += 1 } else { (watched, matched) = (Draft(), 0) }
    }

    /// What may follow, without the tokens that would end the answer: what comes behind an end is nobody's guess.
    func draft(tokenizer: any Tokenizer) -> Draft {
        var draft = source.draft(width: Limits.draftWidth)
        if let end = draft.tokens.firstIndex(where: tokenizer.endsGeneration) { draft.tokens.removeSubrange(end...) }
        return draft
    }

    /// The chance of each guess to be right when those before it were.
    func chances(of draft: Draft) -> [Double] {
        acceptance.chances(evidence: draft.evidence, count: draft.tokens.count)
    }

    /// Compares a draft of the tokens that come next with them: its first guess always, the others when it was sent or
    /// no other draft is being compared.
    mutating func watch(_ draft: Draft, isSent: Bool) {
        newest = draft
        guard isSent || matched == watched.tokens.count else { return }
        watched = draft
        matched = 0
    }
}
