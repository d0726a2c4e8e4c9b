import ReferenceEngine
import Vocabulary

@testable import Serving

/// A brain and its stages in one process, on a virtual clock: what happens next is drawn from a seed.
struct LocalPipeline {
    /// A microbatch on its way to a stage.
    struct Parcel {
        var microbatch: Microbatch
        var activations: [Float]
    }

    struct Options {
        var stageCount = 1
        /// As small as four stages allow: these tests are about the brain.
        var sizes = ReferenceModel.Sizes(layerCount: 4, width: 4, headCount: 1, hidden: 4)
        var modelSeed: UInt64 = 1
        var laneCount = 4
        var cellCount = 512
        var window = 256
        var rowLimit = 16
        var queueLimit: Int?
        var headroom: Int?
        var reservation: Int?
        var policy: (any BatchPolicy)?
        /// Lanes beyond `laneCount` that keep sequences.
        var shelfCount = 0
        var prefixReuse = PrefixReuse.off
        /// How tokens are guessed ahead.
        var speculation = Speculation.off
        /// Who guesses beside the text.
        var draft: SimulatedDraft?
        /// The model's own heads for several tokens; nil without any.
        var heads: HeadFacts?
        /// A mistake on purpose.
        var planted: PlantedBug?
        /// Stages have disks.
        var archives = false
        /// Seed of the order in which things happen; nil takes the first thing that can.
        var interleaving: UInt64?
    }

    private(set) var core: EngineCore
    private(set) var stages: [ReferenceStage]
    private var spoiled: [SpoiledLanes]
    private var inboxes: [[Parcel]]
    /// What each stage computes when nothing else is to be done, and how long at a time.
    private var deferred: [DeferredQueue<Parcel>]
    private var slices: [Duration]
    /// Reports of stage 0, and answers of the last stage and failures: two connections, each in order.
    /// The third is of the disks, the fourth of the draft model.
    private var reports: [[EngineCore.Input]] = [[], [], [], []]
    private var draftInbox: [DraftWork] = []
    private(set) var draftModel: DraftModel<ReferenceStage>?
    private(set) var draftWorks: [DraftWork] = []
    /// Parts of sequences on each stage's disk, and those read into memory; disks outlive their stages.
    var disks: [Disk]
    /// What the entry's disk says all stages have, by key.
    private(set) var records: [SequenceKey: ArchivedSequence] = [:]
    /// The order of `records`.
    private(set) var recordOrder: [SequenceKey] = []
    /// Told after `archiveAll`.
    private(set) var hasArchived = false

    struct Disk {
        var parts: [SequenceKey: [UInt8]] = [:]
        var fetched: [SequenceKey: [UInt8]] = [:]
        /// Writes fail.
        var isFull = false
        /// Reads and writes are not answered any more.
        var isStuck = false
    }
    private(set) var now = Instant(nanoseconds: 0)
    private var random: SeededRandom?
    private let options: Options

    /// When requests came.
    private(set) var submissions: [RequestID: Instant] = [:]
    private(set) var events: [RequestID: [GenerationEvent]] = [:]
    private(set) var microbatches: [Microbatch] = []
    var deferredMicrobatches: [Microbatch] { microbatches.filter(\.isDeferred) }
    private(set) var wakeAt: Instant?
    private(set) var wakeCount = 0
    /// The first thing that must never happen; nothing follows it.
    private(set) var violation: String?
    private(set) var mishaps = Mishaps()
    /// Requests whose events are held against what the model alone answers.
    private var watches: [RequestID: AnswerWatch] = [:]
    private var planted: PlantedBug?
    /// Error of (stage, microbatch), in place of running it.
    var fault: (Int, Microbatch) -> EngineError? = { _, _ in nil }
    /// Changes what the last stage answers.
    var distort: (inout [SampledToken], Microbatch) -> Void = { _, _ in }
    private(set) var actionCount = 0
    /// How many times a stage stopped between layers.
    private(set) var partCount = 0

