import CLlama
package import Serving
package import Vocabulary

/// Owner of a loaded model file; frees it exactly once.
///
/// **Isolation:** the library only reads a loaded model, so contexts on one thread and the tokenizer on another may
/// share it through `SharedModel`.
@safe package struct LlamaModel: ~Copyable {
    let handle: OpaquePointer

    /// Loads the file at `path`.
    ///
    /// `progress` is called on this thread with 0 … 1; answering false aborts.
    /// **Throws:** `loadFailed` with the library's last words; `cancelled` when `progress` answered false.
    package init(
        path: String, options: ModelOptions = ModelOptions(), progress: (Float) -> Bool = { _ in true }
    ) throws(EngineError) {
        LlamaLibrary.start()
        LlamaLibrary.clearLog()
        var parameters = unsafe llama_model_default_params()
        unsafe parameters.n_gpu_layers = options.gpuLayers
        let isPacked = options.packsWeights && !options.vocabularyOnly && WeightPacking.pays(path: path)
        unsafe parameters.use_extra_bufts = isPacked
        // What is packed stands in memory of its own: mapped, the file would be there a second time.
        let isMapped = options.usesMmap && !(isPacked && WeightPacking.usesTiles)
        unsafe parameters.load_mode = isMapped ? LLAMA_LOAD_MODE_MMAP : LLAMA_LOAD_MODE_NONE
        unsafe parameters.vocab_only = options.vocabularyOnly
        unsafe parameters.no_alloc = options.withoutAllocation
        unsafe parameters.load_mtp = options.loadsHeads
        if options.withoutAllocation { unsafe parameters.load_mode = LLAMA_LOAD_MODE_NONE }
        var wasAborted = false
        let loaded = try unsafe EngineDevices.withHandles(options.devices, path: path) {
            (devices) throws(EngineError) -> OpaquePointer? in
            unsafe parameters.devices = unsafe devices
            return withoutActuallyEscaping(progress) { escaping in
                let box = ProgressBox(report: escaping)
                let result = unsafe withExtendedLifetime(box) {
                    unsafe parameters.progress_callback_user_data = Unmanaged.passUnretained(box).toOpaque()
                    unsafe parameters.progress_callback = { fraction, data in
                        guard let data = unsafe data else { return true }
                        return unsafe Unmanaged<ProgressBox>.fromOpaque(data).takeUnretainedValue().call(fraction)
                    }
                    return unsafe llama_model_load_from_file(path, parameters)
                }
                wasAborted = box.wasAborted
                return unsafe result
            }
        }
        guard let loaded = unsafe loaded else {
            if wasAborted { throw .cancelled }
            throw .loadFailed(path: path, reason: LlamaLibrary.reason(or: "the library gave no reason"))
        }
        unsafe handle = loaded
    }

    deinit { unsafe llama_model_free(handle) }

    /// Floats per row of the residual stream.
    package var width: Int { unsafe Int(llama_model_n_embd(handle)) }
    /// Floats per row of an embedding input; differs from `width` for models that stack extra vision features.
    package var inputWidth: Int { unsafe Int(llama_model_n_embd_inp(handle)) }
    /// Number of layers in this file.
    package var layerCount: Int { unsafe Int(llama_model_n_layer(handle)) }
    /// Context the model was trained for, in tokens.
    package var trainedContext: Int { unsafe Int(llama_model_n_ctx_train(handle)) }
    /// Number of tokens in the vocabulary; 1 for middle stages.
    package var vocabularySize: Int { unsafe Int(llama_vocab_n_tokens(llama_model_get_vocab(handle))) }
    /// Number of parameters.
    package var parameterCount: UInt64 { unsafe llama_model_n_params(handle) }
    /// Bytes of all tensors.
    package var byteCount: UInt64 { unsafe llama_model_size(handle) }
    /// Whether the file needs `llama_encode` before decoding; such models cannot be staged.
    package var hasEncoder: Bool { unsafe llama_model_has_encoder(handle) }
    /// Whether the model reads a whole text at once and makes vectors; it generates nothing.
    package var isEncoder: Bool {
        let family = metadata("general.architecture") ?? ""
        if EncoderFamilies.names.contains(family) || metadata("\(family).attention.causal") == "false" { return true }
        return unsafe hasEncoder && !llama_model_has_decoder(handle)
    }
    /// Floats of a vector the model makes.
    package var vectorWidth: Int { unsafe Int(llama_model_n_embd_out(handle)) }
    /// How a text becomes a vector: as the file says, else the last row of a model that generates (no other has seen
    /// all of the text) and the mean of one that does not. Nil for models that rank instead.
    package var pooling: Pooling? {
        let family = metadata("general.architecture") ?? ""
        switch metadata("\(family).pooling_type") {
        case "1": return .mean
        case "2": return .first
        case "3": return .last
        case "4": return nil
        default: return isEncoder ? .mean : .last
        }
    }
    /// A metadata entry as text; nil when there is none or it is longer than a short word.
    private func metadata(_ key: String) -> String? {
        var text = [CChar](repeating: 0, count: 64)
        let count = unsafe llama_model_meta_val_str(handle, key, &text, text.count)
        guard count >= 0, count < text.count else { return nil }
        return String(decoding: text.prefix(Int(count)).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
    /// Whether some or all layers keep a recurrent state instead of (or beside) a KV cache.
    package var isRecurrentOrHybrid: Bool { unsafe llama_model_is_recurrent(handle) || llama_model_is_hybrid(handle) }
    /// Whether some layers see only the newest positions, and keep no others.
    package var hasWindowedLayers: Bool { unsafe llama_model_n_swa(handle) > 0 }
    /// Positions per embedding row: 4 with M-RoPE, else 1.
    package var positionsPerRow: Int {
        let type = unsafe llama_model_rope_type(handle)
        return type == LLAMA_ROPE_TYPE_MROPE || type == LLAMA_ROPE_TYPE_IMROPE ? 4 : 1
    }
}

/// A model shared by its contexts and its tokenizer; freed when the last of them is gone.
///
/// `@unchecked Sendable`: a loaded model is immutable, llama.cpp only reads it.
package final class SharedModel: @unchecked Sendable {
    /// The model.
    package let model: LlamaModel

    /// Takes over a model.
    package init(_ model: consuming LlamaModel) { self.model = model }
}

/// How a model file is loaded.
package struct ModelOptions: Sendable {
    /// Layers on the GPU; negative is all.
    package var gpuLayers: Int32 = -1
    /// Devices layers may be moved to, by the library's names; `none` moves nothing, nil leaves it to the library.
    package var devices: [String]?
    /// Map the file instead of reading it.
    package var usesMmap = true
    /// Pack the weights anew where that makes this processor quicker and the file allows it.
    package var packsWeights = true
    /// Load the layers of the model's own heads for several tokens, which the file MUST have then.
    package var loadsHeads = false
    /// Load the tokenizer only.
    package var vocabularyOnly = false
    /// Read metadata only and simulate the allocations, for memory planning.
    package var withoutAllocation = false

    /// The defaults above.
    package init() {}
}

private final class ProgressBox {
    let report: (Float) -> Bool
    var wasAborted = false

    init(report: @escaping (Float) -> Bool) { self.report = report }

    func call(_ fraction: Float) -> Bool {
        let goesOn = report(fraction)
        if !goesOn { wasAborted = true }
        return goesOn
    }
}
