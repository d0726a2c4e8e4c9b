import GGUF
import Testing
import Vocabulary

@Suite struct `Stage files` {
    @Test func `a first stage has the token table and no head`() throws {
        let stage = try CutModel("llama").stage(0, 4)
        #expect(stage.file.layerCount == 4)
        #expect(
            stage.shared == ["token_embd.weight": "copy [256, 16]", "output_norm.weight": "copy [256]"])
        #expect(stage.file.strings("tokenizer.ggml.tokens")?.count == 16)
        #expect(
            stage.recipe == StageRecipe(feed: .tokens, capture: .named("l_out-3"), width: 256, layerOutput: "l_out"))
    }

    @Test func `a middle stage has a vocabulary of one token`() throws {
        let stage = try CutModel("llama").stage(4, 9)
        #expect(stage.shared == ["token_embd.weight": "hole [256, 1]", "output_norm.weight": "copy [256]"])
        #expect(stage.file.string("tokenizer.ggml.model") == "no_vocab")
        #expect(stage.file["tokenizer.ggml.tokens"] == nil)
        #expect(stage["vocab_size"] == .uint32(1))
        #expect(stage.recipe == StageRecipe(feed: .rows, capture: .named("l_out-4"), width: 256, layerOutput: "l_out"))
    }

    @Test func `a last stage has the head and a hole for the token table`() throws {
        let stage = try CutModel("llama").stage(9, 12)
        #expect(
            stage.shared == [
                "token_embd.weight": "hole [256, 16]", "output.weight": "copy [256, 16]",
                "output_norm.weight": "copy [256]",
            ])
        #expect(stage.file.tensor(named: "token_embd.weight")?.type == .iq1_s)
        #expect(stage.recipe == StageRecipe(feed: .rows, capture: nil, width: 256, layerOutput: "l_out"))
    }

    @Test func `a head tied to the token table is in the first and the last stage`() throws {
        var model = CutModel("llama")
        model.shared = [("token_embd.weight", [256, 16])]
        #expect(try model.stage(0, 4).shared == ["token_embd.weight": "copy [256, 16]"])
        #expect(try model.stage(4, 8).shared == ["token_embd.weight": "hole [256, 1]"])
        #expect(try model.stage(8, 12).shared == ["token_embd.weight": "copy [256, 16]"])
    }

    @Test func `where the loader insists on a head, it is a hole`() throws {
        var model = CutModel("phi2")
        model.shared += [("output.bias", [16]), ("output_norm.bias", [256])]
        let first = try model.stage(0, 4)
        #expect(first.shared["output.weight"] == "hole [256, 16]")
        #expect(first.shared["output.bias"] == "hole [16]")
        #expect(first.shared["output_norm.bias"] == "copy [256]")
        let middle = try model.stage(4, 8)
        #expect(middle.shared["output.weight"] == "hole [256, 1]")
        #expect(middle.shared["output.bias"] == "hole [1]")
        #expect(try model.stage(8, 12).shared["output.bias"] == "copy [16]")
    }

    @Test func `scales of the head go where the head goes`() throws {
        var model = CutModel("llama")
        model.shared += [("output.scale", [1]), ("output.input_scale", [1])]
        #expect(try model.stage(0, 6).shared["output.scale"] == nil)
        #expect(try model.stage(6, 12).shared["output.scale"] == "copy [1]")
        #expect(try model.stage(6, 12).shared["output.input_scale"] == "copy [1]")
    }

    @Test func `a head that serves as token table is in the first stage too`() throws {
        var model = CutModel("codeshell")
        model.shared = [("output.weight", [256, 16])]
        #expect(try model.stage(0, 4).shared == ["output.weight": "copy [256, 16]"])
        #expect(try model.stage(4, 8).shared == ["output.weight": "hole [256, 1]"])
        #expect(try model.stage(8, 12).shared == ["output.weight": "copy [256, 16]"])
    }

    @Test func `only known arrays are sliced, whatever the length of the others`() throws {
        let numbers = (0..<4).map { UInt32($0) }
        let model = CutModel(
            "llama", layers: 4,
            [
                ("feed_forward_length", list(numbers)), ("rope.dimension_sections", list(numbers)),
                ("expert_used_count", .uint32(2)),
            ])
        let stage = try model.stage(1, 3)
        #expect(stage["feed_forward_length"] == list([1, 2]))
        #expect(stage["rope.dimension_sections"] == list(numbers))
        #expect(stage["expert_used_count"] == .uint32(2))
    }

    @Test func `keys without the family's name are sliced as well`() throws {
        var model = CutModel("apertus", layers: 4)
        model.general = [("xielu.beta", .array(.floats([0, 1, 2, 3])))]
        #expect(try model.stage(2, 4).file.floats("xielu.beta") == [2, 3])
    }

    @Test func `sizes derived from the first layer's heads are written out`() throws {
        let model = CutModel("openelm", layers: 4, [("attention.head_count", list([4, 4, 8, 8]))])
        let stage = try model.stage(2, 4)
        #expect(stage["attention.head_count"] == list([8, 8]))
        #expect(stage["attention.key_length"] == .uint32(64))
        #expect(stage["attention.value_length"] == .uint32(64))
        #expect(stage["rope.dimension_count"] == .uint32(64))
        let uniform = try CutModel("llama", [("attention.head_count", .uint32(4))]).stage(6, 12)
        #expect(uniform["attention.key_length"] == nil)
    }

    @Test func `leading dense layers are counted from the stage's start`() throws {
        let model = CutModel("deepseek", [("leading_dense_block_count", .uint32(5))])
        #expect(try model.stage(0, 3)["leading_dense_block_count"] == .uint32(3))
        #expect(try model.stage(3, 8)["leading_dense_block_count"] == .uint32(2))
        #expect(try model.stage(8, 12)["leading_dense_block_count"] == .uint32(0))
    }

    @Test func `draft heads are in no stage`() throws {
        let model = CutModel(
            "qwen3next", [("nextn_predict_layers", .uint32(1)), ("full_attention_interval", .uint32(2))])
        let cutter = try model.cutter()
        #expect(cutter.layerCount == 11)
        let stage = try CutStage(cutter, 8, 11)
        #expect(stage["nextn_predict_layers"] == .uint32(0))
        #expect(stage.file.layerCount == 3)
        #expect(stage.file.tensors.compactMap(\.layerIndex).max() == 2)
        #expect(stage.recipe.capture == nil)
    }

    @Test func `draft heads that are announced but not there are no layers less`() throws {
        let metadata: [(String, MetadataValue)] = [
            ("nextn_predict_layers", .uint32(1)), ("attention.compress_ratios", list(Array(repeating: 4, count: 12))),
        ]
        var model = CutModel("deepseek4", metadata)
        #expect(try model.cutter().layerCount == 12)
        model.shared.append(("blk.11.nextn.eh_proj.weight", [256, 512]))
        #expect(try model.cutter().layerCount == 11)
    }

    @Test func `the embedding's factor is used once`() throws {
        let model = CutModel("granite", [("embedding_scale", .float(12))])
        #expect(try model.stage(0, 6)["embedding_scale"] == .float(12))
        #expect(try model.stage(6, 12)["embedding_scale"] == .float(1))
        #expect(try CutModel("granite").stage(6, 12)["embedding_scale"] == nil)
        #expect(try CutModel("grok").stage(0, 6)["embedding_scale"] == nil)
        #expect(try CutModel("grok").stage(6, 12)["embedding_scale"] == .float(1))
    }

    @Test func `the built-in model's stages copy its bytes`() throws {
        let file = try GGUFFile.parse(try repositoryFile("Models/skein-tiny-q8_0.gguf"))
        let cutter = try ModelCutter(file)
        #expect(cutter.legalBoundaries == [1, 2, 3, 4, 5, 6, 7])
        for stage in [try CutStage(cutter, 0, 3), try CutStage(cutter, 3, 6), try CutStage(cutter, 6, 8)] {
            for tensor in stage.file.tensors {
                guard let layer = tensor.layerIndex else { continue }
                let origin = try #require(stage.origin(of: tensor))
                #expect(origin.name == "blk.\(layer + stage.plan.layers.first).\(tensor.roleName)")
                #expect(origin.type == tensor.type && origin.dimensions == tensor.dimensions)
            }
            #expect(stage.file.validate().filter { $0.severity == .error } == [])
        }
    }
}
