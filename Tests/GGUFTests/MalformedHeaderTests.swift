import GGUF
import Testing

@Suite struct `Malformed headers` {
    @Test func `an empty header is a valid file`() throws {
        let file = try RawHeader().parse()
        #expect(file.metadata.isEmpty && file.tensors.isEmpty)
        #expect(file.dataOffset == 24)
    }

    @Test func `a file that is not GGUF is refused with what it starts with`() {
        #expect(RawHeader(magic: "PK\u{3}\u{4}").refusal == .badMagic(found: [0x50, 0x4B, 3, 4]))
        #expect(RawHeader(magic: "ggml").refusal == .badMagic(found: Array("ggml".utf8)))
    }

    @Test func `a big-endian file is refused as such`() throws {
        #expect(RawHeader(version: 0x0300_0000).refusal == .byteSwapped(offset: 4, version: 0x0300_0000))
        #expect(RawHeader(magic: "FUGG").refusal == .byteSwapped(offset: 4, version: 3))
        let sentence = try #require(RawHeader(version: 0x0300_0000).refusal).description
        #expect(sentence.contains("big-endian") && sentence.contains("50331648"))
    }

    @Test(arguments: [0, 1, 4, 0xFFFF, .max] as [UInt32])
    func `an unknown version is refused`(version: UInt32) {
        #expect(RawHeader(version: version).refusal == .unsupportedVersion(offset: 4, version: version))
    }

    @Test func `version 2 is read`() throws {
        #expect(try RawHeader(version: 2).parse().version == 2)
    }