    init(_ options: Options = Options(), adjust: (inout EngineSettings) -> Void = { _ in }) {
        self.options = options
        planted = options.planted
        stages = Self.makeStages(options)
        spoiled = stages.map { _ in SpoiledLanes() }
        inboxes = Array(repeating: [], count: options.stageCount)
        deferred = stages.map { _ in DeferredQueue() }
        slices = stages.map { _ in .zero }
        disks = stages.map { _ in Disk() }
        random = options.interleaving.map { SeededRandom(seed: $0) }
        var settings = EngineSettings(
            shapes: stages.map(\.shape), window: options.window, seed: 99, shelfCount: options.shelfCount,
            prefixReuse: options.prefixReuse)
        settings.assertsInvariants = false
        settings.speculation = options.speculation
        settings.canTrim = options.prefixReuse != .whole
        if let draft = options.draft {
            draftModel = DraftModel(draft.stage(options))
            settings.draft = DraftFacts(costs: draft.costs)
        }
        settings.heads = options.heads
        if let limit = options.queueLimit { settings.queueLimit = limit }
        if let headroom = options.headroom { settings.outputHeadroom = headroom }
        if let reservation = options.reservation { settings.outputReservation = reservation }
        if let policy = options.policy { settings.policy = policy }
        settings.pausableLayers = options.sizes.layerCount
        adjust(&settings)
        if options.archives { (settings.smallestArchived, settings.smallestFetch) = (8, 8) }
        core = EngineCore(settings: settings, tokenizer: ReferenceTokenizer(), renderer: ReferenceRenderer())
        if options.archives { handle(.archiveOpened([])) }
    }

    /// The same placement started again: only what is on disks is left.
    func restarted(adjust: (inout EngineSettings) -> Void = { _ in }) -> LocalPipeline {
        var next = LocalPipeline(options, adjust: adjust)
        next.disks = disks.map { Disk(parts: $0.parts, isFull: $0.isFull) }
        (next.records, next.recordOrder) = (records, recordOrder)
        next.handle(.archiveOpened(recordOrder.compactMap { records[$0] }))
        return next
    }

    private static func makeStages(_ options: Options) -> [ReferenceStage] {
        let layers = options.sizes.layerCount
        let cuts = (0...options.stageCount).map { $0 * layers / options.stageCount }
        return zip(cuts, cuts.dropFirst()).map { first, end in
            let model = Models.model(options.sizes, options.modelSeed, LayerRange(first: first, end: end))
            return ReferenceStage(
                model: model, cellCount: options.cellCount, laneCount: options.laneCount + options.shelfCount,
                rowLimit: options.rowLimit)
        }
    }

    // MARK: Clients

    mutating func submit(_ request: GenerationRequest, stop: [String] = []) throws {
        var prepared = try ReferenceRenderer().prepare(request)
        prepared.stop = stop
        submit(request, prepared)
    }

    /// Submits a request whose every event is held against what the model alone answers.
    mutating func submitWatched(_ request: GenerationRequest) throws {
        var request = request
        request.keepsJournal = true
        watches[request.id] = AnswerWatch(try Undisturbed(request, options))
        try submit(request)
    }

    mutating func submit(_ request: GenerationRequest, _ prepared: PreparedPrompt) {
        submissions[request.id] = now
        if !request.answered.isEmpty { resumedCount += 1 }
        handle(.submit(request: request, prepared: prepared))
    }

    /// Requests that began elsewhere.
    private var resumedCount = 0

    /// A client leaves: its request ends at once, whatever it was doing.
    mutating func cancel(_ id: RequestID) {
        let isUnderWay = events[id]?.last?.isTerminal == false
        mishaps.left.insert(id)
        handle(.cancel(id))
        if isUnderWay, events[id]?.last?.isTerminal != true { note("request \(id) goes on after its client left") }
    }

