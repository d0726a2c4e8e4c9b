import Vocabulary

/// Where a guess came from.
package enum GuessSource: String, Hashable, Sendable, Codable, CaseIterable {
    /// What followed the same tokens earlier.
    case ngram
    /// A draft model.
    case draft
    /// The model's own heads for several tokens.
    case mtp
}

/// Guesses of what follows an answer's newest token.
struct Guesses: Hashable, Sendable {
    var tokens: [Token] = []
    /// Of each guess.
    var evidence: [Int] = []

    /// Without what follows, and is, the first token that `isEnd`: what comes behind an end is nobody's guess.
    func before(_ isEnd: (Token) -> Bool) -> Guesses {
        guard let end = tokens.firstIndex(where: isEnd) else { return self }
        return Guesses(tokens: Array(tokens[..<end]), evidence: Array(evidence[..<end]))
    }
}

extension Guesses {
    /// Bounds of the probabilities that count as one evidence.
    private static let bounds: [Float] = [0.1, 0.3, 0.5, 0.7, 0.85, 0.95, 0.99]

    /// What is believed of each evidence before anything was seen.
    static let modelPriors = [0.05, 0.2, 0.4, 0.6, 0.75, 0.85, 0.92, 0.95]

    /// Guesses of a model, by how likely they are to it.
    init(_ guesses: [TokenGuess]) {
        tokens = guesses.map(\.token)
        evidence = guesses.map { guess in Self.bounds.firstIndex { guess.probability < $0 } ?? Self.bounds.count }
    }
}

/// Learns how good one source's guesses are for one answer.
///
/// It learns from guesses that were not sent, too: they are kept and compared with the tokens that come.
struct GuessRecord: Sendable {
    private var acceptance: AcceptanceEstimate
    /// The guesses of the token that comes next; empty when none were made.
    private var newest = Guesses()
    /// The guesses whose further ones are being compared.
    private var watched = Guesses()
    /// Those of them that were right.
    private var matched = 0

    init(priors: [Double]) { acceptance = AcceptanceEstimate(priors: priors) }

    /// Compares the answer's next token; `learnt` is told of every guess that could be compared.
    mutating func push(_ token: Token, learnt: (_ isRight: Bool) -> Void = { _ in }) {
        if let guess = newest.tokens.first {
            acceptance.record(guess == token, evidence: newest.evidence[0])
            learnt(guess == token)
        }
        newest = Guesses()
        guard matched < watched.tokens.count else { return }
        let isRight = watched.tokens[matched] == token
        if matched > 0 {
            acceptance.record(isRight, evidence: watched.evidence[matched])
            learnt(isRight)
        }
        if isRight { matched += 1 } else { (watched, matched) = (Guesses(), 0) }
    }

    /// The chance of each guess to be right when those before it were.
    func chances(of guesses: Guesses) -> [Double] { guesses.evidence.map { acceptance.chance(evidence: $0) } }

    /// Compares guesses with the tokens that come next: the first one always, the others when they were sent or no
    /// others are being compared.
    mutating func watch(_ guesses: Guesses, isSent: Bool) {
        newest = guesses
        guard isSent || matched == watched.tokens.count else { return }
        watched = guesses
        matched = 0
    }
}
