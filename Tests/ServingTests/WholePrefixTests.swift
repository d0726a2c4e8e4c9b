import ReferenceEngine
import Serving
import Testing
import Vocabulary

/// Random conversations with models whose state exists for the newest position only: every stage refuses to copy or to
/// forget a part of a sequence.
@Suite struct `Sequences given whole or not at all` {
    private static func options(_ random: inout SeededRandom) -> LocalPipeline.Options {
        let window = 160
        var options = LocalPipeline.Options(
            stageCount: 1 + random.below(3), laneCount: 1 + random.below(4), cellCount: window + random.below(140),
            window: window, rowLimit: 1 + random.below(12))
        options.sizes.isRecurrent = true
        (options.shelfCount, options.prefixReuse) = (random.below(4), .whole)
        options.headroom = 1 + random.below(8)
        options.archives = random.below(2) == 0
        options.interleaving = random.next()
        return options
    }

    /// Three conversations side by side for four turns; some answers come back as they were, others rewritten.
    private static func world(seed: UInt64) throws -> (problem: String?, cachedTokens: Int) {
        var random = SeededRandom(seed: seed)
        let options = Self.options(&random)
        var pipeline = LocalPipeline(options)
        var prompts = ["The goose leads. ", "The wind is cold. ", "The goose leads, and we "]
        var requests: [GenerationRequest] = []
        for _ in 0..<4 {
            for prompt in prompts {
                let request = Requests.text(
                    UInt64(requests.count + 1), prompt, limit: 1 + random.below(8), seed: random.next()
                ) {
                    $0.choiceCount = random.below(4) == 0 ? min(2, options.laneCount) : 1
                    $0.sampling.ignoreEndOfGeneration = random.below(2) == 0
                }
                requests.append(request)
                try pipeline.submit(request)
                for _ in 0..<random.below(30) { _ = pipeline.step() }
                if random.below(8) == 0 { pipeline.cancel(request.id) }
            }
            if random.below(8) == 0 {
                pipeline.lose(stage: random.below(options.stageCount))
                pipeline.stagesReady()
            }
            pipeline.run()
            if options.archives {
                for _ in 0..<3 {
                    pipeline.wait(.seconds(2))
                    pipeline.run()
                }
            }
            for index in prompts.indices {
                let id = requests[requests.count - prompts.count + index].id
                let answer = random.below(2) == 0 ? pipeline.answer(id)?.texts.first : nil
                prompts[index] += (answer ?? "(honks)") + " So? "
            }
        }
        pipeline.checkQuiescence()
        let cachedTokens = requests.reduce(0) { $0 + (pipeline.completion($1.id)?.usage.cachedTokens ?? 0) }
        let problem = try pipeline.violation ?? disturbance(pipeline, requests, options)
        return (problem, cachedTokens)
    }

    /// The last answer that is complete is the answer of its request alone.
    private static func disturbance(
        _ pipeline: LocalPipeline, _ requests: [GenerationRequest], _ options: LocalPipeline.Options
    ) throws -> String? {
        guard let request = requests.last(where: { pipeline.answer($0.id) != nil }) else { return nil }
        var quiet = options
        quiet.stageCount = 1
        (quiet.interleaving, quiet.prefixReuse, quiet.archives) = (nil, .off, false)
        var alone = LocalPipeline(quiet)
        try alone.submit(request)
        alone.run()
        return pipeline.answer(request.id) == alone.answer(request.id)
            ? nil : "request \(request.id) was disturbed by what was kept"
    }

    @Test func `make every answer what it is alone`() throws {
        var cachedTokens = 0
        for seed in Seeds.first(60) {
            let world = try Self.world(seed: seed)
            #expect(world.problem == nil, "SEED=\(seed)")
            cachedTokens += world.cachedTokens
        }
        #expect(cachedTokens > 0)
    }
}
