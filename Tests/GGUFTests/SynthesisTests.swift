import GGUF
import Testing

@Suite struct `Synthetic models` {
    @Test(arguments: SynthesisArchitecture.allCases)
    func `every family makes a valid file in every type`(architecture: SynthesisArchitecture) throws {
        for type in [TensorType.f32, .f16, .bf16, .q8_0, .q4_0] {
            var shape = ModelShape(architecture)
            shape.tensorType = type
            let file = try shape.writer().layout().file
            #expect(file.validate() == [])
            #expect(file.architecture == architecture.rawValue)
            #expect(file.layerCount == shape.layerCount)
            #expect(file.tensor(named: "token_embd.weight")?.type == type)
            #expect(file.tensors.allSatisfy { WeightGenerator.canGenerate($0.type) })
            // Vectors are f32, and so is whatever cannot be cut into blocks or must stay exact.
            #expect(file.tensors.allSatisfy { $0.dimensions.count > 1 || $0.type == .f32 })
        }
    }

    @Test func `well-known shapes have the published numbers of parameters`() throws {
        let published: [(String, UInt64)] = [
            ("mamba-130m", 129_135_360), ("qwen2.5-0.5b", 494_032_768), ("qwen3-0.6b", 596_049_920),
            ("gemma3-1b", 999_885_952), ("llama3.2-1b", 1_235_814_400), ("gemma2-2b", 2_614_341_888),
            ("phi3-mini", 3_821_079_552), ("llama3.1-8b", 8_030_261_248), ("qwen3-30b-a3b", 30_532_122_624),
            ("gpt-oss-20b", 20_914_757_184),
        ]
        for (name, count) in published {
            var shape = try #require(ModelShape.named(name))
            let vocabulary = UInt64(shape.vocabularySize)
            let width = UInt64(shape.width)
            // A short vocabulary keeps the test fast; its matrices are counted as if they were whole.
            shape.vocabularySize = 259
            let file = try shape.writer().layout().file
            let matrices: UInt64 = file.tensor(named: "output.weight") == nil ? 1 : 2
            #expect(file.parameterCount + matrices * (vocabulary - 259) * width == count, "\(name)")
        }
        #expect(ModelShape.names.count == 12)
        #expect(ModelShape.named("nothing") == nil)
    }

    @Test func `numbers that make no model are refused by name`() {
        let wrong: [(SynthesisArchitecture, String, (inout ModelShape) -> Void)] = [
            (.qwen3, "layers", { $0.layerCount = 0 }), (.qwen3, "layers", { $0.layerCount = 513 }),
            (.qwen3, "width", { $0.width = 0 }), (.qwen3, "heads", { $0.headCountKV = 3 }),
            (.qwen3, "head size", { $0.headSize = 7 }), (.qwen2, "head size", { $0.headSize = 32 }),
            (.qwen3, "tensor type", { $0.tensorType = .q4_K }),
            (.qwen3, "vocabulary size", { $0.vocabularySize = 258 }),
            (.qwen3moe, "experts", { $0.expertCount = 0 }), (.gptOss, "experts used", { $0.expertUsedCount = 5 }),
            (.deepseek2, "latent attention", { $0.keyValueRank = 0 }),
            (.deepseek2, "leading dense layers", { $0.leadingDenseCount = 5 }),
            (.graniteHybrid, "recurrent heads", { $0.timeStepRank = 3 }),
            (.jamba, "recurrent sizes", { $0.attentionPeriod = 0 }),
        ]
        for (architecture, field, change) in wrong {
            var shape = ModelShape(architecture)
            change(&shape)
            do {
                _ = try shape.writer()
                Issue.record("\(architecture) with a wrong \(field) is accepted")
            } catch {
                guard case .unwritable(let actual, _) = error else {
                    Issue.record("\(error)")
                    continue
                }
                #expect(actual == field)
            }
        }
    }

    @Test func `hybrids name their attention layers`() throws {
        var shape = ModelShape(.jamba)
        shape.layerCount = 16
        shape.attentionPeriod = 8
        let file = try shape.writer().layout().file
        let heads = try #require(file.integers("jamba.attention.head_count_kv"))
        #expect(heads.indices.filter { heads[$0] > 0 } == [4, 12])
        #expect(file.tensor(named: "blk.4.attn_q.weight") != nil && file.tensor(named: "blk.4.ssm_in.weight") == nil)
        #expect(file.tensor(named: "blk.5.attn_q.weight") == nil && file.tensor(named: "blk.5.ssm_in.weight") != nil)
    }

    @Test func `the vocabulary holds all bytes, and every merge makes a token`() throws {
        let tokenizer = try SyntheticTokenizer(size: 2000)
        let texts = tokenizer.tokens.texts
        #expect(texts.count == 2000 && Set(texts).count == 2000)
        #expect(Array(texts.suffix(3)) == SyntheticTokenizer.controlTokens)
        // The byte tokens are those of the built-in model, in the same order.
        let real = try GGUFFile.parse(try repositoryFile("Models/skein-tiny-q8_0.gguf"))
        let realTokens = try #require(real.strings("tokenizer.ggml.tokens"))
        #expect(Array(texts.prefix(256)) == (0..<256).map(realTokens.text))
        #expect(SyntheticTokenizer.character(for: 0x20) == "Ġ")
        #expect(SyntheticTokenizer.character(for: 0x0A) == "Ċ")
        var known = Set(texts.prefix(256))
        for (rank, rule) in tokenizer.merges.texts.enumerated() {
            let parts = rule.split(separator: " ").map(String.init)
            #expect(parts.count == 2 && known.contains(parts[0]) && known.contains(parts[1]))
            #expect(parts.joined() == texts[256 + rank])
            known.insert(parts.joined())
        }
        #expect(tokenizer.merges.count == 2000 - 259)
    }
}
