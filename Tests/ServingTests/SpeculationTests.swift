import ReferenceEngine
import Serving
import Testing
import Vocabulary

@Suite struct `Speculative decoding` {
    /// Requests whose answers repeat themselves, so that guesses are at times right and at times wrong.
    private func requests(_ seed: UInt64) -> [GenerationRequest] {
        var random = SeededRandom(seed: seed)
        return (1...8 as ClosedRange<UInt64>).map { id in
            let temperature: Float = [0, 0.7, 1.4][random.below(3)]
            let prompt = ["abab abab ", "go goose go goose ", "x"][random.below(3)]
            return Requests.text(id, prompt, limit: 8 + random.below(40), temperature: temperature, seed: id) {
                request in
                Requests.restrict(&request, to: ["ab", "go ", "xyz"][random.below(3)])
                request.sampling.ignoreEndOfGeneration = random.below(2) == 0
                if random.below(3) == 0 { request.choiceCount = 2 }
                if random.below(3) == 0 { request.topLogprobs = 2 }
                if random.below(3) == 0 { request.stop = ["aabb", "gogo", "zyx"] }
                if random.below(3) == 0 {
                    (request.sampling.frequencyPenalty, request.sampling.repeatPenalty) = (0.6, 1.2)
                    request.sampling.penaltyWindow = 12
                }
                if random.below(4) == 0 { request.maxOutputTokens = nil }
            }
        }
    }

    private func pipeline(
        _ requests: [GenerationRequest], _ options: LocalPipeline.Options,
        distort: @escaping (inout [SampledToken], Microbatch) -> Void = { _, _ in }
    ) throws -> LocalPipeline {
        var pipeline = LocalPipeline(options)
        pipeline.distort = distort
        for request in requests { try pipeline.submit(request) }
        pipeline.run()
        pipeline.checkQuiescence()
        return pipeline
    }

    private func speculating(_ options: LocalPipeline.Options, width: Int) -> LocalPipeline.Options {
        var options = options
        options.speculation = .ngram
        options.policy = ForcedWindows(options.policy ?? EvenBatchPolicy(), width: width)
        return options
    }

    private static func isTrim(_ operation: SequenceOperation) -> Bool {
        if case .trim = operation { true } else { false }
    }

    @Test(arguments: 1...4)
    func `gives the answers of no speculation`(stageCount: Int) throws {
        for seed in 1...3 as ClosedRange<UInt64> {
            let requests = requests(seed)
            let sizes = ReferenceModel.Sizes(layerCount: 4, width: 8, headCount: 2, hidden: 8)
            var options = LocalPipeline.Options(stageCount: stageCount, sizes: sizes, modelSeed: seed, window: 80)
            options.interleaving = seed
            let plain = try pipeline(requests, options)
            let expected = requests.map { plain.answer($0.id) }
            #expect(expected.allSatisfy { $0 != nil })
            for width in [1, 4, 15] {
                let windows = try pipeline(requests, speculating(options, width: width))
                #expect(windows.violation == nil, "SEED=\(seed) width \(width)")
                #expect(requests.map { windows.answer($0.id) } == expected, "SEED=\(seed) width \(width)")
                #expect(windows.core.acceptedTokens > 0)
                #expect(windows.core.draftedTokens > windows.core.acceptedTokens)
                let trims = windows.microbatches.filter { $0.operations.contains(where: Self.isTrim) }
                #expect(!trims.isEmpty)
                // A trim is no reason for a step of its own.
                #expect(trims.allSatisfy { !$0.rows.isEmpty || !$0.operations.allSatisfy(Self.isTrim) })
            }
        }
    }

    @Test func `keeps within rows and cells, and preempted answers are the same`() throws {
        let requests = (1...6 as ClosedRange<UInt64>).map { id in
            Requests.text(id, "ab ab", limit: nil, seed: id) {
                Requests.restrict(&$0, to: "ab")
                $0.sampling.ignoreEndOfGeneration = true
                $0.choiceCount = id == 4 ? 2 : 1
            }
        }
        for (rowLimit, stageCount) in [(1, 1), (2, 2), (5, 1), (16, 3)] {
            var options = LocalPipeline.Options(
                stageCount: stageCount, cellCount: 80, window: 40, rowLimit: rowLimit, interleaving: 4)
            options.headroom = 2
            let plain = try pipeline(requests, options)
            let windows = try pipeline(requests, speculating(options, width: 15))
            #expect(plain.violation == nil)
            #expect(windows.violation == nil, "\(rowLimit) rows")
            #expect(requests.map { windows.answer($0.id) } == requests.map { plain.answer($0.id) })
            // With one row there is no room for a guess.
            #expect((windows.core.draftedTokens > 0) == (rowLimit > 1))
            let opened = windows.microbatches.flatMap(\.operations).count { if case .open = $0 { true } else { false } }
            #expect(opened > 7, "requests were preempted")
        }
    }

