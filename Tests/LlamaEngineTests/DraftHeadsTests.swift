import Foundation
import GGUF
import ModelStore
import Serving
import Testing
import Vocabulary

@testable import LlamaEngine

extension `The engine` {
    @Suite struct `A model's own heads` {
        /// The built-in model as another family, with a trained head behind it.
        static let path = BuiltinModel.path.replacingOccurrences(of: "skein-tiny-q8_0", with: "skein-tiny-mtp-q8_0")

        private static let width = 6

        private static func stage(heads: Bool = true, lanes: Int = 4, cells: Int = 1024) throws -> EngineStage {
            var model = ModelOptions()
            model.loadsHeads = heads
            return try EngineStage(
                LlamaStageConfiguration(
                    path: path, layers: LayerRange(first: 0, end: 8), layerCount: 8, recipe: .whole(width: 256),
                    context: ContextOptions(cellCount: cells, laneCount: lanes, rowLimit: 128), model: model))
        }

        /// The model in stages, the last one with heads.
        private static func chain(_ boundaries: [Int], _ folder: URL) throws -> ([EngineStage], [PinnedFile]) {
            let cutter = try ModelFile(path: path).cutter()
            let cut = try #require(Cut(layerCount: cutter.layerCount, boundaries: boundaries))
            let cache = StageFileCache(folder: folder.path)
            var pins: [PinnedFile] = []
            let stages = try cut.stages.map { layers in
                let plan = try cutter.plan(layers, heads: true)
                let pin = try cache.materialise(plan, of: path, digest: "d")
                pins.append(pin)
                var model = ModelOptions()
                model.loadsHeads = layers.end == cutter.layerCount
                return try EngineStage(
                    LlamaStageConfiguration(
                        path: pin.path, layers: layers, layerCount: cutter.layerCount, recipe: plan.recipe,
                        context: ContextOptions(cellCount: 1024, laneCount: 4, rowLimit: 128), model: model))
            }
            return (stages, pins)
        }

        private static let questions = [
            "Count from 3 to 12.", "Say hello in three languages.", "Give me a list of five animals.",
        ]

        private static func prompt(_ question: String) throws -> [Token] {
            try BuiltinModel.tokens("<|im_start|>user\n\(question)<|im_end|>\n<|im_start|>assistant\n")
        }

        /// Runs rows through all stages; the output is the last one's.
        private static func execute(_ rows: [StageRow], _ stages: [EngineStage]) throws -> [SampledToken] {
            var activations: [Float] = []
            for stage in stages {
                try stage.execute(rows, activations: activations)
                activations = stage.output.activations
            }
            return stages.last?.output.samples ?? []
        }

        private static func apply(_ operation: SequenceOperation, _ stages: [EngineStage]) throws {
            for stage in stages { try stage.apply(operation) }
        }

        /// Guesses that were made, and right, by how far ahead.
        struct Tally {
            var made = [Int](repeating: 0, count: width)
            var right = [Int](repeating: 0, count: width)
            var share: Double { Double(right.reduce(0, +)) / Double(max(1, made.reduce(0, +))) }
        }

        /// Answers with windows of the heads' guesses.
        private static func answer(
            _ prompt: [Token], _ sampling: LaneSampling, count: Int, lane: UInt16 = 1, chunk: Int = 128,
            _ stages: [EngineStage], _ tally: inout Tally
        ) throws -> [Token] {
            let own = Lane(lane)
            try apply(.open(lane: own, sampling: sampling), stages)
            try apply(.guess(lane: own, GuessWish(width: width, floor: 0)), stages)
            let rows = EngineStage.rows(prompt, lane: lane)
            var samples: [SampledToken] = []
            for start in stride(from: 0, to: rows.count, by: chunk) {
                samples = try execute(Array(rows[start..<min(start + chunk, rows.count)]), stages)
            }
            var answer = samples.map(\.token)
            let tokenizer = LlamaTokenizer(try BuiltinModel.shared)
            // Behind the end of an answer nothing was learnt.
            while answer.count < count, !answer.contains(where: { tokenizer.endsGeneration($0) }) {
                let guesses = (samples.last?.guesses ?? []).prefix(count - answer.count - 1).map(\.token)
                let start = prompt.count + answer.count - 1
                samples = try execute(
                    ([answer[answer.count - 1]] + guesses).enumerated().map {
                        StageRow(lane: own, position: Int32(start + $0.offset), token: $0.element, samples: true)
                    }, stages)
                for (index, guess) in guesses.enumerated() where index < samples.count {
                    tally.made[index] += 1
                    if samples[index].token == guess { tally.right[index] += 1 }
                }
                answer += samples.map(\.token)
                try apply(.trim(lane: own, from: Int32(prompt.count + answer.count - 1)), stages)
            }
            try apply(.free(lane: own), stages)
            return answer
        }

