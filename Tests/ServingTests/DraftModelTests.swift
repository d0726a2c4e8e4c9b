import ReferenceEngine
import Testing
import Vocabulary

@testable import Serving

@Suite struct `A draft model` {
    /// One world: the same requests with and without a draft model, with mishaps.
    private static func problem(seed: UInt64) throws -> String? {
        var random = SeededRandom(seed: seed)
        var options = GuessedWorld.options(&random)
        let requests = GuessedWorld.requests(&random)
        switch random.below(4) {
        case 0: options.draft = SimulatedDraft(modelSeed: options.modelSeed)
        case 1: options.draft = SimulatedDraft(modelSeed: 3)
        default: options.draft = .adversarial(seed: random.next())
        }
        options.draft?.rowLimit = 1 + random.below(12)
        if random.below(3) == 0 { options.draft?.cellCount = 20 + random.below(60) }
        let (faultSeed, usesFaults) = (random.next(), random.below(2) == 0)
        if usesFaults {
            options.draft?.fault = { work in
                let draw = SeededRandom.uniform(seed: faultSeed, position: work.id)
                return draw < 0.05 ? .failed(operation: "decode", code: -1, reason: "drawn") : nil
            }
        }
        options.speculation = .draft
        var pipeline = LocalPipeline(options)
        return try GuessedWorld.problem(&pipeline, requests, options, usesFaults: usesFaults, &random)
    }

    @Test(arguments: 0..<4)
    func `never changes an answer, however good, bad or broken it is`(part: Int) throws {
        let seeds = Seeds.first(240)
        for index in seeds.indices where index % 4 == part {
            let problem = try Self.problem(seed: seeds[index])
            #expect(problem == nil, "SEED=\(seeds[index])")
        }
    }

    private func run(
        _ requests: [GenerationRequest], _ options: LocalPipeline.Options
    ) throws -> LocalPipeline {
        var pipeline = LocalPipeline(options)
        for request in requests { try pipeline.submit(request) }
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
        return pipeline
    }

    private func strange(_ id: UInt64, temperature: Float = 0.9, limit: Int = 60) -> GenerationRequest {
        Requests.text(id, "The quick brown fox.", limit: limit, temperature: temperature, seed: id) {
            $0.sampling.ignoreEndOfGeneration = true
        }
    }

    @Test(arguments: [0, 0.9] as [Float])
    func `that is the target itself is always right, drawn tokens too`(temperature: Float) throws {
        for stageCount in 1...2 {
            var options = LocalPipeline.Options(stageCount: stageCount)
            options.policy = ForcedWindows(width: 5)
            let requests = (1...3 as ClosedRange<UInt64>).map { strange($0, temperature: temperature) }
            let plain = try run(requests, options)
            options.speculation = .draft
            options.draft = SimulatedDraft(modelSeed: options.modelSeed)
            let windows = try run(requests, options)
            #expect(requests.map { windows.answer($0.id) } == requests.map { plain.answer($0.id) })
            let counts = try #require(windows.core.speculated[.draft])
            #expect(counts.accepted == counts.drafted)
            #expect(windows.microbatches.count < plain.microbatches.count * 3 / 4)
        }
    }

    @Test func `guesses for all lanes that wait in one step per token`() throws {
        var options = LocalPipeline.Options()
        options.policy = ForcedWindows(width: 3)
        options.speculation = .draft
        options.draft = SimulatedDraft(modelSeed: options.modelSeed)
        let windows = try run((1...4 as ClosedRange<UInt64>).map { strange($0) }, options)
        #expect(windows.draftWorks.contains { $0.wishes.count == 4 })
    }

