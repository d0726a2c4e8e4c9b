import GGUF
import Testing
import Vocabulary

@Suite struct `Family rules` {
    private let gather = NodePattern.operation("GET_ROWS", source: "token_embd.weight")

    // MARK: Feeding and taking out

    @Test(arguments: [
        ("gemma", "inp_scaled"), ("gpt2", "inpL"), ("bloom", "inp_norm-0"), ("muse-glimmer", "embd_norm"),
        ("afmoe", "inp_embd_scaled"),
    ])
    func `transformed embeddings are overwritten where they are done`(architecture: String, node: String) throws {
        let model = CutModel(architecture, [("attention.sliding_window", .uint32(64))])
        #expect(try model.stage(0, 4).recipe.feed == .tokens)
        #expect(try model.stage(4, 8).recipe.feed == .inject(.named(node), realTokens: false))
    }

    @Test(arguments: ["glm4", "cogvlm", "qwen2vl", "paddleocr"])
    func `families that treat rows unlike tokens get tokens`(architecture: String) throws {
        #expect(try CutModel(architecture).stage(4, 12).recipe.feed == .inject(gather, realTokens: false))
    }

    @Test func `an unnamed norm is found by what it adds`() throws {
        let feed = try CutModel("rwkv6").stage(4, 12).recipe.feed
        #expect(feed == .inject(.operation("ADD", source: "token_embd_norm.bias"), realTokens: false))
    }

    @Test func `the residual's name follows the family`() throws {
        let hybrid: [(String, MetadataValue)] = [
            ("attention.head_count_kv", list([2, 0, 2, 0])), ("feed_forward_length", list([0, 0, 0, 0])),
        ]
        let nemotron = CutModel("nemotron_h", layers: 4, hybrid)
        #expect(try nemotron.stage(0, 2).recipe.capture == .named("nemotron_h_block_out-1"))
        let plamo = CutModel("plamo2", layers: 4, hybrid)
        #expect(try plamo.stage(0, 2).recipe.capture == .named("ffn_residual-1"))
        let step = CutModel("step35", layers: 4, [("attention.sliding_window_pattern", list([1, 0, 1, 0]))])
        #expect(try step.stage(0, 2).recipe.capture == .named("h_nextn"))
        #expect(try step.stage(2, 4).recipe.capture == nil)
    }

    @Test func `several streams make a row wider`() throws {
        let model = CutModel(
            "deepseek4",
            [
                ("hyper_connection.count", .uint32(4)), ("hash_layer_count", .uint32(5)),
                ("attention.compress_ratios", list(Array(repeating: 4, count: 12))),
            ])
        #expect(try model.cutter().width == 1024)
        let middle = try model.stage(3, 6)
        #expect(middle.recipe.feed == .inject(.named("hc_init"), realTokens: true))
        #expect(middle.recipe.capture == .named("l_last-2"))
        #expect(middle.recipe.width == 1024)
        #expect(middle["vocab_size"] == .uint32(16))
        #expect(middle.shared["token_embd.weight"] == "hole [256, 16]")
        #expect(middle.shared["output.weight"] == "hole [256, 16]")
        #expect(try model.stage(0, 3)["hash_layer_count"] == .uint32(3))
        #expect(middle["hash_layer_count"] == .uint32(2))
        #expect(try model.stage(6, 12)["hash_layer_count"] == .uint32(0))
    }

    // MARK: Patterns

    @Test func `a window pattern is written out`() throws {
        let model = CutModel("gemma3", [("attention.sliding_window", .uint32(64))])
        #expect(try model.stage(0, 7)["attention.sliding_window_pattern"] == list([1, 1, 1, 1, 1, 0, 1]))
        #expect(try model.stage(4, 8)["attention.sliding_window_pattern"] == list([1, 0, 1, 1]))
        #expect(try CutModel("gemma3").stage(4, 8)["attention.sliding_window_pattern"] == nil)
    }

    @Test func `a window pattern may start with the odd layer, or have a period of its own`() throws {
        #expect(try CutModel("cohere2moe").stage(3, 7)["attention.sliding_window_pattern"] == list([1, 0, 1, 1]))
        let short = CutModel("gpt-oss", [("attention.sliding_window_pattern", .uint32(3))])
        #expect(try short.stage(1, 5)["attention.sliding_window_pattern"] == list([1, 0, 1, 1]))
        let all = CutModel("gpt-oss", [("attention.sliding_window_pattern", .uint32(0))])
        #expect(try all.stage(1, 3)["attention.sliding_window_pattern"] == list([1, 1]))
    }

