import GGUF

/// Writes headers that the real writer would refuse, field by field.
struct RawHeader {
    var bytes: [UInt8] = []

    /// Magic, version and the two counts.
    init(
        magic: String = "GGUF", version: UInt32 = 3, tensorCount: UInt64 = 0, metadataCount: UInt64 = 0
    ) {
        bytes = Array(magic.utf8)
        add(version)
        add(tensorCount)
        add(metadataCount)
    }

    mutating func add(_ value: some FixedWidthInteger) {
        for shift in stride(from: 0, to: value.bitWidth, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    mutating func add(text: String) {
        add(UInt64(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }

    mutating func add(key: String, type: UInt32) {
        add(text: key)
        add(type)
    }

    mutating func add(key: String, uint32 value: UInt32) {
        add(key: key, type: 4)
        add(value)
    }

    mutating func add(key: String, string value: String) {
        add(key: key, type: 8)
        add(text: value)
    }

    mutating func add(tensor: String, dimensions: [UInt64], type: UInt32 = 0, offset: UInt64 = 0) {
        add(text: tensor)
        add(UInt32(dimensions.count))
        for dimension in dimensions { add(dimension) }
        add(type)
        add(offset)
    }

    /// Fills up with zeros to a multiple of `alignment`, then adds `count` zeros of data.
    mutating func addData(_ count: Int, alignment: Int = 32) {
        while bytes.count % alignment != 0 { bytes.append(0) }
        bytes.append(contentsOf: repeatElement(0, count: count))
    }

    var offset: UInt64 { UInt64(bytes.count) }

    func parse(limits: GGUFLimits = .init()) throws(GGUFError) -> GGUFFile {
        try GGUFFile.parse(ByteArraySource(bytes), limits: limits)
    }

    /// The error that the header is refused with, or nil.
    var refusal: GGUFError? {
        do {
            _ = try parse()
            return nil
        } catch {
            return error
        }
    }
}
