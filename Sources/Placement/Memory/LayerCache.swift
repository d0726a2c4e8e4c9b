import GGUF

/// What one layer keeps per token and per sequence.
struct LayerCache: Sendable, Hashable {
    /// Values of the K cache per cell.
    var keys: UInt64 = 0
    /// Values of the V cache per cell; 0 with latent attention, whose values are part of the keys.
    var values: UInt64 = 0
    /// Values per cell of the cache in which an indexer looks up earlier tokens.
    var indexKeys: UInt64 = 0
    /// As `indexKeys`, for the values that the library allocates beside them.
    var indexValues: UInt64 = 0
    /// Whether the layer looks back a window only.
    var isWindowed = false
    /// State per sequence. **Units:** bytes.
    var stateByteCount: UInt64 = 0

    /// Bytes of this layer's caches. **Units:** bytes.
    func byteCount(_ settings: MemorySettings, window: UInt64) -> UInt64 {
        let cells = isWindowed ? settings.windowCells(window) : settings.paddedCells
        let cached =
            settings.keys.byteCount(elements: keys) + settings.values.byteCount(elements: values)
            + settings.keys.byteCount(elements: indexKeys) + settings.values.byteCount(elements: indexValues)
        let states = stateByteCount.multipliedSaturated(by: settings.sequences)
        return cached.multipliedSaturated(by: cells).addingSaturated(states)
    }

    /// The same without what an indexer looks up.
    var withoutIndex: LayerCache {
        var cache = self
        (cache.indexKeys, cache.indexValues) = (0, 0)
        return cache
    }

    /// Bytes that one more token takes in this layer. **Units:** bytes.
    func byteCountPerToken(_ settings: MemorySettings) -> UInt64 {
        if isWindowed, !settings.keepsWholeWindows { return 0 }
        return settings.keys.byteCount(elements: keys) + settings.values.byteCount(elements: values)
            + settings.keys.byteCount(elements: indexKeys) + settings.values.byteCount(elements: indexValues)
    }
}

/// Finds what every layer of a model keeps, as the pinned llama.cpp does.
///
/// **Source:** `load_hparams` and `create_memory` of llama-model.cpp, `n_embd_r` and `n_embd_s` of llama-hparams.cpp.
struct CacheRules {
    private let cutter: ModelCutter
    private let numbers: HeaderNumbers
    private let headCounts: [UInt64]
    private let pairCounts: [UInt64]
    private let width: UInt64

    init(_ cutter: ModelCutter, _ numbers: HeaderNumbers) {
        self.cutter = cutter
        self.numbers = numbers
        headCounts = numbers.perLayer("attention.head_count") ?? Array(repeating: 0, count: cutter.layerCount)
        pairCounts = numbers.perLayer("attention.head_count_kv") ?? headCounts
        width = numbers["embedding_length"] ?? 0
    }

    /// The window of layers that have one; 0 when there is none. **Units:** tokens.
    var window: UInt64 {
        if let listed = number("attention.sliding_window") { return listed }
        switch cutter.architecture {
        case "gemma2", "exaone4": return 4096
        case "llama4": return 8192
        default: return 0
        }
    }

    func layers() -> [LayerCache] {
        let isWindowed = cutter.layers(.windowed)
        let recurrence = recurrentLayers()
        let state = stateByteCount
        let withoutCache = layersWithoutCache()
        let indexed = indexedLayers()
        return (0..<cutter.layerCount).map { layer in
            var cache = LayerCache()
            cache.isWindowed = isWindowed[layer]
            if recurrence.isRecurrent[layer] { cache.stateByteCount = state }
            guard recurrence.hasAttention[layer], !withoutCache[layer] else { return cache }
            let size = headSizes(isWindowed: cache.isWindowed)
            cache.keys = size.key * pairCounts[layer]
            cache.values = isLatent ? 0 : size.value * pairCounts[layer]
            if indexed[layer], let index = number("attention.indexer.key_length") {
                cache.indexKeys = index
                cache.indexValues = isLatent || cutter.architecture == "qwen4exp" ? 0 : size.value
            }
            return cache
        }
    }

