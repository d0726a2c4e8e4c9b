package import Vocabulary

/// The data-plane brain of one placement: admission, lanes and KV cells, continuous batching over all stages, and the
/// assembly of answers.
///
/// Pure and total: `handle` reads no clock, does no IO, never throws, and for the same inputs gives the same effects.
/// Every accepted or refused request gets exactly one terminal event. Read `handle` first, then `schedule`
/// (EngineCore+Schedule.swift) and `land` (EngineCore+Update.swift).
///
/// **Isolation:** owned by one event loop, the entry stage's.
package struct EngineCore {
    /// A microbatch between stage 0 and the last stage's answer.
    struct StepInFlight {
        struct Passenger {
            let lane: Lane
            /// Positions of the tokens this lane's rows sample: the first one comes, the others when the guesses
            /// before them are right. Empty when no row samples.
            let answers: Range<Int32>
            /// Positions the lane has when this microbatch has landed.
            let end: Int
        }

        let id: StepID
        let passengers: [Passenger]
        /// Others overtake it between layers.
        let isDeferred: Bool
        /// Deferred rows were on their way when it was sent, and it may have waited for some of their layers.
        let isBesideDeferred: Bool
        /// Rows.
        let rowCount: Int
        /// Cells in use when it was sent, its own included.
        let usedCells: Int
        let startedAt: Instant
        /// Nothing else was in flight when it started.
        let wasAlone: Bool
        /// The last stage guesses behind its tokens.
        let makesGuesses: Bool
        /// How the decoding lanes were grouped, when it carries nothing but their newest tokens.
        let grouping: Grouping?

        /// Every row samples an answer's token.
        var onlyDecodes: Bool { passengers.reduce(0) { $0 + $1.answers.count } == rowCount }
    }

    /// Bounds and facts.
    package internal(set) var settings: EngineSettings
    let tokenizer: any Tokenizer
    let renderer: any PromptRenderer

    /// Waiting requests, next one first.
    var queue: [RequestState] = []
    /// Requests that have started, oldest first; one that was preempted stays here without lanes.
    var active: [RequestState] = []
    var lanes: LaneTable
    /// Kept sequences of ended requests.
    var shelf: PrefixShelf
    /// Sequences on disk.
    var archive = SequenceArchive()
    /// Who fills which cells.
    var cells: CellLedger
    /// Wishes in a row that the model's own heads left without a guess.
    var silentHeads = 0
    /// Cells believed usable; shrinks when an engine runs out earlier than its shape said.
    var cellLimit: Int
    var steps: [StepInFlight] = []
    /// The microbatch stage 0 computes.
    var stageZeroStep: StepID?
    /// The deferred one it computes when nothing else is to be done.
    var stageZeroDeferred: StepID?
    /// Operations decided and not yet sent, in order.
    var operations: [SequenceOperation] = []
    /// Why nothing can run; nil while all stages are there.
    var loss: (stage: Int, reason: String)?

    var stepCount: UInt64 = 0
    /// Decode rows sent with the last prefill rows and since.
    var decodedSincePrefill = 0
    /// The last prompt whose rows were deferred, or sent while none were, went before an older one.
    var hasOvertaken = false
    var hops = HopEstimator()
    /// What rounds of the decoding lanes take.
    var rounds = RoundWatch()
    /// What the draft model's lanes hold.
    var mirror: DraftMirror
    /// What is believed of the draft model before an answer has shown it.
    var draftPrior = DraftPrior()
    /// Whether the next answer tries guesses of a model.
    var guessTrial = GuessTrial()
    /// What guesses brought.
    package internal(set) var speculated: [GuessSource: SpeculationCounts] = [:]
    var arrivalCount: UInt64 = 0
    var random: SeededRandom
    var estimator = WaitEstimator()
    var queueChanged = false
    var wake: Instant?
    var effects = Effects()

    /// Makes an idle brain over stages that are loaded and empty.
    package init(settings: EngineSettings, tokenizer: any Tokenizer, renderer: any PromptRenderer) {
        self.settings = settings
        self.tokenizer = tokenizer
        self.renderer = renderer
        lanes = LaneTable(count: settings.slotCount, permits: settings.laneCount)
        shelf = PrefixShelf(laneCount: settings.slotCount)
        cells = CellLedger(laneCount: settings.slotCount)
        mirror = DraftMirror(laneCount: settings.slotCount)
        cellLimit = settings.cellCount
        random = SeededRandom(seed: settings.seed)
    }

    /// Takes one input and returns what follows from it. Bounded work: proportional to lanes, rows and waiting line.
    package mutating func handle(_ input: Input, now: Instant) -> Effects {
        switch input {
        case .submit(let request, let prepared): submit(request, prepared, now: now)
        case .cancel(let id): cancel(id)
        case .stepCompleted(let step): leaveStageZero(step)
        case .sampled(let step, let tokens): land(step, tokens, now: now)
        case .stepFailed(let step, let stage, let error): stepFailed(step, stage: stage, error)
        case .stageLost(let stage, let reason): stageLost(stage, reason)
        case .stagesReady: stagesReady()
        case .drafted(let work, let lanes): drafted(work, lanes, now: now)
        case .draftFailed(let work, let error): draftFailed(work, error)
        case .forgetPrefixes: forgetPrefixes()
        case .archiveOpened(let known): archive.open(known)
        case .archiveReport(let report): archiveReported(report, now: now)
        case .archiveAll: archive.isClosing = true
        case .tick: wake = nil  // The wish was used up, perhaps a little early.
        }
        expireDeadlines(now: now)
        expireWaiting(now: now)
        expireFetch(now: now)
        seat(now: now)
        keepPrompts()
        makeRoom()
        announcePositions(now: now)
        orderDrafts(now: now)
        archiveWhenIdle(now: now)
        schedule(now: now)
        wakeForWaiting()
        if settings.assertsInvariants { assert(brokenInvariant == nil, brokenInvariant ?? "") }
        defer { effects.list = [] }
        return effects
    }

    /// Stage 0 is free of a microbatch.
    mutating func leaveStageZero(_ step: StepID) {
        if stageZeroStep == step { stageZeroStep = nil }
        if stageZeroDeferred == step { stageZeroDeferred = nil }
    }

    /// Prompts' rows may be left between so many layers of all stages together; 0 when they may not.
    package mutating func adopt(pausableLayers: Int) { settings.pausableLayers = pausableLayers }

    /// Composes microbatches by another policy from now on: the costs of steps are known only when all stages have been
    /// loaded and timed.
    package mutating func adopt(_ policy: any BatchPolicy) { settings.policy = policy }

    /// The last stage guesses with the model's own heads from now on.
    package mutating func adopt(_ heads: HeadFacts) { settings.heads = heads }

    /// What all stages together are expected to take for a step of so many rows; nil while nobody knows.
    package func expectedNanoseconds(rows: Int) -> Double? { settings.policy.expectedNanoseconds(rows: rows) }

    /// ... and for a microbatch that was just composed, the guesses behind its tokens included.
    package func expectedNanoseconds(of microbatch: Microbatch) -> Double? {
        guard let rows = expectedNanoseconds(rows: microbatch.rows.count) else { return nil }
        guard settings.usesHeads, let costs = settings.heads?.costs else { return rows }
        let lanes = Set(microbatch.rows.map(\.lane))
        let widths = active.flatMap(\.choices).compactMap { choice in
            choice.lane.flatMap { lanes.contains($0) ? choice.headWish?.width : nil }
        }
        return rows + Double(widths.max() ?? 0) * costs.nanoseconds(rows: widths.count)
    }

    /// Whether the model's own heads are asked.
    package var asksHeads: Bool { settings.usesHeads }

    // MARK: What operators and tests see

    /// Requests waiting for a lane.
    package var queuedCount: Int { queue.count }
    /// Requests that have started and not ended.
    package var activeCount: Int { active.count }
    /// Lanes that belong to a request.
    package var ownedLaneCount: Int { lanes.slots.count { $0.owner != nil } }
    /// Microbatches in flight.
    package var stepsInFlight: Int { steps.count }
    /// Those of them that others overtake.
    package var deferredInFlight: Int { steps.count { $0.isDeferred } }
    /// KV cells that running requests use.
    package var heldCells: Int { cells.usedCount - cells.idleCount }
    /// KV cells in use, those of kept sequences included.
    package var usedCells: Int { cells.usedCount }
    /// Sequences of ended requests that are kept.
    package var keptSequences: Int { shelf.count }
    /// Sequences that stand on the disks of all stages.
    package var archivedSequences: Int { archive.entries.count }
    /// Nothing waits, runs, is in flight or has yet to be sent.
    package var isQuiescent: Bool {
        queue.isEmpty && active.isEmpty && steps.isEmpty && operations.isEmpty && mirror.inFlight == nil
            && (mirror.operations.isEmpty || !settings.usesModel)
    }
    /// Guesses that went through all stages.
    package var draftedTokens: Int { speculated.values.reduce(0) { $0 + $1.drafted } }
    /// Guesses that were right.
    package var acceptedTokens: Int { speculated.values.reduce(0) { $0 + $1.accepted } }

    var promisedCells: Int { active.reduce(0) { $0 + $1.promisedCells } }
}