    @Test func `is told of every change of its lanes, also when it has nothing to compute`() throws {
        var options = LocalPipeline.Options()
        options.policy = ForcedWindows(width: 3)
        options.speculation = .draft
        options.draft = SimulatedDraft(modelSeed: options.modelSeed)
        var pipeline = LocalPipeline(options)
        try pipeline.submit(strange(1))
        var withoutRows = 0
        while pipeline.step() {
            var core = pipeline.core
            let length = core.mirror[Lane(0)].settled
            guard core.activeCount == 1, core.mirror.inFlight == nil, length > 0 else { continue }
            let sampling = core.draftSampling(0, 0)
            core.mirror.copy(from: Lane(0), to: Lane(3), length: length, sampling: sampling)
            let works = core.handle(.tick, now: pipeline.now).list.compactMap { effect -> DraftWork? in
                if case .draft(let work) = effect { work } else { nil }
            }
            #expect(works.count == 1)
            let copy = SequenceOperation.copy(from: Lane(0), to: Lane(3), length: Int32(length))
            #expect(works.first?.operations.contains(copy) == true)
            if works.first?.rows.isEmpty == true { withoutRows += 1 }
        }
        #expect(withoutRows > 0)
    }

    @Test func `takes in a prompt once for all choices`() throws {
        var options = LocalPipeline.Options(rowLimit: 24)
        options.policy = ForcedWindows(width: 3)
        options.speculation = .draft
        options.draft = SimulatedDraft(modelSeed: options.modelSeed)
        var request = strange(1)
        request.choiceCount = 4
        let windows = try run([request], options)
        let prompt = "The quick brown fox.".utf8.count
        let early = windows.draftWorks.reduce(0) { sum, work in
            sum + work.rows.count { $0.position < prompt - 1 }
        }
        #expect(early < 2 * prompt)
        #expect(windows.core.speculated[.draft]?.accepted ?? 0 > 100)
    }

    @Test func `is hardly asked when its guesses do not pay, and again when they do`() throws {
        var options = LocalPipeline.Options(cellCount: 1200)
        options.policy = FixedCosts([try Requests.costs([1: 10, 16: 12])])
        options.speculation = .draft
        var bad = SimulatedDraft(modelSeed: 3)
        bad.costs = try Requests.costs([1: 2, 16: 2.4])
        options.draft = bad
        let misled = try run([strange(1, limit: 200)], options)
        let asked = misled.draftWorks.count { !$0.wishes.isEmpty }
        #expect((1...16).contains(asked))

        var good = SimulatedDraft(modelSeed: options.modelSeed)
        good.costs = bad.costs
        // Wrong at first, right from then on.
        good.distort = { lanes, work in
            guard work.rows.contains(where: { $0.samples && $0.position < 50 }) else { return }
            for index in lanes.indices { lanes[index].tokens = lanes[index].tokens.map { ($0 + 1) % 250 } }
        }
        options.draft = good
        let recovered = try run([strange(1, limit: 200)], options)
        #expect(recovered.core.speculated[.draft]?.accepted ?? 0 > 0)
    }

    /// Rows the draft model takes in for each of several requests with a prompt of 70 tokens, one after the other.
    private func fed(
        _ count: UInt64, draftSeed: UInt64, temperature: Float, limit: Int = 40, feedCost: Double = 40,
        microseconds: Int = 100
    ) throws -> [Int] {
        var options = LocalPipeline.Options(cellCount: 1200, window: 400)
        options.policy = FixedCosts([try Requests.costs([1: 10, 16: 12])])
        options.speculation = .draft
        var draft = SimulatedDraft(modelSeed: draftSeed)
        draft.costs = try Requests.costs([1: 2, 16: 2.4, 128: feedCost])
        draft.microseconds = microseconds
        options.draft = draft
        var pipeline = LocalPipeline(options)
        let prompt = String(repeating: "The quick brown fox jumps. ", count: 3).prefix(70)
        return try (1...count).map { id in
            let before = pipeline.draftWorks.reduce(0) { $0 + $1.rows.count }
            try pipeline.submit(
                Requests.text(id, String(prompt), limit: limit, temperature: temperature, seed: id) {
                    $0.sampling.ignoreEndOfGeneration = true
                })
            pipeline.run()
            #expect(pipeline.violation == nil)
            return pipeline.draftWorks.reduce(0) { $0 + $1.rows.count } - before
        }
    }

    @Test func `takes in no prompt of an answer whose tokens are drawn almost evenly`() throws {
        #expect(try fed(1, draftSeed: 3, temperature: 50) == [0])
        #expect(try fed(1, draftSeed: 3, temperature: 0.9)[0] >= 70)
        // A long answer can afford to see whether it is guessable all the same.
        #expect(try fed(1, draftSeed: 3, temperature: 50, limit: 300, feedCost: 0.3)[0] >= 70)
    }

