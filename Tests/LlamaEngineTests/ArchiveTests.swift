import LlamaEngine
import Serving
import Testing
import Vocabulary

extension `The engine` {
    @Suite struct `Saved sequences` {
        private static let text = "Once upon a time a goose flew over the river and looked for a place to rest."

        @Test func `a restored sequence goes on bit for bit, in another context and another lane`() throws {
            let prompt = try BuiltinModel.tokens(Self.text)
            let first = try EngineStage()
            try first.open(1, .plain(prompt))
            try first.run(prompt, lane: 1)
            let next = try #require(first.output.samples.first).token
            let bytes = try first.engine.save(Lane(1))
            let expected = try first.run([next], lane: 1, at: prompt.count)

            let second = try EngineStage()
            // Cells in front of it are taken, so it does not land where it was.
            try second.open(0, .plain(prompt))
            try second.run(Array(prompt.prefix(5)), lane: 0)
            try second.engine.restore(Lane(3), from: bytes)
            try second.open(2, .plain(prompt))
            try second.apply(.copy(from: Lane(3), to: Lane(2), length: Int32(prompt.count)))
            try second.apply(.free(lane: Lane(3)))
            #expect(try second.run([next], lane: 2, at: prompt.count).distance(to: expected) < 1e-3)
            #expect(second.output.samples.map(\.token) == first.output.samples.map(\.token))
        }

        @Test func `the history for penalties comes back with it`() throws {
            let prompt = try BuiltinModel.tokens(Self.text)
            var sampling = LaneSampling.plain(prompt)
            sampling.parameters.repeatPenalty = 1.8
            sampling.parameters.penaltyWindow = 256
            func answer(_ stage: EngineStage, restored: [UInt8]?) throws -> [Token] {
                try stage.open(0, sampling)
                var row = Array(prompt)
                if let restored {
                    try stage.engine.restore(Lane(3), from: restored)
                    try stage.apply(.copy(from: Lane(3), to: Lane(0), length: Int32(prompt.count - 2)))
                    row = Array(prompt.suffix(2))
                }
                var tokens: [Token] = []
                try stage.run(row, at: prompt.count - row.count)
                while tokens.count < 12 {
                    let token = try #require(stage.output.samples.first).token
                    tokens.append(token)
                    try stage.run([token], at: prompt.count + tokens.count - 1)
                }
                return tokens
            }
            let donor = try EngineStage()
            try donor.open(0, .plain(prompt))
            try donor.run(prompt)
            let bytes = try donor.engine.save(Lane(0))
            let expected = try answer(try EngineStage(), restored: nil)
            #expect(try answer(try EngineStage(), restored: bytes) == expected)
            // Without its history the answer would be another one.
            var forgetful = bytes
            forgetful.replaceSubrange(0..<4 + 4 * prompt.count, with: [0, 0, 0, 0])
            #expect(forgetful.count < bytes.count)
        }

        @Test func `bytes that are no state are refused, and the lane is usable after being freed`() throws {
            let prompt = try BuiltinModel.tokens(Self.text)
            let stage = try EngineStage()
            try stage.open(0, .plain(prompt))
            try stage.run(prompt)
            let bytes = try stage.engine.save(Lane(0))
            for broken in [[], [9], [0, 0, 0, 0], Array(bytes.prefix(200)), Array(bytes.dropLast(64))] as [[UInt8]] {
                #expect(throws: EngineError.self, "\(broken.count) bytes") {
                    try stage.engine.restore(Lane(2), from: broken)
                }
                try stage.apply(.free(lane: Lane(2)))
            }
            try stage.engine.restore(Lane(2), from: bytes)
            #expect(throws: EngineError.self) { try stage.engine.save(Lane(3)) }
            #expect(throws: EngineError.self) { try stage.engine.save(Lane(9)) }
            #expect(throws: EngineError.self) { try stage.engine.restore(Lane(9), from: bytes) }
        }
    }
}
