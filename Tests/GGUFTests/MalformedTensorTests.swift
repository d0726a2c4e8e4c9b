import GGUF
import Testing

@Suite struct `Malformed tensor tables` {
    /// A file with one tensor and enough data for it.
    private func single(
        _ name: String = "t", dimensions: [UInt64], type: UInt32 = 0, offset: UInt64 = 0, data: Int = 4096
    ) -> RawHeader {
        var header = RawHeader(tensorCount: 1)
        header.add(tensor: name, dimensions: dimensions, type: type, offset: offset)
        header.addData(data)
        return header
    }

    @Test func `a plain tensor is read`() throws {
        let file = try single(dimensions: [64, 2], type: 8, data: 136).parse()
        #expect(
            file.tensors == [
                try GGUFWriter(tensors: [TensorPlan(name: "t", dimensions: [64, 2], type: .q8_0)]).layout().file
                    .tensors[0]
            ])
        #expect(file.tensors[0].byteCount == 136)
        #expect(file.tensors[0].rowByteCount == 68)
        #expect(file.tensors[0].rowCount == 2)
    }

    @Test func `a tensor without elements is valid, a scalar too`() throws {
        let file = try single(dimensions: [64, 0], data: 0).parse()
        #expect(file.tensors[0].byteCount == 0 && file.tensors[0].elementCount == 0)
        #expect(try single(dimensions: [], data: 4).parse().tensors[0].byteCount == 4)
    }

    @Test func `a name is neither empty, long, foreign nor twice there`() {
        #expect(single("", dimensions: [4]).refusal == .emptyName(field: "name of tensor 0", offset: 24))
        #expect(
            single(String(repeating: "n", count: 64), dimensions: [4]).refusal
                == .limitExceeded(field: "length of the name of tensor 0", offset: 24, value: 64, limit: 63))
        #expect(
            single("a\0b", dimensions: [4]).refusal
                == .badNameByte(field: "name of tensor 0", offset: 33, byte: 0))
        var twice = RawHeader(tensorCount: 2)
        twice.add(tensor: "my_tensor", dimensions: [8])
        let second = twice.offset
        twice.add(tensor: "my_tensor", dimensions: [8], offset: 32)
        twice.addData(64)
        #expect(twice.refusal == .duplicateName(field: "tensor name", offset: second, name: "my_tensor"))
    }

    @Test func `more than four dimensions are refused`() {
        #expect(
            single(dimensions: [1, 1, 1, 1, 1]).refusal
                == .limitExceeded(field: "dimension count of tensor 't'", offset: 33, value: 5, limit: 4))
        var header = RawHeader(tensorCount: 1)
        header.add(text: "t")
        header.add(UInt32.max)
        header.addData(64)
        #expect(
            header.refusal
                == .limitExceeded(field: "dimension count of tensor 't'", offset: 33, value: 0xFFFF_FFFF, limit: 4))
    }

    @Test func `a negative dimension is refused`() {
        #expect(
            single(dimensions: [4, UInt64.max]).refusal
                == .negativeDimension(tensor: "t", offset: 45, dimension: 1, value: -1))
        #expect(
            single(dimensions: [1 << 63]).refusal
                == .negativeDimension(tensor: "t", offset: 37, dimension: 0, value: .min))
    }

    @Test(
        arguments: [
            [1 << 62, 2], [4_294_967_296, 2_147_483_648], [8_589_934_588, 8_589_934_588], [1 << 32, 1 << 32, 1 << 32],
            [1 << 62, 4, 0],
        ] as [[UInt64]])
    func `a number of elements that wraps is refused`(dimensions: [UInt64]) {
        #expect(
            single(dimensions: dimensions).refusal
                == .elementCountOverflow(tensor: "t", offset: 33, dimensions: dimensions))
    }

    @Test func `a number of bytes that wraps is refused`() {
        // i64, so that the elements fit into 63 bits and the bytes do not fit into 64.
        let dimensions: [UInt64] = [1 << 31, 1 << 31]
        #expect(
            single(dimensions: dimensions, type: 27).refusal
                == .byteCountOverflow(tensor: "t", offset: 33, dimensions: dimensions, type: .i64))
        // 2^64 - 16 bytes: the size fits, the padding wraps to zero.
        let padded: [UInt64] = [4, 1_073_741_823, 1_073_741_825]
        #expect(
            single(dimensions: padded).refusal
                == .byteCountOverflow(tensor: "t", offset: 24, dimensions: padded, type: .f32))
    }

    @Test func `two tensors whose sizes wrap together are refused`() {
        var header = RawHeader(tensorCount: 3)
        header.add(tensor: "a", dimensions: [0x7FFF_FFFF_FFFF_FFC0], type: 24)
        header.add(tensor: "b", dimensions: [0x7FFF_FFFF_FFFF_FFC0], type: 24, offset: 0x7FFF_FFFF_FFFF_FFC0)
        let third = header.offset
        header.add(tensor: "c", dimensions: [256], type: 24, offset: 0xFFFF_FFFF_FFFF_FF80)
        header.addData(64)
        #expect(
            header.refusal == .byteCountOverflow(tensor: "c", offset: third, dimensions: [256], type: .i8))
    }

    @Test func `unknown and removed types are refused, the removed by name`() {
        for type in [43, 255, 0x8000_0000, .max] as [UInt32] {
            #expect(
                single(dimensions: [32], type: type).refusal
                    == .unknownTensorType(tensor: "t", offset: 45, type: type))
        }
        let removed: [(UInt32, String)] = [
            (4, "q4_2"), (5, "q4_3"), (31, "q4_0_4_4"), (32, "q4_0_4_8"), (33, "q4_0_8_8"), (36, "iq4_nl_4_4"),
            (37, "iq4_nl_4_8"), (38, "iq4_nl_8_8"),
        ]
        for (type, name) in removed {
            #expect(
                single(dimensions: [32], type: type).refusal
                    == .removedTensorType(tensor: "t", offset: 45, type: type, name: name))
        }
    }

    @Test func `a row that ends inside a block is refused`() {
        #expect(
            single(dimensions: [33], type: 8).refusal
                == .partialBlock(tensor: "t", offset: 33, rowElementCount: 33, type: .q8_0))
        #expect(
            single(dimensions: [128, 2], type: 12).refusal
                == .partialBlock(tensor: "t", offset: 33, rowElementCount: 128, type: .q4_K))
        // A scalar is a row of one element.
        #expect(
            single(dimensions: [], type: 2).refusal
                == .partialBlock(tensor: "t", offset: 33, rowElementCount: 1, type: .q4_0))
    }

    @Test func `data must start where the data before it ends`() {
        #expect(
            single(dimensions: [8], offset: .max).refusal
                == .misalignedData(tensor: "t", offset: 49, value: .max, alignment: 32))
        #expect(
            single(dimensions: [8], offset: 13).refusal
                == .misalignedData(tensor: "t", offset: 49, value: 13, alignment: 32))
        #expect(
            single(dimensions: [8], offset: 32).refusal
                == .unexpectedData(tensor: "t", offset: 49, value: 32, expected: 0))
        var overlap = RawHeader(tensorCount: 2)
        overlap.add(tensor: "a", dimensions: [16])
        overlap.add(tensor: "b", dimensions: [16], offset: 32)
        overlap.addData(128)
        #expect(overlap.refusal == .unexpectedData(tensor: "b", offset: 82, value: 32, expected: 64))
    }

    @Test func `the data must be in the file`() {
        #expect(
            single(dimensions: [64], data: 255).refusal
                == .dataBeyondFile(tensor: "t", end: 64 + 256, fileByteCount: 319))
        #expect(single(dimensions: [64], data: 256).refusal == nil)
        #expect(
            single(dimensions: [1 << 40], data: 64).refusal
                == .dataBeyondFile(tensor: "t", end: 64 + 1 << 42, fileByteCount: 128))
    }

    @Test func `the padding before the data must be in the file`() {
        var header = RawHeader(tensorCount: 1)
        header.add(tensor: "t", dimensions: [0])
        #expect(header.refusal == .noDataSection(dataOffset: 64, fileByteCount: 57))
    }

    @Test func `a file's own alignment rules its data`() throws {
        var header = RawHeader(tensorCount: 2, metadataCount: 1)
        header.add(key: "general.alignment", uint32: 1)
        header.add(tensor: "a", dimensions: [3], type: 24)
        header.add(tensor: "b", dimensions: [5], type: 24, offset: 3)
        header.addData(8, alignment: 1)
        let file = try header.parse()
        #expect(file.alignment == 1)
        #expect(file.dataOffset == file.headerByteCount)
        #expect(file.tensors.map(\.offset) == [0, 3])
    }

    @Test func `an alignment beyond the file is refused`() {
        var header = RawHeader(tensorCount: 1, metadataCount: 1)
        header.add(key: "general.alignment", uint32: 1 << 31)
        header.add(tensor: "a", dimensions: [3], type: 24)
        header.addData(64)
        #expect(header.refusal == .noDataSection(dataOffset: 1 << 31, fileByteCount: header.offset))
    }

    @Test func `layers are told by canonical names only`() {
        #expect(TensorInfo.layerName("blk.12.attn_q.weight")?.index == 12)
        #expect(TensorInfo.layerName("blk.12.attn_q.weight")?.role == "attn_q.weight")
        for name in ["blk.", "blk.1", "blk.01.w", "blk.-1.w", "blk.+1.w", "blk.99999999999.w", "xblk.1.w", "output"] {
            #expect(TensorInfo.layerName(name) == nil)
        }
    }
}
