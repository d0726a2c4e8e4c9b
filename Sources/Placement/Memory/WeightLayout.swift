import GGUF

/// How a stage's weights lie in memory.
package enum WeightLayout: Int, Sendable, Hashable, Codable, CaseIterable {
    /// On the processor, as in the file.
    case plain
    /// On a processor with matrix tiles (AMX): packed anew for them, which makes some types larger.
    case tiled
    /// In the memory of a device of its own.
    case offloaded
}

/// What the library packs for a processor's matrix tiles.
///
/// **Source:** `ggml-cpu/amx/amx.cpp` (`supports_op`) and `mmq.cpp` (`get_row_size`) of llama.cpp.
struct Tiles: Sendable {
    private struct Packing {
        /// Values that are packed together: a row's length is a multiple.
        let values: UInt64
        /// What is added to them. **Units:** bytes.
        let added: UInt64
    }

    /// A matrix has a multiple of so many rows.
    private static let rows: UInt64 = 32
    /// Looked up instead of multiplied.
    private static let tables: Set<String> = [
        "token_embd.weight", "position_embd.weight", "token_types.weight", "per_layer_token_embd.weight",
    ]

    /// Whether nothing is packed: the library packs matrices that lie one behind the other in one tensor wrongly, so
    /// the engine does without for the whole model (`LlamaEngine/WeightPacking`).
    private let packNothing: Bool

    init(_ tensors: [TensorInfo]) {
        packNothing = tensors.contains { tensor in
            tensor.dimensions.dropFirst(2).contains { $0 > 1 } && !Self.isOfExperts(tensor.name)
                && tensor.type != .f16 && Self.packing(tensor.type) != nil
        }
    }

    /// Bytes that packing adds to a tensor.
    func added(_ name: String, _ type: TensorType, _ dimensions: [UInt64]) -> UInt64 {
        Self.isTable(name) || Self.isOfExperts(name) ? 0 : added(type, dimensions) ?? 0
    }

    /// Bytes of a token table's copy that is the head: the rows of tokens are taken from one in the file's order.
    func secondByteCount(
        _ type: TensorType, _ dimensions: [UInt64], _ byteCount: UInt64, _ layout: WeightLayout
    ) -> UInt64 {
        switch layout {
        case .plain: 0
        case .tiled: added(type, dimensions).map { TensorPadding.padded(byteCount + $0) } ?? 0
        case .offloaded: byteCount
        }
    }

    /// Nil for a matrix that is not packed.
    private func added(_ type: TensorType, _ dimensions: [UInt64]) -> UInt64? {
        guard !packNothing, let packing = Self.packing(type), dimensions.count > 1,
            dimensions[0] % packing.values == 0, dimensions[1] % Self.rows == 0
        else { return nil }
        return dimensions.reduce(1, *) / packing.values * packing.added
    }

    /// A head for several tokens may have a token table of its own.
    private static func isTable(_ name: String) -> Bool {
        tables.contains(name) || name.hasSuffix(".nextn.embed_tokens.weight")
    }

    /// Their matrices are multiplied by another kernel.
    private static func isOfExperts(_ name: String) -> Bool { name.contains("_exps") }

    private static func packing(_ type: TensorType) -> Packing? {
        switch type {
        case .q4_0, .q4_1: Packing(values: 32, added: 0)
        case .q8_0: Packing(values: 32, added: 4)
        case .q4_K, .q5_K: Packing(values: 256, added: 4)
        case .q6_K: Packing(values: 256, added: 0)
        case .iq4_xs: Packing(values: 256, added: 2)
        case .f16: Packing(values: 16, added: 0)
        default: nil
        }
    }
}
