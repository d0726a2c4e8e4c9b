import GGUF
import Serving
import Testing
import Vocabulary

@testable import LlamaEngine

extension `The engine` {
    @Suite struct `What attention sees of the cells` {
        private static func stage(_ types: [CacheFormat] = [.f16, .f16], isOff: Bool) throws -> EngineStage {
            let stage = try EngineStage(
                LlamaStageConfiguration(
                    path: BuiltinModel.path, layers: LayerRange(first: 0, end: 8), layerCount: 8,
                    recipe: try BuiltinModel.cutter().wholeRecipe,
                    context: ContextOptions(
                        cellCount: 2048, laneCount: 4, rowLimit: 128, threads: 2, keyType: types[0], valueType: types[1]
                    )))
            stage.engine.context.hooks?.window.isOff = isOff
            // Of few rows it leaves nothing to the library.
            stage.leaveAttentionToLibrary()
            return stage
        }

        private static func hidden(_ stage: EngineStage) -> Int { stage.engine.context.hooks?.window.hiddenCells ?? -1 }

        private static func text(_ count: Int) throws -> [Token] {
            let tokens = try BuiltinModel.tokens("Once upon a time a goose led its flock over the sea, and then ")
            return (0..<count).map { tokens[$0 % tokens.count] }
        }

        /// Fills a lane in chunks, rows that nobody looks at.
        private static func fill(_ stage: EngineStage, lane: UInt16, count: Int) throws {
            let text = try text(count)
            try stage.open(lane, .plain(text))
            for start in stride(from: 0, to: count, by: 128) {
                try stage.run(Array(text[start..<min(count, start + 128)]), lane: lane, at: start)
            }
        }

        /// What three lanes answer whose cells lie behind each other, one at a time and together, over and over.
        private static func script(_ stage: EngineStage) throws -> (logits: [[Float]], hidden: Set<Int>) {
            var (logits, hidden): ([[Float]], Set<Int>) = ([], [])
            let counts = [300, 520, 390]
            for lane in counts.indices { try fill(stage, lane: UInt16(lane), count: counts[lane]) }
            let text = try text(700)
            var lengths = counts
            for round in 0..<4 {
                for lane in counts.indices {
                    // A chunk that attention computes in tiles, then a row by itself.
                    for count in round == 1 ? [70, 1] : [1] {
                        let tokens = Array(text[lengths[lane]..<lengths[lane] + count])
                        logits.append(try stage.run(tokens, lane: UInt16(lane), at: lengths[lane]))
                        lengths[lane] += count
                        hidden.insert(Self.hidden(stage))
                    }
                }
                for pair in [[0, 1], [0, 1, 2]] {
                    try stage.execute(
                        pair.map { lane in
                            StageRow(
                                lane: Lane(UInt16(lane)), position: Int32(lengths[lane]), token: text[lengths[lane]],
                                samples: true)
                        })
                    for (row, lane) in pair.enumerated() {
                        logits.append(stage.logits(ofRow: row))
                        lengths[lane] += 1
                    }
                    hidden.insert(Self.hidden(stage))
                }
            }
            return (logits, hidden)
        }

        @Test(arguments: [[CacheFormat.f16, .f16], [.q8_0, .q8_0], [.f32, .f32], [.f32, .f16]])
        func `leaves out other lanes' cells and keeps every bit`(types: [CacheFormat]) throws {
            let plain = try Self.script(try Self.stage(types, isOff: true))
            let windowed = try Self.script(try Self.stage(types, isOff: false))
            #expect(plain.hidden == [0])
            #expect(windowed.hidden.isSuperset(of: [256, 768]) && windowed.hidden.contains(0))
            #expect(plain.logits.count == windowed.logits.count)
            #expect(zip(plain.logits, windowed.logits).allSatisfy { $0.isIdentical(to: $1) })
        }

        @Test func `is the same for rows that go through the layers bit by bit`() throws {
            func layered(isOff: Bool) throws -> (logits: [Float], hidden: Int) {
                let stage = try Self.stage(isOff: isOff)
                try Self.fill(stage, lane: 0, count: 600)
                let text = try Self.text(228)
                try stage.open(1, .plain(text))
                try stage.run(Array(text.prefix(100)), lane: 1)
                let rows = EngineStage.rows(Array(text[100...]), lane: 1, at: 100)
                while try !stage.engine.advance(rows, activations: [Float]().span, for: .zero, into: &stage.output) {
                    // The others' cells lie on both sides of the rows' own.
                    try stage.run([text[0]], lane: 0, at: 600)
                    try stage.apply(.trim(lane: Lane(0), from: 600))
                }
                return (stage.logits(ofRow: rows.count - 1), Self.hidden(stage))
            }
            let (plain, windowed) = (try layered(isOff: true), try layered(isOff: false))
            #expect(plain.hidden == 0 && windowed.hidden >= 512)
            #expect(plain.logits.isIdentical(to: windowed.logits))
        }

        /// Another lane's rows come between the chunks of a prompt, and its cells behind those of the prompt.
        @Test func `is short for a long prompt whose cells are kept for it`() throws {
            let stage = try Self.stage(isOff: false)
            let text = try Self.text(1500)
            try stage.open(0, .plain(text))
            try stage.open(1, .plain(Array(text.prefix(710))))
            for start in stride(from: 0, to: 640, by: 80) {
                let rows = EngineStage.rows(Array(text[start..<start + 80]), lane: 1, at: start)
                while try !stage.engine.advance(rows, activations: [Float]().span, for: .zero, into: &stage.output) {}
                try stage.run(Array(text[start..<start + 80]), lane: 0, at: start)
            }
            try stage.run(Array(text[640..<710]), lane: 1, at: 640)
            // The first of the other lane's rows may lie between.
            #expect(Self.hidden(stage) >= 512)
        }
    }
}
