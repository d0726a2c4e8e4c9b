import Foundation
import GGUF
import LlamaEngine
import Serving
import Testing
import Vocabulary

extension `The engine` {
    @Suite struct `A prompt that goes through the layers bit by bit` {
        private static func stage() throws -> EngineStage {
            let recipe = try BuiltinModel.cutter().wholeRecipe
            return try EngineStage(
                LlamaStageConfiguration(
                    path: BuiltinModel.path, layers: LayerRange(first: 0, end: 8), layerCount: 8, recipe: recipe,
                    context: ContextOptions(cellCount: 1024, laneCount: 4, rowLimit: 128, threads: 2)))
        }

        /// What comes into a first stage.
        private static let none: [Float] = []

        private static func text() throws -> [Token] {
            let tokens = try BuiltinModel.tokens(
                "Once upon a time there was a goose that led its flock over the sea, and when the wind grew strong ")
            return Array(repeatElement(tokens, count: 12).joined())
        }

        /// Prefills in chunks of 96 rows and answers the logits of the last row, and of eight rows that follow.
        private static func script(
            _ stage: EngineStage, _ prompt: [Token], run: (EngineStage, [StageRow]) throws -> Void
        ) throws -> [[Float]] {
            var logits: [[Float]] = []
            try stage.open(1, .plain(prompt))
            for start in stride(from: 0, to: prompt.count, by: 96) {
                let end = min(prompt.count, start + 96)
                var rows = EngineStage.rows(Array(prompt[start..<end]), lane: 1, at: start)
                if end < prompt.count { rows[rows.count - 1].samples = false }
                try run(stage, rows)
                if end == prompt.count { logits.append(stage.logits(ofRow: rows.count - 1)) }
            }
            for step in 0..<8 {
                let token = try #require(logits.last).argmax
                logits.append(try stage.run([token], lane: 1, at: prompt.count + step))
            }
            return logits
        }

        /// Other lanes come, go on and go in between.
        private static func disturb(_ stage: EngineStage, _ count: inout Int, _ text: [Token]) throws {
            if count % 5 == 0 {
                try stage.apply(.free(lane: Lane(2)))
                try stage.open(2, .plain(text))
            }
            let at = count % 5 * 3
            try stage.run(Array(text[at..<at + 3]), lane: 2, at: at)
            count += 1
        }

        /// The script with prompts that go through the layers for `duration` at a time, and how often they stopped.
        private static func layered(
            _ prompt: [Token], for duration: Duration, isDisturbed: Bool = false
        ) throws -> (logits: [[Float]], stops: Int) {
            let stage = try stage()
            let canPause = stage.engine.canPause
            #expect(canPause)
            var (disturbances, stops) = (0, 0)
            let logits = try script(stage, prompt) { stage, rows in
                while try !stage.engine.advance(rows, activations: none.span, for: duration, into: &stage.output) {
                    stops += 1
                    if isDisturbed { try disturb(stage, &disturbances, prompt) }
                }
                #expect(stage.output.samples.count == (rows.last?.samples == true ? 1 : 0))
            }
            return (logits, stops)
        }

        @Test(arguments: [0, 700])
        func `has the bits of one that goes at once`(microseconds: Int) throws {
            let prompt = try Self.text()
            let whole = try Self.script(try Self.stage(), prompt) { try $0.execute($1) }
            let layered = try Self.layered(prompt, for: .microseconds(microseconds))
            #expect(layered.logits.count == whole.count)
            #expect(zip(layered.logits, whole).allSatisfy { $0.isIdentical(to: $1) })
            // No time is one layer; the last part has the last layer and what is behind it.
            #expect(microseconds > 0 ? layered.stops > 0 : layered.stops == (prompt.count + 95) / 96 * 7)
        }

        @Test func `is not disturbed by lanes that come and go between its layers`() throws {
            let prompt = try Self.text()
            // Its cells are kept for it, so they lie as they would if it were alone.
            let whole = try Self.script(try Self.stage(), prompt) { try $0.execute($1) }
            let layered = try Self.layered(prompt, for: .zero, isDisturbed: true).logits
            #expect(zip(layered, whole).allSatisfy { $0.isIdentical(to: $1) })
        }

