import Testing
import Vocabulary
import Wire

@Suite struct `Activation encodings` {
    @Test func `every half-precision value comes back from f16`() throws {
        // All 65,536 halves as floats: numbers, infinities and NaNs with their payloads.
        let floats = (0...UInt16.max).map { halfValue($0) }
        let decoded = try roundTrip(floats, width: 65_536, .f16).floats
        #expect(decoded.map(\.bitPattern) == floats.map(\.bitPattern))
    }

    #if !(os(macOS) && arch(x86_64))
        @Test func `f16 rounds like the language's own half precision`() throws {
            var random = SeededRandom(seed: 9)
            var floats = (0..<60_000).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: random.next())) }
            // Around every half: itself, the midpoint to the next, and one step to either side of the midpoint.
            for half in stride(from: UInt16(0), through: 0x7BFF, by: 7) {
                let middle = (halfValue(half) + halfValue(half + 1)) / 2
                floats += [halfValue(half), middle, middle.nextUp, middle.nextDown, -middle]
            }
            floats += [65_504, 65_519.996, 65_520, 1e6, .infinity, -.infinity, 0x1p-25, 0x1.8p-25, -0.0]
            floats.removeAll { $0.isNaN }
            let decoded = try roundTrip(floats, width: floats.count, .f16).floats
            #expect(decoded.map(\.bitPattern) == floats.map { Float(Float16($0)).bitPattern })
        }
    #endif

    @Test func `f16 sends overflow as infinity and NaN as NaN`() throws {
        let decoded = try roundTrip([70_000, -70_000, .nan, .infinity], width: 4, .f16).floats
        #expect(decoded[0] == .infinity)
        #expect(decoded[1] == -.infinity)
        #expect(decoded[2].isNaN)
        #expect(decoded[3] == .infinity)
    }

    @Test func `bf16 rounds to nearest even and keeps specials`() throws {
        let floats: [Float] = [
            Float(bitPattern: 0x3F80_8000), Float(bitPattern: 0x3F81_8000), Float(bitPattern: 0x3F80_8001),
            Float(bitPattern: 0x3F80_7FFF), .greatestFiniteMagnitude, -.infinity, Float(bitPattern: 0x7F80_0001),
            Float(bitPattern: 1),
        ]
        let bits = try roundTrip(floats, width: 8, .bf16).floats.map(\.bitPattern)
        #expect(bits[0] == 0x3F80_0000)
        #expect(bits[1] == 0x3F82_0000)
        #expect(bits[2] == 0x3F81_0000)
        #expect(bits[3] == 0x3F80_0000)
        #expect(bits[4] == 0x7F80_0000)
        #expect(bits[5] == 0xFF80_0000)
        #expect(Float(bitPattern: bits[6]).isNaN)
        #expect(bits[7] == 0)
    }

    @Test func `f32 carries every bit, NaN payloads too`() throws {
        let floats = [0x7F80_0001, 0xFFFF_FFFF, 0x8000_0000, 1].map { Float(bitPattern: $0) }
        let decoded = try roundTrip(floats, width: 4, .f32).floats
        #expect(decoded.map(\.bitPattern) == floats.map(\.bitPattern))
    }

    @Test func `auto takes the first exact one of bf16, f16 and f32 and loses no bit`() throws {
        var random = SeededRandom(seed: 4)
        func check(_ floats: [Float], _ expected: ActivationEncoding, _ comment: Comment) throws {
            let (encoding, decoded) = try roundTrip(floats, width: floats.count, .auto)
            #expect(encoding == expected, comment)
            #expect(decoded.map(\.bitPattern) == floats.map(\.bitPattern), comment)
        }
        let brains = (0..<2000).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: random.next()) & 0xFFFF_0000) }
        try check(brains, .bf16, "any upper halves, NaN and infinity among them")
        // 1 + 2^-10 needs ten mantissa bits: half precision has them, bf16 has seven.
        let halves = (0..<2000).map { _ in halfValue(UInt16(truncatingIfNeeded: random.next()) | 1) }
        try check(halves, .f16, "any halves")
        try check(halves + [70_000.25], .f32, "one value beyond half precision, at the end")
        try check(halves + [Float(bitPattern: 1)], .f32, "one value below half precision, at the end")
        try check([Float(bitPattern: 0x7F80_0001)], .f32, "a NaN payload in the lowest bit")
        try check([1, 2, 3], .bf16, "whole numbers")
    }

    @Test func `q8 errs by at most half a step and rounds half to even`() throws {
        var random = SeededRandom(seed: 12)
        let width = 333
        let floats = (0..<width * 5).map { index in
            Float(Int(truncatingIfNeeded: random.next() >> 40) - 8_388_608) * Float(1 + index / width)
        }
        let decoded = try roundTrip(floats, width: width, .q8).floats
        for row in 0..<5 {
            let values = floats[row * width..<(row + 1) * width]
            let step = (values.map(abs).max() ?? 0) / 127
            for (value, back) in zip(values, decoded[row * width..<(row + 1) * width]) {
                #expect(abs(value - back) <= step * 0.5001)
            }
        }
        // The scale is 1: values are their own steps, and halves go to the even neighbour.
        let exact = try roundTrip([127, -127, 0.5, 1.5, 2.5, -0.5, -1.5, 63.5], width: 8, .q8).floats
        #expect(exact == [127, -127, 0, 2, 2, 0, -2, 64])
    }

    @Test func `q8 takes rows of zeros, tiny and huge values, each row with its own scale`() throws {
        let huge = Float.greatestFiniteMagnitude
        let rows: [Float] = [0, -0.0, 0, 1e-37, -0x1p-130, 0, huge, -huge, huge / 2, 1, 0.25, -1]
        let decoded = try roundTrip(rows, width: 3, .q8).floats
        #expect(decoded[0...5].allSatisfy { $0 == 0 })
        #expect(abs(decoded[6] / huge - 1) < 1e-6)
        #expect(decoded[7] == -decoded[6])
        #expect(abs(decoded[8] / huge - 0.5) < 0.004)
        #expect(abs(decoded[9] - 1) < 1e-6)
        #expect(decoded[6].isFinite && decoded[7].isFinite)
    }

    @Test(arguments: [Float.infinity, -.infinity, .nan])
    func `q8 refuses a row it cannot carry and names it`(value: Float) {
        #expect(throws: WireError.nonFiniteRow(row: 2)) {
            _ = try roundTrip([1, 2, 3, 4, 5, value], width: 2, .q8)
        }
    }

    /// The float a half stands for, by arithmetic instead of bits.
    private func halfValue(_ half: UInt16) -> Float {
        let mantissa = UInt32(half & 0x3FF)
        let exponent = Int(half >> 10) & 31
        let sign: UInt32 = half >> 15 == 1 ? 0x8000_0000 : 0
        let magnitude: Float =
            switch exponent {
            case 0: Float(mantissa) * 0x1p-24
            case 31: Float(bitPattern: 0x7F80_0000 | mantissa << 13)
            default: Float(sign: .plus, exponent: exponent - 25, significand: Float(mantissa + 1024))
            }
        return Float(bitPattern: magnitude.bitPattern | sign)
    }

    private func roundTrip(
        _ floats: [Float], width: Int, _ format: WireFormat
    ) throws(WireError) -> (encoding: ActivationEncoding, floats: [Float]) {
        let row = StageRow(lane: Lane(0), position: 0, token: 0, samples: false)
        let rows = [StageRow](repeating: row, count: floats.count / width)
        let bytes = try FrameBytes.write { writer throws(WireError) in
            try writer.step(1, rows: rows, activations: floats.span, width: width, format: format)
        }
        let body = Array(bytes.dropFirst(16))
        let layout = try StepLayout.parse(body.span.bytes, step: 1, width: width)
        var decoded: [Float] = [1, 2, 3]
        layout.activations(of: body.span.bytes, into: &decoded)
        return (layout.encoding, decoded)
    }
}