    mutating func wait(_ duration: Duration) {
        now = now.advanced(by: duration)
        handle(.tick)
    }

    // MARK: Stages

    /// A stage dies: what is in flight is gone, and the stage comes back empty.
    mutating func lose(stage: Int) {
        for index in inboxes.indices {
            inboxes[index] = []
            deferred[index] = DeferredQueue()
        }
        reports = [[], [], [], reports[3]]
        stages[stage] = Self.makeStages(options)[stage]
        spoiled[stage] = SpoiledLanes()
        mishaps.lostStages.insert(stage)
        handle(.stageLost(stage: stage, reason: "killed"))
    }

    mutating func stagesReady() { handle(.stagesReady) }

    mutating func handle(_ input: EngineCore.Input) {
        // What follows a violation proves nothing.
        guard violation == nil else { return }
        let effects = core.handle(planted?.heard(input) ?? input, now: now).list
        planted?.disturb(&core)
        for effect in planted?.told(effects) ?? effects {
            switch effect {
            case .run(let microbatch):
                microbatches.append(microbatch)
                follow(microbatch)
                inboxes[0].append(Parcel(microbatch: microbatch, activations: []))
                if microbatch.rows.count > options.rowLimit { note("\(microbatch.rows.count) rows in one microbatch") }
            case .draft(let work):
                if !draftInbox.isEmpty { note("two pieces of work for the draft model") }
                draftWorks.append(work)
                draftInbox.append(work)
            case .emit(let id, let event):
                check(event, after: events[id] ?? [], of: id)
                events[id, default: []].append(event)
            case .commit(let sequence):
                for (index, disk) in disks.enumerated() where disk.parts[sequence.key] == nil {
                    note("stage \(index) lacks its part of what is told to be on disk")
                }
                if records.updateValue(sequence, forKey: sequence.key) != nil { note("\(sequence.key) is told twice") }
                recordOrder.append(sequence.key)
            case .retract(let key):
                records[key] = nil
                recordOrder.removeAll { $0 == key }
            case .archived:
                if hasArchived { note("the end of writing is told twice") }
                hasArchived = true
            case .wakeAt(let instant):
                wakeAt = instant
                wakeCount += 1
            }
        }
        if let broken = core.brokenInvariant ?? brokenBound ?? brokenStage { note(broken) }
    }

    /// Does one of the things that can happen; false when nothing can.
    mutating func step() -> Bool {
        var choices: [Int] = []
        for index in inboxes.indices where !inboxes[index].isEmpty { choices.append(index) }
        for index in deferred.indices where !deferred[index].isEmpty { choices.append(Self.deferring + index) }
        for index in reports.indices where !reports[index].isEmpty { choices.append(-1 - index) }
        if !draftInbox.isEmpty { choices.append(Self.drafting) }
        guard let first = choices.first else { return false }
        actionCount += 1
        let draw = random?.below(choices.count)
        let choice = draw.map { choices[$0] } ?? first
        let isDraft = choice == Self.drafting || choice == Self.draftReport
        let usual = isDraft ? options.draft?.microseconds ?? 100 : 100
        now = now.advanced(by: .microseconds(random?.below(1000) ?? usual))
        if choice == Self.drafting {
            draft()
        } else if choice >= Self.deferring {
            goOn(choice - Self.deferring)
        } else if choice >= 0 {
            work(choice)
        } else {
            handle(reports[-1 - choice].removeFirst())
        }
        return true
    }

    /// Runs until nothing can happen any more; the bound turns an endless loop into a violation.
    mutating func run(limit: Int = 200_000) {
        var left = limit
        while step() {
            left -= 1
            if left == 0 {
                note("no end after \(limit) actions")
                return
            }
        }
    }

    private static let drafting = Int.min
    /// A part of what stage 0 has deferred, as a choice of what happens next; the other stages' follow.
    private static let deferring = 1000
    /// The answer of the draft model, as a choice of what happens next.
    private static let draftReport = -4

