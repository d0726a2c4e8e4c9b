import CLlama
import CLlamaExtras
import Serving
package import Vocabulary

/// How a context is made.
package struct ContextOptions: Sendable, Hashable {
    /// KV cells shared by all lanes.
    package var cellCount: Int
    /// Number of sequences.
    package var laneCount: Int
    /// Largest number of rows per step.
    package var rowLimit: Int
    /// Compute threads.
    package var threads: Int
    /// Type of the K cache.
    package var keyType: CacheFormat
    /// Type of the V cache.
    package var valueType: CacheFormat
    /// Flash attention; nil lets the library decide.
    package var flashAttention: Bool?

    /// Makes options; one thread, f16 cache.
    package init(
        cellCount: Int, laneCount: Int, rowLimit: Int = 512, threads: Int = 1, keyType: CacheFormat = .f16,
        valueType: CacheFormat = .f16, flashAttention: Bool? = nil
    ) {
        self.cellCount = cellCount
        self.laneCount = laneCount
        self.rowLimit = rowLimit
        self.threads = threads
        self.keyType = keyType
        self.valueType = valueType
        self.flashAttention = flashAttention
    }
}

extension ContextOptions {
    fileprivate var libraryFlashAttention: llama_flash_attn_type {
        switch flashAttention {
        case .none: LLAMA_FLASH_ATTN_TYPE_AUTO
        case .some(true): LLAMA_FLASH_ATTN_TYPE_ENABLED
        case .some(false): LLAMA_FLASH_ATTN_TYPE_DISABLED
        }
    }
}

extension CacheFormat {
    var ggmlType: ggml_type {
        switch self {
        case .f32: GGML_TYPE_F32
        case .f16: GGML_TYPE_F16
        case .bf16: GGML_TYPE_BF16
        case .q8_0: GGML_TYPE_Q8_0
        case .q4_0: GGML_TYPE_Q4_0
        case .q4_1: GGML_TYPE_Q4_1
        case .q5_0: GGML_TYPE_Q5_0
        case .q5_1: GGML_TYPE_Q5_1
        case .iq4_nl: GGML_TYPE_IQ4_NL
        }
    }
}

/// Owner of a llama.cpp context and of everything it points to; frees them exactly once.
///
/// **Isolation:** used by one thread at a time.
@safe struct LlamaContext: ~Copyable {
    let handle: OpaquePointer
    let model: SharedModel
    let hooks: GraphHooks?
    /// A sequence that no lane has, for rows that go through the layers bit by bit; nil where they cannot.
    let spareSequence: llama_seq_id?
    /// A sequence that no lane has, for cells that are kept for long prompts; nil where no prompt pauses.
    let reservedSequence: llama_seq_id?
    /// A sequence that no lane has, for what lies behind the lanes' windows; nil where there are none.
    let keptSequence: llama_seq_id?
    let threadPool: ThreadPool?
    /// Whether a single row's attention would be shared by where its cells are; the library does so with plain floats.
    private let sharesCells: Bool

    /// What of a model a context runs.
    enum Part {
        /// Its layers, on threads of its own.
        case layers
        /// Its heads for several tokens, on the threads of the context that runs its layers.
        case heads(ThreadPool?)
    }

