/// Fixed facts and bounds of one serving brain.
package struct EngineSettings: Sendable {
    /// Number of stages the placement runs.
    package var stageCount: Int
    /// Requests' choices that run at once.
    package var laneCount: Int
    /// Number of lanes every stage has; those beyond `laneCount` keep sequences of ended requests.
    package var slotCount: Int
    /// What of those sequences the model's caches can give to new ones.
    package var prefixReuse: PrefixReuse
    /// KV cells shared by all lanes; the smallest stage counts.
    package var cellCount: Int
    /// Largest number of rows in one microbatch; the smallest stage counts.
    package var rowLimit: Int
    /// Context window: prompt and answer of one choice together. **Units:** tokens; never more than `cellCount`.
    package var window: Int
    /// Places in the waiting line.
    package var queueLimit: Int
    /// Longest time a request waits for a lane.
    package var waitLimit = Limits.waitLimit
    /// Cells promised beyond the prompt to a request without an output limit. **Units:** tokens per choice, at least 1.
    package var outputHeadroom = Limits.outputHeadroom
    /// Most cells promised at the start for a limit the client named; the rest is granted on demand, so that one
    /// client's generous `max_tokens` does not keep everybody else waiting. **Units:** tokens per choice.
    package var outputReservation = Limits.outputReservation
    /// How tokens are guessed ahead.
    package var speculation = Speculation.auto
    /// The draft model; nil without one.
    package var draft: DraftFacts?
    /// What the model's own heads for several tokens take on the last stage; nil where they are not used.
    package var heads: HeadFacts?
    /// Whether the model's caches can forget the newest positions of a sequence: without that nothing is guessed.
    package var canTrim: Bool
    /// Whether every prompt goes in one microbatch: models that read a text in both directions keep nothing of it. The
    /// window MUST then be at most the row limit.
    package var runsWholePrompts = false
    /// Layers of all stages together, when each may leave a prompt's rows between its own; 0 when one may not.
    package var pausableLayers = 0
    /// How microbatches are composed.
    package var policy: any BatchPolicy = EvenBatchPolicy()
    /// Tokens a sequence must have to be written to disk.
    package var smallestArchived = Limits.smallestArchived
    /// Tokens by which a sequence on disk must be the better one to be read.
    package var smallestFetch = Limits.smallestFetch
    /// Seed of the brain's own draws: the seeds of requests that bring none.
    package var seed: UInt64
    /// Whether a debug build stops at a broken invariant right after the input that broke it.
    package var assertsInvariants = true

    /// Takes the facts every stage agrees on from the stages' shapes; the caller MUST pass at least one.
    ///
    /// Of the stages' lanes `shelfCount` are left for kept sequences, but at least one runs requests.
    package init(
        shapes: [StageShape], window: Int, seed: UInt64, shelfCount: Int = 0, prefixReuse: PrefixReuse = .off
    ) {
        precondition(!shapes.isEmpty, "a placement has no stages")
        let lanes = shapes.map(\.laneCount).min() ?? 0
        let cells = shapes.map(\.cellCount).min() ?? 0
        let rows = shapes.map(\.rowLimit).min() ?? 0
        precondition(lanes <= Int(UInt16.max), "\(lanes) lanes are more than a lane's index can tell apart")
        precondition(lanes >= 1 && cells >= 2 && rows >= 1, "lanes \(lanes), cells \(cells), rows \(rows) per step")
        precondition(window >= 2, "a window of \(window) tokens has no room for a prompt and an answer")
        stageCount = shapes.count
        laneCount = max(1, lanes - max(0, shelfCount))
        slotCount = lanes
        self.prefixReuse = prefixReuse
        // Caches that can give any beginning to another sequence can forget any end.
        canTrim = prefixReuse == .beginnings
        cellCount = cells
        rowLimit = rows
        self.window = min(window, cells)
        queueLimit = max(Limits.smallestQueue, Limits.queuePlacesPerLane * laneCount)
        self.seed = seed
    }

    /// Whether tokens are guessed ahead at all.
    var speculates: Bool { speculation != .off && canTrim }

    /// Whether a draft model is asked.
    var usesModel: Bool {
        guard speculates, speculation.usesModel, let draft else { return false }
        return draft.costs != nil || !speculation.needsCosts
    }

    /// Whether a draft model or the model's own heads are asked for guesses.
    var asksModel: Bool { usesModel || usesHeads }

    /// What guesses of a model take, when that is known.
    var guessCosts: StepCosts? { usesHeads ? heads?.costs : draft?.costs }

    /// Whether the model's own heads are asked.
    var usesHeads: Bool { speculates && speculation.usesHeads && heads != nil }
}

/// What the brain knows of a model's own heads for several tokens.
package struct HeadFacts: Hashable, Sendable, Codable {
    /// What one guess takes by the number of lanes it is made for; nil when that is not known.
    package var costs: StepCosts?

    /// Makes facts.
    package init(costs: StepCosts?) { self.costs = costs }
}

/// What the brain knows of a draft model, whose lanes are those of the stages.
package struct DraftFacts: Hashable, Sendable {
    /// What its steps take by their rows; nil when that is not known.
    package var costs: StepCosts?

    /// Makes facts.
    package init(costs: StepCosts?) { self.costs = costs }
}
