import Testing
import Vocabulary

@testable import Serving

/// What every way of guessing has to survive: random worlds with mishaps, and cancellation at any moment.
enum GuessedWorld {
    /// Requests whose prompts and answers are short, so that many fit into a test.
    static func requests(_ random: inout SeededRandom) -> [GenerationRequest] {
        (1...UInt64(2 + random.below(4))).map { id in
            var request = Requests.random(id, &random, longestPrompt: 40)
            if random.below(2) == 0 { Requests.restrict(&request, to: ["gh", "abc"][random.below(2)]) }
            request.maxOutputTokens = 4 + random.below(24)
            request.sampling.ignoreEndOfGeneration = random.below(2) == 0
            return request
        }
    }

    /// A small placement; some of its policies send guesses whether they pay or not.
    static func options(_ random: inout SeededRandom) -> LocalPipeline.Options {
        var options = LocalPipeline.Options(
            stageCount: 1 + random.below(3), laneCount: 3 + random.below(3), cellCount: 90 + random.below(200),
            window: 80, rowLimit: 2 + random.below(14))
        options.modelSeed = 1 + UInt64(random.below(2))
        options.prefixReuse = [.off, .beginnings][random.below(2)]
        options.shelfCount = random.below(3)
        options.interleaving = random.next()
        if random.below(3) == 0 { options.policy = Requests.costPolicy(&random, stageCount: options.stageCount) }
        if random.below(2) == 0 {
            options.policy = ForcedWindows(options.policy ?? EvenBatchPolicy(), width: 1 + random.below(6))
        }
        return options
    }

    /// Lets the requests come at random moments, one of them sometimes go, and with `usesFaults` steps fail and stages
    /// get lost. Answers the first thing that went wrong, such as an answer that is not that of the model alone.
    static func problem(
        _ pipeline: inout LocalPipeline, _ requests: [GenerationRequest], _ options: LocalPipeline.Options,
        usesFaults: Bool, _ random: inout SeededRandom
    ) throws -> String? {
        let faultSeed = random.next()
        if usesFaults {
            pipeline.fault = { stage, microbatch in
                let draw = SeededRandom.uniform(seed: faultSeed &+ UInt64(stage), position: microbatch.id.value)
                return draw < 0.02 ? .cancelled : nil
            }
        }
        for request in requests {
            try pipeline.submitWatched(request)
            for _ in 0..<random.below(30) { _ = pipeline.step() }
            if random.below(12) == 0 { pipeline.cancel(RequestID(1)) }
            if usesFaults, random.below(8) == 0 {
                pipeline.lose(stage: random.below(options.stageCount))
                for _ in 0..<random.below(4) { _ = pipeline.step() }
                pipeline.stagesReady()
            }
        }
        pipeline.run()
        pipeline.checkQuiescence()
        return pipeline.violation
    }

    /// Cancels the first of two requests at each moment there is: the other one is answered as ever.
    static func survivesCancellation(_ options: LocalPipeline.Options, _ requests: [GenerationRequest]) throws {
        func run(cancelledAfter moment: Int?) throws -> LocalPipeline {
            var pipeline = LocalPipeline(options)
            for request in requests { try pipeline.submit(request) }
            if let moment {
                for _ in 0..<moment { _ = pipeline.step() }
                pipeline.cancel(RequestID(1))
            }
            pipeline.run()
            pipeline.checkQuiescence()
            return pipeline
        }
        let whole = try run(cancelledAfter: nil)
        for moment in 0..<whole.actionCount {
            let pipeline = try run(cancelledAfter: moment)
            #expect(pipeline.violation == nil, "moment \(moment)")
            #expect(pipeline.answer(RequestID(2)) == whole.answer(RequestID(2)))
        }
    }
}
