/// The elements of an array value, in a typed array of their own size.
package enum MetadataArray: Hashable, Sendable {
    /// Elements of type `u8`.
    case uint8([UInt8])
    /// Elements of type `i8`.
    case int8([Int8])
    /// Elements of type `u16`.
    case uint16([UInt16])
    /// Elements of type `i16`.
    case int16([Int16])
    /// Elements of type `u32`.
    case uint32([UInt32])
    /// Elements of type `i32`.
    case int32([Int32])
    /// Elements of type `f32`, as bits.
    case float32([FloatBits])
    /// Elements of type `bool`.
    case bool([Bool])
    /// Elements of type `str`.
    case string(StringTable)
    /// Elements of type `u64`.
    case uint64([UInt64])
    /// Elements of type `i64`.
    case int64([Int64])
    /// Elements of type `f64`, as bits.
    case float64([DoubleBits])

    /// An array of `f32`. **Shape:** `[count]`.
    package static func floats(_ values: [Float]) -> MetadataArray { .float32(values.map { FloatBits($0) }) }

    /// An array of `str`.
    package static func texts(_ texts: [String]) -> MetadataArray { .string(StringTable(texts)) }

    /// The elements' type.
    package var elementType: MetadataType {
        switch self {
        case .uint8: .uint8
        case .int8: .int8
        case .uint16: .uint16
        case .int16: .int16
        case .uint32: .uint32
        case .int32: .int32
        case .float32: .float32
        case .bool: .bool
        case .string: .string
        case .uint64: .uint64
        case .int64: .int64
        case .float64: .float64
        }
    }

    /// Number of elements.
    package var count: Int {
        switch self {
        case .uint8(let elements): elements.count
        case .int8(let elements): elements.count
        case .uint16(let elements): elements.count
        case .int16(let elements): elements.count
        case .uint32(let elements): elements.count
        case .int32(let elements): elements.count
        case .float32(let elements): elements.count
        case .bool(let elements): elements.count
        case .string(let elements): elements.count
        case .uint64(let elements): elements.count
        case .int64(let elements): elements.count
        case .float64(let elements): elements.count
        }
    }

    /// The elements at the given indices, in that order and of the same type; every index MUST be below `count`.
    ///
    /// One operation serves both the cutting of per-layer arrays and their repetition.
    package func selecting(_ indices: [Int]) -> MetadataArray {
        switch self {
        case .uint8(let elements): return .uint8(indices.map { elements[$0] })
        case .int8(let elements): return .int8(indices.map { elements[$0] })
        case .uint16(let elements): return .uint16(indices.map { elements[$0] })
        case .int16(let elements): return .int16(indices.map { elements[$0] })
        case .uint32(let elements): return .uint32(indices.map { elements[$0] })
        case .int32(let elements): return .int32(indices.map { elements[$0] })
        case .float32(let elements): return .float32(indices.map { elements[$0] })
        case .bool(let elements): return .bool(indices.map { elements[$0] })
        case .string(let elements):
            var table = StringTable()
            for index in indices { table.append(elements[index]) }
            return .string(table)
        case .uint64(let elements): return .uint64(indices.map { elements[$0] })
        case .int64(let elements): return .int64(indices.map { elements[$0] })
        case .float64(let elements): return .float64(indices.map { elements[$0] })
        }
    }

    /// The elements of any integer or `bool` array (true is 1), or nil when they are none or one is beyond `Int64.max`.
    package var integers: [Int64]? {
        switch self {
        case .uint8(let elements): return elements.map { Int64($0) }
        case .int8(let elements): return elements.map { Int64($0) }
        case .uint16(let elements): return elements.map { Int64($0) }
        case .int16(let elements): return elements.map { Int64($0) }
        case .uint32(let elements): return elements.map { Int64($0) }
        case .int32(let elements): return elements.map { Int64($0) }
        case .bool(let elements): return elements.map { $0 ? 1 : 0 }
        case .int64(let elements): return elements
        case .uint64(let elements):
            let converted = elements.compactMap { Int64(exactly: $0) }
            return converted.count == elements.count ? converted : nil
        case .float32, .float64, .string: return nil
        }
    }

    /// The elements of an `f32` or `f64` array, or nil.
    package var floats: [Double]? {
        switch self {
        case .float32(let elements): elements.map { Double($0.value) }
        case .float64(let elements): elements.map { $0.value }
        default: nil
        }
    }

    /// The elements of a `str` array, or nil.
    package var strings: StringTable? {
        if case .string(let table) = self { table } else { nil }
    }
}
