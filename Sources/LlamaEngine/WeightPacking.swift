import CLlama

/// Whether the library packs a model's weights anew for this processor, and whether it may.
package enum WeightPacking {
    /// Whether this processor multiplies matrices by tiles (AMX): the library then packs weights for them, and what is
    /// packed is no longer read from the file.
    package static let usesTiles: Bool = {
        LlamaLibrary.start()
        guard let device = unsafe ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU),
            let registry = unsafe ggml_backend_dev_backend_reg(device),
            let address = unsafe ggml_backend_reg_get_proc_address(registry, "ggml_backend_dev_get_extra_bufts")
        else { return false }
        let ask = unsafe unsafeBitCast(address, to: ggml_backend_dev_get_extra_bufts_t.self)
        guard var next = unsafe ask(device) else { return false }
        while let type = unsafe next.pointee {
            if unsafe String(cString: ggml_backend_buft_name(type)) == "AMX" { return true }
            unsafe next += 1
        }
        return false
    }()

    /// Whether a file's weights can be packed for tiles. Matrices one behind the other in one tensor cannot: the
    /// library packs only the first of them and reads on behind its memory. Experts' are never packed. A file that
    /// cannot be read says nothing; loading it will.
    ///
    /// **Source:** `ggml_backend_amx_get_alloc_size` and `ggml_backend_amx_convert_weight` of llama.cpp;
    /// `Placement.Tiles` counts the same way.
    static func isSafe(path: String) -> Bool {
        guard usesTiles else { return true }
        var tensors: OpaquePointer?
        let file = unsafe withUnsafeMutablePointer(to: &tensors) { place in
            unsafe gguf_init_from_file(path, gguf_init_params(no_alloc: true, ctx: place))
        }
        guard let file = unsafe file else { return true }
        defer {
            unsafe gguf_free(file)
            unsafe ggml_free(tensors)
        }
        var next = unsafe ggml_get_first_tensor(tensors)
        while let tensor = unsafe next {
            let sizes = unsafe tensor.pointee.ne
            let isStacked = sizes.2 > 1 || sizes.3 > 1
            if isStacked, unsafe ggml_is_quantized(tensor.pointee.type),
                !(unsafe String(cString: ggml_get_name(tensor))).contains("_exps")
            {
                return false
            }
            unsafe next = ggml_get_next_tensor(tensors, tensor)
        }
        return true
    }
}
