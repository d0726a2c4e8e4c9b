import CLlama
import CLlamaExtras
import Foundation
import GGUF
import LlamaEngine
import ModelStore
import Serving
import Testing
import Vocabulary

extension `The engine` {
    @Suite struct `Its stages` {
        private static let prompts = ["Hello! What is 12 plus 7?", "Once upon a time"]

        /// Runs the rows through the stages; the last one's logits of the rows that sample.
        private static func run(_ rows: [StageRow], _ chain: [EngineStage]) throws -> [[Float]] {
            var activations: [Float] = []
            for stage in chain {
                try stage.execute(rows, activations: activations)
                activations = stage.output.activations
            }
            let last = try #require(chain.last)
            return rows.indices.filter { rows[$0].samples }.map { last.logits(ofRow: $0) }
        }

        /// Two lanes, one in one chunk and one in three, then eight tokens of both together.
        private static func script(_ chain: [EngineStage]) throws -> (logits: [[Float]], tokens: [Token]) {
            var logits: [[Float]] = []
            var tokens: [Token] = []
            let prompts = try prompts.map { try BuiltinModel.tokens($0) }
            for (lane, prompt) in prompts.enumerated() {
                for stage in chain {
                    try stage.apply(.open(lane: Lane(UInt16(lane)), sampling: .plain(prompt)))
                }
                let chunk = lane == 0 ? prompt.count : prompt.count / 3 + 1
                for start in stride(from: 0, to: prompt.count, by: chunk) {
                    let part = Array(prompt[start..<min(prompt.count, start + chunk)])
                    logits += try run(EngineStage.rows(part, lane: UInt16(lane), at: start), chain)
                }
                tokens.append(try #require(logits.last).argmax)
            }
            for step in 0..<8 {
                let rows = prompts.enumerated().map { lane, prompt in
                    StageRow(
                        lane: Lane(UInt16(lane)), position: Int32(prompt.count + step),
                        token: tokens[tokens.count - 2 + lane], samples: true)
                }
                let step = try run(rows, chain)
                logits += step
                tokens += step.map(\.argmax)
            }
            return (logits, tokens)
        }

        @Test(arguments: [[4], [1], [7], [2, 5], [1, 2, 3, 4, 5, 6, 7]])
        func `a chain of stages computes the same bits as the whole model`(boundaries: [Int]) throws {
            let folder = FileManager.default.temporaryDirectory.appending(path: "skein-chain-\(UUID().uuidString)")
            defer { try? FileManager.default.removeItem(at: folder) }
            let (chain, pins) = try EngineStage.chain(boundaries, folder)
            defer { withExtendedLifetime(pins) {} }
            let whole = try Self.script([try EngineStage()])
            let staged = try Self.script(chain)
            #expect(staged.tokens == whole.tokens)
            #expect(staged.logits.count == whole.logits.count)
            #expect(zip(staged.logits, whole.logits).allSatisfy { $0.isIdentical(to: $1) })
            #expect(whole.logits.allSatisfy { $0.count == 4096 })
        }

        /// A stage that has read sixty tokens in each of `lanes`, every lane from another place of the text.
        private static func stage(reading text: [Token], _ lanes: Range<UInt16>) throws -> EngineStage {
            let stage = try EngineStage(lanes: 12, threads: 2)
            for lane in lanes {
                try stage.open(lane, .plain(text))
                try stage.run(Array(text[Int(lane)..<Int(lane) + 60]), lane: lane)
            }
            return stage
        }

        /// The logits of each lane's next row, all in one step.
        private static func next(_ text: [Token], _ lanes: Range<UInt16>, _ stage: EngineStage) throws -> [[Float]] {
            let rows = lanes.map {
                StageRow(lane: Lane($0), position: 60, token: text[Int($0) + 60], samples: true)
            }
            return try run(rows, [stage])
        }

        @Test func `a row is computed as if it were alone`() throws {
            let text = try BuiltinModel.tokens(
                String(repeating: "The fox asked the goose what 3 plus 4 is. ", count: 20))
            let all: Range<UInt16> = 0..<11
            let alone = try all.map { lane in
                try Self.next(text, lane..<lane + 1, try Self.stage(reading: text, lane..<lane + 1))[0]
            }
            // Where weights are not multiplied by strips, it holds for steps of up to seven rows.
            let whole = extras_multiplies_by_strips(GGML_TYPE_Q8_0.rawValue) && !WeightPacking.usesTiles ? [all] : []
            for lanes in [0..<7, 4..<11, 0..<2] + whole as [Range<UInt16>] {
                let together = try Self.next(text, lanes, try Self.stage(reading: text, lanes))
                #expect(zip(lanes, together).allSatisfy { alone[Int($0)].isIdentical(to: $1) })
            }
            // More than 512 cells are in use now: the library would share a single row's among its threads.
            let crowded = try Self.stage(reading: text, all)
            let differing = try all.filter { lane in
                !(try Self.next(text, lane..<lane + 1, crowded)[0].isIdentical(to: alone[Int(lane)]))
            }
            #expect(differing == [])
        }

        @Test func `freed cells are used again`() throws {
            let stage = try EngineStage(lanes: 2, cells: 256)
            let prompt = (0..<100).map { Token($0 + 100) }
            let first = try stage.answer(prompt, .plain(prompt), count: 3)
            // Without freeing, ten lanes of 102 cells would not fit.
            for _ in 0..<10 { #expect(try stage.answer(prompt, .plain(prompt), count: 3, lane: 1) == first) }
        }

        @Test func `no room for more rows is told, and the engine goes on as if nothing was asked`() throws {
            let stage = try EngineStage(lanes: 2, cells: 256)
            let cells = stage.engine.shape.cellCount
            let prompt = (0..<120).map { Token($0 + 100) }
            for lane in 0..<2 as Range<UInt16> { try stage.open(lane, .plain(prompt)) }
            var held = 0
            while held + prompt.count <= cells {
                try stage.run(prompt, lane: 0, at: held)
                held += prompt.count
            }
            do throws(EngineError) {
                try stage.engine.execute(
                    EngineStage.rows(prompt, lane: 1), activations: [Float]().span, into: &stage.output)
                Issue.record("\(held + prompt.count) rows fit into \(cells) cells")
            } catch {
                #expect(error == .outOfCells(rows: prompt.count, cellCount: cells))
            }
            let after = try stage.run([5], lane: 0, at: held)
            let other = try EngineStage(lanes: 2, cells: 256)
            try other.open(0, .plain(prompt))
            for start in stride(from: 0, to: held, by: prompt.count) { try other.run(prompt, at: start) }
            #expect(after.distance(to: try other.run([5], at: held)) < 1e-3)
            try stage.apply(.free(lane: Lane(0)))
            try stage.run(prompt, lane: 1)
            #expect(stage.output.samples.count == 1)
        }

        @Test func `a trimmed lane goes on as if the rest had never been`() throws {
            let kept = try BuiltinModel.tokens("The capital of France is")
            let dropped = try BuiltinModel.tokens(" a question for another day, said the teacher.")
            let added = try BuiltinModel.tokens(" a city")
            let stage = try EngineStage()
            try stage.open(0, .plain(kept))
            try stage.run(kept + dropped)
            try stage.apply(.trim(lane: Lane(0), from: Int32(kept.count)))
            let trimmed = try stage.run(added, at: kept.count)
            try stage.open(1, .plain(kept))
            try stage.run(kept, lane: 1)
            let fresh = try stage.run(added, lane: 1, at: kept.count)
            #expect(trimmed.argmax == fresh.argmax)
            #expect(trimmed.distance(to: fresh) < 1e-3)
        }

        @Test func `a trimmed lane's sampler forgets what the lane forgets`() throws {
            let kept = try BuiltinModel.tokens("The capital of France is")
            let stage = try EngineStage()
            var sampling = LaneSampling.plain(kept)
            try stage.open(0, sampling)
            let first = try stage.run(kept).argmax
            try stage.apply(.free(lane: Lane(0)))
            // The penalty makes the sampler's choice depend on whether it still counts the dropped tokens.
            sampling.parameters.frequencyPenalty = 2
            try stage.open(0, sampling)
            try stage.run(kept)
            try stage.run([Token](repeating: first, count: 20), at: kept.count)
            try stage.apply(.trim(lane: Lane(0), from: Int32(kept.count - 1)))
            try stage.run([kept[kept.count - 1]], at: kept.count - 1)
            #expect(stage.output.samples.first?.token == first)
        }

        @Test func `a copied lane goes on like the one it came from`() throws {
            let prompt = try BuiltinModel.tokens("Once upon a time there was a")
            let stage = try EngineStage()
            var sampling = LaneSampling.plain(prompt)
            // With penalties the histories must be the same too.
            sampling.parameters.repeatPenalty = 1.5
            try stage.open(0, sampling)
            try stage.run(prompt)
            var token = try #require(stage.output.samples.first).token
            try stage.open(2, sampling)
            try stage.apply(.copy(from: Lane(0), to: Lane(2), length: Int32(prompt.count)))
            for step in 0..<12 {
                let rows = ([0, 2] as [UInt16]).map {
                    StageRow(lane: Lane($0), position: Int32(prompt.count + step), token: token, samples: true)
                }
                try stage.execute(rows)
                let samples = stage.output.samples
                #expect(samples.map(\.lane) == [Lane(0), Lane(2)])
                #expect(samples[0].token == samples[1].token)
                #expect(stage.logits(ofRow: 0).distance(to: stage.logits(ofRow: 1)) < 1e-3)
                token = samples[0].token
            }
            // The copy does not depend on the original.
            try stage.apply(.free(lane: Lane(0)))
            try stage.run([token], lane: 2, at: prompt.count + 12)
            #expect(stage.output.samples.count == 1)
        }

        @Test func `rows outside the stage's shape are refused by field`() throws {
            let stage = try EngineStage(lanes: 2, rows: 16)
            func refusal(_ rows: [StageRow]) -> EngineError? {
                do throws(EngineError) {
                    try stage.engine.execute(rows, activations: [Float]().span, into: &stage.output)
                    return nil
                } catch {
                    return error
                }
            }
            func row(lane: UInt16 = 0, position: Int32 = 0, token: Token = 1) -> StageRow {
                StageRow(lane: Lane(lane), position: position, token: token, samples: false)
            }
            #expect(refusal([]) == .invalidRow(field: "rows", value: 0, limit: 16))
            let many = (0..<17).map { row(position: $0) }
            #expect(refusal(many) == .invalidRow(field: "rows", value: 17, limit: 16))
            #expect(refusal([row(lane: 2)]) == .invalidRow(field: "lane", value: 2, limit: 1))
            #expect(refusal([row(position: -1)]) == .invalidRow(field: "position", value: -1, limit: 0))
            #expect(refusal([row(token: 4096)]) == .invalidRow(field: "token", value: 4096, limit: 4095))
            #expect(refusal([row(token: -1)]) == .invalidRow(field: "token", value: -1, limit: 4095))
            #expect(throws: EngineError.invalidRow(field: "lane", value: 9, limit: 1)) {
                try stage.apply(.free(lane: Lane(9)))
            }
            #expect(refusal([row()]) == nil)
        }
    }
}
