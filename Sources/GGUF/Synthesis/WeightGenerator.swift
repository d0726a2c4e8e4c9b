import Vocabulary

/// Makes up the weights of a synthetic model, already in the tensor's format, row by row.
///
/// A tensor's bytes depend on the seed and its name, type and shape only, not on the order or the pieces in which
/// they are asked for: every 64 bits come from a counter. Matrices are uniform with the variance that keeps
/// activations finite (1 / length of a row); norms are 1; what a recurrence needs has the sign it needs.
package struct WeightGenerator: Sendable {
    /// The seed of the whole model.
    package let seed: UInt64

    /// A generator for the model of this seed.
    package init(seed: UInt64) { self.seed = seed }

    /// Puts rows `rows` of the tensor into `bytes`, whose size becomes exactly that of the rows.
    ///
    /// The caller MUST pass a range inside `0 ..< tensor.rowCount` and a tensor of type f32, f16, bf16, q8_0 or q4_0.
    /// Passing the same array again takes no new memory. **Shape:** `[rows, rowByteCount]`.
    package func fill(_ tensor: TensorInfo, rows: Range<UInt64>, into bytes: inout [UInt8]) {
        precondition(
            rows.upperBound <= tensor.rowCount, "rows \(rows) of tensor '\(tensor.name)' with \(tensor.rowCount)")
        let byteCount = rows.count * Int(tensor.rowByteCount)
        if bytes.count > byteCount { bytes.removeLast(bytes.count - byteCount) }
        if bytes.count < byteCount { bytes.append(contentsOf: repeatElement(0, count: byteCount - bytes.count)) }
        let source = CounterRandom(seed: seed, name: tensor.name)
        let elements = tensor.dimensions.first ?? 1
        let blocksPerRow = elements / tensor.type.blockElementCount
        let blocks = rows.lowerBound * blocksPerRow..<rows.upperBound * blocksPerRow
        switch tensor.type {
        case .q8_0: fillQ8(&bytes, source, blocks, scale: Self.deviation(elements) / 73.9)
        case .q4_0: fillQ4(&bytes, source, blocks, scale: Self.deviation(elements) / 4.61)
        case .f32, .f16, .bf16:
            fillFloats(&bytes, source, blocks, tensor.type, Distribution(tensor), rowLength: elements)
        default: preconditionFailure("weights of type \(tensor.type) cannot be generated (tensor '\(tensor.name)')")
        }
    }

    /// Whether weights of this type can be generated.
    package static func canGenerate(_ type: TensorType) -> Bool {
        [.f32, .f16, .bf16, .q8_0, .q4_0].contains(type)
    }

    /// The standard deviation of a matrix's weights: with it a row's product with a normed vector has variance 1.
    private static func deviation(_ rowLength: UInt64) -> Float { 1 / Float(rowLength).squareRoot() }

    /// Blocks of 34 bytes: an f16 scale and 32 random signed bytes (whose standard deviation is 73.9).
    private func fillQ8(_ bytes: inout [UInt8], _ source: CounterRandom, _ blocks: Range<UInt64>, scale: Float) {
        let scaleBits = Half.bits(scale)
        var span = bytes.mutableSpan
        var raw = span.mutableBytes
        var place = 0
        for block in blocks {
            raw.storeBytes(of: scaleBits.littleEndian, toByteOffset: place, as: UInt16.self)
            for word in 0..<4 as Range<UInt64> {
                let bits = source.word(block &* 4 &+ word)
                raw.storeBytes(of: bits.littleEndian, toByteOffset: place + 2 + Int(word) * 8, as: UInt64.self)
            }
            place += 34
        }
    }

    /// Blocks of 18 bytes: an f16 scale and 32 random nibbles, which mean -8 to 7 (standard deviation 4.61).
    ///
    /// Their mean is not 0, so the scale's sign is random too.
    private func fillQ4(_ bytes: inout [UInt8], _ source: CounterRandom, _ blocks: Range<UInt64>, scale: Float) {
        let scaleBits = Half.bits(scale)
        var span = bytes.mutableSpan
        var raw = span.mutableBytes
        var place = 0
        for block in blocks {
            let low = source.word(block &* 2)
            let high = source.word(block &* 2 &+ 1)
            let sign = UInt16(truncatingIfNeeded: (low ^ high) >> 48) & 0x8000
            raw.storeBytes(of: (scaleBits | sign).littleEndian, toByteOffset: place, as: UInt16.self)
            raw.storeBytes(of: low.littleEndian, toByteOffset: place + 2, as: UInt64.self)
            raw.storeBytes(of: high.littleEndian, toByteOffset: place + 10, as: UInt64.self)
            place += 18
        }
    }

    /// Floats of 16 random bits each.
    private func fillFloats(
        _ bytes: inout [UInt8], _ source: CounterRandom, _ elements: Range<UInt64>, _ type: TensorType,
        _ distribution: Distribution, rowLength: UInt64
    ) {
        if type != .f32, distribution != .decay, elements.lowerBound % 4 == 0, elements.upperBound % 4 == 0 {
            return fillHalves(&bytes, source, elements, type, distribution.range(rowLength: rowLength))
        }
        var span = bytes.mutableSpan
        var raw = span.mutableBytes
        var place = 0
        let (center, radius) = distribution.range(rowLength: rowLength)
        for element in elements {
            let word = source.word(element >> 2)
            let random = Int16(truncatingIfNeeded: word >> ((element & 3) &* 16))
            let value =
                distribution == .decay
                ? -Float(element % rowLength + 1) : center + Float(random) * (radius / 32_768)
            if type == .f32 {
                raw.storeBytes(of: value.bitPattern.littleEndian, toByteOffset: place, as: UInt32.self)
                place += 4
            } else {
                let bits = type == .f16 ? Half.bits(value) : Half.brainBits(value)
                raw.storeBytes(of: bits.littleEndian, toByteOffset: place, as: UInt16.self)
                place += 2
            }
        }
    }

    /// The same for 16-bit floats, four at a time: this is where large models spend their time.
    private func fillHalves(
        _ bytes: inout [UInt8], _ source: CounterRandom, _ elements: Range<UInt64>, _ type: TensorType,
        _ range: (center: Float, radius: Float)
    ) {
        var span = bytes.mutableSpan
        var raw = span.mutableBytes
        var place = 0
        let step = range.radius / 32_768
        for counter in elements.lowerBound >> 2..<elements.upperBound >> 2 {
            let word = source.word(counter)
            var halves: UInt64 = 0
            for lane in 0..<4 as Range<UInt64> {
                let value = range.center + Float(Int16(truncatingIfNeeded: word >> (lane &* 16))) * step
                let bits = type == .f16 ? Half.bits(value) : Half.brainBits(value)
                halves |= UInt64(bits) << (lane &* 16)
            }
            raw.storeBytes(of: halves.littleEndian, toByteOffset: place, as: UInt64.self)
            place += 8
        }
    }
}