    private mutating func draft() {
        let work = draftInbox.removeFirst()
        guard let simulated = options.draft, var model = draftModel else { return }
        do throws(EngineError) {
            let failure = simulated.fault(work)
            if let failure { throw failure }
            var lanes = try model.run(work)
            simulated.distort(&lanes, work)
            reports[3].append(.drafted(work.id, lanes))
        } catch {
            if simulated.fault(work) == nil, !simulated.mayFail { note("the draft model: \(error)") }
            reports[3].append(.draftFailed(work.id, error))
        }
        draftModel = model
    }

    private mutating func work(_ index: Int) {
        let parcel = inboxes[index].removeFirst()
        slices[index] = parcel.microbatch.slice ?? slices[index]
        if parcel.microbatch.isDeferred, let lane = parcel.microbatch.rows.first?.lane {
            if !parcel.microbatch.operations.isEmpty { note("operations are deferred") }
            return deferred[index].append(parcel, lane: lane)
        }
        var output = StageOutput()
        var next = parcel.microbatch
        var refused: EngineError?
        do {
            for operation in parcel.microbatch.operations {
                spoiled[index].follow(operation)
                deferred[index].follow(operation)
                if case .archive(let archive) = operation {
                    if !carryOut(archive, index) { refused = .failed(operation: "restore", code: 0, reason: "no part") }
                } else {
                    try stages[index].apply(operation)
                }
            }
        } catch {
            note("stage \(index): \(error)")
        }
        var planned = refused ?? fault(index, parcel.microbatch)
        do throws(EngineError) {
            do throws(EngineError) {
                try spoiled[index].admit(parcel.microbatch.rows)
            } catch {
                planned = error
            }
            if let planned { throw planned }
            try stages[index].execute(parcel.microbatch.rows, activations: parcel.activations.span, into: &output)
            if index == 0 { reports[0].append(.stepCompleted(parcel.microbatch.id)) }
        } catch {
            // The brain counts cells and positions exactly, so no engine ever has to refuse its work.
            if planned == nil, !parcel.microbatch.rows.isEmpty { note("stage \(index): \(error)") }
            spoiled[index].failed(parcel.microbatch.rows)
            report(error, of: parcel.microbatch, from: index)
            next.rows = []
        }
        pass(Parcel(microbatch: next, activations: output.activations), output, from: index)
    }

    /// Some layers of the first of the rows that a stage has deferred.
    private mutating func goOn(_ index: Int) {
        guard let (parcel, isDropped) = deferred[index].next else { return }
        let microbatch = parcel.microbatch
        let planned = isDropped ? .cancelled : fault(index, microbatch)
        var output = StageOutput()
        do throws(EngineError) {
            if let planned { throw planned }
            try spoiled[index].admit(microbatch.rows)
            guard
                try stages[index].advance(
                    microbatch.rows, activations: parcel.activations.span, for: slices[index], into: &output)
            else {
                partCount += 1
                return
            }
            deferred[index].removeNext()
            if index == 0 { reports[0].append(.stepCompleted(microbatch.id)) }
            pass(Parcel(microbatch: microbatch, activations: output.activations), output, from: index)
        } catch {
            if planned == nil, error != .cancelled { note("stage \(index): \(error)") }
            deferred[index].removeNext()
            if !isDropped { spoiled[index].failed(microbatch.rows) }
            report(error, of: microbatch, from: index)
        }
    }

    private mutating func report(_ error: EngineError, of microbatch: Microbatch, from index: Int) {
        mishaps.failures.insert("stage \(index): \(error)")
        reports[1].append(.stepFailed(microbatch.id, stage: index, error))
    }

