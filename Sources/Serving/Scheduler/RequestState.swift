import Vocabulary

/// One answer to a request's prompt.
struct Choice {
    let index: Int
    /// The lane that holds it; nil while the request has no lanes and after the choice ended.
    var lane: Lane?
    /// Tokens answered so far: with the prompt, the journal from which the sequence can be computed again.
    var answer: [Token] = []
    /// Guesses in flight behind the answer's newest token.
    var drafts: [Token] = []
    /// Where they came from.
    var draftSource = GuessSource.ngram
    /// Guesses its tokens; nil until it decodes, or when nothing is guessed.
    var drafter: Drafter?
    /// What it waits for from the draft model, and since when.
    var awaitedDraft: (width: Int, floor: Double, since: Instant)?
    /// What the draft model, or the model's own heads, answered for the newest token.
    var guesses = Guesses()
    /// What the heads were told last to guess in its lane; nil while they do not follow it.
    var headWish: GuessWish?
    /// Whether the heads were told to forget its lane, because they were wrong too often.
    var hasLeftHeads = false
    /// Whether the heads guess what follows its tokens.
    var makesGuesses: Bool { headWish.map { $0.width > 0 } ?? false }
    /// What the draft model took for its guesses. **Units:** nanoseconds.
    var draftTime = 0.0
    /// Tokens there were when it was last decided whether to ask the draft model.
    var draftedFor = 0
    /// What guesses bring by the clock.
    var gain = WindowGain()
    /// Positions `0 ..< sent` went down the chain since the lane was opened.
    var sent = 0
    /// Positions `0 ..< landed` came back, so every stage has computed them.
    var landed = 0
    /// Its rows that others overtake on their way. They have been sent and not landed.
    var deferred = DeferredRows()
    /// Waits until the request's first lane has prefilled what all choices share.
    var awaitsCopy = false
    /// The last microbatch it was part of; orders lanes by how long they wait.
    var lastStep: UInt64 = 0
    var assembler: OutputAssembler
    /// Why it ended.
    var finish: FinishReason?
}

/// A prompt's rows on their way that are left between layers when others come.
struct DeferredRows: Hashable {
    /// Rows of each microbatch, in the order they were sent.
    private(set) var chunks: [Int] = []

    var isEmpty: Bool { chunks.isEmpty }
    var rowCount: Int { chunks.reduce(0, +) }

    /// A stage computes them one by one, and gives those that go on cells a second time.
    var spareCells: Int { chunks.max() ?? 0 }

    mutating func send(_ rows: Int) { chunks.append(rows) }

    /// The oldest ones came back.
    mutating func land() { chunks.removeFirst() }
}

/// A request from its acceptance to its terminal event.
struct RequestState {
    let id: RequestID
    /// Grows by one with every accepted request: lower is older.
    let arrival: UInt64
    let model: String
    let prompt: [Token]
    /// Images in the prompt.
    let images: [ImageSpan]
    let sampling: SamplingParameters
    let seed: UInt64
    /// Whether it may take over the beginning of another sequence.
    let reusesPrefix: Bool
    /// Whether its tokens may be guessed ahead.
    let isGuessed: Bool
    /// Whether a draft model or the model's own heads may guess them: they see no images, and not every answer tries
    /// while they do not pay.
    let asksModel: Bool
    /// How its prompt becomes a vector; nil generates.
    let pooling: Pooling?
    let grammar: LaneGrammar?
    let topLogprobs: Int?
    /// How its answers think, when the last stage has to know.
    let thinking: LaneThinking?
    /// Tokens each choice may have, at least 1.
    let outputLimit: Int
    /// The client named the limit, so cells for it are promised at the start.
    let reservesOutput: Bool
    /// Text that opens every choice.
    let echo: String
    /// Whose it is; nil for those who cannot be told apart.
    let caller: String?
    /// When it has to have ended, and what was granted. **Units:** seconds.
    let deadline: (at: Instant, seconds: Double)?
    /// It began elsewhere, so what it takes says little of others.
    let isResumed: Bool
    let submittedAt: Instant

    var startedAt: Instant
    var firstTokenAt: Instant?
    var lastTokenAt: Instant?
    var choices: [Choice]
    /// Cells promised to it; 0 without lanes.
    var promisedCells = 0
    /// Its unfinished choices hold lanes.
    var isSeated = false
    /// Prompt tokens that were not computed because a lane held them already.
    var cachedTokens = 0
    /// Failed steps so far.
    var failedSteps = 0
    /// What is on disk for it was read, or cannot be had.
    var hasAskedArchive = false
    /// The position last announced while it waited.
    var announcedPosition = 0

    var unfinishedCount: Int {
        var count = 0
        for choice in choices where choice.finish == nil { count += 1 }
        return count
    }

    /// Positions all choices share: the last prompt token is computed by each, so that each samples its first token.
    var sharedLength: Int { prompt.count - 1 }

    /// Cells in use: the shared part once, the rest per choice, and spare ones for deferred rows.
    var heldCells: Int {
        var longest = 0
        var own = 0
        for choice in choices where choice.lane != nil {
            longest = max(longest, choice.sent)
            own += max(0, choice.sent - sharedLength) + choice.deferred.spareCells
        }
        return min(longest, sharedLength) + own
    }

    /// Cells to promise when it gets lanes. A choice of `n` tokens fills `n` cells beyond the shared ones: its last
    /// prompt token and all its tokens but the last.
    func cellsToPromise(_ settings: EngineSettings) -> Int {
        var cells = sharedLength
        for choice in choices where choice.finish == nil {
            let soon = choice.answer.count + settings.outputHeadroom
            cells += min(outputLimit, max(soon, reservesOutput ? settings.outputReservation : 0))
        }
        return cells
    }

    /// Tokens of a choice that exist and have not been sent; below 0 while guesses are in flight.
    func unsentCount(_ choice: Int) -> Int { prompt.count + choices[choice].answer.count - choices[choice].sent }

    /// Whether a choice has its prompt behind it, its newest token in flight included.
    func isDecoding(_ choice: Int) -> Bool { unsentCount(choice) <= 1 && choices[choice].deferred.isEmpty }

    /// Whether a choice that runs does not have its prompt behind it.
    var hasPrompt: Bool { choices.indices.contains { choices[$0].lane != nil && !isDecoding($0) } }

    /// Rows a choice may send now: all that is unsent, but the first lane stops where the others copy from it.
    func sendableCount(_ choice: Int) -> Int {
        if choices[choice].awaitsCopy { return 0 }
        for other in choices where other.awaitsCopy { return max(0, sharedLength - choices[choice].sent) }
        return unsentCount(choice)
    }

    func token(_ choice: Int, at position: Int) -> Token {
        if position < prompt.count { return prompt[position] }
        let (index, answer) = (position - prompt.count, choices[choice].answer)
        return index < answer.count ? answer[index] : choices[choice].drafts[index - answer.count]
    }
}