    /// Size of heads; the library derives missing sizes from the first layer's heads.
    func headSizes(isWindowed: Bool) -> (key: UInt64, value: UInt64) {
        let share = headCounts.first.flatMap { $0 > 0 ? width / $0 : nil } ?? 0
        let full = (number("attention.key_length") ?? share, number("attention.value_length") ?? share)
        guard isWindowed else { return full }
        return (number("attention.key_length_swa") ?? full.0, number("attention.value_length_swa") ?? full.1)
    }

    /// Heads of a layer.
    func headCount(_ layer: Int) -> UInt64 { headCounts[layer] }

    /// Heads of keys and values of a layer.
    func pairCount(_ layer: Int) -> UInt64 { pairCounts[layer] }

    /// Whether keys and values are compressed into one row per token.
    var isLatent: Bool {
        (number("attention.key_length_mla") ?? 0) > 0 && (number("attention.value_length_mla") ?? 0) > 0
    }

    private func number(_ name: String) -> UInt64? { numbers[name] }

    private func recurrentLayers() -> (isRecurrent: [Bool], hasAttention: [Bool]) {
        let none = [Bool](repeating: false, count: cutter.layerCount)
        let all = [Bool](repeating: true, count: cutter.layerCount)
        switch cutter.architecture {
        // Diffusion models keep nothing: they see the whole text in every step.
        case "dream", "llada", "llada-moe", "rnd1": return (none, none)
        case "mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7": return (all, none)
        case "falcon-h1": return (all, all)
        // A layer is one or the other here: neither is a layer of experts or feed-forward alone.
        case "nemotron_h", "nemotron_h_moe": return (cutter.layers(.recurrent), cutter.layers(.attention))
        default:
            guard cutter.rules.recurrence != nil else { return (none, all) }
            return (cutter.layers(.recurrent), cutter.layers(.attention))
        }
    }

    /// State of one recurrent layer and one lane, 32-bit floats. **Units:** bytes.
    private var stateByteCount: UInt64 {
        let heads = headCounts.first ?? 0
        let convolution = number("ssm.conv_kernel") ?? 0
        if let size = number("wkv.head_size"), size > 0 {
            return 4 * ((number("token_shift_count") ?? 2) * width + width * size)
        }
        if let length = number("shortconv.l_cache"), length > 0 { return 4 * width * (length - 1) }
        if let size = number("kda.head_dim"), size > 0 {
            let steps = convolution > 0 ? convolution - 1 : 3
            return 4 * (3 * steps * heads * size + size * size * heads)
        }
        let inner = number("ssm.inner_size") ?? 0
        let state = number("ssm.state_size") ?? 0
        let groups = number("ssm.group_count") ?? 0
        let history = (convolution > 0 ? convolution - 1 : 0) * (inner + 2 * groups * state)
        if cutter.architecture == "minimax-01" {
            let size = headSizes(isWindowed: false).key
            return 4 * (history + size * size * heads)
        }
        return 4 * (history + state * inner)
    }

    /// Layers that read the cache of an earlier one.
    private func layersWithoutCache() -> [Bool] {
        let owners: Int
        switch cutter.architecture {
        case "gemma3n": owners = 20
        case "gemma4":
            owners = cutter.layerCount - Int(clamping: number("attention.shared_kv_layers") ?? 0)
        default: owners = cutter.layerCount
        }
        return (0..<cutter.layerCount).map { $0 >= owners }
    }

    /// For every layer, whether it has a cache of index keys beside that of keys and values.
    private func indexedLayers() -> [Bool] {
        let all = [Bool](repeating: true, count: cutter.layerCount)
        let none = [Bool](repeating: false, count: cutter.layerCount)
        switch cutter.architecture {
        case "deepseek32", "qwen4exp": return all
        case "minimax-m3":
            let dense = Int(clamping: number("leading_dense_block_count") ?? 0)
            return all.indices.map { $0 >= dense }
        case "hy_v4" where (number("attention.indexer.top_k") ?? 0) == 0: return none
        case "glm-dsa": return cutter.layers(.indexer(hasDefaultTable: true))
        case "glm5-next", "dots3note", "hy_v4": return cutter.layers(.indexer(hasDefaultTable: false))
        default: return none
        }
    }
}
