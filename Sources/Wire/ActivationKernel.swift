#if _endian(big)
    #error("The activation loops copy floats as they lie in memory, and frames are little-endian.")
#endif

/// The loops over activations. They work on raw memory, because a prefill frame is 2 MB and every hop pays for it; each
/// loop's sizes are checked once before it runs, and its body is branch-free so that the compiler can vectorise it.
enum ActivationKernel {
    /// The encoding a frame of `format` with these activations gets.
    static func encoding(of activations: Span<Float>, _ format: WireFormat) -> ActivationEncoding {
        switch format {
        case .f32: .f32
        case .f16: .f16
        case .bf16: .bf16
        case .q8: .q8
        case .auto:
            unsafe activations.withUnsafeBytes { bytes in
                if unsafe isExact(bytes, brainBits, brainValue) { return .bf16 }
                return unsafe isExact(bytes, halfBits, halfValue) ? .f16 : .f32
            }
        }
    }

    /// Encodes rows into `target` and returns the first row q8 cannot carry, or nil.
    ///
    /// **Shape:** `activations` is `[rows, width]`; `target` has exactly the encoded size.
    static func encode(
        _ activations: Span<Float>, _ encoding: ActivationEncoding, width: Int,
        into target: UnsafeMutableRawBufferPointer
    ) -> Int? {
        let rowCount = activations.count / width
        let size = rowCount * encoding.rowByteCount(width: width)
        precondition(target.count == size, "\(target.count) bytes for \(size)")
        return unsafe activations.withUnsafeBytes { source in
            guard let from = source.baseAddress, let to = target.baseAddress else { return nil }
            switch encoding {
            case .none: break
            case .f32: unsafe target.copyMemory(from: source)
            case .f16: unsafe narrow(from, to, count: rowCount * width, halfBits)
            case .bf16: unsafe narrow(from, to, count: rowCount * width, brainBits)
            case .q8:
                for row in 0..<rowCount {
                    let values = unsafe to + 4 * rowCount + row * width
                    guard let scale = unsafe quantise(from + 4 * row * width, values, count: width) else { return row }
                    unsafe to.storeBytes(of: scale.bitPattern, toByteOffset: 4 * row, as: UInt32.self)
                }
            }
            return nil
        }
    }

    /// Decodes rows into `target`.
    ///
    /// **Shape:** `bytes` is what `encode` made of `rowCount` rows; `target` is `[rowCount, width]`, or empty for none.
    static func decode(
        _ bytes: RawSpan, _ encoding: ActivationEncoding, rowCount: Int, into target: inout MutableSpan<Float>
    ) {
        let count = target.count
        let width = count / rowCount
        let size = rowCount * encoding.rowByteCount(width: width)
        precondition(bytes.byteCount == size, "\(bytes.byteCount) bytes for \(size)")
        unsafe target.withUnsafeMutableBytes { target in
            unsafe bytes.withUnsafeBytes { source in
                guard let from = source.baseAddress, let to = target.baseAddress else { return }
                switch encoding {
                case .none: break
                case .f32: unsafe target.copyMemory(from: source)
                case .f16: unsafe widen(from, to, count: count, halfValue)
                case .bf16: unsafe widen(from, to, count: count, brainValue)
                case .q8:
                    for row in 0..<rowCount {
                        let bits = unsafe from.loadUnaligned(fromByteOffset: 4 * row, as: UInt32.self)
                        let values = unsafe from + 4 * rowCount + row * width
                        unsafe dequantise(values, to + 4 * row * width, count: width, scale: Float(bitPattern: bits))
                    }
                }
            }
        }
    }

    // MARK: Single values, as bits

    /// Half precision of a float, rounded to nearest even. A NaN keeps its sign and the upper bits of its payload.
    @inline(__always)
    static func halfBits(_ bits: UInt32) -> UInt16 {
        let magnitude = bits & 0x7FFF_FFFF
        // Dropping 13 mantissa bits: add half of the last kept place, less one unless that place is odd.
        let normal = (magnitude &+ 0xFFF &+ ((magnitude &>> 13) & 1) &- 0x3800_0000) &>> 13
        // One unit in the last place of 0.5 is 2^-24, the subnormal step of half precision: the adder rounds for us.
        let subnormal = (Float(bitPattern: magnitude) + 0.5).bitPattern &- 0x3F00_0000
        let payload = (magnitude &>> 13) & 0x3FF
        let notANumber = 0x7C00 | (payload == 0 ? 0x200 : payload)
        let finite = magnitude < 0x3880_0000 ? subnormal : normal
        let overflown = magnitude >= 0x477F_F000 ? 0x7C00 : finite
        let result = magnitude > 0x7F80_0000 ? notANumber : overflown
        return UInt16(truncatingIfNeeded: result | (bits &>> 16) & 0x8000)
    }

