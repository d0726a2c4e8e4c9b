import CLlama
import Foundation
import GGUF
import LlamaEngine
import ModelStore
import Serving
import Testing
import Vocabulary

extension `The engine` {
    /// Tolerance: 1 - cosine below 1e-5 for the same rows at once, below 1e-3 for other chunks or beside other lanes.
    /// The library computes the last layer for all rows of a text, we for the rows that count; and kernels, on 8-bit
    /// weights, round differently by the number of rows and by what else is in the cache.
    @Suite struct `Its vectors` {
        private static let tolerance = 1e-5
        private static let chunkTolerance = 1e-3
        private static let texts = [
            "Hello!", "Geese fly in a V because each one rides on the air of the one before it.",
            String(repeating: "Once upon a time there was a goose. ", count: 9),
        ]

        private static func pooled(_ pooling: Pooling, _ tokens: [Token]) -> LaneSampling {
            var sampling = LaneSampling.plain(tokens)
            sampling.pooling = pooling
            return sampling
        }

        /// The vector of a text through a chain of stages, in chunks.
        private static func vector(
            _ tokens: [Token], _ pooling: Pooling, _ chain: [EngineStage], chunk: Int = .max, lane: UInt16 = 0
        ) throws -> [Float] {
            for stage in chain { try stage.apply(.open(lane: Lane(lane), sampling: pooled(pooling, tokens))) }
            let last = try #require(chain.last)
            var start = 0
            while start < tokens.count {
                let end = min(tokens.count, start + min(chunk, tokens.count))
                var rows = EngineStage.rows(Array(tokens[start..<end]), lane: lane, at: start)
                rows[rows.count - 1].samples = end == tokens.count
                var activations: [Float] = []
                for stage in chain {
                    try stage.execute(rows, activations: activations)
                    activations = stage.output.activations
                }
                #expect(last.output.samples.count == (end == tokens.count ? 1 : 0))
                start = end
            }
            for stage in chain { try stage.apply(.free(lane: Lane(lane))) }
            let sample = try #require(last.output.samples.first)
            #expect(sample.lane == Lane(lane) && sample.position == Int32(tokens.count) && sample.token == 0)
            return sample.vector
        }

        @Test(arguments: [
            (Pooling.last, LLAMA_POOLING_TYPE_LAST.rawValue), (.mean, LLAMA_POOLING_TYPE_MEAN.rawValue),
            (.first, LLAMA_POOLING_TYPE_CLS.rawValue),
        ])
        func `a generating model's vector is the library's own, whole and in chunks`(
            pooling: Pooling, number: Int32
        ) throws {
            let library = try LibraryVectors(BuiltinModel.path, pooling: llama_pooling_type(rawValue: number))
            let stage = try EngineStage(rows: 256, cache: .f16)
            stage.leaveAttentionToLibrary()
            for text in Self.texts {
                let tokens = try BuiltinModel.tokens(text)
                let expected = try library.vector(tokens)
                let whole = try Self.vector(tokens, pooling, [stage])
                #expect(whole.count == 256 && 1 - whole.cosine(to: expected) < Self.tolerance, "\(text)")
                #expect(whole.distance(to: expected) < 0.05)
                for chunk in [1, 3, 64] {
                    let chunked = try Self.vector(tokens, pooling, [stage], chunk: chunk)
                    #expect(1 - chunked.cosine(to: expected) < Self.chunkTolerance, "\(text) in chunks of \(chunk)")
                }
                #expect(try Self.vector(tokens, pooling, [stage]).isIdentical(to: whole), "another time")
            }
        }

        @Test(arguments: [[4], [1, 2, 5]], Pooling.allCases)
        func `a chain of stages makes the same bits as the whole model`(boundaries: [Int], pooling: Pooling) throws {
            let folder = FileManager.default.temporaryDirectory.appending(path: "skein-chain-\(UUID().uuidString)")
            defer { try? FileManager.default.removeItem(at: folder) }
            let (chain, pins) = try EngineStage.chain(boundaries, folder)
            defer { withExtendedLifetime(pins) {} }
            let whole = try EngineStage()
            for text in Self.texts {
                let tokens = try BuiltinModel.tokens(text)
                let chunk = min(128, tokens.count)
                let expected = try Self.vector(tokens, pooling, [whole], chunk: chunk)
                #expect(try Self.vector(tokens, pooling, chain, chunk: chunk).isIdentical(to: expected))
            }
        }

        @Test func `answers beside vectors are not disturbed, nor vectors by answers`() throws {
            let story = try BuiltinModel.tokens("Once upon a time")
            let text = try BuiltinModel.tokens(Self.texts[2])
            let alone = try EngineStage(rows: 512)
            try alone.open(0, .plain(story))
            var expected = [try alone.run(story)]
            let stage = try EngineStage(rows: 512)
            try stage.open(0, .plain(story))
            var logits = [try stage.run(story)]
            let vectors = try Pooling.allCases.map { try Self.vector(text, $0, [alone], lane: 2) }
            var token = try #require(logits.last).argmax
            for (step, pooling) in Pooling.allCases.enumerated() {
                let position = story.count + step
                expected.append(try alone.run([token], at: position))
                try stage.open(1, Self.pooled(pooling, text))
                try stage.execute(EngineStage.rows([token], at: position) + EngineStage.rows(text, lane: 1))
                #expect(stage.output.samples.map(\.lane) == [Lane(0), Lane(1)])
                let distance = 1 - stage.output.samples[1].vector.cosine(to: vectors[step])
                #expect(distance < Self.chunkTolerance, "\(pooling)")
                token = stage.output.samples[0].token
                #expect(token == alone.output.samples.first?.token)
                try stage.apply(.free(lane: Lane(1)))
            }
            logits.append(try stage.run([token], at: story.count + 3))
            expected.append(try alone.run([token], at: story.count + 3))
            #expect(logits.first?.isIdentical(to: expected[0]) == true)
            #expect(logits.last?.isIdentical(to: expected[expected.count - 1]) == true)
        }

