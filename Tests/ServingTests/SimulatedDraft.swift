import ReferenceEngine
import Serving
import Vocabulary

/// A draft model for tests: as good or as bad as wanted.
struct SimulatedDraft {
    /// The seed of its weights: with that of the target it guesses what comes, with another it guesses at random.
    var modelSeed: UInt64
    /// What its steps cost.
    var costs: StepCosts?
    /// KV cells; nil has room for all lanes at their longest.
    var cellCount: Int?
    /// Rows per step.
    var rowLimit = 8
    /// What its work, and each answer of it, takes by the pipeline's clock; everything else there takes 100.
    var microseconds = 100
    /// Changes what it answers.
    var distort: (inout [DraftedLane], DraftWork) -> Void = { _, _ in }
    /// Errors in place of the work.
    var fault: (DraftWork) -> EngineError? = { _ in nil }

    /// Guesses of the model with these weights.
    init(modelSeed: UInt64) { self.modelSeed = modelSeed }

    /// Answers what a broken or malicious model might: too much, too little, of other lanes, tokens nobody knows.
    static func adversarial(seed: UInt64) -> SimulatedDraft {
        var draft = SimulatedDraft(modelSeed: 1)
        draft.isLiar = true
        draft.distort = { lanes, work in
            var random = SeededRandom(seed: seed &+ work.id)
            for index in lanes.indices {
                switch random.below(6) {
                case 0: lanes[index].tokens = []
                case 1: lanes[index].tokens.append(Token(100_000))
                case 2: lanes[index].tokens = [-1]
                case 3: lanes[index].tokens = lanes[index].tokens.map { ($0 + 1) % 250 }
                case 4: lanes[index].probabilities = [.nan, 2, -1]
                default:
                    lanes[index].tokens = (0..<40).map { _ in Token(random.below(250)) }
                    lanes[index].probabilities = Array(repeating: 1, count: 40)
                }
            }
            if random.below(4) == 0 { lanes.reverse() }
            if random.below(6) == 0 { lanes = [] }
            if random.below(6) == 0 { lanes.append(DraftedLane(lane: Lane(900), tokens: [1], probabilities: [1])) }
        }
        return draft
    }

    /// Whether it lies about what it holds.
    private var isLiar = false

    /// Whether its engine may refuse work.
    var mayFail: Bool { cellCount != nil || isLiar }

    func stage(_ options: LocalPipeline.Options) -> ReferenceStage {
        let lanes = options.laneCount + options.shelfCount
        let layers = LayerRange(first: 0, end: options.sizes.layerCount)
        return ReferenceStage(
            model: Models.model(options.sizes, modelSeed, layers),
            cellCount: cellCount ?? lanes * (options.window + 20), laneCount: lanes, rowLimit: rowLimit)
    }
}