    /// The float a half stands for.
    @inline(__always)
    static func halfValue(_ half: UInt16) -> UInt32 {
        let bits = UInt32(half)
        let magnitude = bits & 0x7FFF
        let normal = magnitude &<< 13 &+ 0x3800_0000
        let subnormal = (Float(bitPattern: magnitude | 0x3F00_0000) - 0.5).bitPattern
        let special = magnitude &<< 13 &+ 0x7000_0000
        let finite = magnitude < 0x400 ? subnormal : normal
        return (magnitude >= 0x7C00 ? special : finite) | (bits & 0x8000) &<< 16
    }

    /// The upper half of a float, rounded to nearest even. A NaN keeps its sign and the upper bits of its payload.
    @inline(__always)
    static func brainBits(_ bits: UInt32) -> UInt16 {
        let rounded = (bits &+ 0x7FFF &+ ((bits &>> 16) & 1)) &>> 16
        let cut = bits &>> 16
        let notANumber = cut & 0x7F == 0 ? cut | 0x40 : cut
        return UInt16(truncatingIfNeeded: bits & 0x7FFF_FFFF > 0x7F80_0000 ? notANumber : rounded)
    }

    /// The float an upper half stands for.
    @inline(__always)
    static func brainValue(_ brain: UInt16) -> UInt32 { UInt32(brain) &<< 16 }

    // MARK: Loops

    @inline(__always)
    private static func narrow(
        _ from: UnsafeRawPointer, _ to: UnsafeMutableRawPointer, count: Int, _ convert: (UInt32) -> UInt16
    ) {
        for index in 0..<count {
            let bits = unsafe from.loadUnaligned(fromByteOffset: 4 &* index, as: UInt32.self)
            unsafe to.storeBytes(of: convert(bits), toByteOffset: 2 &* index, as: UInt16.self)
        }
    }

    @inline(__always)
    private static func widen(
        _ from: UnsafeRawPointer, _ to: UnsafeMutableRawPointer, count: Int, _ convert: (UInt16) -> UInt32
    ) {
        for index in 0..<count {
            let bits = unsafe from.loadUnaligned(fromByteOffset: 2 &* index, as: UInt16.self)
            unsafe to.storeBytes(of: convert(bits), toByteOffset: 4 &* index, as: UInt32.self)
        }
    }

    /// Whether every float survives the way there and back bit for bit.
    @inline(__always)
    private static func isExact(
        _ floats: UnsafeRawBufferPointer, _ there: (UInt32) -> UInt16, _ back: (UInt16) -> UInt32
    ) -> Bool {
        let count = floats.count / 4
        guard let from = floats.baseAddress else { return true }
        var start = 0
        // Blocks, because real activations mostly fail in the first one.
        while start < count {
            let end = min(start + 512, count)
            var difference: UInt32 = 0
            for index in start..<end {
                let bits = unsafe from.loadUnaligned(fromByteOffset: 4 &* index, as: UInt32.self)
                difference |= bits ^ back(there(bits))
            }
            guard difference == 0 else { return false }
            start = end
        }
        return true
    }

    /// Writes one row as signed bytes and returns its scale, or nil when the row holds an infinity or NaN.
    ///
    /// A row whose scale would be subnormal (below 1.5e-36) becomes zeros with scale 0.
    @inline(__always)
    private static func quantise(
        _ from: UnsafeRawPointer, _ to: UnsafeMutableRawPointer, count: Int
    ) -> Float? {
        var largest: Int32 = 0
        for index in 0..<count {
            let bits = unsafe from.loadUnaligned(fromByteOffset: 4 &* index, as: Int32.self)
            largest = max(largest, bits & 0x7FFF_FFFF)
        }
        guard largest < 0x7F80_0000 else { return nil }
        let peak = Float(bitPattern: UInt32(bitPattern: largest))
        var scale = peak / 127
        // Rounded up, the scale of the largest floats would decode to infinity.
        if (scale * 127).isInfinite { scale = scale.nextDown }
        guard scale >= Float.leastNormalMagnitude else {
            unsafe to.initializeMemory(as: UInt8.self, repeating: 0, count: count)
            return 0
        }
        let inverse = 127 / peak
        // Adding 1.5 * 2^23 leaves no place for a fraction: the adder rounds half to even and the low byte is the
        // value. |x| * inverse is at most 127 (1 + 2^-22), so the result is within ±127 without a clamp.
        let rounder: Float = 12_582_912
        for index in 0..<count {
            let bits = unsafe from.loadUnaligned(fromByteOffset: 4 &* index, as: UInt32.self)
            let rounded = Float(bitPattern: bits) * inverse + rounder
            unsafe to.storeBytes(of: UInt8(truncatingIfNeeded: rounded.bitPattern), toByteOffset: index, as: UInt8.self)
        }
        return scale
    }

    @inline(__always)
    private static func dequantise(
        _ from: UnsafeRawPointer, _ to: UnsafeMutableRawPointer, count: Int, scale: Float
    ) {
        for index in 0..<count {
            let value = unsafe from.loadUnaligned(fromByteOffset: index, as: Int8.self)
            unsafe to.storeBytes(of: (Float(value) * scale).bitPattern, toByteOffset: 4 &* index, as: UInt32.self)
        }
    }
}
