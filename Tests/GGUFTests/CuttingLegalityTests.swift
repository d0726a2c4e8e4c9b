import GGUF
import Testing
import Vocabulary

@Suite struct `Legal cuts` {
    private func kv(_ layers: [UInt32]) -> (String, MetadataValue) { ("attention.head_count_kv", list(layers)) }

    private func error(_ model: CutModel, _ boundaries: [Int]) throws -> CutError? {
        let cutter = try model.cutter()
        let cut = try #require(Cut(layerCount: cutter.layerCount, boundaries: boundaries))
        do throws(CutError) {
            try cutter.check(cut)
            return nil
        } catch {
            return error
        }
    }

    @Test func `layers without rotation bind cuts to their period`() throws {
        #expect(try CutModel("smollm3").cutter().legalBoundaries == [4, 8])
        #expect(
            try error(CutModel("smollm3"), [6])
                == .illegalBoundary(
                    boundary: 6,
                    reason: "the engine finds the layers without rotation by their number, so cuts must fall on "
                        + "multiples of 4", legal: [4, 8]))
        #expect(try error(CutModel("smollm3"), [4, 8]) == nil)
    }

    @Test func `a period in the metadata binds cuts, and none does not`() throws {
        let step: [(String, MetadataValue)] = [("interleave_moe_layer_step", .uint32(3))]
        #expect(try CutModel("ernie4_5-moe", step).cutter().legalBoundaries == [3, 6, 9])
        #expect(try CutModel("ernie4_5-moe").cutter().legalBoundaries == Array(1..<12))
        #expect(try CutModel("rwkv6", [("rescale_every_n_layers", .uint32(6))]).cutter().legalBoundaries == [6])
        #expect(try CutModel("rwkv6", [("rescale_every_n_layers", .uint32(0))]).cutter().legalBoundaries.count == 11)
        let both = CutModel("llama4", layers: 24, [("interleave_moe_layer_step", .uint32(6))])
        #expect(try both.cutter().legalBoundaries == [12])
    }

    @Test func `every stage needs a layer with a window`() throws {
        #expect(try CutModel("gpt-oss", layers: 6).cutter().legalBoundaries == [1, 2, 3, 4])
        #expect(
            try error(CutModel("gpt-oss", layers: 6), [5])
                == .illegalStage(
                    layers: LayerRange(first: 5, end: 6),
                    reason: "it has no layer with a sliding window, and llama.cpp needs at least 1",
                    legal: [1, 2, 3, 4]))
        #expect(try CutModel("gemma3").cutter().legalBoundaries == Array(1..<12), "no window at all")
    }

    @Test func `every stage needs attention and recurrence`() throws {
        let cutter = try CutModel("jamba", layers: 8, [kv([0, 0, 2, 0, 0, 0, 2, 0])]).cutter()
        #expect(cutter.legalBoundaries == [3, 4, 5, 6])
        #expect(cutter.possibleStageCounts == [1, 2])
        #expect(cutter.legalCuts(stageCount: 2, limit: 9).map(\.boundaries) == [[3], [4], [5], [6]])
        let plain = try CutModel("granitehybrid", layers: 4, [kv([2, 2, 2, 2])]).cutter()
        #expect(plain.legalBoundaries == [1, 2, 3], "a kind the model lacks is asked of no stage")
    }

    @Test func `layers that only feed forward are neither attention nor recurrence`() throws {
        let model = CutModel(
            "nemotron_h", layers: 6, [kv([0, 0, 2, 0, 0, 2]), ("feed_forward_length", list([0, 9, 0, 9, 0, 0]))])
        #expect(try model.cutter().legalBoundaries == [3, 4])
    }

    @Test func `some families need other kinds of layers in every stage`() throws {
        let sparse = CutModel("minimax-m3", layers: 6, [("leading_dense_block_count", .uint32(2))])
        #expect(try sparse.cutter().legalBoundaries == [3, 4, 5])
        let pattern: (String, MetadataValue) = ("attention.sliding_window_pattern", list([1, 1, 0, 1, 0, 0]))
        #expect(try CutModel("dots3note", layers: 6, [pattern]).cutter().legalBoundaries == [3])
        let ratios = CutModel("deepseek4", layers: 6, [("attention.compress_ratios", list([0, 4, 128, 4, 128, 0]))])
        #expect(try ratios.cutter().legalBoundaries == [2, 3])
    }

    @Test func `a stage starts with the kind of attention whose rotation the engine takes`() throws {
        let differs: [(String, MetadataValue)] = [
            ("attention.sliding_window", .uint32(64)), ("rope.dimension_count", .uint32(64)),
            ("rope.dimension_count_swa", .uint32(128)),
        ]
        #expect(try CutModel("laguna", differs).cutter().legalBoundaries == [4, 8])
        let equal: [(String, MetadataValue)] = [
            ("attention.sliding_window", .uint32(64)), ("attention.head_count", .uint32(2)),
            ("rope.dimension_count_swa", .uint32(128)),
        ]
        #expect(try CutModel("laguna", equal).cutter().legalBoundaries == Array(2..<12))
    }

    @Test func `a stage starts with heads where the model does`() throws {
        let model = CutModel("deci", layers: 6, [("attention.head_count", list([4, 0, 4, 4, 0, 4]))])
        #expect(try model.cutter().legalBoundaries == [2, 3, 5])
    }

    @Test func `a stage starts with an index of its own`() throws {
        let types: (String, MetadataValue) = ("attention.indexer.types", list([1, 0, 1, 0, 0, 1]))
        #expect(try CutModel("hy_v4", layers: 6, [types]).cutter().legalBoundaries == [1, 2, 3, 4, 5])
        let indexed = CutModel("hy_v4", layers: 6, [types, ("attention.indexer.top_k", .uint32(8))])
        #expect(try indexed.cutter().legalBoundaries == [2, 5])
        let hybrid = CutModel("glm5-next", layers: 6, [types, kv([0, 2, 0, 0, 2, 2])])
        #expect(try hybrid.cutter().legalBoundaries == [], "layer 4 shares the index of layer 1")
    }

    @Test func `sizes that mean another model are forbidden`() throws {
        let cutter = try CutModel("smallthinker", layers: 20, [("attention.sliding_window", .uint32(64))]).cutter()
        #expect(cutter.legalBoundaries == [8, 12])
        #expect(cutter.legalCuts(stageCount: 2, limit: 9).map(\.boundaries) == [[8], [12]])
        #expect(try CutModel("smallthinker", layers: 20).cutter().legalBoundaries == Array(1..<20))
        #expect(
            try error(CutModel("deepseek2", layers: 60), [26])
                == .illegalStage(
                    layers: LayerRange(first: 0, end: 26),
                    reason: "a stage of 26 layers is taken for another model: the engine expects no compressed "
                        + "queries in one of that size", legal: Array(1..<60)))
    }

    @Test(arguments: [("bert", 12), ("dream", 12), ("gemma3n", 30), ("talkie", 12), ("rwkv7", 12), ("t5", 12)])
    func `families that cannot be staged are refused by name`(architecture: String, layers: Int) throws {
        let cutter = try CutModel(architecture, layers: layers).cutter()
        guard case .unsupportedFamily(architecture, let reason) = cutter.obstacle else {
            Issue.record("\(cutter.obstacle.map(\.description) ?? "no obstacle")")
            return
        }
        #expect(!reason.isEmpty)
        #expect(cutter.refusal?.contains("serve it in one stage") == true)
        #expect(cutter.legalBoundaries == [] && cutter.possibleStageCounts == [1])
        #expect(try cutter.evenCut(stageCount: 1) == .whole(layerCount: layers))
        let obstacle = try #require(cutter.obstacle)
        #expect(throws: obstacle) { try cutter.evenCut(stageCount: 2) }
        #expect(try error(CutModel(architecture, layers: layers), [3]) == cutter.obstacle)
        #expect(try error(CutModel(architecture, layers: layers), []) == nil, "one stage needs no cut")
    }

    @Test(arguments: [
        CutModel("command-r", layers: 64), CutModel("exaone4", layers: 64), CutModel("deepseek2", layers: 27),
        CutModel("nanbeige", [("num_loops", .uint32(2))]),
        CutModel("llama4", [("attention.sliding_window", .uint32(0))]),
        CutModel("deepseek2", layers: 48, [("vocab_size", .uint32(128_256))]),
    ])
    func `single models are refused`(model: CutModel) throws {
        let obstacle = try model.cutter().obstacle
        guard case .unsupportedModel(model.architecture, _) = obstacle else {
            Issue.record("\(obstacle.map(\.description) ?? "no obstacle")")
            return
        }
    }

    @Test func `embeddings per layer are refused, without them the family is cut`() throws {
        var model = CutModel("gemma4", [("attention.sliding_window_pattern", list(Array(repeating: 1, count: 12)))])
        #expect(try model.cutter().obstacle == nil)
        model.shared.append(("per_layer_token_embd.weight", [96, 16]))
        #expect(try model.cutter().obstacle != nil)
    }

    @Test func `unknown families need permission`() throws {
        let header = try CutModel("quux").header()
        guard case .uncertifiedFamily("quux", _) = try ModelCutter(header).obstacle else {
            Issue.record("an unknown family was accepted")
            return
        }
        let permitted = try ModelCutter(header, allowsUnknownFamilies: true)
        #expect(permitted.obstacle == nil && permitted.legalBoundaries == Array(1..<12))
        #expect(try ModelCutter(try CutModel("plm").header()).obstacle != nil)
        #expect(try ModelCutter(try CutModel("plm").header(), allowsUnknownFamilies: true).obstacle == nil)
    }

    @Test func `a part of a model is refused`() throws {
        var model = CutModel("llama")
        model.general = [("split.count", .uint16(3))]
        #expect(try model.cutter().obstacle == .sharded(parts: 3))
        model.general = [("split.count", .uint16(1))]
        #expect(try model.cutter().obstacle == nil)
    }

    @Test func `headers that lack what cutting needs are refused`() throws {
        #expect(throws: CutError.self) { try CutModel("llama", [("embedding_length", .uint32(0))]).cutter() }
        let draft: [(String, MetadataValue)] = [("nextn_predict_layers", .uint32(2))]
        #expect(throws: CutError.self) { try CutModel("llama", layers: 2, draft).cutter() }
        let short = CutModel("llama", layers: 4, [("feed_forward_length", list([1, 2, 3]))])
        #expect(
            try short.cutter().obstacle
                == .incomplete(field: "llama.feed_forward_length", problem: "has 3 values for 4 layers"))
        let wide: [(String, MetadataValue)] = [("hyper_connection.count", .uint64(.max / 2))]
        #expect(throws: CutError.self) { try CutModel("hy_v4", wide).cutter() }
    }

    @Test func `numbers beyond all measure do no harm`() throws {
        for key in [
            "attention.shared_kv_layers", "n_deepstack_layers", "leading_dense_block_count",
            "interleave_moe_layer_step", "attention.sliding_window_pattern", "hash_layer_count",
            "full_attention_interval", "rescale_every_n_layers",
        ] {
            for architecture in FamilyRules.families {
                let model = CutModel(architecture, layers: 3, [(key, .uint64(UInt64(Int64.max)))])
                let cutter = try model.cutter()
                _ = cutter.legalBoundaries
                if cutter.obstacle == nil { _ = try cutter.plan(LayerRange(first: 1, end: 2)) }
            }
        }
    }

    @Test func `a cut for another number of layers is refused`() throws {
        let cutter = try CutModel("llama").cutter()
        #expect(throws: CutError.wrongLayerCount(given: 8, actual: 12)) { try cutter.check(.whole(layerCount: 8)) }
    }

    @Test func `the table has every family of the pinned engine`() {
        #expect(FamilyRules.families.count == 153)
        #expect(Set(FamilyRules.families).count == 153)
        #expect(FamilyRules.families.filter { FamilyRules.rules(for: $0)?.refusal != nil }.count == 26 + 3)
    }
}
