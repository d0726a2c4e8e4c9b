/// A family of models whose files can be synthesised; the raw value is llama.cpp's name.
package enum SynthesisArchitecture: String, Hashable, Sendable, CaseIterable {
    /// Llama 2 and 3, Mistral.
    case llama
    /// Qwen 2 and 2.5, with biases on query, key and value.
    case qwen2
    /// Qwen 3, with normed queries and keys.
    case qwen3
    /// Qwen 3 with experts in every layer.
    case qwen3moe
    /// Gemma 2: windows in every other layer, norms before and after.
    case gemma2
    /// Gemma 3: windows in five of six layers, normed queries and keys.
    case gemma3
    /// Phi 3, with joined query, key and value, and joined gate and up.
    case phi3
    /// GPT-OSS: experts with biases, attention sinks, windows in every other layer.
    case gptOss = "gpt-oss"
    /// DeepSeek 2 and 3: latent attention, leading dense layers, shared experts.
    case deepseek2
    /// GLM 4: norms before and after, rotation of half of each head.
    case glm4
    /// Mamba 1: no attention at all.
    case mamba
    /// Jamba: Mamba 1 with an attention layer now and then.
    case jamba
    /// Granite 4: Mamba 2 with an attention layer now and then.
    case graniteHybrid = "granitehybrid"
}