    @Test func `a window pattern that is listed is only sliced`() throws {
        let flags = (0..<12).map { $0 % 3 == 0 }
        let model = CutModel("gemma2", [("attention.sliding_window_pattern", .array(.bool(flags)))])
        #expect(try model.stage(2, 5)["attention.sliding_window_pattern"] == .array(.bool([false, true, false])))
    }

    @Test func `recurrent layers are written out`() throws {
        #expect(try CutModel("qwen3next").stage(2, 6)["attention.recurrent_layers"] == list([1, 0, 1, 1]))
        let model = CutModel("qwen35", [("full_attention_interval", .uint32(2))])
        #expect(try model.stage(1, 4)["attention.recurrent_layers"] == list([0, 1, 0]))
        let listed = CutModel("qwen35", layers: 4, [("attention.recurrent_layers", list([1, 0, 0, 1]))])
        #expect(try listed.stage(1, 4)["attention.recurrent_layers"] == list([0, 0, 1]))
    }

    @Test func `the table of indexers is written out for models of a million tokens`() throws {
        let long = CutModel("glm-dsa", [("context_length", .uint32(1_048_576))])
        #expect(try long.cutter().legalBoundaries == [1, 2, 6, 10])
        #expect(try long.stage(2, 8)["attention.indexer.types"] == list([1, 0, 0, 0, 1, 0]))
        let short = CutModel("glm-dsa", [("context_length", .uint32(4096))])
        #expect(try short.cutter().legalBoundaries == Array(1..<12))
        #expect(try short.stage(2, 8)["attention.indexer.types"] == nil)
    }

    // MARK: Metadata and tensors

    @Test func `what is derived from the number of layers is written out or patched`() throws {
        let root = Float(1.4) / Float(12).squareRoot()
        #expect(try CutModel("minicpm").stage(0, 6)["residual_scale"] == .float(root))
        let named = CutModel("minicpm", [("residual_scale", .float(0.5))])
        #expect(try named.stage(0, 6)["residual_scale"] == .float(0.5))
        let patches = [
            StageRecipe.ScalePatch(node: .prefix("hidden_scaled-"), factor: root),
            StageRecipe.ScalePatch(node: .prefix("hidden_scaled_ffn-"), factor: root),
        ]
        #expect(try CutModel("minicpm3").stage(0, 6).recipe.patches == patches)
        #expect(try CutModel("minicpm3").stage(6, 12).recipe.patches == patches)
        #expect(try CutModel("minicpm3").stage(0, 12).recipe.patches == [])
    }

    @Test func `the largest Gemma keeps its factor of attention`() throws {
        let heads: [(String, MetadataValue)] = [("attention.head_count", .uint32(4))]
        let patch = StageRecipe.ScalePatch(node: .operation("SCALE", source: "Qcur-*"), factor: 0.125)
        #expect(try CutModel("gemma2", layers: 46, heads).stage(13, 30).recipe.patches == [patch])
        #expect(try CutModel("gemma2", layers: 42, heads).stage(13, 30).recipe.patches == [])
    }

