/// One row of a file's tensor table.
package struct TensorInfo: Hashable, Sendable {
    /// The tensor's name: printable ASCII, at most 63 bytes, unique within a file.
    package let name: String
    /// Sizes in ggml's order, the fastest-moving first; 0 to 4 of them, none means a scalar.
    package let dimensions: [UInt64]
    /// How the elements are stored.
    package let type: TensorType
    /// Where the data starts, relative to `GGUFFile.dataOffset`. **Units:** bytes.
    package let offset: UInt64
    /// Length of the data without padding. **Units:** bytes.
    package let byteCount: UInt64

    /// Number of elements, 0 when a dimension is 0.
    package var elementCount: UInt64 { dimensions.reduce(1, &*) }

    /// Length of one row of the first dimension. **Units:** bytes.
    package var rowByteCount: UInt64 { (dimensions.first ?? 1) / type.blockElementCount * type.blockByteCount }

    /// Number of rows, 0 when a dimension is 0.
    package var rowCount: UInt64 { rowByteCount == 0 ? 0 : byteCount / rowByteCount }

    /// The layer the name belongs to: 7 for `blk.7.attn_q.weight`, nil for a tensor outside the layers.
    package var layerIndex: Int? { Self.layerName(name)?.index }

    /// What follows the layer in the name, `attn_q.weight` of `blk.7.attn_q.weight`; outside the layers the whole name.
    package var roleName: String { Self.layerName(name).map { String($0.role) } ?? name }

    /// Splits `blk.7.attn_q.weight` into 7 and `attn_q.weight`; nil for names of another form.
    ///
    /// Only the canonical decimal form counts, as llama.cpp looks names up by formatting the number.
    package static func layerName(_ name: String) -> (index: Int, role: Substring)? {
        guard name.hasPrefix("blk.") else { return nil }
        let rest = name.dropFirst(4)
        guard let dot = rest.firstIndex(of: ".") else { return nil }
        let digits = rest[..<dot]
        guard digits.utf8.count <= 9, let index = Int(digits), String(index) == digits, index >= 0 else { return nil }
        return (index, rest[rest.index(after: dot)...])
    }

    /// The byte count of a tensor, or nil when the first dimension is no multiple of the block, or a product overflows.
    ///
    /// The product of the dimensions must stay within `Int64.max`, as in llama.cpp.
    package static func byteCount(type: TensorType, dimensions: [UInt64]) -> UInt64? {
        guard let elements = elementCount(of: dimensions) else { return nil }
        guard (dimensions.first ?? 1) % type.blockElementCount == 0 else { return nil }
        let (bytes, overflow) = (elements / type.blockElementCount).multipliedReportingOverflow(by: type.blockByteCount)
        return overflow ? nil : bytes
    }

    /// The product of the dimensions, or nil when it is beyond `Int64.max`.
    static func elementCount(of dimensions: [UInt64]) -> UInt64? {
        var product: UInt64 = 1
        for dimension in dimensions {
            let (next, overflow) = product.multipliedReportingOverflow(by: dimension)
            guard !overflow, next <= UInt64(Int64.max) else { return nil }
            product = next
        }
        return product
    }
}