/// The numbers that make a model; its metadata and tensor table follow from them.
///
/// **Units:** counts of layers, heads, experts; sizes in floats.
package struct ModelShape: Hashable, Sendable {
    /// The family.
    package var architecture: SynthesisArchitecture
    /// Transformer layers, 1 to 512.
    package var layerCount = 4
    /// Width of the residual stream.
    package var width = 64
    /// Attention heads.
    package var headCount = 4
    /// Heads of keys and values; must divide `headCount`.
    package var headCountKV = 2
    /// Size of a head; in deepseek2 the part of it that is not rotated, and the size of its values.
    package var headSize = 16
    /// Width of the dense feed-forward layers.
    package var feedForward = 128
    /// Tokens, at least 259.
    package var vocabularySize = 512
    /// Tokens of context it claims to be trained for.
    package var contextLength = 512
    /// How the matrices are stored: f32, f16, bf16, q8_0 or q4_0. Vectors and small tensors are always f32.
    package var tensorType = TensorType.q8_0
    /// Experts; only families with experts use them, 0 elsewhere.
    package var expertCount = 0
    /// Experts per token.
    package var expertUsedCount = 0
    /// Width of one expert.
    package var expertFeedForward = 0
    /// Shared experts (deepseek2).
    package var sharedExpertCount = 0
    /// Layers at the start without experts (deepseek2).
    package var leadingDenseCount = 0
    /// Tokens that a windowed layer looks back (gemma2, gemma3, gpt-oss).
    package var slidingWindow = 128
    /// Whether there is an output matrix beside the embedding.
    package var hasOutput = true
    /// Rank of the query compression (deepseek2).
    package var queryRank = 0
    /// Rank of the key and value compression (deepseek2).
    package var keyValueRank = 0
    /// Rotated part of a head (deepseek2).
    package var ropeSize = 0
    /// Size of a recurrent state (mamba, jamba, granitehybrid).
    package var stateSize = 16
    /// Length of the convolution before it.
    package var convolutionSize = 4
    /// Rank of the time step (mamba, jamba), or number of recurrent heads (granitehybrid).
    package var timeStepRank = 4
    /// Groups of the recurrent state (granitehybrid).
    package var stateGroupCount = 1
    /// One layer in so many is an attention layer (jamba, granitehybrid).
    package var attentionPeriod = 2
    /// Base of the rotation.
    package var ropeBase: Float = 10_000

    /// The smallest useful model of a family: 4 layers, 64 wide, 512 tokens.
    package init(_ architecture: SynthesisArchitecture) {
        self.architecture = architecture
        switch architecture {
        case .qwen3moe, .gptOss:
            expertCount = 4
            expertUsedCount = 2
            expertFeedForward = 64
        case .deepseek2:
            expertCount = 4
            expertUsedCount = 2
            expertFeedForward = 64
            sharedExpertCount = 1
            leadingDenseCount = 1
            headSize = 32
            queryRank = 32
            keyValueRank = 32
            ropeSize = 16
        case .gemma3: layerCount = 6
        case .phi3: headCountKV = 4
        case .mamba: feedForward = 0
        default: break
        }
    }

    /// The shape of a well-known model, or nil; `names` lists them.
    package static func named(_ name: String) -> ModelShape? {
        known.first { $0.name == name }.map(\.shape)
    }

    /// The names `named` knows, smallest first.
    package static var names: [String] { known.map(\.name) }

    private static let known: [(name: String, shape: ModelShape)] = [
        (
            "mamba-130m",
            make(.mamba, 24, width: 768, heads: (0, 0, 0), ff: 0, vocabulary: 50_280) { $0.timeStepRank = 48 }
        ),
        ("qwen2.5-0.5b", make(.qwen2, 24, width: 896, heads: (14, 2, 64), ff: 4864, vocabulary: 151_936)),
        ("qwen3-0.6b", make(.qwen3, 28, width: 1024, heads: (16, 8, 128), ff: 3072, vocabulary: 151_936)),
        (
            "gemma3-1b",
            make(.gemma3, 26, width: 1152, heads: (4, 1, 256), ff: 6912, vocabulary: 262_144) { $0.slidingWindow = 512 }
        ),
        ("llama3.2-1b", make(.llama, 16, width: 2048, heads: (32, 8, 64), ff: 8192, vocabulary: 128_256)),
        (
            "gemma2-2b",
            make(.gemma2, 26, width: 2304, heads: (8, 4, 256), ff: 9216, vocabulary: 256_000) {
                $0.slidingWindow = 4096
            }
        ),
        ("phi3-mini", make(.phi3, 32, width: 3072, heads: (32, 32, 96), ff: 8192, vocabulary: 32_064)),
        ("llama3.1-8b", make(.llama, 32, width: 4096, heads: (32, 8, 128), ff: 14_336, vocabulary: 128_256)),
        ("glm4-9b", make(.glm4, 40, width: 4096, heads: (32, 2, 128), ff: 13_696, vocabulary: 151_552)),
        (
            "deepseek-v2-lite",
            make(.deepseek2, 27, width: 2048, heads: (16, 16, 128), ff: 10_944, vocabulary: 102_400) {
                $0.setExperts(64, used: 6, feedForward: 1408)
                $0.sharedExpertCount = 2
                $0.leadingDenseCount = 1
                $0.queryRank = 0
                $0.keyValueRank = 512
                $0.ropeSize = 64
            }
        ),
        (
            "gpt-oss-20b",
            make(.gptOss, 24, width: 2880, heads: (64, 8, 64), ff: 2880, vocabulary: 201_088) {
                $0.setExperts(32, used: 4, feedForward: 2880)
            }
        ),
        (
            "qwen3-30b-a3b",
            make(.qwen3moe, 48, width: 2048, heads: (32, 4, 128), ff: 6144, vocabulary: 151_936) {
                $0.setExperts(128, used: 8, feedForward: 768)
            }
        ),
    ]

    private static func make(
        _ architecture: SynthesisArchitecture, _ layers: Int, width: Int, heads: (count: Int, pairs: Int, size: Int),
        ff: Int, vocabulary: Int, _ change: (inout ModelShape) -> Void = { _ in }
    ) -> ModelShape {
        var shape = ModelShape(architecture)
        shape.layerCount = layers
        shape.width = width
        shape.headCount = heads.count
        shape.headCountKV = heads.pairs
        shape.headSize = heads.size
        shape.feedForward = ff
        shape.vocabularySize = vocabulary
        shape.contextLength = 32_768
        shape.ropeBase = 1_000_000
        // The small ones share the embedding with the output, as the originals do; those with experts do not.
        shape.hasOutput = width > 2304
        change(&shape)
        return shape
    }

    private mutating func setExperts(_ count: Int, used: Int, feedForward: Int) {
        expertCount = count
        expertUsedCount = used
        expertFeedForward = feedForward
        hasOutput = true
    }
}

extension ModelShape {
    /// Whether the layers have recurrent parts.
    var isRecurrent: Bool { [.mamba, .jamba, .graniteHybrid].contains(architecture) }

