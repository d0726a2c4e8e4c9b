package import GGUF

/// How keys or values are stored in the cache; the raw value is the name on the command line and in llama.cpp.
package enum CacheFormat: String, Sendable, Hashable, Codable, CaseIterable {
    /// 32-bit floats.
    case f32
    /// 16-bit floats.
    case f16
    /// 16-bit brain floats.
    case bf16
    /// 8-bit blocks of 32.
    case q8_0
    /// 5-bit blocks of 32 with offset.
    case q5_1
    /// 5-bit blocks of 32.
    case q5_0
    /// 4-bit blocks of 32 with offset.
    case q4_1
    /// 4-bit blocks of 32.
    case q4_0
    /// 4-bit non-linear blocks of 32.
    case iq4_nl

    /// The tensor type of the cache.
    package var tensorType: TensorType {
        switch self {
        case .f32: .f32
        case .f16: .f16
        case .bf16: .bf16
        case .q8_0: .q8_0
        case .q5_1: .q5_1
        case .q5_0: .q5_0
        case .q4_1: .q4_1
        case .q4_0: .q4_0
        case .iq4_nl: .iq4_nl
        }
    }

    /// Bytes of `elements` values that follow each other; a block that is not full counts whole. **Units:** bytes.
    package func byteCount(elements: UInt64) -> UInt64 {
        let type = tensorType
        return (elements + type.blockElementCount - 1) / type.blockElementCount * type.blockByteCount
    }

    /// Whether values come in blocks, which for values of the cache needs flash attention.
    package var isQuantized: Bool { tensorType.blockElementCount > 1 }
}