    /// Makes a context over `model` that runs `recipe`.
    init(
        model: SharedModel, options: ContextOptions, recipe: StageRecipe, part: Part = .layers
    ) throws(EngineError) {
        LlamaLibrary.clearLog()
        let isEncoder = model.model.isEncoder
        let runsHeads = if case .heads = part { true } else { false }
        let hooks = GraphHooks(recipe, takesVectors: recipe.capture == nil && !isEncoder)
        let canPause =
            !runsHeads && hooks != nil && recipe.layerOutput != nil && model.model.canPause
            && options.laneCount < Self.mostSequences
        spareSequence = canPause ? llama_seq_id(options.laneCount) : nil
        reservedSequence =
            canPause && options.laneCount + 1 < Self.mostSequences ? llama_seq_id(options.laneCount + 1) : nil
        let keepsWindows =
            !runsHeads && model.model.hasWindowedLayers && !model.model.isRecurrentOrHybrid && !isEncoder
            && options.laneCount < Self.mostSequences
        keptSequence = keepsWindows ? llama_seq_id(options.laneCount) : nil
        var parameters = unsafe llama_context_default_params()
        if runsHeads { unsafe parameters.ctx_type = LLAMA_CONTEXT_TYPE_MTP }
        let sequenceCount = options.laneCount + [spareSequence, reservedSequence, keptSequence].count { $0 != nil }
        // The library keeps room for a row of each sequence, and ends the process when a batch, which is never larger
        // than the cache, has less.
        unsafe parameters.n_ctx = UInt32(max(options.cellCount, sequenceCount))
        unsafe parameters.n_batch = UInt32(max(options.rowLimit, sequenceCount))
        unsafe parameters.n_ubatch = UInt32(options.rowLimit)
        unsafe parameters.n_seq_max = UInt32(sequenceCount)
        unsafe parameters.n_threads = Int32(options.threads)
        unsafe parameters.n_threads_batch = Int32(options.threads)
        unsafe parameters.type_k = options.keyType.ggmlType
        unsafe parameters.type_v = options.valueType.ggmlType
        unsafe parameters.flash_attn_type = options.libraryFlashAttention
        // One pool of cells for all lanes: lanes never multiply KV bytes.
        unsafe parameters.kv_unified = true
        unsafe parameters.no_perf = true
        if isEncoder {
            unsafe parameters.embeddings = true
            unsafe parameters.pooling_type = model.model.pooling?.libraryType ?? LLAMA_POOLING_TYPE_UNSPECIFIED
        }
        if let hooks {
            unsafe parameters.cb_eval = { tensor, asks, data in
                guard let data = unsafe data, let tensor = unsafe tensor else { return false }
                return unsafe Unmanaged<GraphHooks>.fromOpaque(data).takeUnretainedValue().visit(tensor, asks: asks)
            }
            unsafe parameters.cb_eval_user_data = Unmanaged.passUnretained(hooks).toOpaque()
        }
        guard let made = unsafe llama_init_from_model(model.model.handle, parameters) else {
            throw .failed(
                operation: "creating a context", code: -1, reason: LlamaLibrary.reason(or: "the library gave no reason")
            )
        }
        unsafe handle = made
        self.model = model
        self.hooks = hooks
        sharesCells = [options.keyType, options.valueType].allSatisfy { [.f16, .f32].contains($0) }
        // Without a pool of our own ggml starts and joins threads for every graph.
        threadPool =
            switch part {
            case .heads(let shared): shared
            case .layers: options.threads > 1 ? ThreadPool(threads: options.threads) : nil
            }
        if let threadPool { unsafe llama_attach_threadpool(made, threadPool.handle, nil) }
    }

    deinit {
        unsafe llama_detach_threadpool(handle)
        unsafe llama_free(handle)
    }

    /// **Source:** `LLAMA_MAX_SEQ` of llama.cpp.
    private static let mostSequences = 256

    /// Runs the graph over a batch; answers the library's status.
    func decode(_ batch: llama_batch) -> Int32 {
        if sharesCells {
            let leavesAttention = hooks?.attention.leftNothing != true
            unsafe extras_compute_row_by_row(handle, leavesAttention && batch.n_tokens == 1)
        }
        unsafe hooks?.window.begin(rows: Int(batch.n_tokens))
        unsafe hooks?.attention.begin(rows: Int(batch.n_tokens))
        defer {
            hooks?.window.end()
            hooks?.attention.end()
        }
        return unsafe llama_decode(handle, batch)
    }

    var memory: llama_memory_t? { unsafe llama_get_memory(handle) }

    /// Planned bytes per buffer type.
    var memoryBreakdown: StageMemory {
        var entries = [extras_memory](
            repeating: extras_memory(model: 0, context: 0, compute: 0, is_host: false), count: 64)
        let count = unsafe extras_memory_breakdown(handle, &entries, entries.count)
        return StageMemory(
            weights: ByteCount(entries.prefix(count).reduce(0) { $0 + $1.model }),
            cache: ByteCount(entries.prefix(count).reduce(0) { $0 + $1.context }),
            compute: ByteCount(entries.prefix(count).reduce(0) { $0 + $1.compute }))
    }
}

extension LlamaModel {
    /// Whether all that layers keep of rows is in one cache whose cells can be told apart.
    fileprivate var canPause: Bool {
        !isRecurrentOrHybrid && !hasWindowedLayers && !hasEncoder && !isEncoder && positionsPerRow == 1
    }
}

extension Pooling {
    fileprivate var libraryType: llama_pooling_type {
        switch self {
        case .first: LLAMA_POOLING_TYPE_CLS
        case .last: LLAMA_POOLING_TYPE_LAST
        case .mean: LLAMA_POOLING_TYPE_MEAN
        }
    }
}

/// Bytes one stage needs, as llama.cpp's allocator plans them.
package struct StageMemory: Hashable, Sendable, Codable {
    /// Weights.
    package var weights: ByteCount
    /// KV cache and recurrent state.
    package var cache: ByteCount
    /// Compute buffers.
    package var compute: ByteCount
}

/// Owner of a ggml thread pool.
@safe final class ThreadPool {
    let handle: OpaquePointer

    init?(threads: Int) {
        var parameters = ggml_threadpool_params_default(Int32(threads))
        guard let made = unsafe ggml_threadpool_new(&parameters) else { return nil }
        unsafe handle = made
    }

    deinit { unsafe ggml_threadpool_free(handle) }
}
