import GGUF
import Testing

@Suite struct `Synthetic weights` {
    private func tensor(_ name: String, _ dimensions: [UInt64], _ type: TensorType) throws -> TensorInfo {
        try GGUFWriter(tensors: [TensorPlan(name: name, dimensions: dimensions, type: type)]).layout().file.tensors[0]
    }

    private func bytes(_ tensor: TensorInfo, seed: UInt64 = 1) -> [UInt8] {
        var bytes: [UInt8] = []
        WeightGenerator(seed: seed).fill(tensor, rows: 0..<tensor.rowCount, into: &bytes)
        return bytes
    }

    /// The values of a tensor, decoded as llama.cpp decodes them.
    private func values(_ name: String, _ dimensions: [UInt64], _ type: TensorType) throws -> [Float] {
        let bytes = bytes(try tensor(name, dimensions, type))
        func half(_ place: Int) -> Float {
            let bits = UInt32(bytes[place]) | UInt32(bytes[place + 1]) << 8
            let exponent = Int(bits >> 10 & 0x1F)
            let fraction = Float(bits & 0x3FF)
            let magnitude =
                exponent == 0
                ? fraction / 16_777_216
                : (1 + fraction / 1024) * Float(sign: .plus, exponent: exponent - 15, significand: 1)
            return bits & 0x8000 == 0 ? magnitude : -magnitude
        }
        func word(_ place: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(bytes[place + $1]) << UInt32(8 * $1) } }
        switch type {
        case .f32: return stride(from: 0, to: bytes.count, by: 4).map { Float(bitPattern: word($0)) }
        case .f16: return stride(from: 0, to: bytes.count, by: 2).map(half)
        case .bf16:
            return stride(from: 0, to: bytes.count, by: 2).map {
                Float(bitPattern: UInt32(bytes[$0]) << 16 | UInt32(bytes[$0 + 1]) << 24)
            }
        case .q8_0:
            return stride(from: 0, to: bytes.count, by: 34).flatMap { block in
                (0..<32).map { half(block) * Float(Int8(bitPattern: bytes[block + 2 + $0])) }
            }
        default:
            return stride(from: 0, to: bytes.count, by: 18).flatMap { block in
                (0..<32).map { index in
                    let byte = bytes[block + 2 + index % 16]
                    return half(block) * (Float(index < 16 ? byte & 15 : byte >> 4) - 8)
                }
            }
        }
    }

    @Test(arguments: [TensorType.f32, .f16, .bf16, .q8_0, .q4_0])
    func `weights do not depend on the pieces they are made in`(type: TensorType) throws {
        for dimensions in [[64, 37], [32, 5, 3], [96, 1]] as [[UInt64]] {
            let tensor = try tensor("blk.0.ffn_up.weight", dimensions, type)
            let whole = bytes(tensor)
            #expect(whole.count == Int(tensor.byteCount))
            var pieces: [UInt8] = []
            var piece: [UInt8] = [1, 2, 3]
            for start in stride(from: 0 as UInt64, to: tensor.rowCount, by: 7) {
                WeightGenerator(seed: 1).fill(tensor, rows: start..<min(start + 7, tensor.rowCount), into: &piece)
                pieces += piece
            }
            #expect(pieces == whole)
        }
    }

    @Test func `odd row lengths of floats work in pieces too`() throws {
        for type in [TensorType.f32, .f16] {
            let tensor = try tensor("blk.0.ssm_dt.weight", [3, 11], type)
            let whole = bytes(tensor)
            var pieces: [UInt8] = []
            var piece: [UInt8] = []
            for row in 0..<tensor.rowCount {
                WeightGenerator(seed: 1).fill(tensor, rows: row..<row + 1, into: &piece)
                pieces += piece
            }
            #expect(pieces == whole)
        }
    }

    @Test func `seed and name decide`() throws {
        let one = try tensor("blk.0.ffn_up.weight", [64, 8], .q8_0)
        let other = try tensor("blk.1.ffn_up.weight", [64, 8], .q8_0)
        #expect(bytes(one) == bytes(one))
        #expect(bytes(one) != bytes(one, seed: 2))
        #expect(bytes(one) != bytes(other))
    }

    @Test(arguments: [TensorType.f32, .f16, .bf16, .q8_0, .q4_0])
    func `a matrix has mean 0 and variance 1 by its row length`(type: TensorType) throws {
        let values = try values("blk.0.ffn_up.weight", [256, 64], type)
        let mean = values.reduce(0, +) / Float(values.count)
        let variance = values.reduce(0) { $0 + $1 * $1 } / Float(values.count)
        #expect(values.count == 16_384)
        #expect(abs(mean) < 0.003)
        #expect(abs(variance * 256 - 1) < 0.05)
    }

    @Test func `special tensors have the numbers that their formulas need`() throws {
        #expect(try values("blk.0.attn_norm.weight", [64], .f32).allSatisfy { $0 == 1 })
        #expect(try values("blk.0.post_ffw_norm.weight", [64], .f32).allSatisfy { $0 == 1 })
        #expect(try values("blk.0.ssm_norm.weight", [32, 2], .f32).allSatisfy { $0 == 1 })
        #expect(try values("output_norm.weight", [64], .f32).allSatisfy { $0 == 1 })
        #expect(try values("blk.0.ssm_d", [1, 8], .f32).allSatisfy { $0 == 1 })
        #expect(try values("blk.0.ssm_a", [4, 2], .f32) == [-1, -2, -3, -4, -1, -2, -3, -4])
        #expect(try values("blk.0.ssm_a", [1, 64], .f32).allSatisfy { (-16.001 ... -1).contains($0) })
        #expect(try values("blk.0.ssm_dt.bias", [64], .f32).allSatisfy { (-6.001 ... -2).contains($0) })
        let biases = try values("blk.0.attn_q.bias", [64], .f32)
        #expect(biases.allSatisfy { abs($0) <= 0.05 } && Set(biases).count > 32)
    }

    @Test func `halves are rounded to the nearest, ties to even`() {
        let cases: [(Float, UInt16)] = [
            (0, 0), (-0.0, 0x8000), (1, 0x3C00), (-2, 0xC000), (65_504, 0x7BFF), (65_519, 0x7BFF), (65_520, 0x7C00),
            (1e10, 0x7C00), (-.infinity, 0xFC00), (0x1p-14, 0x0400), (0x1p-24, 0x0001), (0x1p-25, 0x0000),
            (0x1.8p-25, 0x0001), (0x1.8p-24, 0x0002), (1 + 0x1p-11, 0x3C00), (1 + 0x1.8p-10, 0x3C02),
            (0x1.FFEp-15, 0x0400), (0.333_333_34, 0x3555),
        ]
        for (value, bits) in cases { #expect(Half.bits(value) == bits, "\(value)") }
        #expect(Half.bits(.nan) & 0x7C00 == 0x7C00 && Half.bits(.nan) & 0x3FF != 0)
        #expect(Half.brainBits(1) == 0x3F80)
        #expect(Half.brainBits(1 + 0x1p-8) == 0x3F80)
        #expect(Half.brainBits(1 + 0x1.8p-7) == 0x3F82)
    }
}