    @Test func `needs fewer steps than tokens where text repeats`() throws {
        let request = Requests.text(1, "la la la la ", limit: 60, temperature: 0) {
            $0.sampling.ignoreEndOfGeneration = true
        }
        for stageCount in 1...2 {
            var options = LocalPipeline.Options(stageCount: stageCount)
            let plain = try pipeline([request], options)
            options.speculation = .ngram
            let windows = try pipeline([request], options)
            #expect(windows.answer(RequestID(1)) == plain.answer(RequestID(1)))
            #expect(windows.violation == nil)
            let steps = (plain.microbatches.count, windows.microbatches.count)
            #expect(steps.1 < steps.0 * 2 / 3)
            #expect(windows.core.acceptedTokens > 20)
        }
    }

    @Test func `guesses little where nothing repeats`() throws {
        let requests = (1...4 as ClosedRange<UInt64>).map { id in
            Requests.text(id, "The quick brown fox jumps over the lazy dog.", limit: 100, temperature: 3, seed: id) {
                $0.sampling.ignoreEndOfGeneration = true
            }
        }
        var options = LocalPipeline.Options()
        options.speculation = .ngram
        let windows = try pipeline(requests, options)
        #expect(windows.core.draftedTokens < 400 / 20)
    }

    /// Time by measured costs: of a lone stage, or of a lone stream on several.
    private func time(_ requests: [GenerationRequest], _ options: LocalPipeline.Options) throws -> Double {
        let done = try pipeline(requests, options)
        #expect(done.violation == nil)
        return done.microbatches.reduce(0) {
            $0 + ($1.rows.isEmpty ? 0 : options.policy?.expectedNanoseconds(rows: $1.rows.count) ?? 0)
        }
    }

    @Test(arguments: [
        // Milliseconds of a step by rows, and how much of the time is left on text that repeats itself, at most.
        (curve: [1: 24, 2: 93, 4: 119, 8: 154, 16: 241], left: [1: 0.95, 2: 0.95, 4: 0.95]),
        (curve: [1: 23, 2: 36, 3: 48, 4: 83, 8: 108, 16: 173], left: [1: 0.75, 2: 0.75, 4: 0.9]),
        (curve: [1: 10, 64: 11], left: [1: 0.32, 2: 0.32, 4: 0.32]),
    ])
    func `pays by measured costs and costs next to nothing where it does not`(
        curve: [Int: Double], left: [Int: Double]
    ) throws {
        let costs = try Requests.costs(curve)
        for (stageCount, streams) in [(1, 1), (1, 2), (1, 4), (2, 1)] {
            var options = LocalPipeline.Options(stageCount: stageCount, cellCount: 1200)
            options.policy = CostBatchPolicy(Array(repeating: costs, count: stageCount))
            func ratio(_ prompt: String, temperature: Float, letters: String?) throws -> Double {
                let requests = (1...UInt64(streams)).map { id in
                    Requests.text(id, prompt, limit: 120, temperature: temperature, seed: id) {
                        $0.sampling.ignoreEndOfGeneration = true
                        if let letters { Requests.restrict(&$0, to: letters, strength: 60) }
                    }
                }
                var windows = options
                windows.speculation = .ngram
                return try time(requests, windows) / time(requests, options)
            }
            let repeating = try ratio("la la la la ", temperature: 0, letters: "a")
            #expect(repeating <= left[streams] ?? 0, "\(streams) on \(stageCount)")
            let strange = try ratio("The quick brown fox jumps.", temperature: 3, letters: nil)
            #expect(strange <= 1.03, "\(streams) on \(stageCount)")
            // Every group of letters was there before, and what followed is no guide.
            let misleading = try ratio("abcd", temperature: 50, letters: "abcd")
            #expect(misleading <= 1.03, "\(streams) on \(stageCount)")
        }
    }