        @Test(arguments: [0, 0.8] as [Float])
        func `change no token and are often right`(temperature: Float) throws {
            var tally = Tally()
            let stages = [try Self.stage()]
            for (index, question) in Self.questions.enumerated() {
                let prompt = try Self.prompt(question)
                let sampling = LaneSampling.plain(prompt, temperature: temperature, seed: UInt64(index))
                let truth = try EngineStage().answer(prompt, sampling, count: 24)
                let answer = try Self.answer(prompt, sampling, count: 24, stages, &tally)
                #expect(answer.count > 3)
                #expect(answer == Array(truth.prefix(answer.count)))
            }
            #expect(tally.share > 0.6, "\(tally)")
            #expect(tally.made.reduce(0, +) > 20)
        }

        @Test(arguments: [[4], [2, 5]])
        func `guess the same behind a cut model`(boundaries: [Int]) throws {
            let folder = FileManager.default.temporaryDirectory.appending(path: "skein-\(UUID())")
            defer { try? FileManager.default.removeItem(at: folder) }
            let (stages, pins) = try Self.chain(boundaries, folder)
            #expect(pins.count == boundaries.count + 1)
            let whole = [try Self.stage()]
            var (cut, uncut) = (Tally(), Tally())
            for question in Self.questions {
                let prompt = try Self.prompt(question)
                let sampling = LaneSampling.plain(prompt)
                let answer = try Self.answer(prompt, sampling, count: 24, stages, &cut)
                #expect(try Self.answer(prompt, sampling, count: 24, whole, &uncut) == answer)
            }
            #expect(cut.made == uncut.made)
            #expect(cut.right == uncut.right)
        }

        @Test func `guess the same when a prompt comes in chunks`() throws {
            let prompt = try Self.prompt("Give me a list of five animals, then count from 3 to 12.")
            let sampling = LaneSampling.plain(prompt)
            let stages = [try Self.stage()]
            var (whole, parts) = (Tally(), Tally())
            let answer = try Self.answer(prompt, sampling, count: 24, stages, &whole)
            #expect(try Self.answer(prompt, sampling, count: 24, chunk: 5, stages, &parts) == answer)
            #expect(whole.made == parts.made)
            #expect(whole.right == parts.right)
        }

