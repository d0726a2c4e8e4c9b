extension GGUFFile {
    /// The text of a `str` value, with U+FFFD in place of what is not UTF-8; nil when absent or of another type.
    package func string(_ key: String) -> String? { self[key]?.byteString?.text }

    /// The value of any integer type, nil when absent, negative or of another type.
    package func unsigned(_ key: String) -> UInt64? { self[key]?.unsigned }

    /// The value of any integer type, nil when absent, beyond `Int64.max` or of another type.
    package func integer(_ key: String) -> Int64? { self[key]?.integer }

    /// The value of an `f32` or `f64`, nil when absent or of another type.
    package func float(_ key: String) -> Double? { self[key]?.float }

    /// The value of a `bool`, nil when absent or of another type.
    package func bool(_ key: String) -> Bool? { self[key]?.bool }

    /// The elements of an array of integers or bools (true is 1), nil when absent or of another type.
    package func integers(_ key: String) -> [Int64]? { self[key]?.array?.integers }

    /// The elements of an array of `f32` or `f64`, nil when absent or of another type.
    package func floats(_ key: String) -> [Double]? { self[key]?.array?.floats }

    /// The elements of an array of `str`, nil when absent or of another type.
    package func strings(_ key: String) -> StringTable? { self[key]?.array?.strings }

    /// A hyper-parameter that may be one integer for all layers or an array with one per layer.
    ///
    /// **Shape:** `count` elements; nil when absent, of another type, or an array of fewer elements.
    package func perLayer(_ key: String, count: Int) -> [Int64]? {
        if let value = integer(key) { return Array(repeating: value, count: count) }
        guard let values = integers(key), values.count >= count else { return nil }
        return Array(values.prefix(count))
    }

    /// `general.architecture`: `qwen3`.
    package var architecture: String? { string(GGUFFormat.architectureKey) }

    /// The full key of a hyper-parameter: `qwen3.block_count` for `block_count`.
    package func architectureKey(_ name: String) -> String { "\(architecture ?? "").\(name)" }

    /// `<architecture>.block_count`: number of transformer layers; nil when absent or not an integer.
    package var layerCount: Int? { unsigned(architectureKey("block_count")).flatMap { Int(exactly: $0) } }

    /// Sum of the tensors' elements.
    package var parameterCount: UInt64 { tensors.reduce(0) { $0 &+ $1.elementCount } }

    /// Sum of the tensors' bytes, without padding. **Units:** bytes.
    package var tensorByteCount: UInt64 { tensors.reduce(0) { $0 &+ $1.byteCount } }

    /// Where a tensor's data starts in the file. **Units:** bytes.
    package func fileOffset(of tensor: TensorInfo) -> UInt64 { dataOffset + tensor.offset }
}
