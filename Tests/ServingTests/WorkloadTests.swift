import ReferenceEngine
import Serving
import Testing
import Vocabulary

/// Random clients against random placements with random mishaps; every seed is one small world.
@Suite struct `Random workloads` {
    /// Runs one world and returns the first thing that must never happen.
    static func problem(seed: UInt64) throws -> String? {
        var random = SeededRandom(seed: seed)
        let window = 24 + random.below(60)
        var options = LocalPipeline.Options(
            stageCount: 1 + random.below(4), laneCount: 1 + random.below(5), cellCount: window + random.below(100),
            window: window,
            rowLimit: 1 + random.below(12), queueLimit: 1 + random.below(6))
        options.headroom = 1 + random.below(8)
        if random.below(2) == 0 { options.reservation = random.below(12) }
        options.interleaving = random.next()
        options.policy = policy(&random, stageCount: options.stageCount)
        options.prefixReuse = [.off, .beginnings, .beginnings, .whole][random.below(4)]
        options.shelfCount = random.below(4)
        options.archives = random.below(2) == 0
        if random.below(3) > 0 {
            options.speculation = .ngram
            if random.below(2) == 0 {
                options.policy = ForcedWindows(options.policy ?? EvenBatchPolicy(), width: random.below(7))
            }
        }
        if random.below(2) == 0 {
            options.policy = ForcedDeferral(
                options.policy ?? EvenBatchPolicy(), rows: 1 + random.below(options.rowLimit), layers: random.below(4))
        }
        let usesFaults = random.below(3) == 0
        var pipeline = LocalPipeline(options)
        if usesFaults {
            let faultSeed = random.next()
            pipeline.fault = { stage, microbatch in
                let draw = SeededRandom.uniform(seed: faultSeed &+ UInt64(stage), position: microbatch.id.value)
                if draw < 0.02 { return .cancelled }
                return draw < 0.03 ? .failed(operation: "decode", code: -1, reason: "drawn") : nil
            }
        }
        let count = 2 + random.below(7)
        var submitted: [GenerationRequest] = []
        while submitted.count < count || random.below(4) > 0 {
            switch random.below(40) {
            case 0..<6 where submitted.count < count:
                var request = Requests.random(UInt64(submitted.count + 1), &random, longestPrompt: window)
                if random.below(2) == 0 { Requests.restrict(&request, to: random.below(2) == 0 ? "gh" : "abc") }
                submitted.append(request)
                try pipeline.submit(request)
            case 6 where !submitted.isEmpty:
                pipeline.cancel(submitted[random.below(submitted.count)].id)
            case 7 where usesFaults:
                pipeline.lose(stage: random.below(options.stageCount))
                for _ in 0..<random.below(3) { _ = pipeline.step() }
                pipeline.stagesReady()
            case 8 where random.below(3) == 0:
                let disk = random.below(options.stageCount)
                pipeline.disks[disk].isFull.toggle()
                if random.below(2) == 0 { pipeline.disks[disk].parts = [:] }
            case 9 where options.archives:
                // Time for writing between requests.
                pipeline.run()
                for _ in 0..<4 {
                    pipeline.wait(.seconds(2))
                    pipeline.run()
                }
            case 8:
                pipeline.wait(.seconds(random.below(70)))
            default:
                for _ in 0..<random.below(12) { _ = pipeline.step() }
            }
        }
        pipeline.run()
        pipeline.checkQuiescence()
        return pipeline.violation ?? disturbance(pipeline, submitted, options)
    }

    private static func policy(_ random: inout SeededRandom, stageCount: Int) -> (any BatchPolicy)? {
        switch random.below(3) {
        case 0: EvenBatchPolicy(prefillRowsBesideDecode: 1 + random.below(4))
        case 1: Requests.costPolicy(&random, stageCount: stageCount)
        default: nil
        }
    }

    /// A complete answer is the answer of the request alone.
    private static func disturbance(
        _ pipeline: LocalPipeline, _ requests: [GenerationRequest], _ options: LocalPipeline.Options
    ) -> String? {
        guard let request = requests.first(where: { pipeline.answer($0.id) != nil }) else { return nil }
        var quiet = options
        quiet.stageCount = 1
        quiet.queueLimit = nil
        quiet.interleaving = nil
        quiet.prefixReuse = .off
        quiet.archives = false
        quiet.speculation = .off
        quiet.policy = nil
        var alone = LocalPipeline(quiet)
        guard (try? alone.submit(request)) != nil else { return "request \(request.id) cannot be prepared" }
        alone.run()
        return pipeline.answer(request.id) == alone.answer(request.id)
            ? nil : "request \(request.id) was disturbed by its neighbours"
    }

    @Test(arguments: 0..<4)
    func `keep every promise`(part: Int) throws {
        let seeds = Seeds.first(320)
        for index in seeds.indices where index % 4 == part {
            let problem = try Self.problem(seed: seeds[index])
            #expect(problem == nil, "SEED=\(seeds[index])")
        }
    }
}
