package import Vocabulary

/// Tokens guessed to follow a sequence.
package struct Draft: Hashable, Sendable {
    /// The guesses, in order.
    package var tokens: [Token]
    /// How well founded they are, from 0 up: drafts of the same evidence are right about as often.
    package var evidence: Int

    /// Makes a draft; the empty one guesses nothing.
    package init(tokens: [Token] = [], evidence: Int = 0) {
        self.tokens = tokens
        self.evidence = evidence
    }
}

/// Guesses how one sequence goes on. A pure value: the same tokens give the same guesses.
///
/// A wrong guess costs time and never changes an answer, because every token is sampled all the same.
package protocol DraftSource: Sendable {
    /// Values that a draft's evidence can have, at least 1.
    var evidenceCount: Int { get }

    /// Takes the sequence's next token. Amortised constant time.
    mutating func push(_ token: Token)

    /// At most `width` tokens guessed to follow. Time and memory do not depend on the length of the sequence.
    func draft(width: Int) -> Draft
}
