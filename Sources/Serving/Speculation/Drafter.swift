import Vocabulary

/// Guesses one answer's tokens and learns how good the guesses are.
///
/// Guessing by the text is free, so that guesses are made and compared whether they are sent or not. A draft model
/// takes time for every guess: it is asked while that pays, and else now and then, to see whether it has become right.
struct Drafter: Sendable {
    private var source: (any DraftSource)?
    private var text: GuessRecord
    private var model = GuessRecord(priors: Guesses.modelPriors)
    /// How often any guess of the draft model is right.
    private var overall: AcceptanceEstimate.Share
    /// Guesses of it that were compared.
    private var compared = 0
    /// What it took to keep the draft model up with the answer. **Units:** nanoseconds.
    var feedTime = 0.0
    /// Tokens until the draft model is asked again although it does not pay.
    private var rest = 0
    private var nextRest = Limits.windowPause

    /// Reads the newest tokens of the prompt; `modelChance` is what is believed of the draft model.
    init(_ source: (any DraftSource)?, prompt: [Token], modelChance: Double) {
        self.source = source
        overall = AcceptanceEstimate.Share(modelChance)
        let count = source?.evidenceCount ?? 0
        text = GuessRecord(priors: Array(repeating: 0.5, count: 2 * count))
        guard source != nil else { return }
        for token in prompt.suffix(Limits.draftHistory) { self.source?.push(token) }
    }

    /// Takes the answer's next token.
    mutating func push(_ token: Token) {
        source?.push(token)
        text.push(token)
        var (overall, compared) = (overall, compared)
        model.push(token) {
            overall.record($0, memory: Limits.draftMemory)
            compared += 1
        }
        (self.overall, self.compared) = (overall, compared)
        rest = max(0, rest - 1)
    }

    /// What may follow by the text, without the tokens that would end the answer.
    func guess(tokenizer: any Tokenizer) -> Guesses {
        guard let source else { return Guesses() }
        let draft = source.draft(width: Limits.draftWidth)
        // A draft's first guess and the others count apart: whether a text repeats itself at all is one question, how
        // long it goes on once it does another.
        var guesses = Guesses(
            tokens: draft.tokens,
            evidence: Array(repeating: draft.evidence + source.evidenceCount, count: draft.tokens.count))
        if !guesses.evidence.isEmpty { guesses.evidence[0] = draft.evidence }
        // What followed earlier may have been an image.
        return guesses.before { $0 < 0 || tokenizer.endsGeneration($0) }
    }

    /// The chance of each guess to be right when those before it were.
    func chances(of guesses: Guesses, _ source: GuessSource) -> [Double] {
        switch source {
        case .ngram: text.chances(of: guesses)
        case .draft, .mtp: model.chances(of: guesses)
        }
    }

    /// Compares guesses with the tokens that come next.
    mutating func watch(_ guesses: Guesses, _ source: GuessSource, isSent: Bool) {
        switch source {
        case .ngram: text.watch(guesses, isSent: isSent)
        case .draft, .mtp: model.watch(guesses, isSent: isSent)
        }
    }

    // MARK: Asking the draft model

    /// The chance of any guess of the draft model, before it is asked.
    var modelChance: Double { overall.value }

    /// How often its guesses were right of late; nil when too few were compared to tell.
    var modelShare: Double? { compared < Limits.draftPriorGuesses ? nil : overall.value }

    /// Whether it is time to see if the draft model has become right.
    var isTimeToProbe: Bool { rest == 0 }

    /// The draft model is asked although it did not pay so far.
    mutating func probe() {
        rest = nextRest
        nextRest = min(2 * nextRest, Limits.longestWindowPause)
    }

    /// The draft model is asked because it pays.
    mutating func modelPays() { (rest, nextRest) = (0, Limits.windowPause) }
}
