/// Bounds of the serving brain: every queue, list and retry it keeps has its number here.
package enum Limits {
    /// Smallest default bound of the waiting line, however few lanes there are.
    package static let smallestQueue = 16
    /// Default places in the waiting line per lane.
    package static let queuePlacesPerLane = 8
    /// Default longest time a request waits for a lane.
    package static let waitLimit = Duration.seconds(60)
    /// Cells promised beyond the prompt to a request that names no output limit. **Units:** tokens per choice.
    package static let outputHeadroom = 64
    /// Most cells promised at the start for an output limit the client named. **Units:** tokens per choice.
    package static let outputReservation = 1024
    /// Cells added to a promise when a request outgrows it. **Units:** tokens.
    package static let cellGrant = 32
    /// Rows of images that are kept for the next turn of their conversations. **Units:** bytes.
    package static let keptImageBytes = 256 << 20
    /// Rows of images that waiting and running requests, and the kept ones, may be together. **Units:** bytes.
    package static let heldImageBytes = 1 << 30
    /// Tokens two sequences must have in common for the one to take over the beginning of the other.
    package static let smallestPrefix = 8
    /// Fewest rows of an image that tell it from all others: their ids have 31 bits each.
    package static let imageRowsAlike = 4
    /// Prompt tokens that are computed whatever is kept. The last one samples; the one before it goes along because
    /// kernels take another way for a single row, whose rounding differs: so a prompt that was seen before gets the
    /// answer it got then.
    package static let rowsComputedAnew = 2
    /// Failed steps after which a request is given up.
    package static let stepRetries = 3
    /// Newest tokens of a replayed answer that are read one by one, as they were when they were told.
    package static let replayedReadings = 8
    /// Stop texts of one request, the template's included.
    package static let stopTexts = 64
    /// Bytes of one stop text.
    package static let stopTextBytes = 1024
    /// Tokens of one request that end its answer.
    package static let stopTokens = 64
    /// Alternatives per token that can be reported.
    package static let alternatives = 20
    /// Bytes of a text that begins or ends thinking.
    package static let thinkingMarkBytes = 128
    /// Texts that end thinking.
    package static let thinkingEnds = 8
    /// Longest GBNF grammar of a request, one made of schemas or tools included: what a frame takes. **Units:** bytes.
    package static let grammarBytes = 4 << 20
    /// Longest time a request may be given, or have been on its way. **Units:** seconds.
    package static let longestSeconds = 1e6
    /// Corrected logits per request.
    package static let logitBiases = 1024
    /// DRY sequence breakers per request.
    package static let dryBreakers = 64
    /// Bytes of one DRY sequence breaker.
    package static let dryBreakerBytes = 64
    /// Most tokens guessed ahead at once: with the newest token 16 rows, a size whose cost is measured.
    package static let draftWidth = 15
    /// Most tokens guessed ahead at once while the cost of a step is unknown.
    package static let draftWidthWithoutCosts = 3
    /// Newest tokens of a prompt that are searched for what may follow.
    package static let draftHistory = 16384
    /// Places for groups of tokens that were followed by something, per choice. **Units:** 4 bytes.
    package static let draftSlots = 16384
    /// How often a draft model's guesses are believed right before any was compared.
    static let draftPrior = 0.6
    /// Guesses that the estimate of how often a draft model is right looks back on, about.
    static let draftMemory = 8.0
    /// Answers that the belief about the next one looks back on, about.
    static let draftPriorMemory = 4.0
    /// Answers without guesses after which the belief is, about, what it was before any.
    static let draftPriorReturn = 16.0
    /// Guesses that have to be compared before an answer tells how often they are right.
    static let draftPriorGuesses = 2
    /// The part of an answer's time that may go into seeing whether a draft model has become right.
    static let draftProbeShare = 1.0 / 32
    /// Heads for several tokens that are believed to be right less often do not read along to be tried.
    static let headProbeChance = 0.4
    /// Wishes in a row without a guess after which heads for several tokens are not asked any more.
    static let headSilence = 16
    /// Tokens a draft model guesses to show whether it has become right.
    static let draftProbe = 3
    /// Tokens a draft model may have missed when it is asked: it takes them in first, and the lane waits.
    static let draftCatchUp = 32
    /// Prompt rows a draft model takes in beside guessing.
    package static let draftFeed = 128
    /// Guesses that the estimate of how often they are right looks back on, about.
    static let acceptanceMemory = 32.0
    /// Steps that the measure of what windows bring looks back on, about.
    static let gainMemory = 16.0
    /// Steps of a kind after which its tokens per time count as known.
    static let gainSteps = 4
    /// Steps without windows after some that were slower than none; twice as many each time.
    static let windowPause = 32
    /// Most steps without windows after some that were slower than none.
    static let longestWindowPause = 1024
    /// Windows guessed by a model after which it counts as known what they bring.
    static let trialWindows = 8
    /// Tokens that windows guessed by a model bring, in those that steps without would have brought meanwhile, below
    /// which the next answers go without. Where it is little they lose, answers that can be guessed bring more.
    static let trialLoss = 0.9
    /// Windows that the measure of what a model's guesses bring looks back on, about.
    static let trialMemory = 32.0
    /// Answers without guesses of a model after windows that were slower than none; twice as many each time.
    static let trialPause = 4
    /// Most answers without guesses of a model after windows that were slower than none.
    static let longestTrialPause = 64
    /// Rows that attention takes at a time: a prompt is cut for the sake of the stages behind into multiples of it.
    /// Fewer rows go one by one, and a tile begun costs as much as a whole one: at 1,000 tokens of the 0.6B shape,
    /// chunks of 28 rows cost 1.41 and chunks of 71 rows 1.19 times as much per row as large ones. What steps are timed
    /// with, an empty cache, does not show it. Where the engine computes attention itself any number is as good.
    /// **Source:** `GGML_FA_TILE_Q` of llama.cpp, docs/decisions/0028-attention-over-the-cells-that-rows-see.md.
    package static let attentionTile = 64
    /// Rows that products take at a time. Deferred rows are a multiple of it, but for a prompt's last ones, and of
    /// nothing more: a layer of whole tiles of attention leaves up to half of the time unused that they may take.
    /// **Source:** `SKEIN_TILE`, docs/decisions/0030-products-by-strips.md.
    static let productTile = 16
    /// Rows of a prompt from which on its attention costs more than its weights where it goes one row at a time: behind
    /// 3,000 rows of the 0.6B shape 48 rows take 1,237 ms and a whole tile 646, behind none about 290 and 350.
    package static let deepPrompt = 512
    /// Rounds of all decoding lanes that are timed together.
    static let watchedRounds = 4
    /// Such times of a grouping of which the shortest counts.
    static let latestRounds = 8
    /// A grouping that was slower by no more than this many times is timed again before it is forgotten: something may
    /// have disturbed it.
    static let roundTie = 1.1
    /// ... so many times.
    static let roundRetries = 8
    /// A grouping is as good as new after so many times of others: what is not done any more is not seen to have become
    /// quicker, and answers that have grown long make every round longer. Twice as many each time it was given up.
    static let roundMemory = 128
    /// Most times of others after which a grouping is as good as new.
    static let longestRoundMemory = 4096
    /// Longest time a prompt's layers are run for in one microbatch: whoever comes meanwhile waits for it.
    package static let longestSlice = Duration.milliseconds(250)
    /// Prefill rows that share a microbatch with decoding lanes, so that a long prompt delays nobody's next token much.
    package static let prefillRowsBesideDecode = 64
    /// Largest state of one sequence in one stage that is written to disk: it is copied before it is written.
    /// **Units:** bytes.
    package static let sequenceBytes = 1 << 30
    /// Tokens a sequence must have to be worth a file.
    package static let smallestArchived = 64
    /// Tokens a sequence on disk must have in common with a prompt beyond what stands in a lane already.
    package static let smallestFetch = 64
    /// Sequences on disk that the brain knows at once; the ones not used for longest are deleted.
    package static let archivedSequences = 1024
    /// How long nothing must run before a kept sequence is written.
    package static let archiveDelay = Duration.seconds(1)
    /// How long a request waits for a sequence to be read.
    package static let fetchPatience = Duration.seconds(5)
    /// Sequences in a row that could not be written, after which none is written for `archivePause`.
    package static let archiveFailures = 3
    /// How long no sequence is written after too many could not be.
    package static let archivePause = Duration.seconds(600)

    // MARK: Inspections

    /// Most tokens that are told of a text at once, or told the text of.
    package static let inspectedTokens = 1 << 20
    /// Longest text of those tokens. **Units:** bytes.
    package static let inspectedBytes = 16 << 20
}
