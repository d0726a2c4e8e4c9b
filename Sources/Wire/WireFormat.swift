/// How a placement sends activations: the value of `--wire`.
package enum WireFormat: UInt8, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    /// Exact 32-bit floats.
    case f32 = 1
    /// IEEE half precision, rounded to nearest even; overflow becomes infinity.
    case f16 = 2
    /// The upper half of a 32-bit float, rounded to nearest even.
    case bf16 = 3
    /// One 32-bit scale per row and signed bytes.
    case q8 = 4
    /// Per frame the smallest exact one: bf16, else f16, else f32.
    case auto = 5

    /// Whether every activation arrives bit for bit as it was sent.
    package var isExact: Bool { self == .f32 || self == .auto }

    /// The name `--wire` takes.
    package var description: String {
        switch self {
        case .f32: "f32"
        case .f16: "f16"
        case .bf16: "bf16"
        case .q8: "q8"
        case .auto: "auto"
        }
    }
}

/// How the activations of one step frame are encoded.
package enum ActivationEncoding: UInt8, Hashable, Sendable, CaseIterable {
    /// The frame carries no activations (its receiver starts from tokens).
    case none = 0
    /// 32-bit floats.
    case f32 = 1
    /// IEEE half precision.
    case f16 = 2
    /// The upper half of a 32-bit float.
    case bf16 = 3
    /// All rows' f32 scales, then all rows' signed bytes.
    case q8 = 4

    /// Bytes of one row of `width` floats.
    package func rowByteCount(width: Int) -> Int {
        switch self {
        case .none: 0
        case .f32: 4 * width
        case .f16, .bf16: 2 * width
        case .q8: 4 + width
        }
    }
}
