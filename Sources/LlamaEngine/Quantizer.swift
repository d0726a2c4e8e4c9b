import CLlama
package import Serving

/// llama.cpp's own quantiser.
package enum Quantizer {
    /// The formats, by the names llama.cpp's tools use, in lower case.
    private static let formats: [(name: String, type: llama_ftype)] = [
        ("q4_0", LLAMA_FTYPE_MOSTLY_Q4_0), ("q4_1", LLAMA_FTYPE_MOSTLY_Q4_1), ("q5_0", LLAMA_FTYPE_MOSTLY_Q5_0),
        ("q5_1", LLAMA_FTYPE_MOSTLY_Q5_1), ("q8_0", LLAMA_FTYPE_MOSTLY_Q8_0), ("q2_k", LLAMA_FTYPE_MOSTLY_Q2_K),
        ("q3_k_m", LLAMA_FTYPE_MOSTLY_Q3_K_M), ("q4_k_s", LLAMA_FTYPE_MOSTLY_Q4_K_S),
        ("q4_k_m", LLAMA_FTYPE_MOSTLY_Q4_K_M), ("q5_k_s", LLAMA_FTYPE_MOSTLY_Q5_K_S),
        ("q5_k_m", LLAMA_FTYPE_MOSTLY_Q5_K_M), ("q6_k", LLAMA_FTYPE_MOSTLY_Q6_K),
    ]

    /// Quantises the file at `source`.
    ///
    /// **Throws:** `failed` for an unknown format, with the list, and when the library refuses.
    package static func quantize(_ source: String, to target: String, as format: String) throws(EngineError) {
        guard let found = formats.first(where: { $0.name == format.lowercased() }) else {
            throw .failed(
                operation: "quantising", code: -1,
                reason: "unknown type '\(format)'; known are \(formats.map(\.name).joined(separator: ", "))")
        }
        LlamaLibrary.start()
        LlamaLibrary.clearLog()
        var parameters = unsafe llama_model_quantize_default_params()
        unsafe parameters.ftype = found.type
        let status = unsafe llama_model_quantize(source, target, &parameters)
        guard status == 0 else {
            throw .failed(
                operation: "quantising", code: Int(status), reason: LlamaLibrary.reason(or: "no reason was logged"))
        }
    }
}
