extension ModelShape {
    /// The metadata of the model, in the order writers commonly use: general, architecture, tokenizer.
    func metadata() throws(GGUFError) -> [MetadataEntry] {
        var list = MetadataList(prefix: architecture.rawValue)
        list.entries = [
            MetadataEntry(key: GGUFFormat.architectureKey, value: .text(architecture.rawValue)),
            MetadataEntry(key: "general.type", value: .text("model")),
            // The engine changes special tokens by the model's name (it looks for "phi3"), so it names no family.
            MetadataEntry(key: "general.name", value: .text("Skein synthetic")),
            MetadataEntry(key: "general.file_type", value: .uint32(fileType)),
            MetadataEntry(key: "general.quantization_version", value: .uint32(2)),
        ]
        list.add("block_count", layerCount)
        list.add("context_length", contextLength)
        list.add("embedding_length", width)
        list.add("vocab_size", vocabularySize)
        list.add("feed_forward_length", feedForward)
        list.add("attention.layer_norm_rms_epsilon", Float(1e-6))
        if architecture == .mamba {
            list.add("attention.head_count", 0)
        } else {
            addAttention(&list)
        }
        addFamily(&list)
        if isRecurrent { addRecurrent(&list) }
        return list.entries + (try SyntheticTokenizer(size: vocabularySize)).metadata
    }

    /// llama.cpp's number for the most common tensor type of a file.
    private var fileType: UInt32 {
        switch tensorType {
        case .f16: 1
        case .q4_0: 2
        case .q8_0: 7
        case .bf16: 32
        default: 0
        }
    }

    private func addAttention(_ list: inout MetadataList) {
        list.add("attention.head_count", headCount)
        switch architecture {
        case .jamba, .graniteHybrid:
            // A layer is recurrent if and only if it has no heads of keys and values.
            list.add(
                "attention.head_count_kv",
                array: (0..<layerCount).map { hasAttention($0) ? UInt32(headCountKV) : 0 })
        case .deepseek2:
            // The latent attention works on one head of the compressed width.
            list.add("attention.head_count_kv", 1)
            list.add("attention.key_length", keyValueRank + ropeSize)
            list.add("attention.value_length", keyValueRank)
            list.add("attention.key_length_mla", headSize + ropeSize)
            list.add("attention.value_length_mla", headSize)
            list.add("attention.kv_lora_rank", keyValueRank)
            if hasQueryRank { list.add("attention.q_lora_rank", queryRank) }
            list.add("rope.dimension_count", ropeSize)
            list.add("rope.freq_base", ropeBase)
            return
        default: list.add("attention.head_count_kv", headCountKV)
        }
        list.add("attention.key_length", headSize)
        list.add("attention.value_length", headSize)
        if architecture != .jamba {
            list.add("rope.dimension_count", architecture == .glm4 ? max(2, headSize / 4 * 2) : headSize)
            list.add("rope.freq_base", ropeBase)
        }
    }

    private func addFamily(_ list: inout MetadataList) {
        switch architecture {
        case .qwen3moe:
            addExperts(&list)
        case .gptOss:
            addExperts(&list)
            list.add("attention.sliding_window", slidingWindow)
        case .gemma2:
            list.add("attention.sliding_window", slidingWindow)
            list.add("attn_logit_softcapping", Float(50))
            list.add("final_logit_softcapping", Float(30))
        case .gemma3:
            list.add("attention.sliding_window", slidingWindow)
            list.add("rope.freq_base_swa", Float(10_000))
        case .deepseek2:
            addExperts(&list)
            list.add("leading_dense_block_count", leadingDenseCount)
            list.add("expert_shared_count", sharedExpertCount)
            list.add("expert_weights_scale", Float(1))
            list.add("expert_weights_norm", true)
            // 2: the sigmoid that DeepSeek 3 uses.
            list.add("expert_gating_func", 2)
        default: break
        }
    }

    private func addExperts(_ list: inout MetadataList) {
        list.add("expert_count", expertCount)
        list.add("expert_used_count", expertUsedCount)
        list.add("expert_feed_forward_length", expertFeedForward)
    }

    private func addRecurrent(_ list: inout MetadataList) {
        list.add("ssm.conv_kernel", convolutionSize)
        list.add("ssm.inner_size", innerSize)
        list.add("ssm.state_size", stateSize)
        list.add("ssm.time_step_rank", timeStepRank)
        if architecture == .graniteHybrid { list.add("ssm.group_count", stateGroupCount) }
    }
}

/// Collects the metadata of one architecture.
struct MetadataList {
    /// The architecture's name, put before every key.
    let prefix: String
    var entries: [MetadataEntry] = []

    mutating func add(_ name: String, _ value: Int) {
        precondition(value >= 0 && value <= Int(UInt32.max), "\(name) is \(value), beyond 32 bits")
        entries.append(MetadataEntry(key: "\(prefix).\(name)", value: .uint32(UInt32(value))))
    }

    mutating func add(_ name: String, _ value: Float) {
        entries.append(MetadataEntry(key: "\(prefix).\(name)", value: .float(value)))
    }

    mutating func add(_ name: String, _ value: Bool) {
        entries.append(MetadataEntry(key: "\(prefix).\(name)", value: .bool(value)))
    }

    mutating func add(_ name: String, array: [UInt32]) {
        entries.append(MetadataEntry(key: "\(prefix).\(name)", value: .array(.uint32(array))))
    }
}
