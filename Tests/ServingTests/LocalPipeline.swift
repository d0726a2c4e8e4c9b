import ReferenceEngine
import Serving
import Vocabulary

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
        /// A mistake on purpose: stages do not forget what they are told to.
        var ignoresTrims = false
        /// Seed of the order in which things happen; nil takes the first thing that can.
        var interleaving: UInt64?
    }

    private(set) var core: EngineCore
    private(set) var stages: [ReferenceStage]
    private var spoiled: [SpoiledLanes]
    private var inboxes: [[Parcel]]
    /// Reports of stage 0, and answers of the last stage and failures: two connections, each in order.
    /// A third one is the draft model's.
    private var reports: [[EngineCore.Input]] = [[], [], []]
    private var draftInbox: [DraftWork] = []
    private(set) var draftModel: DraftModel<ReferenceStage>?
    private(set) var draftWorks: [DraftWork] = []
    private(set) var now = Instant(nanoseconds: 0)
    private var random: SeededRandom?
    private let options: Options

    private(set) var events: [RequestID: [GenerationEvent]] = [:]
    private(set) var microbatches: [Microbatch] = []
    private(set) var wakeAt: Instant?
    private(set) var wakeCount = 0
    /// The first thing that must never happen.
    private(set) var violation: String?
    /// Error of (stage, microbatch), in place of running it.
    var fault: (Int, Microbatch) -> EngineError? = { _, _ in nil }
    /// Changes what the last stage answers.
    var distort: (inout [SampledToken], Microbatch) -> Void = { _, _ in }
    private(set) var actionCount = 0

    init(_ options: Options = Options(), adjust: (inout EngineSettings) -> Void = { _ in }) {
        self.options = options
        stages = Self.makeStages(options)
        spoiled = stages.map { _ in SpoiledLanes() }
        inboxes = Array(repeating: [], count: options.stageCount)
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
        if let limit = options.queueLimit { settings.queueLimit = limit }
        if let headroom = options.headroom { settings.outputHeadroom = headroom }
        if let reservation = options.reservation { settings.outputReservation = reservation }
        if let policy = options.policy { settings.policy = policy }
        adjust(&settings)
        core = EngineCore(settings: settings, tokenizer: ReferenceTokenizer(), renderer: ReferenceRenderer())
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
        handle(.submit(request: request, prepared: prepared))
    }

    mutating func cancel(_ id: RequestID) { handle(.cancel(id)) }

    mutating func wait(_ duration: Duration) {
        now = now.advanced(by: duration)
        handle(.tick)
    }

    // MARK: Stages

    /// A stage dies: what is in flight is gone, and the stage comes back empty.
    mutating func lose(stage: Int) {
        for index in inboxes.indices { inboxes[index] = [] }
        reports = [[], [], reports[2]]
        stages[stage] = Self.makeStages(options)[stage]
        spoiled[stage] = SpoiledLanes()
        handle(.stageLost(stage: stage, reason: "killed"))
    }

    mutating func stagesReady() { handle(.stagesReady) }

    mutating func handle(_ input: EngineCore.Input) {
        let effects = core.handle(input, now: now)
        for effect in effects.list {
            switch effect {
            case .run(let microbatch):
                microbatches.append(microbatch)
                inboxes[0].append(Parcel(microbatch: microbatch, activations: []))
                if microbatch.rows.count > options.rowLimit { note("\(microbatch.rows.count) rows in one microbatch") }
            case .draft(let work):
                if !draftInbox.isEmpty { note("two pieces of work for the draft model") }
                draftWorks.append(work)
                draftInbox.append(work)
            case .emit(let id, let event):
                check(event, after: events[id] ?? [], of: id)
                events[id, default: []].append(event)
            case .wakeAt(let instant):
                wakeAt = instant
                wakeCount += 1
            }
        }
        if let broken = core.brokenInvariant { note(broken) }
    }

    /// Does one of the things that can happen; false when nothing can.
    mutating func step() -> Bool {
        var choices: [Int] = []
        for index in inboxes.indices where !inboxes[index].isEmpty { choices.append(index) }
        for index in reports.indices where !reports[index].isEmpty { choices.append(-1 - index) }
        if !draftInbox.isEmpty { choices.append(Self.drafting) }
        guard let first = choices.first else { return false }
        actionCount += 1
        let draw = random?.below(choices.count)
        now = now.advanced(by: .microseconds(random?.below(1000) ?? 100))
        let choice = draw.map { choices[$0] } ?? first
        if choice == Self.drafting {
            draft()
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

    private mutating func draft() {
        let work = draftInbox.removeFirst()
        guard let simulated = options.draft, var model = draftModel else { return }
        do throws(EngineError) {
            let failure = simulated.fault(work)
            if let failure { throw failure }
            var lanes = try model.run(work)
            simulated.distort(&lanes, work)
            reports[2].append(.drafted(work.id, lanes))
        } catch {
            if simulated.fault(work) == nil, !simulated.mayFail { note("the draft model: \(error)") }
            reports[2].append(.draftFailed(work.id, error))
        }
        draftModel = model
    }

    private mutating func work(_ index: Int) {
        let parcel = inboxes[index].removeFirst()
        let isLast = index + 1 == stages.count
        var output = StageOutput()
        var next = parcel.microbatch
        do {
            for operation in parcel.microbatch.operations {
                spoiled[index].follow(operation)
                if options.ignoresTrims, case .trim = operation { continue }
                try stages[index].apply(operation)
            }
        } catch {
            note("stage \(index): \(error)")
        }
        var planned = fault(index, parcel.microbatch)
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
            reports[1].append(.stepFailed(parcel.microbatch.id, stage: index, error))
            next.rows = []
        }
        if isLast {
            distort(&output.samples, parcel.microbatch)
            reports[1].append(.sampled(parcel.microbatch.id, output.samples))
        } else {
            inboxes[index + 1].append(Parcel(microbatch: next, activations: output.activations))
        }
    }

    // MARK: What must hold

    mutating func note(_ problem: String) { violation = violation ?? problem }

    private mutating func check(_ event: GenerationEvent, after earlier: [GenerationEvent], of id: RequestID) {
        if earlier.contains(where: \.isTerminal) { return note("request \(id) has an event after its end: \(event)") }
        let hasStarted = earlier.contains { if case .started = $0 { true } else { false } }
        switch event {
        case .queued, .started: if hasStarted { note("request \(id) starts twice or waits again") }
        case .output, .finished: if !hasStarted { note("request \(id) answers before it started") }
        case .failed: break
        }
    }

    /// Everything ended and every lane and cell came back, in the brain and on every stage.
    mutating func checkQuiescence() {
        handle(.forgetPrefixes)
        run()
        if !core.isQuiescent { note("the brain is not quiescent") }
        for (id, list) in events.sorted(by: { $0.key < $1.key }) where list.count(where: \.isTerminal) != 1 {
            note("request \(id) has \(list.count(where: \.isTerminal)) ends")
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
