import GGUF

/// What a step reads of one layer, by type of tensor: the weights a row streams through.
struct LayerStream: Sendable, Hashable {
    /// Weights of one type.
    struct Part: Sendable, Hashable {
        var type: TensorType
        /// Bytes read whatever the rows are.
        var dense: UInt64 = 0
        /// Bytes of all experts, of which a row reads `expertShare`.
        var experts: UInt64 = 0
        /// Elements a row is multiplied with.
        var elements: UInt64 = 0
    }

    /// By type, in order of the type's number.
    private(set) var parts: [Part] = []
    /// Share of the experts that one row reads.
    private(set) var expertShare = 1.0

    /// The weights of one layer.
    init(tensors: [TensorInfo], share: ExpertShare) {
        expertShare = share.value
        for tensor in tensors where tensor.dimensions.count >= 2 {
            // The third dimension of a matrix counts experts.
            let isExperts = tensor.dimensions.count == 3 && tensor.dimensions[2] == share.count && share.count > 1
            add(tensor, isExperts: isExperts)
        }
        parts.sort { $0.type.rawValue < $1.type.rawValue }
    }

    /// The head: `output.weight`, or the token table that stands in for it.
    init(head file: GGUFFile) {
        let head = file.tensor(named: "output.weight") ?? file.tensor(named: "token_embd.weight")
        if let head { add(head, isExperts: false) }
    }

    private mutating func add(_ tensor: TensorInfo, isExperts: Bool) {
        let place = parts.firstIndex { $0.type == tensor.type } ?? parts.count
        if place == parts.count { parts.append(Part(type: tensor.type)) }
        if isExperts {
            parts[place].experts += tensor.byteCount
            parts[place].elements += UInt64(Double(tensor.elementCount) * expertShare)
        } else {
            parts[place].dense += tensor.byteCount
            parts[place].elements += tensor.elementCount
        }
    }

    /// Share of the experts that `rows` rows read, when each chooses by itself.
    func share(rows: Int) -> Double {
        guard expertShare < 1 else { return 1 }
        var missed = 1.0
        for _ in 0..<min(rows, PlacementLimits.rowsMax) { missed *= 1 - expertShare }
        return 1 - missed
    }

    /// Bytes that one row reads.
    var byteCountPerRow: Double { parts.reduce(0) { $0 + Double($1.dense) + Double($1.experts) * expertShare } }

    /// Multiplications and additions of one row. **Units:** floating-point operations.
    var operationsPerRow: Double { 2 * Double(parts.reduce(0) { $0 + $1.elements }) }
}

/// How many of a model's experts a row uses.
struct ExpertShare: Sendable, Hashable {
    /// Experts; 0 or 1 in models without.
    let count: UInt64
    /// The share a row reads.
    let value: Double

    init(_ cutter: ModelCutter) {
        let prefix = cutter.architecture + "."
        count = cutter.file.unsigned(prefix + "expert_count") ?? 0
        let used = cutter.file.perLayer(prefix + "expert_used_count", count: cutter.layerCount)?.max() ?? 0
        value = count > 1 && used > 0 ? min(1, Double(used) / Double(count)) : 1
    }
}
