import Vocabulary

@testable import Serving

/// Random clients against a random placement with random mishaps; every seed is one small world.
struct RandomWorld {
    /// What became of a world.
    struct Outcome {
        /// The first thing that must never happen.
        var problem: String?
        /// Requests that were answered to their end.
        var answerCount: Int
        /// Whether steps failed or a stage was lost.
        var hadFaults: Bool
    }

    private var random: SeededRandom
    private let options: LocalPipeline.Options
    private let usesFaults: Bool
    private let losesStages: Bool
    private var pipeline: LocalPipeline
    private var submitted: [RequestID] = []

    /// Runs the world of a seed, with a bug planted into it or not.
    static func run(seed: UInt64, planted: Mutation? = nil) throws -> Outcome {
        var world = RandomWorld(seed: seed, planted: planted)
        return try world.run()
    }

    private init(seed: UInt64, planted: Mutation?) {
        var random = SeededRandom(seed: seed)
        var options = Self.options(&random)
        options.planted = planted.map { PlantedBug($0, turn: Int(seed % 3)) }
        pipeline = LocalPipeline(options)
        let (usesFaults, losesStages, faultSeed) = (random.below(4) > 0, random.below(2) == 0, random.next())
        self.random = random
        self.options = options
        self.usesFaults = usesFaults
        self.losesStages = usesFaults && losesStages
        guard usesFaults else { return }
        pipeline.fault = { stage, microbatch in
            let draw = SeededRandom.uniform(seed: faultSeed &+ UInt64(stage), position: microbatch.id.value)
            if draw < 0.02 { return .cancelled }
            return draw < 0.024 ? .failed(operation: "decode", code: -1, reason: "drawn") : nil
        }
    }

    private static func options(_ random: inout SeededRandom) -> LocalPipeline.Options {
        let window = 24 + random.below(60)
        var options = LocalPipeline.Options(
            stageCount: 1 + random.below(4), laneCount: 1 + random.below(5), cellCount: window + random.below(100),
            window: window, rowLimit: 1 + random.below(12), queueLimit: 1 + random.below(6))
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
        return options
    }

    private static func policy(_ random: inout SeededRandom, stageCount: Int) -> (any BatchPolicy)? {
        switch random.below(3) {
        case 0: EvenBatchPolicy(prefillRowsBesideDecode: 1 + random.below(4))
        case 1: Requests.costPolicy(&random, stageCount: stageCount)
        default: nil
        }
    }

    private mutating func run() throws -> Outcome {
        let count = 2 + random.below(7)
        while pipeline.violation == nil, submitted.count < count || random.below(4) > 0 {
            try act(mostRequests: count)
        }
        pipeline.run()
        pipeline.checkQuiescence()
        let mishaps = pipeline.mishaps
        return Outcome(
            problem: pipeline.violation, answerCount: submitted.count { pipeline.completion($0) != nil },
            hadFaults: usesFaults && !(mishaps.failures.isEmpty && mishaps.lostStages.isEmpty))
    }

    /// Does one of the things that clients, disks, time or misfortune do.
    private mutating func act(mostRequests: Int) throws {
        switch random.below(40) {
        case 0..<6 where submitted.count < mostRequests:
            // Now and then several come at once, so that the waiting line fills.
            let burst = random.below(4) == 0 ? 2 + random.below(3) : 1
            for _ in 0..<min(burst, mostRequests - submitted.count) { try submit() }
        case 6 where !submitted.isEmpty:
            pipeline.cancel(submitted[random.below(submitted.count)])
        case 7 where losesStages:
            pipeline.lose(stage: random.below(options.stageCount))
            for _ in 0..<random.below(3) { _ = pipeline.step() }
            pipeline.stagesReady()
        case 8 where random.below(3) == 0:
            let disk = random.below(options.stageCount)
            pipeline.disks[disk].isFull.toggle()
            // What is lost before all stages have told of it, is told of nevertheless.
            let isWriting = pipeline.core.archive.save != nil
            if random.below(2) == 0, !isWriting { pipeline.disks[disk].parts = [:] }
        case 8:
            pipeline.wait(.seconds(random.below(70)))
        case 9 where options.archives:
            // Time for writing between requests.
            pipeline.run()
            for _ in 0..<4 {
                pipeline.wait(.seconds(2))
                pipeline.run()
            }
        default:
            for _ in 0..<random.below(12) { _ = pipeline.step() }
        }
    }

    private mutating func submit() throws {
        var request = Requests.random(UInt64(submitted.count + 1), &random, longestPrompt: options.window)
        if random.below(2) == 0 { Requests.restrict(&request, to: random.below(2) == 0 ? "gh" : "abc") }
        submitted.append(request.id)
        try pipeline.submitWatched(request)
    }
}
