import GGUF

extension ModelFile {
    /// How the weights are stored, by the name people know: what the file says of itself, else the type that holds most
    /// of its bytes.
    ///
    /// **Source:** `llama_ftype` of llama.cpp's `llama.h`, for `general.file_type`.
    package var quantization: String {
        if let number = header.unsigned("general.file_type"), let name = Self.names[number] { return name }
        var bytes: [TensorType: UInt64] = [:]
        for tensor in header.tensors { bytes[tensor.type, default: 0] &+= tensor.byteCount }
        let largest = bytes.max { ($0.value, $1.key.rawValue) < ($1.value, $0.key.rawValue) }
        return largest.map { $0.key.description.uppercased() } ?? "unknown"
    }

    private static let names: [UInt64: String] = [
        0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
        12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS",
        20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M",
        28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4",
    ]
}
