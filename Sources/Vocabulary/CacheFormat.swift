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

    /// The names, as refusals and helps list them.
    package static let names = allCases.map(\.rawValue).joined(separator: ", ")
}