    @Test func `takes in no prompts while the latest answers could not be guessed, and now and then one`() throws {
        let misled = try fed(60, draftSeed: 3, temperature: 0.9)
        #expect(misled[0] >= 70)
        let taken = misled.count { $0 > 0 }
        #expect((4...20).contains(taken), "\(misled)")
        #expect(misled[30...].contains { $0 > 0 })
        let good = try fed(10, draftSeed: LocalPipeline.Options().modelSeed, temperature: 0, microseconds: 10)
        #expect(good.allSatisfy { $0 >= 70 }, "\(good)")
    }

    @Test func `that is right but slower by the clock is tried by fewer and fewer answers`() throws {
        // What was measured says that guesses cost a fifth of a step; by the pipeline's clock they cost a whole one.
        let fed = try fed(60, draftSeed: LocalPipeline.Options().modelSeed, temperature: 0, microseconds: 150)
        let tried = fed.indices.filter { fed[$0] > 0 }
        #expect(fed[0] >= 70)
        #expect((3...20).contains(tried.count), "\(tried)")
        let pauses = zip(tried, tried.dropFirst()).map { $1 - $0 - 1 }
        #expect(pauses.contains(4) && pauses.contains(8) && pauses.contains(16), "\(pauses)")
    }

    @Test func `that costs more than the target is never asked`() throws {
        var options = LocalPipeline.Options(cellCount: 1200)
        options.policy = FixedCosts([try Requests.costs([1: 10, 2: 30, 16: 200])])
        options.speculation = .draft
        var slow = SimulatedDraft(modelSeed: options.modelSeed)
        slow.costs = try Requests.costs([1: 20, 16: 40])
        options.draft = slow
        let windows = try run([strange(1)], options)
        #expect(windows.core.draftedTokens == 0)
    }

    @Test func `leaves requests with a seed alone by default, and everybody until costs are known`() throws {
        func asked(_ speculation: Speculation, seed: UInt64?, knowsCosts: Bool) throws -> Bool {
            var options = LocalPipeline.Options()
            options.speculation = speculation
            var draft = SimulatedDraft(modelSeed: options.modelSeed)
            if knowsCosts {
                options.policy = FixedCosts([try Requests.costs([1: 10, 16: 11])])
                draft.costs = try Requests.costs([1: 1, 16: 2])
            }
            options.draft = draft
            var request = strange(1)
            request.sampling.seed = seed
            return try run([request], options).draftWorks.contains { !$0.wishes.isEmpty }
        }
        #expect(try asked(.auto, seed: nil, knowsCosts: true))
        #expect(try !asked(.auto, seed: 7, knowsCosts: true))
        #expect(try !asked(.auto, seed: nil, knowsCosts: false))
        #expect(try asked(.draft, seed: 7, knowsCosts: false))
        #expect(try !asked(.ngram, seed: nil, knowsCosts: true))
        #expect(try !asked(.off, seed: nil, knowsCosts: true))
    }

    @Test func `that fails again and again is given up, and answers go on`() throws {
        var options = LocalPipeline.Options()
        options.policy = ForcedWindows(width: 3)
        options.speculation = .draft
        var broken = SimulatedDraft(modelSeed: options.modelSeed)
        broken.fault = { _ in .failed(operation: "decode", code: -1, reason: "always") }
        options.draft = broken
        let windows = try run([strange(1)], options)
        #expect(windows.completion(RequestID(1)) != nil)
        #expect(windows.draftWorks.count <= Limits.stepRetries + 2)
    }

    @Test func `survives cancellation at any moment`() throws {
        var options = LocalPipeline.Options(stageCount: 2, laneCount: 2, interleaving: 3)
        options.policy = ForcedWindows(width: 3)
        options.speculation = .draft
        options.draft = SimulatedDraft(modelSeed: options.modelSeed)
        try GuessedWorld.survivesCancellation(
            options, (1...2 as ClosedRange<UInt64>).map { strange($0, limit: 12) })
    }
}
