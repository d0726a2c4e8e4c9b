import GGUF
import Testing
import Vocabulary

@Suite struct `The search for cuts` {
    /// Families whose legality hangs on arrays that can be drawn at random.
    private func randomModel(_ random: inout SeededRandom) -> CutModel {
        let layers = 1 + random.below(9)
        func draw(_ values: [UInt32]) -> MetadataValue {
            list((0..<layers).map { _ in values[random.below(values.count)] })
        }
        switch random.below(7) {
        case 0: return CutModel("jamba", layers: layers, [("attention.head_count_kv", draw([0, 2]))])
        case 1: return CutModel("gemma2", layers: layers, [("attention.sliding_window_pattern", draw([0, 1]))])
        case 2:
            return CutModel(
                "nemotron_h", layers: layers,
                [("attention.head_count_kv", draw([0, 2])), ("feed_forward_length", draw([0, 0, 9]))])
        case 3: return CutModel("dots3note", layers: layers, [("attention.sliding_window_pattern", draw([0, 1]))])
        case 4:
            return CutModel(
                "glm5-next", layers: layers,
                [("attention.head_count_kv", draw([0, 2])), ("attention.indexer.types", draw([0, 1, 1]))])
        case 5:
            return CutModel(
                "gemma4", layers: layers,
                [
                    ("attention.sliding_window_pattern", draw([0, 1])),
                    ("attention.shared_kv_layers", .uint32(UInt32(random.below(3)))),
                ])
        default:
            return CutModel(
                "smallthinker", layers: layers + 4,
                [("attention.sliding_window", .uint32(9)), ("attention.head_count", draw([2]))])
        }
    }

    private func brute(_ cutter: ModelCutter) -> [Cut] {
        (0..<(1 << (cutter.layerCount - 1))).compactMap { mask in
            let boundaries = (1..<cutter.layerCount).filter { mask & (1 << ($0 - 1)) != 0 }
            guard let cut = Cut(layerCount: cutter.layerCount, boundaries: boundaries),
                (try? cutter.check(cut)) != nil
            else { return nil }
            return cut
        }
    }

    private func cost(_ cut: Cut) -> Int { cut.stages.reduce(0) { $0 + $1.count * $1.count } }

    @Test func `finds what trying everything finds`() throws {
        let seed = seedFromEnvironment()
        print("SEED=\(seed)")
        var random = SeededRandom(seed: seed)
        for _ in 0..<150 {
            let cutter = try randomModel(&random).cutter()
            let all = brute(cutter)
            #expect(cutter.legalBoundaries == Set(all.flatMap(\.boundaries)).sorted())
            #expect(cutter.possibleStageCounts == Set(all.map(\.stageCount)).union([1]).sorted())
            for count in 1...cutter.layerCount {
                let cuts = all.filter { $0.stageCount == count }
                    .sorted { $0.boundaries.lexicographicallyPrecedes($1.boundaries) }
                #expect(cutter.legalCuts(stageCount: count, limit: 1000) == cuts)
                #expect(cutter.legalCuts(stageCount: count, limit: 2) == Array(cuts.prefix(2)))
                let best = cuts.map(cost).min()
                let even = try? cutter.evenCut(stageCount: count)
                #expect(even == cuts.first { cost($0) == best })
            }
        }
    }

    @Test func `even cuts of plain models are even`() throws {
        let cutter = try CutModel("llama", layers: 64).cutter()
        #expect(try cutter.evenCut(stageCount: 8).boundaries == [8, 16, 24, 32, 40, 48, 56])
        #expect(try cutter.evenCut(stageCount: 3).boundaries == [21, 42])
        #expect(try cutter.evenCut(stageCount: 64).boundaries == Array(1..<64))
        // A last layer that weighs as much as eight others.
        let weights = Array(repeating: 10, count: 63) + [80]
        #expect(try cutter.evenCut(stageCount: 2, weights: weights).boundaries == [35])
    }

    @Test func `the deepest model of many stages is searched without trying all`() throws {
        let kv = (0..<512).map { UInt32($0 % 8 == 4 ? 2 : 0) }
        let cutter = try CutModel("jamba", layers: 512, [("attention.head_count_kv", list(kv))]).cutter()
        #expect(try cutter.evenCut(stageCount: 16).stages.map(\.count).max() == 32)
        #expect(cutter.legalCuts(stageCount: 32, limit: 5).count == 5)
        #expect(cutter.legalBoundaries == Array(5...508))
    }

    @Test func `too many stages are refused with what is possible`() throws {
        let cutter = try CutModel("smollm3").cutter()
        #expect(throws: CutError.tooManyStages(asked: 5, most: 3, possible: [1, 2, 3])) {
            try cutter.evenCut(stageCount: 5)
        }
        #expect(throws: CutError.tooManyStages(asked: 0, most: 3, possible: [1, 2, 3])) {
            try cutter.evenCut(stageCount: 0)
        }
        #expect(cutter.legalCuts(stageCount: 4, limit: 9) == [])
        let words = CutError.tooManyStages(asked: 2, most: 3, possible: [1, 3]).description
        #expect(words == "This model cannot be cut into 2 stages, only into 1, 3.")
    }
}
