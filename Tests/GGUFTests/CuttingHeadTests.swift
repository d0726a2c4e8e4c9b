import GGUF
import Testing
import Vocabulary

@Suite struct `Heads in stage files` {
    /// Ten layers, and heads for several tokens behind them.
    private func model(
        of architecture: String = "glm4moe", heads: Int = 1, _ metadata: [(String, MetadataValue)] = []
    ) -> CutModel {
        var model = CutModel(
            architecture, layers: 10 + heads, [("nextn_predict_layers", .uint32(UInt32(heads)))] + metadata)
        for head in 10..<10 + heads {
            model.shared.append(("blk.\(head).nextn.eh_proj.weight", [64, 32]))
            for part in ["nextn.enorm", "nextn.hnorm", "ffn_gate_inp"] {
                model.shared.append(("blk.\(head).\(part).weight", [32]))
            }
        }
        return model
    }

    private func layers(of stage: CutStage) -> Set<Int> { Set(stage.file.tensors.compactMap(\.layerIndex)) }

    @Test func `the last stage has the first head behind its layers`() throws {
        let stage = try model(heads: 2).stage(7, 10, heads: true)
        #expect(stage.file.layerCount == 4)
        #expect(stage["nextn_predict_layers"] == .uint32(1))
        #expect(layers(of: stage) == [0, 1, 2, 3])
        #expect(stage.file.tensor(named: "blk.3.nextn.eh_proj.weight")?.dimensions == [64, 32])
        #expect(stage.file.tensors.filter { $0.name.contains("nextn") }.count == 3)
        for tensor in stage.file.tensors {
            guard let layer = tensor.layerIndex else { continue }
            #expect(stage.origin(of: tensor)?.name == "blk.\(layer + 7).\(tensor.roleName)")
        }
        #expect(stage.plan.layers == LayerRange(first: 7, end: 10))
        #expect(stage.plan.layerCount == 10)
    }

    @Test func `the head has its entry in arrays by layer, the second one has none`() throws {
        let numbers = (0..<12).map { UInt32(100 + $0) }
        let model = model(
            heads: 2,
            [
                ("feed_forward_length", list(numbers)), ("expert_feed_forward_length", list(numbers)),
                ("rope.dimension_sections", list(numbers)),
            ])
        let stage = try model.stage(7, 10, heads: true)
        #expect(stage["feed_forward_length"] == list([107, 108, 109, 110]))
        #expect(stage["expert_feed_forward_length"] == list([107, 108, 109, 110]))
        #expect(stage["rope.dimension_sections"] == list(numbers))
        #expect(try model.stage(7, 10)["feed_forward_length"] == list([107, 108, 109]))
    }

    @Test func `the token table is whole where the head reads it`() throws {
        #expect(try model().stage(7, 10).shared["token_embd.weight"] == "hole [256, 16]")
        let plain = try model().stage(7, 10, heads: true)
        #expect(plain.shared["token_embd.weight"] == "copy [256, 16]")
        #expect(plain.shared["output.weight"] == "copy [256, 16]")
        #expect(plain.shared["output_norm.weight"] == "copy [256]")

        var own = model()
        own.shared.append(("blk.10.nextn.embed_tokens.weight", [256, 16]))
        let stage = try own.stage(7, 10, heads: true)
        #expect(stage.shared["token_embd.weight"] == "hole [256, 16]")
        let table = try #require(stage.file.tensor(named: "blk.3.nextn.embed_tokens.weight"))
        #expect(stage.origin(of: table)?.name == "blk.10.nextn.embed_tokens.weight")

        // A table of the second head's own is of no use to the first.
        var second = model(heads: 2)
        second.shared.append(("blk.11.nextn.embed_tokens.weight", [256, 16]))
        #expect(try second.stage(7, 10, heads: true).shared["token_embd.weight"] == "copy [256, 16]")
    }

    @Test func `a head of the model that is tied to the token table serves both`() throws {
        var tied = model()
        tied.shared[0...2] = [("token_embd.weight", [256, 16])]
        tied.shared.append(("blk.10.nextn.embed_tokens.weight", [256, 16]))
        #expect(try tied.stage(7, 10, heads: true).shared == ["token_embd.weight": "copy [256, 16]"])
    }

    @Test(arguments: [(5, 0), (8, 1), (9, 2), (10, 3), (11, 3), (40, 3)] as [(UInt32, UInt32)])
    func `leading dense layers are those of the stage, never the head`(count: UInt32, kept: UInt32) throws {
        let model = model([("leading_dense_block_count", .uint32(count))])
        for heads in [false, true] {
            #expect(try model.stage(7, 10, heads: heads)["leading_dense_block_count"] == .uint32(kept))
        }
    }

    @Test func `other stages are what they are without heads`() throws {
        let cutter = try model(heads: 2).cutter()
        for layers in [LayerRange(first: 0, end: 4), LayerRange(first: 4, end: 7)] {
            #expect(try cutter.plan(layers, heads: true) == cutter.plan(layers))
            let stage = try CutStage(cutter, layers.first, layers.end, heads: true)
            #expect(stage.file.layerCount == layers.count)
            #expect(stage["nextn_predict_layers"] == .uint32(0))
            #expect(self.layers(of: stage) == Set(0..<layers.count))
        }
    }