        @Test func `guess for several lanes what they guess for each`() throws {
            let prompts = try Self.questions.map(Self.prompt)
            func guesses(_ lanes: [Int]) throws -> [[Token]] {
                let stage = try Self.stage()
                for lane in lanes {
                    try stage.open(UInt16(lane), .plain(prompts[lane]))
                    try stage.apply(.guess(lane: Lane(UInt16(lane)), GuessWish(width: 4, floor: 0)))
                }
                try stage.execute(lanes.flatMap { EngineStage.rows(prompts[$0], lane: UInt16($0)) })
                return stage.output.samples.map { $0.guesses.map(\.token) }
            }
            let together = try guesses([0, 1, 2])
            #expect(together.map(\.count) == [4, 4, 4])
            for lane in 0..<3 { #expect(try guesses([lane]) == [together[lane]]) }
        }

        @Test func `guess only where and as long as it is wished, and end at the floor`() throws {
            let prompt = try Self.prompt(Self.questions[1])
            func guesses(_ wish: GuessWish?) throws -> [TokenGuess] {
                let stage = try Self.stage()
                try stage.open(0, .plain(prompt))
                try stage.apply(.guess(lane: Lane(0), wish))
                try stage.run(prompt)
                return stage.output.samples[0].guesses
            }
            #expect(try guesses(nil).isEmpty)
            #expect(try guesses(GuessWish(width: 0, floor: 0)).isEmpty)
            let all = try guesses(GuessWish(width: 8, floor: 0))
            #expect(all.count == 8)
            #expect(all.allSatisfy { (0...1).contains($0.probability) })
            // The guess behind which the chance of all falls below the floor is the last one.
            let floor: Float = 0.9
            var chance: Float = 1
            let expected = all.firstIndex { guess in
                chance *= guess.probability
                return chance < floor
            }
            #expect(try guesses(GuessWish(width: 8, floor: floor)).count == expected.map { $0 + 1 } ?? 8)
        }

        @Test func `know what a lane copied, and guess on from there`() throws {
            let prompt = try Self.prompt("Give me a list of five animals, then count from 3 to 12.")
            let shared = prompt.count - 4
            let stage = try Self.stage()
            let wish = GuessWish(width: 4, floor: 0)
            try stage.open(0, .plain(prompt))
            try stage.apply(.guess(lane: Lane(0), wish))
            try stage.run(prompt)
            let first = stage.output.samples[0]
            try stage.open(1, .plain(prompt))
            try stage.apply(.copy(from: Lane(0), to: Lane(1), length: Int32(shared)))
            try stage.apply(.guess(lane: Lane(1), wish))
            try stage.run(Array(prompt[shared...]), lane: 1, at: shared)
            let second = stage.output.samples[0]
            #expect(second.token == first.token)
            #expect(second.guesses.map(\.token) == first.guesses.map(\.token))
        }

        @Test func `read along in batches while nothing is wished, and guess as well afterwards`() throws {
            let prompt = try Self.prompt(Self.questions[0])
            let count = 90
            let sampling = LaneSampling.plain(prompt)
            func last(_ wish: GuessWish) throws -> [Token] {
                let stage = try Self.stage()
                try stage.open(0, sampling)
                try stage.apply(.guess(lane: Lane(0), wish))
                try stage.run(prompt)
                for index in 0..<count {
                    if index == count - 1 {
                        try stage.apply(.guess(lane: Lane(0), GuessWish(width: 4, floor: 0)))
                    }
                    try stage.run([stage.output.samples[0].token], at: prompt.count + index)
                }
                return stage.output.samples[0].guesses.map(\.token)
            }
            let found = try last(GuessWish(width: 0, floor: 0))
            #expect(found.count == 4)
            #expect(found == (try last(GuessWish(width: 1, floor: 0))))
        }

        @Test func `change no logit of the model`() throws {
            let prompt = try Self.prompt(Self.questions[2])
            let (with, without) = (try Self.stage(), try Self.stage(heads: false))
            for stage in [with, without] { try stage.open(0, .plain(prompt)) }
            try with.apply(.guess(lane: Lane(0), GuessWish(width: 4, floor: 0)))
            var token: Token = 0
            for index in 0..<12 {
                let rows = index == 0 ? prompt : [token]
                let start = index == 0 ? 0 : prompt.count + index - 1
                let logits = try without.run(rows, at: start)
                #expect(try with.run(rows, at: start).distance(to: logits) < 1e-3)
                token = without.output.samples[0].token
            }
        }

        @Test func `go without guesses while they have no room, however often that happens`() throws {
            var options = ModelOptions()
            options.loadsHeads = true
            let model = SharedModel(try LlamaModel(path: Self.path, options: options))
            let context = ContextOptions(cellCount: 256, laneCount: 2, rowLimit: 128)
            let target = try LlamaContext(model: model, options: context, recipe: .whole(width: 256))
            let heads = try DraftHeads(beside: target, options: context, cellCount: 256)
            let samplers: [LaneSampler?] = try (0..<2).map { _ in try LaneSampler(.plain([5]), model: model.model) }
            var candidates = CandidateBuffer(vocabularySize: model.model.vocabularySize)
            let hidden = [Float](repeating: 0.1, count: 256)
            func guesses(_ index: UInt16, length: Int32) -> Int {
                let lane = Lane(index)
                heads.apply(.open(lane: lane, sampling: .plain([5])))
                heads.apply(.guess(lane: lane, GuessWish(width: 2, floor: 0)))
                heads.begin()
                for position in 0..<length {
                    hidden.withUnsafeBufferPointer {
                        heads.read(StageRow(lane: lane, position: position, token: 5, samples: false), hidden: $0)
                    }
                }
                var samples = [SampledToken(lane: lane, position: length, token: 7)]
                heads.sampled(samples[0], at: 0)
                heads.guess(&samples, samplers, &candidates)
                return samples[0].guesses.count
            }
            #expect(guesses(0, length: 100) == 2)
            for _ in 0..<8 { #expect(guesses(1, length: 300) == 0) }
            #expect(guesses(0, length: 100) == 2)
        }

        @Test func `have room for a row of each of many lanes`() throws {
            // The library ends the process when a batch is smaller than that.
            let stage = try Self.stage(lanes: 200)
            let hasHeads = stage.engine.hasHeads
            #expect(hasHeads)
        }
    }
}
