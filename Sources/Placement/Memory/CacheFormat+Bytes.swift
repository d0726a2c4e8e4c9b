package import GGUF
package import Vocabulary

extension CacheFormat {
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

    /// Whether rows of `size` values fill blocks of it.
    func isFilled(by size: UInt64) -> Bool { size % tensorType.blockElementCount == 0 }
}