    /// Whether layer `index` has attention.
    func hasAttention(_ index: Int) -> Bool {
        switch architecture {
        case .mamba: false
        // In the middle of each period, as in Jamba; so a model shorter than the period may have none.
        case .jamba, .graniteHybrid: index % attentionPeriod == attentionPeriod / 2
        default: true
        }
    }

    /// Width of the recurrent part; the engine supports no other expansion.
    var innerSize: Int { 2 * width }

    /// Whether the queries are compressed; the engine does not look for it in models of these depths.
    var hasQueryRank: Bool { queryRank > 0 && ![26, 27].contains(layerCount) }

    /// Refuses numbers that the engine would stumble over.
    ///
    /// **Throws:** `GGUFError.unwritable` with the number and what it must be.
    func check() throws(GGUFError) {
        func require(_ isRight: Bool, _ field: String, _ reason: String) throws(GGUFError) {
            guard isRight else { throw .unwritable(field: field, reason: reason) }
        }
        let limits = GGUFLimits()
        try require(
            layerCount >= 1 && layerCount <= Int(limits.layerCountMax), "layers",
            "it is \(layerCount), and 1 to \(limits.layerCountMax) are allowed")
        for (field, value) in [("width", width), ("context", contextLength)] {
            try require(value >= 1 && value <= 1 << 30, field, "it is \(value), and 1 to 2^30 is allowed")
        }
        try require(
            [.f32, .f16, .bf16, .q8_0, .q4_0].contains(tensorType), "tensor type",
            "it is \(tensorType), and f32, f16, bf16, q8_0 and q4_0 can be generated")
        try require(
            architecture == .mamba || (feedForward >= 1 && feedForward <= 1 << 30), "feed-forward width",
            "it is \(feedForward), and at least 1 is needed")
        if architecture != .mamba { try checkAttention(require) }
        if [.qwen3moe, .gptOss, .deepseek2].contains(architecture) {
            try require(
                expertCount >= 1 && expertCount <= Int(EngineLimits.expertCountMax), "experts",
                "there are \(expertCount), and 1 to \(EngineLimits.expertCountMax) are allowed")
            try require(
                expertUsedCount >= 1 && expertUsedCount <= expertCount, "experts used",
                "\(expertUsedCount) of \(expertCount) experts cannot be used")
            try require(
                expertFeedForward >= 1 && expertFeedForward <= 1 << 30, "expert width",
                "it is \(expertFeedForward), and at least 1 is needed")
        }
        if isRecurrent {
            try require(
                stateSize >= 1 && convolutionSize >= 1 && timeStepRank >= 1 && attentionPeriod >= 1, "recurrent sizes",
                "state \(stateSize), convolution \(convolutionSize), time step \(timeStepRank) and attention period "
                    + "\(attentionPeriod) must be at least 1")
        }
        if architecture == .graniteHybrid {
            try require(
                stateGroupCount >= 1 && timeStepRank % stateGroupCount == 0 && innerSize % timeStepRank == 0,
                "recurrent heads",
                "\(timeStepRank) heads must be a multiple of \(stateGroupCount) groups and divide \(innerSize)")
        }
    }

    private func checkAttention(
        _ require: (Bool, String, String) throws(GGUFError) -> Void
    ) throws(GGUFError) {
        try require(
            headCount >= 1 && headCountKV >= 1 && headCount % headCountKV == 0, "heads",
            "\(headCount) heads must be a multiple of \(headCountKV) heads of keys and values")
        try require(headSize >= 2 && headSize % 2 == 0, "head size", "it is \(headSize), and it must be even")
        if [.qwen2, .phi3, .jamba].contains(architecture) {
            try require(
                headCount * headSize == width, "head size",
                "\(headCount) heads of \(headSize) must make the width \(width) in \(architecture.rawValue)")
        }
        if architecture == .deepseek2 {
            try require(
                keyValueRank >= 1 && ropeSize >= 2 && ropeSize % 2 == 0 && sharedExpertCount >= 1, "latent attention",
                "key-value rank \(keyValueRank), rotated size \(ropeSize) (even) and shared experts "
                    + "\(sharedExpertCount) are needed")
            try require(
                leadingDenseCount >= 0 && leadingDenseCount <= layerCount, "leading dense layers",
                "there are \(leadingDenseCount) of \(layerCount)")
        }
    }
}