/// What kind of numbers a tensor holds, told by its name.
enum Distribution: Equatable {
    /// All 1: norms, the skip of a recurrence.
    case ones
    /// Small numbers around 0: biases, sinks.
    case small
    /// A matrix.
    case matrix
    /// The decay of a recurrence: -1, -2, … along its state.
    case decay
    /// The decay of a recurrence with one number per head: -16 to -1.
    case headDecay
    /// The time step of a recurrence before the softplus: -6 to -2, that is steps of 0.002 to 0.13.
    case timeStep

    init(_ tensor: TensorInfo) {
        let role = tensor.roleName
        self =
            switch role {
            case "ssm_a": (tensor.dimensions.first ?? 1) > 1 ? .decay : .headDecay
            case "ssm_d": .ones
            case "ssm_dt.bias": .timeStep
            case _ where role.hasPrefix("v.blk.") && (role.hasSuffix(".ln1.weight") || role.hasSuffix(".ln2.weight")):
                .ones
            case _ where role.hasSuffix("norm.weight") || role.hasSuffix("norm"): .ones
            case _ where role.hasSuffix(".bias") || tensor.dimensions.count < 2: .small
            default: .matrix
            }
    }

    /// The middle and the half-width of the uniform range.
    func range(rowLength: UInt64) -> (center: Float, radius: Float) {
        switch self {
        case .ones: (1, 0)
        case .small: (0, 0.05)
        // A uniform variable's standard deviation is its radius / sqrt(3).
        case .matrix: (0, (3 / Float(rowLength)).squareRoot())
        case .decay: (0, 0)
        case .headDecay: (-8.5, 7.5)
        case .timeStep: (-4, 2)
        }
    }
}

/// 64 random bits for every (seed, name, counter): SplitMix64 entered at any point.
struct CounterRandom {
    private let key: UInt64

    init(seed: UInt64, name: String) {
        // FNV-1a separates the names, the generator's own mixing the seeds.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        var mixed = SeededRandom(seed: seed ^ hash)
        key = mixed.next()
    }

    /// Word `counter` of the stream.
    func word(_ counter: UInt64) -> UInt64 {
        var z = key &+ (counter &+ 1) &* 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Conversion to 16-bit floats by integer arithmetic (`Float16` does not exist on every platform).
package enum Half {
    /// The IEEE half nearest to a value, ties to even; beyond its range infinity.
    package static func bits(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        let sign = UInt16(truncatingIfNeeded: bits >> 16) & 0x8000
        let magnitude = bits & 0x7FFF_FFFF
        if magnitude > 0x7F80_0000 { return sign | 0x7E00 }
        if magnitude >= 0x4780_0000 { return sign | 0x7C00 }
        if magnitude < 0x3880_0000 {
            // Subnormal: the hardware's own rounding at the right place, by adding 0.5.
            let shifted = Float(bitPattern: magnitude) + 0.5
            return sign | UInt16(truncatingIfNeeded: shifted.bitPattern &- 0x3F00_0000)
        }
        let odd = (magnitude >> 13) & 1
        let rounded = magnitude &- 0x3800_0000 &+ 0xFFF &+ odd
        return sign | UInt16(truncatingIfNeeded: rounded >> 13)
    }

    /// The bfloat16 nearest to a finite value, ties to even.
    package static func brainBits(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16)
    }
}
