import Foundation
import GGUF
import LlamaEngine
import ModelStore
import Serving
import Testing
import Vocabulary

extension `The engine` {
    /// What the brain does with sequences, on small models with every kind of cache: sliding windows, recurrent states,
    /// and recurrent states beside attention.
    ///
    /// Steps that are compared have fewer than 64 rows, so that attention takes the rows one by one over the cells in
    /// their order, and the bits do not depend on where in the cache a sequence lies.
    @Suite struct `Kinds of caches` {
        private static let kinds: [SynthesisArchitecture] = [.gemma3, .mamba, .jamba, .graniteHybrid]
        private static let prompt = tokens(50, by: 7)
        /// What goes behind a prompt.
        private static let rest = tokens(9, by: 11)

        private static func tokens(_ count: Int, by step: Int) -> [Token] { (1...count).map { Token($0 * step % 500) } }

        /// Makes stages of a model of the family, whose file is there as long as `body` runs. Windows are shorter than
        /// prompts.
        private static func withModel<Value>(
            _ architecture: SynthesisArchitecture, window: Int = 16, _ body: (() throws -> EngineStage) throws -> Value
        ) throws -> Value {
            let folder = FileManager.default.temporaryDirectory.appending(path: "skein-caches-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let path = folder.appending(path: "model.gguf").path
            var shape = ModelShape(architecture)
            shape.slidingWindow = window
            try ModelSynthesis.write(shape, seed: 7, to: path)
            let configuration = LlamaStageConfiguration(
                path: path, layers: LayerRange(first: 0, end: shape.layerCount), layerCount: shape.layerCount,
                recipe: .whole(width: shape.width),
                context: ContextOptions(cellCount: 512, laneCount: 4, rowLimit: 64))
            return try body { try EngineStage(configuration) }
        }

        /// Opens a lane and reads chunks into it, one behind the other. Answers the logits of the last row.
        @discardableResult
        private static func read(_ chunks: [Token]..., lane: UInt16, _ stage: EngineStage) throws -> [Float] {
            try stage.open(lane, .plain(Array(chunks.joined())))
            var (start, logits): (Int, [Float]) = (0, [])
            for chunk in chunks {
                logits = try stage.run(chunk, lane: lane, at: start)
                start += chunk.count
            }
            return logits
        }

        /// Opens a lane and copies the first `length` positions of another one.
        private static func copy(_ source: UInt16, to lane: UInt16, _ length: Int, _ stage: EngineStage) throws {
            try stage.open(lane, .plain(prompt))
            try stage.apply(.copy(from: Lane(source), to: Lane(lane), length: Int32(length)))
        }

        /// The logits of five rows together, and of single ones behind them.
        private static func goOn(_ stage: EngineStage, lane: UInt16, at start: Int) throws -> [[Float]] {
            var logits = [try stage.run(Array(rest.prefix(5)), lane: lane, at: start)]
            for index in 5..<rest.count {
                logits.append(try stage.run([rest[index]], lane: lane, at: start + index))
            }
            return logits
        }

        private static func areIdentical(_ left: [[Float]], _ right: [[Float]]) -> Bool {
            left.count == right.count && zip(left, right).allSatisfy { $0.isIdentical(to: $1) }
        }

        @Test(arguments: kinds)
        func `a whole copy goes on as its source would have, which goes on undisturbed`(
            architecture: SynthesisArchitecture
        ) throws {
            try Self.withModel(architecture) { make in
                let plain = try make()
                try Self.read(Self.prompt, lane: 0, plain)
                let expected = try Self.goOn(plain, lane: 0, at: Self.prompt.count)

                let stage = try make()
                try Self.read(Self.prompt, lane: 0, stage)
                try Self.copy(0, to: 1, Self.prompt.count, stage)
                try Self.copy(0, to: 2, Self.prompt.count, stage)
                for lane in [1, 0] as [UInt16] {
                    let logits = try Self.goOn(stage, lane: lane, at: Self.prompt.count)
                    #expect(Self.areIdentical(logits, expected), "lane \(lane)")
                }
                // The one that nobody went on with, copied again when its source is gone.
                try stage.apply(.free(lane: Lane(0)))
                try Self.copy(2, to: 3, Self.prompt.count, stage)
                let logits = try Self.goOn(stage, lane: 3, at: Self.prompt.count)
                #expect(Self.areIdentical(logits, expected))
            }
        }

        @Test(arguments: kinds)
        func `two answers to a prompt that was read once are those to one that was read twice`(
            architecture: SynthesisArchitecture
        ) throws {
            let shared = Array(Self.prompt.dropLast())
            let last = Self.prompt[shared.count]
            let answers = [Self.tokens(4, by: 13), Self.tokens(4, by: 17)].map { [last] + $0 }
            try Self.withModel(architecture) { make in
                func script(copies: Bool) throws -> [[Float]] {
                    let stage = try make()
                    try Self.read(shared, lane: 0, stage)
                    if copies {
                        try Self.copy(0, to: 1, shared.count, stage)
                    } else {
                        try Self.read(shared, lane: 1, stage)
                    }
                    var logits: [[Float]] = []
                    for step in answers[0].indices {
                        let rows = answers.enumerated().map { lane, answer in
                            StageRow(
                                lane: Lane(UInt16(lane)), position: Int32(shared.count + step), token: answer[step],
                                samples: true)
                        }
                        try stage.execute(rows)
                        logits += rows.indices.map { stage.logits(ofRow: $0) }
                    }
                    return logits
                }
                let (copied, readTwice) = (try script(copies: true), try script(copies: false))
                #expect(Self.areIdentical(copied, readTwice))
                // With their second tokens they part.
                #expect(!copied[2].isIdentical(to: copied[3]))
            }
        }

        @Test(arguments: kinds)
        func `a sequence that gave way is computed again as if for the first time, beside one that stayed`(
            architecture: SynthesisArchitecture
        ) throws {
            let journal = Self.prompt + Self.rest
            let neighbour = Self.tokens(20, by: 19)
            try Self.withModel(architecture) { make in
                let (fresh, alone, stage) = (try make(), try make(), try make())
                let expected = try Self.read(journal, lane: 0, fresh)
                try Self.read(neighbour, lane: 1, alone)
                let undisturbed = try Self.goOn(alone, lane: 1, at: neighbour.count)

                try Self.read(Self.prompt, lane: 0, stage)
                try Self.read(neighbour, lane: 1, stage)
                let before = try #require(try Self.goOn(stage, lane: 0, at: Self.prompt.count).last)
                try stage.apply(.free(lane: Lane(0)))
                let again = try Self.read(journal, lane: 0, stage)
                #expect(again.isIdentical(to: expected))
                // Rows that go together are rounded otherwise than those that went one by one.
                let range = try #require(before.max()) - (try #require(before.min()))
                let distance = again.distance(to: before)
                #expect(range > 0 && distance < range / 50, "\(distance) of \(range)")
                let logits = try Self.goOn(stage, lane: 1, at: neighbour.count)
                #expect(Self.areIdentical(logits, undisturbed))
            }
        }

        @Test(arguments: kinds)
        func `a sequence that was saved goes on bit for bit elsewhere`(architecture: SynthesisArchitecture) throws {
            try Self.withModel(architecture) { make in
                let first = try make()
                try Self.read(Self.prompt, lane: 0, first)
                let bytes = try first.engine.save(Lane(0))
                let expected = try Self.goOn(first, lane: 0, at: Self.prompt.count)

                let second = try make()
                try second.engine.restore(Lane(3), from: bytes)
                try Self.copy(3, to: 1, Self.prompt.count, second)
                let logits = try Self.goOn(second, lane: 1, at: Self.prompt.count)
                #expect(Self.areIdentical(logits, expected))
            }
        }

        @Test(arguments: [SynthesisArchitecture.mamba, .jamba, .graniteHybrid])
        func `a recurrent state forgets nothing but all of it`(architecture: SynthesisArchitecture) throws {
            try Self.withModel(architecture) { make in
                let stage = try make()
                try Self.read(Self.prompt, lane: 0, stage)
                #expect(throws: EngineError.self) { try stage.apply(.trim(lane: Lane(0), from: 40)) }
            }
        }

        // MARK: Windows

        @Test func `a window changes nothing before a prompt is longer`() throws {
            let short = Array(Self.prompt.prefix(16))
            let logits = try [16, 512].map { window in
                try Self.withModel(.gemma3, window: window) { make in
                    [try Self.read(short, lane: 0, try make()), try Self.read(Self.prompt, lane: 0, try make())]
                }
            }
            #expect(logits[0][0].isIdentical(to: logits[1][0]))
            #expect(!logits[0][1].isIdentical(to: logits[1][1]))
        }

        /// What follows the first 40 tokens, read by themselves.
        private static func behindBeginning(_ stage: EngineStage) throws -> [[Float]] {
            try read(Array(prompt.prefix(40)), lane: 0, stage)
            return try goOn(stage, lane: 0, at: 40)
        }

        @Test func `a windowed sequence gives a beginning whose window it has long left`() throws {
            try Self.withModel(.gemma3) { make in
                let stage = try make()
                try Self.read(Array(Self.prompt.prefix(40)), Self.tokens(40, by: 23), lane: 0, stage)
                try Self.copy(0, to: 1, 40, stage)
                let expected = try Self.behindBeginning(try make())
                let logits = try Self.goOn(stage, lane: 1, at: 40)
                #expect(Self.areIdentical(logits, expected))
            }
        }

        @Test func `a windowed sequence gives all of itself whoever came after it`() throws {
            try Self.withModel(.gemma3) { make in
                let stage = try Self.crowded(make)
                try Self.copy(0, to: 1, 80, stage)
                let fresh = try make()
                try Self.read(Array(Self.prompt.prefix(40)), Self.tokens(40, by: 23), lane: 0, fresh)
                let expected = try Self.goOn(fresh, lane: 0, at: 80)
                let logits = try Self.goOn(stage, lane: 1, at: 80)
                #expect(Self.areIdentical(logits, expected))
            }
        }

        /// A stage with 80 tokens in lane 0, and 80 of a stranger who came when cells in front of them were free.
        private static func crowded(_ make: () throws -> EngineStage) throws -> EngineStage {
            let stage = try make()
            try read(tokens(30, by: 29), lane: 2, stage)
            try read(Array(prompt.prefix(40)), tokens(40, by: 23), lane: 0, stage)
            try stage.apply(.free(lane: Lane(2)))
            try read(tokens(40, by: 31), tokens(40, by: 37), lane: 3, stage)
            return stage
        }

        /// The library puts rows into cells that the only sequence they belong to does not see any more, though others
        /// are empty (`llama_kv_cache::find_slot`): `WindowKeeper` gives them a second one.
        @Test func `a windowed sequence gives any beginning, whoever came after it`() throws {
            try Self.withModel(.gemma3) { make in
                let expected = try Self.behindBeginning(try make())
                let stage = try Self.crowded(make)
                try Self.copy(0, to: 1, 40, stage)
                let logits = try Self.goOn(stage, lane: 1, at: 40)
                #expect(Self.areIdentical(logits, expected))
            }
        }

        @Test func `what is taken back of a windowed sequence leaves it as if it had never been there`() throws {
            try Self.withModel(.gemma3) { make in
                let expected = try Self.behindBeginning(try make())
                let stage = try Self.crowded(make)
                try stage.apply(.trim(lane: Lane(0), from: 40))
                try Self.read(Self.tokens(30, by: 41), lane: 2, stage)
                let logits = try Self.goOn(stage, lane: 0, at: 40)
                #expect(Self.areIdentical(logits, expected))
            }
        }

        @Test func `cells behind windows are free when nobody has them any more`() throws {
            try Self.withModel(.gemma3) { make in
                let stage = try make()
                // Several times what there is room for.
                for round in 0..<20 {
                    let lane = Lane(UInt16(round % 4))
                    try Self.read(Self.tokens(40, by: 23 + round), Self.tokens(40, by: 61), lane: lane.index, stage)
                    if round % 2 == 0 { try stage.apply(.trim(lane: lane, from: 20)) }
                    try stage.apply(.free(lane: lane))
                }
            }
        }

        /// The library saves no cells behind the window, so such a model gives saved sequences whole (`RunnerPlan`).
        @Test func `a windowed sequence that was saved gives no beginning`() throws {
            try Self.withModel(.gemma3) { make in
                let expected = try Self.behindBeginning(try make())
                let first = try make()
                try Self.read(Array(Self.prompt.prefix(40)), Self.tokens(40, by: 23), lane: 0, first)
                let bytes = try first.engine.save(Lane(0))
                let stage = try make()
                try stage.engine.restore(Lane(3), from: bytes)
                try Self.copy(3, to: 1, 40, stage)
                let logits = try Self.goOn(stage, lane: 1, at: 40)
                #expect(!Self.areIdentical(logits, expected))
            }
        }
    }
}