    @Test func `the decay of linear attention follows the layer's place in the whole model`() throws {
        let stage = try CutModel("minimax-01", [("full_attention_interval", .uint32(2))]).stage(3, 6)
        let factor = Float(1.0 - 4.0 / 11 + 1e-5)
        #expect(stage.recipe.feed == .rows)
        #expect(
            stage.recipe.patches == [
                StageRecipe.ScalePatch(node: .named("slope_rate-1"), factor: factor),
                StageRecipe.ScalePatch(node: .named("q_decay-1"), factor: factor, isInput: true),
                StageRecipe.ScalePatch(node: .named("k_decay-1"), factor: factor, isInput: true),
                StageRecipe.ScalePatch(node: .named("diag_decay-1"), factor: factor, isInput: true),
            ])
    }

    @Test func `the gating that is derived from sizes is written out`() throws {
        #expect(try CutModel("deepseek2").stage(0, 6)["expert_gating_func"] == .uint32(1))
        let named = CutModel("deepseek2", [("expert_gating_func", .uint32(2))])
        #expect(try named.stage(6, 12)["expert_gating_func"] == .uint32(2))
        let flash = CutModel("deepseek2", layers: 47, [("vocab_size", .uint32(154_880))])
        #expect(try flash.stage(6, 12)["expert_gating_func"] == .uint32(2))
    }

    @Test func `images stay in the first stage`() throws {
        let qwen = CutModel("qwen3vl", [("n_deepstack_layers", .uint32(3))])
        #expect(try qwen.cutter().legalBoundaries == Array(3..<12))
        #expect(try qwen.stage(0, 6)["n_deepstack_layers"] == .uint32(3))
        #expect(try qwen.stage(6, 12)["n_deepstack_layers"] == .uint32(0))
        let mapping = MetadataValue.array(.int32([-1, 0, -1, 1, -1, -1]))
        let granite = CutModel("granite", layers: 6, [("deepstack_mapping", mapping)])
        #expect(try granite.cutter().legalBoundaries == [4, 5])
        #expect(try granite.stage(0, 4)["deepstack_mapping"] == .array(.int32([-1, 0, -1, 1])))
        #expect(try granite.stage(4, 6)["deepstack_mapping"] == nil)
    }

    @Test func `shared tensors are dropped or emptied`() throws {
        var gpt2 = CutModel("gpt2")
        gpt2.shared.append(("position_embd.weight", [256, 32]))
        #expect(try gpt2.stage(0, 6).shared["position_embd.weight"] == "copy [256, 32]")
        #expect(try gpt2.stage(3, 6).shared["position_embd.weight"] == "hole [256, 32]")
        #expect(try gpt2.stage(6, 12).shared["position_embd.weight"] == "hole [256, 32]")
        var mpt = CutModel("mpt")
        mpt.shared.append(("position_embd.weight", [256, 32]))
        #expect(try mpt.stage(0, 6).shared["position_embd.weight"] == "copy [256, 32]")
        #expect(try mpt.stage(6, 12).shared["position_embd.weight"] == nil)
        #expect(try mpt.stage(6, 12).recipe.feed == .rows)
    }

    @Test func `one layer's n-gram table goes with it`() throws {
        var model = CutModel(
            "qwen4exp",
            [
                ("full_attention_interval", .uint32(2)), ("hyper_connection.count", .uint32(2)),
                ("ple.layers", list([5])), ("ple.ngram_size", .uint32(3)),
            ])
        model.shared.append(("per_layer_token_embd.weight", [64, 99]))
        let with = try model.stage(4, 8)
        #expect(with["ple.layers"] == list([1]))
        #expect(with["ple.ngram_size"] == .uint32(3))
        #expect(with.shared["per_layer_token_embd.weight"] == "copy [64, 99]")
        let without = try model.stage(8, 12)
        #expect(without["ple.layers"] == nil && without["ple.ngram_size"] == nil)
        #expect(without.shared["per_layer_token_embd.weight"] == nil)
        #expect(without.recipe.feed == .inject(.named("hc_init"), realTokens: true))
        #expect(try model.stage(0, 4).recipe.capture == .named("l_last-3"))
    }

    @Test func `shared memory of keys and values stays in the last stage`() throws {
        var model = CutModel(
            "gemma4",
            [
                ("attention.sliding_window_pattern", list([1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0])),
                ("attention.shared_kv_layers", .uint32(4)),
            ])
        model.shared.append(("rope_freqs.weight", [32]))
        #expect(try model.cutter().legalBoundaries == [2, 3, 4, 5, 6])
        #expect(try model.stage(0, 2).shared["rope_freqs.weight"] == nil)
        #expect(try model.stage(0, 3).shared["rope_freqs.weight"] == "copy [32]")
        #expect(try model.stage(0, 3)["attention.shared_kv_layers"] == .uint32(0))
        #expect(try model.stage(3, 12)["attention.shared_kv_layers"] == .uint32(4))
    }

    @Test func `a graph that reads the vocabulary's size keeps it`() throws {
        let middle = try CutModel("chameleon").stage(4, 8)
        #expect(middle.shared["token_embd.weight"] == "hole [256, 16]")
        #expect(middle.shared["output.weight"] == "hole [256, 16]")
        #expect(middle["vocab_size"] == .uint32(16))
        #expect(middle.file.string("tokenizer.ggml.model") == "no_vocab")
    }

    @Test func `a family recognised by its layers is written as another`() throws {
        let model = CutModel("baichuan", layers: 40, [("attention.head_count", .uint32(4))])
        let stage = try model.stage(0, 32)
        #expect(stage.file.architecture == "refact")
        #expect(stage.file.unsigned("refact.attention.head_count") == 4)
        #expect(stage.file.metadata.filter { $0.key.hasPrefix("baichuan.") }.isEmpty)
        #expect(try CutModel("baichuan", layers: 32).stage(0, 8).file.architecture == "llama")
        #expect(try CutModel("baichuan", layers: 12).stage(0, 8).file.architecture == "baichuan")
    }
}
