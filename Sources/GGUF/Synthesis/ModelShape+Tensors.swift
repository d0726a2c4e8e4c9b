extension ModelShape {
    /// A complete model file of this shape: metadata, tokenizer and tensor table.
    ///
    /// The weights come from a `WeightGenerator`, tensor by tensor.
    /// **Throws:** `GGUFError.unwritable` for numbers that make no model.
    /// **Source:** `create_tensor` calls of the pinned llama.cpp, `src/models/<architecture>.cpp`.
    package func writer() throws(GGUFError) -> GGUFWriter {
        try check()
        return GGUFWriter(metadata: try metadata(), tensors: tensors())
    }

    private func tensors() -> [TensorPlan] {
        var table = TensorTable(type: tensorType)
        table.matrix("token_embd", width, vocabularySize)
        for layer in 0..<layerCount {
            table.prefix = "blk.\(layer)."
            table.vector("attn_norm.weight", width)
            if hasAttention(layer) { addAttention(&table) } else { addRecurrence(&table) }
            if architecture != .mamba { addFeedForward(&table, layer: layer) }
        }
        table.prefix = ""
        table.vector("output_norm.weight", width)
        // Gemma 2 knows no output matrix, gpt-oss cannot do without.
        if architecture == .gptOss || (hasOutput && architecture != .gemma2) {
            table.matrix("output", width, vocabularySize)
        }
        return table.plans
    }

    private func addAttention(_ table: inout TensorTable) {
        let queries = headCount * headSize
        let pairs = headCountKV * headSize
        switch architecture {
        case .deepseek2: return addLatentAttention(&table)
        case .phi3: table.matrix("attn_qkv", width, queries + 2 * pairs)
        default:
            table.matrix("attn_q", width, queries)
            table.matrix("attn_k", width, pairs)
            table.matrix("attn_v", width, pairs)
        }
        if architecture == .qwen2 || architecture == .gptOss {
            table.vector("attn_q.bias", queries)
            table.vector("attn_k.bias", pairs)
            table.vector("attn_v.bias", pairs)
        }
        if [.qwen3, .qwen3moe, .gemma3].contains(architecture) {
            table.vector("attn_q_norm.weight", headSize)
            table.vector("attn_k_norm.weight", headSize)
        }
        table.matrix("attn_output", queries, width)
        if architecture == .gptOss {
            table.vector("attn_output.bias", width)
            table.vector("attn_sinks.weight", headCount)
        }
    }

    private func addLatentAttention(_ table: inout TensorTable) {
        let queries = headCount * (headSize + ropeSize)
        if hasQueryRank {
            table.matrix("attn_q_a", width, queryRank)
            table.vector("attn_q_a_norm.weight", queryRank)
            table.matrix("attn_q_b", queryRank, queries)
        } else {
            table.matrix("attn_q", width, queries)
        }
        table.matrix("attn_kv_a_mqa", width, keyValueRank + ropeSize)
        table.vector("attn_kv_a_norm.weight", keyValueRank)
        table.matrix("attn_k_b", headSize, keyValueRank, headCount)
        table.matrix("attn_v_b", keyValueRank, headSize, headCount)
        table.matrix("attn_output", headCount * headSize, width)
    }

    private func addFeedForward(_ table: inout TensorTable, layer: Int) {
        let hasPostNorms = [.gemma2, .gemma3, .glm4].contains(architecture)
        if hasPostNorms || architecture == .gptOss { table.vector("post_attention_norm.weight", width) }
        // gpt-oss uses the norm above as the one before its experts.
        if architecture != .gptOss { table.vector("ffn_norm.weight", width) }
        switch architecture {
        case .qwen3moe, .gptOss: addExperts(&table)
        case .deepseek2 where layer >= leadingDenseCount: addExperts(&table)
        case .phi3, .glm4:
            table.matrix("ffn_up", width, 2 * feedForward)
            table.matrix("ffn_down", feedForward, width)
        default:
            table.matrix("ffn_gate", width, feedForward)
            table.matrix("ffn_up", width, feedForward)
            table.matrix("ffn_down", feedForward, width)
        }
        if hasPostNorms { table.vector("post_ffw_norm.weight", width) }
    }

    private func addExperts(_ table: inout TensorTable) {
        // The router stays f32, as quantisers leave it.
        table.small("ffn_gate_inp.weight", width, expertCount)
        table.matrix("ffn_gate_exps", width, expertFeedForward, expertCount)
        table.matrix("ffn_up_exps", width, expertFeedForward, expertCount)
        table.matrix("ffn_down_exps", expertFeedForward, width, expertCount)
        if architecture == .gptOss {
            table.vector("ffn_gate_inp.bias", expertCount)
            table.small("ffn_gate_exps.bias", expertFeedForward, expertCount)
            table.small("ffn_up_exps.bias", expertFeedForward, expertCount)
            table.small("ffn_down_exps.bias", width, expertCount)
        }
        if architecture == .deepseek2 {
            let shared = expertFeedForward * sharedExpertCount
            table.vector("exp_probs_b.bias", expertCount)
            table.matrix("ffn_gate_shexp", width, shared)
            table.matrix("ffn_up_shexp", width, shared)
            table.matrix("ffn_down_shexp", shared, width)
        }
    }

    private func addRecurrence(_ table: inout TensorTable) {
        if architecture == .graniteHybrid {
            let groups = 2 * stateGroupCount * stateSize
            table.matrix("ssm_in", width, 2 * innerSize + groups + timeStepRank)
            table.small("ssm_conv1d.weight", convolutionSize, innerSize + groups)
            table.vector("ssm_conv1d.bias", innerSize + groups)
            table.vector("ssm_dt.bias", timeStepRank)
            table.small("ssm_a", 1, timeStepRank)
            table.small("ssm_d", 1, timeStepRank)
            table.small("ssm_norm.weight", innerSize / stateGroupCount, stateGroupCount)
        } else {
            table.matrix("ssm_in", width, 2 * innerSize)
            table.small("ssm_conv1d.weight", convolutionSize, innerSize)
            table.vector("ssm_conv1d.bias", innerSize)
            table.matrix("ssm_x", innerSize, timeStepRank + 2 * stateSize)
            table.matrix("ssm_dt", timeStepRank, innerSize)
            table.vector("ssm_dt.bias", innerSize)
            table.small("ssm_a", stateSize, innerSize)
            table.vector("ssm_d", innerSize)
            if architecture == .jamba {
                table.vector("ssm_dt_norm.weight", timeStepRank)
                table.vector("ssm_b_norm.weight", stateSize)
                table.vector("ssm_c_norm.weight", stateSize)
            }
        }
        table.matrix("ssm_out", innerSize, width)
    }
}

/// Collects the tensors of a model.
struct TensorTable {
    /// How matrices are stored where their rows allow it.
    let type: TensorType
    /// Put before every name.
    var prefix = ""
    var plans: [TensorPlan] = []

    /// A matrix of weights, named `<name>.weight`; rows that are no multiple of the block are stored as f16.
    mutating func matrix(_ name: String, _ sizes: Int...) {
        let fits = UInt64(sizes[0]) % type.blockElementCount == 0
        add("\(name).weight", sizes, fits ? type : .f16)
    }

    /// A vector, always f32.
    mutating func vector(_ name: String, _ size: Int) { add(name, [size], .f32) }

    /// A matrix that the engine wants, or quantisers leave, in f32.
    mutating func small(_ name: String, _ sizes: Int...) { add(name, sizes, .f32) }

    private mutating func add(_ name: String, _ sizes: [Int], _ type: TensorType) {
        plans.append(TensorPlan(name: prefix + name, dimensions: sizes.map { UInt64($0) }, type: type))
    }
}