    private mutating func pass(_ parcel: Parcel, _ output: StageOutput, from index: Int) {
        guard index + 1 == stages.count else {
            inboxes[index + 1].append(parcel)
            if index == 0 { planted?.arrange(&inboxes[1]) }
            return
        }
        var samples = output.samples
        distort(&samples, parcel.microbatch)
        reports[1].append(.sampled(parcel.microbatch.id, samples))
    }

    /// What a runner does about a sequence on disk; false when it could not be put into its lane.
    private mutating func carryOut(_ operation: ArchiveOperation, _ index: Int) -> Bool {
        let key = operation.key
        var outcome: ArchiveReport.Outcome?
        switch operation.action {
        case .save:
            let bytes = disks[index].isFull ? nil : try? stages[index].save(operation.lane)
            disks[index].parts[key] = bytes
            outcome = bytes == nil ? .failed : .stored
        case .fetch:
            disks[index].fetched = [:]
            disks[index].fetched[key] = disks[index].parts[key]
            outcome = disks[index].parts[key] == nil ? .failed : .fetched
        case .restore:
            guard let bytes = disks[index].fetched.removeValue(forKey: key) else { return false }
            do { try stages[index].restore(operation.lane, from: bytes) } catch { return false }
        case .release: disks[index].fetched[key] = nil
        case .forget:
            if records[key] != nil { note("a part is deleted while it is told to be on disk") }
            disks[index].fetched[key] = nil
            disks[index].parts[key] = nil
        }
        if let outcome, !disks[index].isStuck {
            reports[2].append(.archiveReport(ArchiveReport(key: key, stage: index, outcome: outcome)))
        }
        return true
    }

    /// Lanes that hold something on the stages once what was sent has arrived.
    private var heldLanes: Set<Lane> = []
    /// What the last stage will have been told to guess by then.
    private var wishes: [Lane: GuessWish] = [:]

    /// Every microbatch brings all lanes back that nobody owns and nothing is kept in: so a lane is free within one
    /// step of its request's end.
    private mutating func follow(_ microbatch: Microbatch) {
        for operation in microbatch.operations {
            switch operation {
            case .open(let lane, _):
                heldLanes.insert(lane)
                wishes[lane] = nil
            case .archive(let archive) where archive.action == .restore: heldLanes.insert(archive.lane)
            case .free(let lane):
                heldLanes.remove(lane)
                wishes[lane] = nil
            case .guess(let lane, let wish): wishes[lane] = wish
            case .copy, .trim, .archive: break
            }
        }
        for choice in core.active.flatMap(\.choices) {
            guard let lane = choice.lane, choice.headWish != wishes[lane] else { continue }
            note("lane \(lane.index) was told \(String(describing: wishes[lane])), not what is wished for")
        }
        let (owned, kept) = (core.ownedLaneCount, core.keptSequences)
        if heldLanes.count != owned + kept {
            note("\(heldLanes.count) lanes hold something on the stages, \(owned) are owned and \(kept) kept")
        }
    }

    // MARK: What must hold

    mutating func note(_ problem: String) { violation = violation ?? problem }

    private mutating func check(_ event: GenerationEvent, after earlier: [GenerationEvent], of id: RequestID) {
        if earlier.contains(where: \.isTerminal) { return note("request \(id) has an event after its end: \(event)") }
        let hasStarted = earlier.contains { if case .started = $0 { true } else { false } }
        switch event {
        case .preparing: note("request \(id) is prepared by a placement")
        case .queued, .started: if hasStarted { note("request \(id) starts twice or waits again") }
        case .output, .finished: if !hasStarted { note("request \(id) answers before it started") }
        case .failed: break
        }
        if let problem = watches[id]?.problem(with: event, of: id, after: mishaps) { note("request \(id): \(problem)") }
    }

