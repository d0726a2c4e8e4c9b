/// The type of a metadata value, with the number that stands in the file.
package enum MetadataType: UInt32, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    /// Unsigned 8-bit integer.
    case uint8 = 0
    /// Signed 8-bit integer.
    case int8 = 1
    /// Unsigned 16-bit integer.
    case uint16 = 2
    /// Signed 16-bit integer.
    case int16 = 3
    /// Unsigned 32-bit integer.
    case uint32 = 4
    /// Signed 32-bit integer.
    case int32 = 5
    /// IEEE single.
    case float32 = 6
    /// One byte, 0 or 1.
    case bool = 7
    /// Length and bytes.
    case string = 8
    /// Element type, count and elements.
    case array = 9
    /// Unsigned 64-bit integer.
    case uint64 = 10
    /// Signed 64-bit integer.
    case int64 = 11
    /// IEEE double.
    case float64 = 12

    /// The name llama.cpp prints: `u32`, `str`, `arr`.
    package var description: String {
        switch self {
        case .uint8: "u8"
        case .int8: "i8"
        case .uint16: "u16"
        case .int16: "i16"
        case .uint32: "u32"
        case .int32: "i32"
        case .float32: "f32"
        case .bool: "bool"
        case .string: "str"
        case .array: "arr"
        case .uint64: "u64"
        case .int64: "i64"
        case .float64: "f64"
        }
    }

    /// Fewest bytes one value of this type takes in the file: the size of a number, the length field of a string.
    var byteCountMin: UInt64 {
        switch self {
        case .uint8, .int8, .bool: 1
        case .uint16, .int16: 2
        case .uint32, .int32, .float32: 4
        case .uint64, .int64, .float64, .string: 8
        case .array: 12
        }
    }
}

/// One metadata value. Two values are equal when their bytes in a file are, so a NaN equals itself.
package enum MetadataValue: Hashable, Sendable {
    /// `u8`.
    case uint8(UInt8)
    /// `i8`.
    case int8(Int8)
    /// `u16`.
    case uint16(UInt16)
    /// `i16`.
    case int16(Int16)
    /// `u32`.
    case uint32(UInt32)
    /// `i32`.
    case int32(Int32)
    /// `f32`.
    case float32(FloatBits)
    /// `bool`; any byte but 0 reads as true.
    case bool(Bool)
    /// `str`.
    case string(ByteString)
    /// `arr`.
    case array(MetadataArray)
    /// `u64`.
    case uint64(UInt64)
    /// `i64`.
    case int64(Int64)
    /// `f64`.
    case float64(DoubleBits)

    /// A `str` of a text.
    package static func text(_ text: String) -> MetadataValue { .string(ByteString(text)) }

    /// An `f32`.
    package static func float(_ value: Float) -> MetadataValue { .float32(FloatBits(value)) }

    /// An `f64`.
    package static func double(_ value: Double) -> MetadataValue { .float64(DoubleBits(value)) }

    /// The value's type.
    package var type: MetadataType {
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
        case .array: .array
        case .uint64: .uint64
        case .int64: .int64
        case .float64: .float64
        }
    }

    /// The value of any integer type, or nil when it is none or beyond `Int64.max`.
    package var integer: Int64? {
        switch self {
        case .uint8(let value): Int64(value)
        case .int8(let value): Int64(value)
        case .uint16(let value): Int64(value)
        case .int16(let value): Int64(value)
        case .uint32(let value): Int64(value)
        case .int32(let value): Int64(value)
        case .uint64(let value): Int64(exactly: value)
        case .int64(let value): value
        default: nil
        }
    }

    /// The value of any integer type, or nil when it is none or negative.
    package var unsigned: UInt64? {
        if case .uint64(let value) = self { return value }
        return integer.flatMap { UInt64(exactly: $0) }
    }

    /// The value of an `f32` or `f64`, or nil.
    package var float: Double? {
        switch self {
        case .float32(let value): Double(value.value)
        case .float64(let value): value.value
        default: nil
        }
    }

    /// The value of a `bool`, or nil.
    package var bool: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    /// The value of a `str`, or nil.
    package var byteString: ByteString? {
        if case .string(let value) = self { value } else { nil }
    }

    /// The value of an `arr`, or nil.
    package var array: MetadataArray? {
        if case .array(let value) = self { value } else { nil }
    }
}

/// An `f32` compared by its bits.
package struct FloatBits: Hashable, Sendable {
    /// The bits as they stand in the file.
    package let bits: UInt32

    /// Wraps bits.
    package init(bits: UInt32) { self.bits = bits }

    /// The bits of a value.
    package init(_ value: Float) { bits = value.bitPattern }

    /// The value.
    package var value: Float { Float(bitPattern: bits) }
}

/// An `f64` compared by its bits.
package struct DoubleBits: Hashable, Sendable {
    /// The bits as they stand in the file.
    package let bits: UInt64

    /// Wraps bits.
    package init(bits: UInt64) { self.bits = bits }

    /// The bits of a value.
    package init(_ value: Double) { bits = value.bitPattern }

    /// The value.
    package var value: Double { Double(bitPattern: bits) }
}

/// One metadata entry of a file.
package struct MetadataEntry: Hashable, Sendable {
    /// The key: printable ASCII, unique within a file.
    package var key: String
    /// The value.
    package var value: MetadataValue

    /// Makes an entry.
    package init(key: String, value: MetadataValue) {
        self.key = key
        self.value = value
    }
}
