import GGUF
import Testing

/// A small header with every value type, without data.
func sampleWriter() -> GGUFWriter {
    let values: [(String, MetadataValue)] = [
        ("general.architecture", .text("llama")), ("a.u8", .uint8(200)), ("a.i8", .int8(-3)),
        ("a.u16", .uint16(65_000)),
        ("a.i16", .int16(-300)), ("a.u32", .uint32(4_000_000_000)), ("a.i32", .int32(-5)), ("a.f32", .float(1.5)),
        ("a.bool", .bool(true)), ("a.u64", .uint64(.max)), ("a.i64", .int64(.min)), ("a.f64", .double(-2.25)),
        ("a.nan", .float32(FloatBits(bits: 0x7FC0_0001))), ("a.bytes", .string(ByteString(bytes: [0xFF, 0, 0x41]))),
        ("l.u8", .array(.uint8([1, 2, 3]))), ("l.i8", .array(.int8([-1]))), ("l.u16", .array(.uint16([9]))),
        ("l.i16", .array(.int16([-9]))), ("l.u32", .array(.uint32([7, 8]))), ("l.i32", .array(.int32([-7]))),
        ("l.f32", .array(.floats([0.5, -0.0]))), ("l.bool", .array(.bool([true, false]))),
        ("l.str", .array(.texts(["", "zwei", "drei"]))), ("l.u64", .array(.uint64([]))),
        ("l.i64", .array(.int64([-1, 1]))), ("l.f64", .array(.float64([DoubleBits(3.5)]))),
    ]
    return GGUFWriter(
        metadata: values.map { MetadataEntry(key: $0.0, value: $0.1) },
        tensors: [
            TensorPlan(name: "token_embd.weight", dimensions: [64, 10], type: .q8_0),
            TensorPlan(name: "blk.0.norm", dimensions: [5], type: .f32),
            TensorPlan(name: "scalar", dimensions: [], type: .f32),
        ])
}

/// The bytes of `sampleWriter`.
func sampleHeader() throws -> [UInt8] { try sampleWriter().header() }

@Suite struct `Writing headers` {
    @Test func `what is written reads back as it was`() throws {
        let writer = sampleWriter()
        let layout = try writer.layout()
        #expect(layout.file.metadata == writer.metadata)
        #expect(layout.file.tensors.map { TensorPlan($0) } == writer.tensors)
        #expect(layout.file.tensors.map(\.offset) == [0, 704, 736])
        #expect(layout.file.dataOffset == UInt64(layout.header.count))
        #expect(layout.fileByteCount == layout.file.dataOffset + 736 + 32)
        #expect(try GGUFFile.parse(ByteArraySource(layout.header), expectingData: false) == layout.file)
        #expect(try GGUFWriter(copying: layout.file).header() == layout.header)
    }

    @Test func `windows of any size give the same result`() throws {
        let bytes = try sampleHeader()
        let whole = try GGUFFile.parse(ByteArraySource(bytes), expectingData: false)
        for size in 16..<200 {
            var limits = GGUFLimits()
            limits.windowByteCount = size
            #expect(try GGUFFile.parse(ByteArraySource(bytes), limits: limits, expectingData: false) == whole)
        }
    }

    @Test(arguments: ["Models/skein-tiny-q8_0.gguf", "Models/skein-tiny-draft-q8_0.gguf"])
    func `rewriting a real header gives the same bytes`(path: String) throws {
        let source = try repositoryFile(path)
        let file = try GGUFFile.parse(source)
        let layout = try GGUFWriter(copying: file).layout()
        #expect(layout.header == Array(source.bytes[..<Int(file.dataOffset)]))
        #expect(layout.file == file)
        #expect(layout.fileByteCount == source.byteCount)
    }

    @Test func `a value is replaced in its place or appended`() throws {
        var writer = sampleWriter()
        writer.set("a.u8", .uint8(1))
        writer.set("z.new", .text("x"))
        #expect(writer.metadata[1] == MetadataEntry(key: "a.u8", value: .uint8(1)))
        #expect(writer.metadata.last == MetadataEntry(key: "z.new", value: .text("x")))
        #expect(try writer.layout().file.string("z.new") == "x")
    }

    @Test func `the alignment of the metadata is used`() throws {
        var writer = sampleWriter()
        writer.set("general.alignment", .uint32(4096))
        let layout = try writer.layout()
        #expect(layout.header.count % 4096 == 0)
        #expect(layout.file.tensors.map(\.offset) == [0, 4096, 8192])
    }

    @Test func `what is not a legal file is not written`() {
        var twice = sampleWriter()
        twice.metadata.append(twice.metadata[0])
        #expect(throws: GGUFError.self) { try twice.header() }
        var huge = sampleWriter()
        huge.tensors[0].dimensions = [1 << 40, 1 << 40]
        #expect(throws: GGUFError.self) { try huge.header() }
        var partial = sampleWriter()
        partial.tensors[0].dimensions = [33]
        #expect(throws: GGUFError.self) { try partial.header() }
        var crooked = sampleWriter()
        crooked.set("general.alignment", .uint32(48))
        #expect(throws: GGUFError.badAlignment(value: 48)) { try crooked.header() }
        var coarse = sampleWriter()
        coarse.set("general.alignment", .uint32(1 << 31))
        #expect(throws: GGUFError.self) { try coarse.header() }
        var old = sampleWriter()
        old.version = 1
        #expect(throws: GGUFError.unsupportedVersion(offset: 4, version: 1)) { try old.header() }
    }

    @Test func `per-layer arrays can be cut and repeated`() {
        #expect(MetadataArray.int32([4, 5, 6]).selecting([2, 0, 0]) == .int32([6, 4, 4]))
        #expect(MetadataArray.texts(["a", "bc", ""]).selecting([1, 2, 1]) == .texts(["bc", "", "bc"]))
        #expect(MetadataArray.bool([true, false]).selecting([]) == .bool([]))
    }
}