    @Test func `a last stage that is not asked for heads has none`() throws {
        let stage = try model(heads: 2).stage(7, 10)
        #expect(stage.file.layerCount == 3)
        #expect(stage["nextn_predict_layers"] == .uint32(0))
        #expect(layers(of: stage) == [0, 1, 2])
        #expect(stage.file.tensors.allSatisfy { !$0.name.contains("nextn") })
    }

    @Test(arguments: [false, true]) func `planning counts what the files of stages have`(heads: Bool) throws {
        let cutter = try model().cutter()
        #expect(cutter.headTensors.count == 6)
        for layers in [(0, 4), (4, 7), (7, 10)].map({ LayerRange(first: $0.0, end: $0.1) }) {
            let file = try CutStage(cutter, layers.first, layers.end, heads: heads).file
            let counted = cutter.sharedTensors(layers, heads: heads).map(\.plan)
            let present = file.tensors.filter { $0.layerIndex.map { $0 >= layers.count } ?? true }
            #expect(counted == present.map { TensorPlan($0) })
            #expect(counted.contains { $0.name.contains("nextn") } == (heads && layers.end == 10))
        }
    }

    @Test func `the stage is run as it is without heads`() throws {
        let model = model()
        let (with, without) = (try model.stage(7, 10, heads: true), try model.stage(7, 10))
        #expect(with.recipe == without.recipe)
        #expect(with.plan.copiedByteCount > without.plan.copiedByteCount)
    }

    // MARK: What heads can guess

    @Test func `heads that are there, of a family that is known, can guess`() throws {
        #expect(try model().cutter().headObstacle == nil)
    }

    @Test func `a file without heads, or without their number, cannot guess with them`() throws {
        let tensor = ("blk.10.nextn.eh_proj.weight", [64, 32] as [UInt64])
        var unannounced = CutModel("glm4moe", layers: 11)
        unannounced.shared.append(tensor)
        var denied = CutModel("glm4moe", layers: 11, [("nextn_predict_layers", .uint32(0))])
        denied.shared.append(tensor)
        for model in [CutModel("glm4moe"), unannounced, denied] {
            let reason = try #require(try model.cutter().headObstacle)
            #expect(reason.contains("no head "))
        }
    }

    @Test func `what would end the engine's process is refused by what is there and what is not`() throws {
        let two = try #require(try model(heads: 2).cutter().headObstacle)
        #expect(two.contains("2 heads"))
        for part in ["nextn.eh_proj", "nextn.enorm", "nextn.hnorm", "ffn_gate_inp"] {
            var lacking = model()
            lacking.shared.removeAll { $0.0 == "blk.10.\(part).weight" }
            let reason = try #require(try lacking.cutter().headObstacle)
            #expect(reason.contains("lacks blk.10.\(part).weight"))
        }
    }

    @Test func `rotations and attention that heads of the family do not know are refused by the setting`() throws {
        let sections: MetadataValue = .array(.uint32([8, 12, 12, 0]))
        let rotated = try #require(
            try model([("rope.dimension_sections", sections)]).cutter().headObstacle)
        #expect(rotated.contains("glm4moe.rope.dimension_sections"))
        let unused: MetadataValue = .array(.uint32([0, 0, 0, 0]))
        #expect(try model([("rope.dimension_sections", unused)]).cutter().headObstacle == nil)
        var latent = model(of: "deepseek32")
        #expect(try #require(try latent.cutter().headObstacle).contains("deepseek32.attention.key_length_mla"))
        let mla: (String, MetadataValue) = ("attention.key_length_mla", .uint32(192))
        latent = model(of: "deepseek32", [mla])
        #expect(try latent.cutter().headObstacle == nil)
        for (scale, isUsed) in [(Float(0), false), (0.1, true)] {
            var scaled = model(of: "deepseek2", [mla, ("attention.temperature_scale", .float(scale))])
            for part in [
                "attn_q_a", "attn_q_a_norm", "attn_q_b", "attn_kv_a_mqa", "attn_kv_a_norm", "attn_k_b", "ffn_norm",
                "ffn_down_exps", "ffn_gate_shexp", "ffn_down_shexp", "ffn_up_shexp",
            ] {
                scaled.shared.append(("blk.10.\(part).weight", [32]))
            }
            #expect(try scaled.cutter().headObstacle?.contains("temperature_scale") ?? false == isUsed)
        }
    }

    @Test(arguments: ["qwen3next", "llama"])
    func `heads of a family that nobody has tried are refused by its name`(architecture: String) throws {
        let model = model(of: architecture, [("full_attention_interval", .uint32(2))])
        let reason = try #require(try model.cutter().headObstacle)
        #expect(reason.contains(architecture))
        #expect(!reason.contains("no head "))
    }
}