        private static func encoder(_ file: EncoderFile) throws -> EngineStage {
            try EngineStage(
                LlamaStageConfiguration(
                    path: file.path, layers: LayerRange(first: 0, end: EncoderFile.layers),
                    layerCount: EncoderFile.layers, recipe: .whole(width: EncoderFile.width),
                    context: ContextOptions(
                        cellCount: EncoderFile.window, laneCount: 4, rowLimit: EncoderFile.window)))
        }

        @Test(arguments: [1, 2, 3, nil] as [UInt32?])
        func `an encoder's vectors are the library's own, alone and several together`(pooling: UInt32?) throws {
            let file = try EncoderFile(pooling: pooling)
            let library = try LibraryVectors(
                file.path, pooling: pooling == nil ? LLAMA_POOLING_TYPE_MEAN : nil, cells: UInt32(EncoderFile.window))
            let stage = try Self.encoder(file)
            let isEncoder = stage.engine.model.model.isEncoder
            #expect(isEncoder)
            let lengths = [3, 17, 40, 30]
            let texts = lengths.map { length in [2] + (0..<length).map { Token(5 + $0 * 7 % 190) } + [3] }
            let expected = try texts.map { try library.vector($0) }
            #expect(Set(expected).count == 4)
            var rows: [StageRow] = []
            for (lane, text) in texts.enumerated() {
                let lane = UInt16(lane)
                let pooled = Self.pooled(.mean, text)
                try stage.open(lane, pooled)
                try stage.execute(EngineStage.rows(text, lane: lane))
                let vector = try #require(stage.output.samples.first?.vector)
                #expect(vector.isIdentical(to: expected[Int(lane)]))
                if rows.count + text.count <= EncoderFile.window { rows += EngineStage.rows(text, lane: lane) }
            }
            try stage.execute(rows)
            #expect(stage.output.samples.count == 3)
            for (sample, vector) in zip(stage.output.samples, expected) {
                #expect(1 - sample.vector.cosine(to: vector) < Self.tolerance)
            }
            #expect(throws: EngineError.self) {
                try stage.execute(EngineStage.rows([Token](repeating: 5, count: EncoderFile.window + 1)))
            }
            for lane in 0..<4 as Range<UInt16> { try stage.apply(.free(lane: Lane(lane))) }
        }

        @Test func `a long text loses its middle's end, never the token that closes it`() throws {
            let file = try EncoderFile()
            let model = SharedModel(try LlamaModel(path: file.path))
            let tokenizer = LlamaTokenizer(model)
            let words = (5..<60).map { "w\($0)" }.joined(separator: " ")
            let tokens = try tokenizer.tokens(of: words, special: true)
            #expect(tokens == [2] + (5..<60).map { Token($0) } + [3])
            #expect(tokenizer.shortened(tokens, to: 10) == [2, 5, 6, 7, 8, 9, 10, 11, 12, 3])
            #expect(tokenizer.shortened(tokens, to: 57) == tokens)
            let plain = LlamaTokenizer(try BuiltinModel.shared)
            #expect(plain.shortened([1, 2, 3], to: 2) == [1, 2])
        }

        @Test func `who only makes vectors refuses to chat by name, and who ranks refuses vectors`() throws {
            let file = try EncoderFile()
            let encoder = try LlamaRenderer(SharedModel(try LlamaModel(path: file.path)))
            var request = GenerationRequest(id: RequestID(1), model: "my-encoder", prompt: .text("w7 w8"))
            #expect(throws: GenerationError.self) { try encoder.prepare(request) }
            do {
                _ = try encoder.prepare(request)
            } catch {
                #expect("\(error)".contains("'my-encoder'") && "\(error)".contains("embeddings"))
            }
            request.embedding = EmbeddingWish()
            let prepared = try encoder.prepare(request)
            #expect(prepared.tokens == [2, 7, 8, 3] && prepared.pooling == .mean)
            request.prompt = .tokens([5, 200])
            #expect(throws: GenerationError.self) { try encoder.prepare(request) }
            let other = try EncoderFile(pooling: 4)
            let ranker = try LlamaRenderer(SharedModel(try LlamaModel(path: other.path)))
            request.prompt = .tokens([5])
            #expect(throws: GenerationError.self) { try ranker.prepare(request) }
            let chat = try LlamaRenderer(try BuiltinModel.shared)
            #expect(try chat.prepare(request).pooling == .last)
        }

        @Test func `the families that only encode are those that cannot be cut for it`() {
            for name in EncoderFamilies.names {
                #expect(FamilyRules.rules(for: name)?.refusal?.contains("whole text at once") == true, "\(name)")
            }
        }
    }
}