    @Test func `is left to models that can forget`() throws {
        let request = Requests.text(1, "la la la la ", limit: 40, temperature: 0) {
            $0.sampling.ignoreEndOfGeneration = true
        }
        var options = speculating(.init(), width: 4)
        options.prefixReuse = .whole
        #expect(try pipeline([request], options).core.draftedTokens == 0)
        options.prefixReuse = .beginnings
        #expect(try pipeline([request], options).core.draftedTokens > 0)
        options.speculation = .off
        #expect(try pipeline([request], options).core.draftedTokens == 0)
    }

    @Test func `leaves only accepted positions to the next prompt`() throws {
        for stop in [[], ["la la la l"]] {
            var options = LocalPipeline.Options(stageCount: 2, shelfCount: 2, prefixReuse: .beginnings)
            func turns(_ options: LocalPipeline.Options) throws -> (LocalPipeline, [Int]) {
                var pipeline = LocalPipeline(options)
                var prompt = "Sing: la la la la la "
                var cached: [Int] = []
                for turn in 1...4 as ClosedRange<UInt64> {
                    let request = Requests.text(turn, prompt, limit: 24, temperature: 0.5) {
                        Requests.restrict(&$0, to: "la ", strength: 60)
                        $0.stop = stop
                    }
                    try pipeline.submit(request)
                    pipeline.run()
                    prompt += (pipeline.answer(RequestID(turn))?.texts.first ?? "") + " again "
                    cached.append(pipeline.completion(RequestID(turn))?.usage.cachedTokens ?? -1)
                }
                pipeline.checkQuiescence()
                #expect(pipeline.violation == nil)
                return (pipeline, cached)
            }
            let (plain, expected) = try turns(options)
            options = speculating(options, width: 6)
            let (windows, cached) = try turns(options)
            #expect(cached == expected)
            #expect(windows.core.acceptedTokens > 0)
            for turn in 1...4 as ClosedRange<UInt64> {
                #expect(windows.answer(RequestID(turn)) == plain.answer(RequestID(turn)))
            }
        }
    }

    @Test func `survives cancellation at any moment`() throws {
        let options = speculating(.init(stageCount: 2, laneCount: 2, interleaving: 3), width: 3)
        let requests = (1...2 as ClosedRange<UInt64>).map { id in
            Requests.text(id, "abab", limit: 12, seed: id) { Requests.restrict(&$0, to: "ab") }
        }
        try GuessedWorld.survivesCancellation(options, requests)
    }

    @Test func `takes answers that are longer or shorter than they should be`() throws {
        let requests = requests(2)
        let options = LocalPipeline.Options(stageCount: 2, window: 80)
        let plain = try pipeline(requests, options)
        let expected = requests.map { plain.answer($0.id) }
        // A last stage that goes on behind a wrong guess.
        let talkative = try pipeline(requests, speculating(options, width: 4)) { tokens, microbatch in
            tokens = microbatch.rows.filter(\.samples).map { row in
                tokens.first { $0.lane == row.lane && $0.position == row.position + 1 }
                    ?? SampledToken(lane: row.lane, position: row.position + 1, token: 65)
            }
        }
        #expect(talkative.violation == nil)
        #expect(requests.map { talkative.answer($0.id) } == expected)
        // One that samples the first row only.
        let terse = try pipeline(requests, speculating(options, width: 4)) { tokens, _ in
            var seen: Set<Lane> = []
            tokens.removeAll { !seen.insert($0.lane).inserted }
        }
        #expect(terse.violation == nil)
        #expect(requests.map { terse.answer($0.id) } == expected)
        // None at all is a failure.
        let silent = try pipeline(requests, speculating(options, width: 4)) { tokens, microbatch in
            if microbatch.id.value > 20 { tokens = [] }
        }
        #expect(silent.violation == nil)
        #expect(requests.contains { if case .engineFailed? = silent.failure($0.id) { true } else { false } })
    }

    @Test func `a lane that is trimmed to before its gap is not spoiled any more`() throws {
        var spoiled = SpoiledLanes()
        func row(_ position: Int32) -> StageRow {
            StageRow(lane: Lane(1), position: position, token: 0, samples: false)
        }
        spoiled.failed([row(6), row(7)])
        spoiled.follow(.trim(lane: Lane(1), from: 7))
        #expect(throws: EngineError.cancelled) { try spoiled.admit([row(7)]) }
        spoiled.follow(.trim(lane: Lane(1), from: 6))
        try spoiled.admit([row(6)])
    }
}