        /// Between layers a chunk has its cells twice, and what is kept for the rest of the prompt would be in the way.
        @Test func `goes through in a pool that hardly holds it, others beside it`() throws {
            let recipe = try BuiltinModel.cutter().wholeRecipe
            let stage = try EngineStage(
                LlamaStageConfiguration(
                    path: BuiltinModel.path, layers: LayerRange(first: 0, end: 8), layerCount: 8, recipe: recipe,
                    context: ContextOptions(cellCount: 512, laneCount: 4, rowLimit: 128, threads: 2)))
            let text = try Self.text()
            let prompt = Array(text.prefix(1) + text.prefix(255))
            try stage.open(1, .plain(prompt))
            try stage.open(2, .plain(text))
            var at = 0
            for start in stride(from: 0, to: 256, by: 64) {
                let rows = EngineStage.rows(Array(prompt[start..<start + 64]), lane: 1, at: start)
                while try !stage.engine.advance(rows, activations: Self.none.span, for: .zero, into: &stage.output) {
                    guard at < 192 else { continue }
                    try stage.run(Array(text[at..<at + 12]), lane: 2, at: at)
                    at += 12
                }
            }
            #expect(at == 192)
            // 448 cells are in use; so nothing is kept any more.
            try stage.run(Array(text[at..<at + 64]), lane: 2, at: at)
        }

        @Test func `ends with its lane, and leaves no cells behind`() throws {
            let prompt = try Self.text()
            let stage = try Self.stage()
            let rows = EngineStage.rows(Array(prompt.prefix(96)), lane: 1)
            for _ in 0..<40 {
                try stage.open(1, .plain(prompt))
                let isThrough = try stage.engine.advance(
                    rows, activations: Self.none.span, for: .zero, into: &stage.output)
                #expect(!isThrough)
                _ = try stage.engine.advance(
                    rows, activations: Self.none.span, for: .zero, into: &stage.output)
                try stage.apply(.free(lane: Lane(1)))
            }
            // 40 times 96 rows, and as many spare ones, are more than the 1,024 cells there are.
            try stage.open(0, .plain(prompt))
            for start in stride(from: 0, to: 960, by: 96) {
                let tokens = (0..<96).map { prompt[(start + $0) % prompt.count] }
                try stage.run(tokens, lane: 0, at: start)
            }
        }

        @Test(arguments: [[4], [3, 6], [1, 2, 5]])
        func `has its bits in stages, too, each of which stops behind every layer`(cut: [Int]) throws {
            let folder = FileManager.default.temporaryDirectory.appending(path: "skein-chain-\(UUID().uuidString)")
            defer { try? FileManager.default.removeItem(at: folder) }
            let prompt = try Self.text()
            var stops: [Int: Int] = [:]
            func script(isLayered: Bool) throws -> [[Float]] {
                let (stages, pins) = try EngineStage.chain(cut, folder)
                defer { withExtendedLifetime(pins) {} }
                for stage in stages { try stage.open(1, .plain(prompt)) }
                return try stride(from: 0, to: prompt.count, by: 96).map { start in
                    let chunk = Array(prompt[start..<min(prompt.count, start + 96)])
                    let rows = EngineStage.rows(chunk, lane: 1, at: start)
                    var activations: [Float] = []
                    for (index, stage) in stages.enumerated() {
                        if isLayered {
                            while try !stage.engine.advance(
                                rows, activations: activations.span, for: .zero, into: &stage.output)
                            {
                                stops[index, default: 0] += 1
                            }
                        } else {
                            try stage.execute(rows, activations: activations)
                        }
                        activations = stage.output.activations
                    }
                    return try #require(stages.last).logits(ofRow: rows.count - 1)
                }
            }
            let whole = try script(isLayered: false)
            let layered = try script(isLayered: true)
            #expect(zip(layered, whole).allSatisfy { $0.isIdentical(to: $1) })
            let ends = [0] + cut + [8]
            for (index, (first, end)) in zip(ends, ends.dropFirst()).enumerated() {
                #expect(stops[index, default: 0] == (end - first - 1) * whole.count)
            }
        }

        @Test func `a model without a recipe for it is refused`() throws {
            let stage = try EngineStage()
            let canPause = stage.engine.canPause
            #expect(!canPause)
            try stage.open(0, .plain([1, 2]))
            #expect(throws: EngineError.self) {
                _ = try stage.engine.advance(
                    EngineStage.rows([1, 2]), activations: Self.none.span, for: .zero, into: &stage.output)
            }
        }
    }
}
