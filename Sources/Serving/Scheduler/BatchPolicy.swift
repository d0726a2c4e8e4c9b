/// What a batch policy sees when stage 0 is free.
package struct BatchLoad: Hashable, Sendable {
    /// Number of stages.
    package var stageCount: Int
    /// Largest number of rows in one microbatch.
    package var rowLimit: Int
    /// Lanes that belong to a request, those in flight included.
    package var seatedLanes: Int
    /// Seated lanes that have their prompt behind them, those in flight included.
    package var decodingLanes: Int
    /// Decoding lanes that could go now.
    package var readyDecodes: Int
    /// Prefilling lanes that could go now.
    package var readyPrefills: Int
    /// Microbatches in flight, deferred ones left out.
    package var inFlight: Int
    /// Rows of all prefilling lanes that have not been sent.
    package var prefillRowsLeft = 0
    /// Rows that have not been sent of the prefilling lane whose turn it is.
    package var firstPromptRows = 0
    /// Rows of that lane that have been sent.
    package var firstPromptDepth = 0
    /// Decode rows sent with the last prefill rows and since.
    package var decodedSincePrefill = 0
    /// Whether that lane's rows may be left between layers.
    package var mayDefer = false
    /// Whether rows of that lane are on their way that others overtake: what follows has to be deferred, too, or waits.
    package var hasDeferred = false
    /// Layers of all stages together, when rows may be left between them; else 0.
    package var pausableLayers = 0
    /// Rows are on their way that others overtake.
    package var isDeferring = false
    /// It is that lane's turn before a longer prompt that came first, or is deferred.
    package var overtakes = false
    /// What a step takes beyond the stages' own time, from stage 0 and back. **Units:** nanoseconds.
    package var hopNanoseconds = 0.0
    /// Rounds of the decoding lanes are being timed, so something can be tried.
    package var isTimed = false

    /// Makes a load.
    package init(
        stageCount: Int, rowLimit: Int, seatedLanes: Int, decodingLanes: Int, readyDecodes: Int, readyPrefills: Int,
        inFlight: Int
    ) {
        self.stageCount = stageCount
        self.rowLimit = rowLimit
        self.seatedLanes = seatedLanes
        self.decodingLanes = decodingLanes
        self.readyDecodes = readyDecodes
        self.readyPrefills = readyPrefills
        self.inFlight = inFlight
    }
}

/// What the next microbatch may carry. The scheduler fills it: decoding lanes first, those that waited longest before
/// others, then prefill chunks of the oldest requests, a much shorter one's every other time before theirs.
package struct BatchQuota: Hashable, Sendable {
    /// Decoding lanes.
    package var decodeLanes: Int
    /// Prefilling lanes.
    package var prefillLanes: Int
    /// Rows of all prefilling lanes together.
    package var prefillRows: Int
    /// How the decoding lanes are grouped, by a policy that wants to know what rounds of them take.
    package var grouping: Grouping?

    /// Makes a quota.
    package init(decodeLanes: Int, prefillLanes: Int, prefillRows: Int) {
        self.decodeLanes = decodeLanes
        self.prefillLanes = prefillLanes
        self.prefillRows = prefillRows
    }
}

/// How microbatches are composed: a pure value that can be replaced without touching the scheduler.
package protocol BatchPolicy: Sendable {
    /// Microbatches that may be in flight at once, at least 1.
    func depth(stageCount: Int) -> Int

    /// What the next microbatch may carry. The scheduler keeps it within the row limit and, while nothing is in
    /// flight, lets at least one lane go, so no policy can stop the work.
    func quota(for load: BatchLoad) -> BatchQuota

    /// Rows of the prompt whose turn it is that others overtake between layers; 0 when they had better go with others.
    /// Asked where they may be left only.
    func deferredRows(for load: BatchLoad) -> Int

    /// How long deferred rows are run at a time, before others have their turn.
    func slice(for load: BatchLoad) -> Duration

    /// What all stages together are expected to take for a step; nil when the policy does not know. **Units:**
    /// nanoseconds.
    func expectedNanoseconds(rows: Int) -> Double?

    /// A step of so many rows took so long from stage 0 and back, with nothing else in flight. **Units:** nanoseconds.
    mutating func observe(rows: Int, nanoseconds: Double)

    /// A round of lanes that were grouped so took so long, while nothing but their tokens was computed; `hop` is what
    /// the way from stage 0 and back took beyond the stages' own time. **Units:** nanoseconds.
    mutating func observe(_ grouping: Grouping, nanoseconds: Double, hop: Double)

    /// How many guesses follow a decoding lane's newest token; 0 when they do not pay. The scheduler keeps it within
    /// the guesses there are and the room there is.
    func draftWidth(for load: DraftLoad) -> Int

    /// The chance of all guesses so far to be right, below which a draft model's next guess is not worth its time when
    /// about `width` are made.
    func draftFloor(for load: DraftLoad, width: Int) -> Double
}

extension BatchPolicy {
    /// None: nobody knows how long they would take.
    package func deferredRows(for load: BatchLoad) -> Int { 0 }

    /// The longest.
    package func slice(for load: BatchLoad) -> Duration { Limits.longestSlice }

    /// Unknown.
    package func expectedNanoseconds(rows: Int) -> Double? { nil }

    /// Nothing is learned from it.
    package mutating func observe(rows: Int, nanoseconds: Double) {}

    /// Nothing is learned from it.
    package mutating func observe(_ grouping: Grouping, nanoseconds: Double, hop: Double) {}

    /// A guess that is more likely wrong than right ends a draft.
    package func draftFloor(for load: DraftLoad, width: Int) -> Double { 0.5 }

    /// A few guesses that are as likely right as wrong, all together: more rows cost something, nobody knows how much.
    package func draftWidth(for load: DraftLoad) -> Int {
        var (width, all) = (0, 1.0)
        for chance in load.chances.prefix(Limits.draftWidthWithoutCosts) {
            all *= chance
            guard all >= 0.5 else { break }
            width += 1
        }
        return width
    }
}

/// Spreads the running lanes evenly over one microbatch per stage, so that all stages work at once.
package struct EvenBatchPolicy: BatchPolicy, Hashable {
    /// Prefill rows that share a microbatch with decoding lanes.
    package var prefillRowsBesideDecode: Int

    /// Makes the policy.
    package init(prefillRowsBesideDecode: Int = Limits.prefillRowsBesideDecode) {
        self.prefillRowsBesideDecode = prefillRowsBesideDecode
    }

    /// One microbatch per stage.
    package func depth(stageCount: Int) -> Int { stageCount }

    /// An even share of the seated lanes, decoding ones first; long chunks only while nobody decodes.
    package func quota(for load: BatchLoad) -> BatchQuota {
        let share = (load.seatedLanes + load.stageCount - 1) / load.stageCount
        let decodes = min(load.readyDecodes, share, load.rowLimit)
        let room = load.rowLimit - decodes
        return BatchQuota(
            decodeLanes: decodes,
            prefillLanes: max(1, share - decodes),
            prefillRows: load.decodingLanes == 0 ? room : min(room, prefillRowsBesideDecode))
    }
}
