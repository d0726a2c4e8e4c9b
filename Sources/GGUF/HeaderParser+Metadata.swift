extension HeaderParser {
    /// The metadata entries in file order and the place of every key.
    mutating func readMetadata(count: Int) throws(GGUFError) -> ([MetadataEntry], [String: Int]) {
        var entries: [MetadataEntry] = []
        var index: [String: Int] = [:]
        entries.reserveCapacity(count)
        index.reserveCapacity(count)
        for place in 0..<count {
            let offset = cursor.position
            let key = try cursor.readName("key \(place)", limit: limits.keyByteCountMax)
            guard index.updateValue(place, forKey: key) == nil else {
                throw .duplicateName(field: "key", offset: offset, name: key)
            }
            entries.append(MetadataEntry(key: key, value: try readValue(key)))
        }
        return (entries, index)
    }

    private mutating func readType(_ key: String) throws(GGUFError) -> MetadataType {
        let offset = cursor.position
        let number = try cursor.readUInt32("type of '\(key)'")
        guard let type = MetadataType(rawValue: number) else {
            throw .unknownValueType(key: key, offset: offset, type: number)
        }
        return type
    }

    private mutating func readValue(_ key: String) throws(GGUFError) -> MetadataValue {
        let type = try readType(key)
        switch type {
        case .uint8: return .uint8(try cursor.readUInt8("value of '\(key)'"))
        case .int8: return .int8(Int8(bitPattern: try cursor.readUInt8("value of '\(key)'")))
        case .uint16: return .uint16(try cursor.readUInt16("value of '\(key)'"))
        case .int16: return .int16(Int16(bitPattern: try cursor.readUInt16("value of '\(key)'")))
        case .uint32: return .uint32(try cursor.readUInt32("value of '\(key)'"))
        case .int32: return .int32(Int32(bitPattern: try cursor.readUInt32("value of '\(key)'")))
        case .float32: return .float32(FloatBits(bits: try cursor.readUInt32("value of '\(key)'")))
        case .bool: return .bool(try cursor.readUInt8("value of '\(key)'") != 0)
        case .uint64: return .uint64(try cursor.readUInt64("value of '\(key)'"))
        case .int64: return .int64(Int64(bitPattern: try cursor.readUInt64("value of '\(key)'")))
        case .float64: return .float64(DoubleBits(bits: try cursor.readUInt64("value of '\(key)'")))
        case .string:
            let length = try cursor.readLength("value of '\(key)'", limit: limits.stringByteCountMax)
            return .string(ByteString(bytes: try readBytes(length, key)))
        case .array: return .array(try readArray(key))
        }
    }

    private mutating func readBytes(_ count: UInt64, _ key: String) throws(GGUFError) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(count))
        try cursor.read(count, into: &bytes, "value of '\(key)'")
        return bytes
    }

    private mutating func readArray(_ key: String) throws(GGUFError) -> MetadataArray {
        let typeOffset = cursor.position
        let type = try readType(key)
        guard type != .array else { throw .nestedArray(key: key, offset: typeOffset) }
        let countOffset = cursor.position
        let count = try cursor.readUInt64("count of '\(key)'")
        guard count <= limits.arrayCountMax else {
            throw .limitExceeded(
                field: "count of '\(key)'", offset: countOffset, value: count, limit: limits.arrayCountMax)
        }
        let (needed, overflow) = count.multipliedReportingOverflow(by: type.byteCountMin)
        guard !overflow else {
            throw .truncated(
                field: "value of '\(key)'", offset: cursor.position, needed: .max, remaining: cursor.remaining)
        }
        try cursor.require(needed, "value of '\(key)'")
        return try readElements(key, type: type, count: Int(count))
    }

    private mutating func readElements(
        _ key: String, type: MetadataType, count: Int
    ) throws(GGUFError) -> MetadataArray {
        switch type {
        case .uint8: return .uint8(try readBytes(UInt64(count), key))
        case .int8: return .int8(try readBytes(UInt64(count), key).map { Int8(bitPattern: $0) })
        case .bool: return .bool(try readBytes(UInt64(count), key).map { $0 != 0 })
        case .uint16: return .uint16(try read16(key, count) { $0 })
        case .int16: return .int16(try read16(key, count) { Int16(bitPattern: $0) })
        case .uint32: return .uint32(try read32(key, count) { $0 })
        case .int32: return .int32(try read32(key, count) { Int32(bitPattern: $0) })
        case .float32: return .float32(try read32(key, count) { FloatBits(bits: $0) })
        case .uint64: return .uint64(try read64(key, count) { $0 })
        case .int64: return .int64(try read64(key, count) { Int64(bitPattern: $0) })
        case .float64: return .float64(try read64(key, count) { DoubleBits(bits: $0) })
        case .string: return .string(try readStrings(key, count))
        case .array: throw .nestedArray(key: key, offset: cursor.position)
        }
    }

    private mutating func read16<Element>(
        _ key: String, _ count: Int, _ make: (UInt16) -> Element
    ) throws(GGUFError) -> [Element] {
        var elements: [Element] = []
        elements.reserveCapacity(count)
        for _ in 0..<count { elements.append(make(try cursor.readUInt16("value of '\(key)'"))) }
        return elements
    }

    private mutating func read32<Element>(
        _ key: String, _ count: Int, _ make: (UInt32) -> Element
    ) throws(GGUFError) -> [Element] {
        var elements: [Element] = []
        elements.reserveCapacity(count)
        for _ in 0..<count { elements.append(make(try cursor.readUInt32("value of '\(key)'"))) }
        return elements
    }

    private mutating func read64<Element>(
        _ key: String, _ count: Int, _ make: (UInt64) -> Element
    ) throws(GGUFError) -> [Element] {
        var elements: [Element] = []
        elements.reserveCapacity(count)
        for _ in 0..<count { elements.append(make(try cursor.readUInt64("value of '\(key)'"))) }
        return elements
    }

    private mutating func readStrings(_ key: String, _ count: Int) throws(GGUFError) -> StringTable {
        var table = StringTable()
        table.reserve(count: count)
        for place in 0..<count {
            let length = try cursor.readLength("string \(place) of '\(key)'", limit: limits.stringByteCountMax)
            try table.withBlob { (bytes: inout [UInt8]) throws(GGUFError) in
                try cursor.read(length, into: &bytes, "string \(place) of '\(key)'")
            }
            table.closeString()
        }
        return table
    }
}