    @Test(arguments: [1 << 63, .max, 1 << 32 + 1, 65_537] as [UInt64])
    func `a count above the limit is refused`(count: UInt64) {
        #expect(
            RawHeader(tensorCount: count).refusal
                == .limitExceeded(field: "tensor count", offset: 8, value: count, limit: 65_536))
        #expect(
            RawHeader(metadataCount: count).refusal
                == .limitExceeded(field: "metadata count", offset: 16, value: count, limit: 65_536))
    }

    @Test func `a count that the rest of the file cannot hold is refused`() {
        #expect(
            RawHeader(tensorCount: 2).refusal
                == .truncated(field: "tensor count of 2", offset: 8, needed: 50, remaining: 8))
        #expect(
            RawHeader(metadataCount: 1).refusal
                == .truncated(field: "metadata count of 1", offset: 16, needed: 14, remaining: 0))
    }

    @Test func `every proper prefix of a header is refused`() throws {
        let whole = ByteArraySource(try sampleHeader())
        let file = try GGUFFile.parse(whole, expectingData: false)
        for count in 0..<Int(file.dataOffset) {
            #expect(throws: GGUFError.self) {
                try GGUFFile.parse(ByteArraySource(Array(whole.bytes[..<count])), expectingData: false)
            }
        }
    }

    @Test func `an empty file is refused`() {
        #expect(throws: GGUFError.truncated(field: "magic", offset: 0, needed: 4, remaining: 0)) {
            try GGUFFile.parse(ByteArraySource([]))
        }
    }

    @Test(arguments: [1 << 31 - 1, 1 << 31, 1 << 32 + 1, 1 << 63, .max] as [UInt64])
    func `a key length beyond the limit or the file is refused`(length: UInt64) {
        var header = RawHeader(metadataCount: 1)
        header.add(length)
        header.bytes.append(contentsOf: repeatElement(0x61, count: 64))
        #expect(
            header.refusal
                == .limitExceeded(field: "length of the key 0", offset: 24, value: length, limit: 65_535))
    }

    @Test func `a key that runs beyond the file is refused`() {
        var header = RawHeader(metadataCount: 1)
        header.add(1000 as UInt64)
        header.bytes.append(contentsOf: repeatElement(0x61, count: 64))
        #expect(header.refusal == .truncated(field: "key 0", offset: 32, needed: 1000, remaining: 64))
    }

    @Test func `an empty key is refused`() {
        var header = RawHeader(metadataCount: 1)
        header.add(key: "", uint32: 1)
        #expect(header.refusal == .emptyName(field: "key 0", offset: 24))
    }

    @Test(arguments: ["general.alignment\0x", "a\u{7F}", "schlüssel", "a\nb"])
    func `a key that is not printable ASCII is refused`(key: String) {
        var header = RawHeader(metadataCount: 1)
        header.add(key: key, uint32: 1)
        guard case .badNameByte(let field, let offset, let byte) = header.refusal else {
            Issue.record("\(String(describing: header.refusal))")
            return
        }
        #expect(field == "key 0")
        #expect(header.bytes[Int(offset)] == byte)
    }

    @Test func `a key that occurs twice is refused`() {
        var header = RawHeader(metadataCount: 2)
        header.add(key: "a.b", uint32: 1)
        let second = header.offset
        header.add(key: "a.b", uint32: 2)
        #expect(header.refusal == .duplicateName(field: "key", offset: second, name: "a.b"))
    }

    @Test(arguments: [13, 255, 0x8000_0000, .max] as [UInt32])
    func `an unknown value type is refused`(type: UInt32) {
        var header = RawHeader(metadataCount: 2)
        header.add(key: "k", type: type)
        header.add(0 as UInt64)
        header.add(key: "a", type: 9)
        header.add(type)
        header.add(0 as UInt64)
        #expect(header.refusal == .unknownValueType(key: "k", offset: 33, type: type))
        var array = RawHeader(metadataCount: 1)
        array.add(key: "k", type: 9)
        array.add(type)
        array.add(0 as UInt64)
        #expect(array.refusal == .unknownValueType(key: "k", offset: 37, type: type))
    }

    @Test(arguments: [1 << 31, 1 << 32 + 1, 1 << 63, .max, 64 << 20 + 1] as [UInt64])
    func `a string length beyond the limit is refused`(length: UInt64) {
        var header = RawHeader(metadataCount: 1)
        header.add(key: "k", type: 8)
        header.add(length)
        #expect(
            header.refusal
                == .limitExceeded(field: "length of the value of 'k'", offset: 37, value: length, limit: 64 << 20))
    }

    @Test(arguments: [1 << 62, 1 << 63, .max, 1 << 32 + 1, 1 << 24 + 1] as [UInt64])
    func `an array count beyond the limit is refused`(count: UInt64) {
        for type in [0, 4, 8, 10] as [UInt32] {
            var header = RawHeader(metadataCount: 1)
            header.add(key: "k", type: 9)
            header.add(type)
            header.add(count)
            #expect(
                header.refusal
                    == .limitExceeded(field: "count of 'k'", offset: 41, value: count, limit: 1 << 24))
        }
    }

    @Test func `an array that the rest of the file cannot hold is refused before memory is taken`() {
        var header = RawHeader(metadataCount: 1)
        header.add(key: "k", type: 9)
        header.add(10 as UInt32)
        header.add(1 << 24 as UInt64)
        header.add(0 as UInt64)
        #expect(
            header.refusal
                == .truncated(field: "value of 'k'", offset: 49, needed: 8 << 24, remaining: 8))
    }

    @Test func `nested arrays are refused by name, however long they claim to be`() {
        var header = RawHeader(metadataCount: 1)
        header.add(key: "k", type: 9)
        header.add(9 as UInt32)
        header.add(1 << 62 as UInt64)
        #expect(header.refusal == .nestedArray(key: "k", offset: 37))
    }

    @Test func `an alignment of another type than u32 is refused`() {
        for (type, value) in [(5, 32), (10, 32), (6, 32)] as [(UInt32, UInt64)] {
            var header = RawHeader(metadataCount: 1)
            header.add(key: "general.alignment", type: type)
            header.add(value)
            guard case .badAlignmentType(let actual) = header.refusal else {
                Issue.record("\(String(describing: header.refusal))")
                continue
            }
            #expect(actual.rawValue == type)
        }
    }

    @Test(arguments: [0, 13, 3, 33, .max] as [UInt32])
    func `an alignment that is no power of two is refused`(alignment: UInt32) {
        var header = RawHeader(metadataCount: 1)
        header.add(key: "general.alignment", uint32: alignment)
        #expect(header.refusal == .badAlignment(value: UInt64(alignment)))
    }

    @Test(arguments: [513, .max] as [UInt32])
    func `more layers than the engine has room for are refused`(count: UInt32) {
        var header = RawHeader(metadataCount: 2)
        header.add(key: "llama.block_count", uint32: count)
        header.add(key: "general.architecture", string: "llama")
        #expect(header.refusal == .badLayerCount(key: "llama.block_count", value: "\(count)", limit: 512))
    }

    @Test func `a negative number of layers is refused`() {
        var header = RawHeader(metadataCount: 2)
        header.add(key: "general.architecture", string: "llama")
        header.add(key: "llama.block_count", type: 5)
        header.add(-1 as Int32)
        #expect(header.refusal == .badLayerCount(key: "llama.block_count", value: "-1", limit: 512))
    }

    @Test func `a header beyond its own limit is refused`() {
        var limits = GGUFLimits()
        limits.headerByteCountMax = 100
        limits.windowByteCount = 16
        var header = RawHeader(metadataCount: 1)
        header.add(key: "k", string: String(repeating: "x", count: 200))
        #expect(
            throws: GGUFError.limitExceeded(field: "end of the value of 'k'", offset: 45, value: 245, limit: 100)
        ) { try header.parse(limits: limits) }
    }

    @Test func `a source that answers short is refused`() {
        struct ShortSource: ByteSource {
            let byteCount: UInt64 = 100
            func read(at offset: UInt64, count: Int) throws(GGUFError) -> [UInt8] { [0x47] }
        }
        #expect(
            throws: GGUFError.readFailed(offset: 0, count: 100, reason: "the source returned 1 bytes")
        ) { try GGUFFile.parse(ShortSource()) }
    }

    @Test func `every refusal is a sentence with its numbers and a next step`() throws {
        var header = RawHeader(metadataCount: 1)
        header.add(key: "k", type: 8)
        header.add(UInt64.max)
        #expect(
            try #require(header.refusal).description
                == "The length of the value of 'k' at offset 37 is 18446744073709551615; at most 67108864 is allowed. "
                + "No known model needs that much: the file is damaged or hostile; do not load it.")
    }
}
