import GGUF

/// The numbers of a model's header that planning multiplies, each within its limit.
///
/// A header says what its writer likes, every node that plans reads the same one, and a product that overflows ends the
/// process. So the formula has no other way to these numbers than through this table.
struct HeaderNumbers: Sendable {
    /// What is read, without the family's name in front, and the most it may be.
    private static let limits: [(name: String, limit: UInt64)] = [
        ("attention.indexer.key_length", PlacementLimits.lengthMax),
        ("attention.indexer.top_k", PlacementLimits.countMax),
        ("attention.key_length", PlacementLimits.lengthMax),
        ("attention.key_length_mla", PlacementLimits.lengthMax),
        ("attention.key_length_swa", PlacementLimits.lengthMax),
        ("attention.shared_kv_layers", PlacementLimits.countMax),
        ("attention.sliding_window", PlacementLimits.countMax),
        ("attention.value_length", PlacementLimits.lengthMax),
        ("attention.value_length_mla", PlacementLimits.lengthMax),
        ("attention.value_length_swa", PlacementLimits.lengthMax),
        ("embedding_length", PlacementLimits.lengthMax),
        ("kda.head_dim", PlacementLimits.stateLengthMax),
        ("leading_dense_block_count", PlacementLimits.countMax),
        ("shortconv.l_cache", PlacementLimits.stateLengthMax),
        ("ssm.conv_kernel", PlacementLimits.stateLengthMax),
        ("ssm.group_count", PlacementLimits.stateLengthMax),
        ("ssm.inner_size", PlacementLimits.lengthMax),
        ("ssm.state_size", PlacementLimits.stateLengthMax),
        ("token_shift_count", PlacementLimits.stateLengthMax),
        ("wkv.head_size", PlacementLimits.stateLengthMax),
    ]
    /// One number for all layers, or one for each.
    private static let perLayer = ["attention.head_count", "attention.head_count_kv", "expert_used_count"]

    private let values: [String: UInt64]
    private let lists: [String: [UInt64]]

    /// Reads a header.
    ///
    /// **Throws:** `PlacementError.beyondLimit` with the first number that no model has.
    init(_ cutter: ModelCutter) throws(PlacementError) {
        var values: [String: UInt64] = [:]
        for (name, limit) in Self.limits {
            let key = "\(cutter.architecture).\(name)"
            guard let value = cutter.file.unsigned(key) else { continue }
            try Self.check(key, value, limit)
            values[name] = value
        }
        var lists: [String: [UInt64]] = [:]
        for name in Self.perLayer {
            let key = "\(cutter.architecture).\(name)"
            // One number beyond Int64 is none where it is read by layer.
            if let value = cutter.file.unsigned(key) { try Self.check(key, value, PlacementLimits.lengthMax) }
            guard let list = cutter.file.perLayer(key, count: cutter.layerCount) else { continue }
            let numbers = list.map { UInt64(max(0, $0)) }
            try Self.check(key, numbers.max() ?? 0, PlacementLimits.lengthMax)
            lists[name] = numbers
        }
        self.values = values
        self.lists = lists
    }

    /// A number, nil when the header lacks it.
    subscript(_ name: String) -> UInt64? {
        precondition(Self.limits.contains { $0.name == name }, "\(name) is read without a limit")
        return values[name]
    }

    /// A number per layer, nil when the header lacks it. **Shape:** `[layers]`.
    func perLayer(_ name: String) -> [UInt64]? {
        precondition(Self.perLayer.contains(name), "\(name) is read without a limit")
        return lists[name]
    }

    static func check(_ field: String, _ value: UInt64, _ limit: UInt64) throws(PlacementError) {
        guard value > limit else { return }
        throw .beyondLimit(field: field, value: value, limit: limit)
    }
}

extension ModelCutter {
    /// Refuses sizes that no model has, so that no sum over its tensors overflows.
    ///
    /// **Throws:** `PlacementError.beyondLimit`, or `.incomplete` for a tensor without elements, whose other dimensions
    /// may be anything.
    func checkSizes(vocabularySize: Int) throws(PlacementError) {
        try HeaderNumbers.check("The width of rows between stages", UInt64(width), PlacementLimits.lengthMax)
        try HeaderNumbers.check("The size of the vocabulary", UInt64(vocabularySize), PlacementLimits.vocabularyMax)
        var bytes: UInt64 = 0
        for tensor in file.tensors {
            let longest = tensor.dimensions.max() ?? 1
            guard !tensor.dimensions.contains(0) else { throw .incomplete(field: tensor.name, problem: "is empty") }
            if longest > PlacementLimits.dimensionMax {
                throw .beyondLimit(
                    field: "A dimension of \(tensor.name)", value: longest, limit: PlacementLimits.dimensionMax)
            }
            bytes = bytes.addingSaturated(tensor.byteCount)
        }
        try HeaderNumbers.check("The size of all tensors", bytes, PlacementLimits.memoryMax)
    }
}