    /// The bounds that the placement was given, whatever the brain believes them to be.
    private var brokenBound: String? {
        // What began elsewhere waits beyond it.
        if let limit = options.queueLimit, core.queuedCount > limit + resumedCount {
            return "\(core.queuedCount) requests wait, \(limit) may"
        }
        if core.ownedLaneCount > options.laneCount {
            return "\(core.ownedLaneCount) lanes are owned, \(options.laneCount) may be"
        }
        return core.usedCells > options.cellCount ? "\(core.usedCells) of \(options.cellCount) cells are used" : nil
    }

    /// While nothing is on its way, every stage holds what the brain believes it to.
    private var brokenStage: String? {
        let isStill =
            core.loss == nil && core.stepsInFlight == 0 && core.operations.isEmpty
            && inboxes.allSatisfy(\.isEmpty) && deferred.allSatisfy(\.isEmpty)
        guard isStill else { return nil }
        for (index, stage) in stages.enumerated() {
            let used = options.cellCount - stage.freeCellCount
            if used != core.usedCells { return "stage \(index) fills \(used) cells, not \(core.usedCells)" }
            for lane in (0..<stage.shape.laneCount).map({ Lane(UInt16($0)) }) {
                let (length, believed) = (stage.length(of: lane), core.cells.length(of: lane))
                if length != believed { return "lane \(lane.index) of stage \(index) has \(length), not \(believed)" }
            }
        }
        return nil
    }

    /// Everything ended and every lane and cell came back, in the brain and on every stage.
    mutating func checkQuiescence() {
        handle(.forgetPrefixes)
        run()
        if !core.isQuiescent { note("the brain is not quiescent") }
        if core.usedCells != 0 || core.ownedLaneCount != 0 {
            note("the brain keeps \(core.usedCells) cells and \(core.ownedLaneCount) lanes")
        }
        for id in submissions.keys.sorted() {
            let ends = (events[id] ?? []).count(where: \.isTerminal)
            if ends != 1 { note("request \(id) has \(ends) ends") }
        }
        if core.settings.draft != nil, let draft = draftModel?.engine,
            draft.openLaneCount != 0 || draft.freeCellCount != draft.shape.cellCount
        {
            note("the draft model keeps \(draft.openLaneCount) lanes")
        }
        for (index, stage) in stages.enumerated() {
            if stage.openLaneCount != 0 { note("stage \(index) keeps \(stage.openLaneCount) lanes") }
            if stage.freeCellCount != options.cellCount {
                note("stage \(index) keeps \(options.cellCount - stage.freeCellCount) cells")
            }
        }
    }

    // MARK: Results

    /// A request's answer as the client has it in the end.
    struct Answer: Equatable {
        var texts: [String]
        var reasoning: [String]
        var logprobs: [[TokenLogprob]]
        var calls: [[ToolCall]]
        var finish: [FinishReason]
        var outputTokens: Int
    }

    func completion(_ id: RequestID) -> Completion? {
        if case .finished(let completion)? = events[id]?.last { completion } else { nil }
    }

    func failure(_ id: RequestID) -> GenerationError? {
        if case .failed(let error)? = events[id]?.last { error } else { nil }
    }

    func answer(_ id: RequestID) -> Answer? {
        guard let completion = completion(id) else { return nil }
        let count = completion.finishReasons.count
        var answer = Answer(
            texts: Array(repeating: "", count: count), reasoning: Array(repeating: "", count: count),
            logprobs: Array(repeating: [], count: count), calls: Array(repeating: [], count: count),
            finish: completion.finishReasons, outputTokens: completion.usage.outputTokens)
        for case .output(let delta) in events[id] ?? [] {
            answer.texts[delta.choice] += delta.text
            answer.reasoning[delta.choice] += delta.reasoning
            answer.logprobs[delta.choice] += delta.logprobs
            for part in delta.toolCalls {
                if let name = part.name {
                    answer.calls[delta.choice].append(
                        ToolCall(id: part.id ?? "", name: name, arguments: part.arguments))
                } else {
                    answer.calls[delta.choice][part.index].arguments += part.arguments
                }
            }
        }
        return answer
    }
}
