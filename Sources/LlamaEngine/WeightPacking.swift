import CLlama
import CLlamaExtras

/// Whether the library packs a model's weights anew for this processor, and whether it should.
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

    /// Whether a file's weights are better packed. A file that cannot be read says nothing; loading it will.
    ///
    /// For tiles they are, where they can be: matrices one behind the other in one tensor cannot, as the library packs
    /// only the first of them and reads on behind its memory. Experts' are never packed for tiles, but in q4_K as they
    /// are without.
    ///
    /// Without tiles they are not where most of what would be packed is multiplied by strips as it is: several rows
    /// take half as long, and the file needs no memory beside itself
    /// (docs/decisions/0030-products-by-strips.md).
    ///
    /// **Source:** `ggml_backend_amx_get_alloc_size`, `ggml_backend_amx_convert_weight` and
    /// `ggml_repack_get_optimal_repack_type` of llama.cpp; `Placement.Tiles` counts the same way.
    static func pays(path: String) -> Bool {
        guard usesTiles || packed.contains(where: extras_multiplies_by_strips) else { return true }
        var tensors: OpaquePointer?
        let file = unsafe withUnsafeMutablePointer(to: &tensors) { place in
            unsafe gguf_init_from_file(path, gguf_init_params(no_alloc: true, ctx: place))
        }
        guard let file = unsafe file else { return true }
        defer {
            unsafe gguf_free(file)
            unsafe ggml_free(tensors)
        }
        var (strips, others) = (0, 0)
        var next = unsafe ggml_get_first_tensor(tensors)
        while let tensor = unsafe next {
            let sizes = unsafe tensor.pointee.ne
            let type = unsafe tensor.pointee.type
            if usesTiles, sizes.2 > 1 || sizes.3 > 1, ggml_is_quantized(type),
                !(unsafe String(cString: ggml_get_name(tensor))).contains("_exps")
            {
                return false
            }
            if packed.contains(type.rawValue) {
                let bytes = unsafe ggml_nbytes(tensor)
                if extras_multiplies_by_strips(type.rawValue) { strips += bytes } else { others += bytes }
            }
            unsafe next = ggml_get_next_tensor(tensors, tensor)
        }
        return usesTiles || others >= strips
    }

    /// Types that the library packs without tiles on the processors that know strips.
    private static let packed = Set(
        [GGML_TYPE_Q4_0, GGML_TYPE_Q4_K, GGML_TYPE_Q2_K, GGML_TYPE_IQ4_NL, GGML_TYPE_MXFP4].map(\.rawValue))
}
