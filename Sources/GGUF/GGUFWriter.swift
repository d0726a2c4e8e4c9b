/// A tensor to be written: everything but its place.
package struct TensorPlan: Hashable, Sendable {
    /// The tensor's name: printable ASCII, at most 63 bytes.
    package var name: String
    /// Sizes in ggml's order, the fastest-moving first; at most 4.
    package var dimensions: [UInt64]
    /// How the elements are stored.
    package var type: TensorType

    /// Describes a tensor.
    package init(name: String, dimensions: [UInt64], type: TensorType) {
        self.name = name
        self.dimensions = dimensions
        self.type = type
    }

    /// Describes a tensor like one of a file, perhaps under another name.
    package init(_ tensor: TensorInfo, name: String? = nil) {
        self.init(name: name ?? tensor.name, dimensions: tensor.dimensions, type: tensor.type)
    }
}

/// Lays out a model file: metadata in the given order, then the tensors in theirs.
///
/// The alignment follows `general.alignment` in the metadata. Writing the parsed content of a file gives the same
/// bytes again, provided that its bools are 0 or 1 and its padding is zero (every writer known does so).
package struct GGUFWriter: Sendable {
    /// Version of the format to write, 2 or 3.
    package var version: UInt32 = GGUFFormat.versions.upperBound
    /// The metadata, in order.
    package var metadata: [MetadataEntry]
    /// The tensors, in order.
    package var tensors: [TensorPlan]

    /// Lays out a new file.
    package init(metadata: [MetadataEntry] = [], tensors: [TensorPlan] = []) {
        self.metadata = metadata
        self.tensors = tensors
    }

    /// Lays out a copy of a file.
    package init(copying file: GGUFFile) {
        version = file.version
        metadata = file.metadata
        tensors = file.tensors.map { TensorPlan($0) }
    }

    /// Replaces the value of a key in its place, or appends the entry.
    package mutating func set(_ key: String, _ value: MetadataValue) {
        if let place = metadata.firstIndex(where: { $0.key == key }) {
            metadata[place].value = value
        } else {
            metadata.append(MetadataEntry(key: key, value: value))
        }
    }

    /// Everything before the tensor data, and where each tensor's data goes.
    ///
    /// **Throws:** `GGUFError`, when what is described is not a legal file: the finished header is parsed again by
    /// the strict reader, so whatever this returns is accepted everywhere.
    package func layout(limits: GGUFLimits = .init()) throws(GGUFError) -> GGUFLayout {
        var bytes = GGUFFormat.magic
        bytes.append(littleEndian: version)
        bytes.append(littleEndian: UInt64(tensors.count))
        bytes.append(littleEndian: UInt64(metadata.count))
        for entry in metadata {
            bytes.append(counted: entry.key.utf8)
            bytes.append(littleEndian: entry.value.type.rawValue)
            bytes.append(entry.value)
        }
        let alignment = try alignment()
        var offset: UInt64 = 0
        for tensor in tensors {
            bytes.append(counted: tensor.name.utf8)
            bytes.append(littleEndian: UInt32(truncatingIfNeeded: tensor.dimensions.count))
            for dimension in tensor.dimensions { bytes.append(littleEndian: dimension) }
            bytes.append(littleEndian: tensor.type.rawValue)
            bytes.append(littleEndian: offset)
            // What overflows here is refused by the reader below.
            let size = TensorInfo.byteCount(type: tensor.type, dimensions: tensor.dimensions) ?? 0
            offset = offset.addingReportingOverflow(size).partialValue.roundedUp(toMultipleOf: alignment) ?? 0
        }
        if !tensors.isEmpty {
            let end = UInt64(bytes.count).roundedUp(toMultipleOf: alignment) ?? 0
            guard end <= limits.headerByteCountMax else {
                throw .unwritable(field: GGUFFormat.alignmentKey, reason: "the header would take \(end) bytes")
            }
            bytes.append(contentsOf: repeatElement(0, count: Int(end) - bytes.count))
        }
        let file = try GGUFFile.parse(ByteArraySource(bytes), limits: limits, expectingData: false)
        return GGUFLayout(header: bytes, file: file)
    }

    /// The header's bytes; see `layout`.
    ///
    /// **Throws:** `GGUFError`, when what is described is not a legal file.
    package func header(limits: GGUFLimits = .init()) throws(GGUFError) -> [UInt8] {
        try layout(limits: limits).header
    }

    private func alignment() throws(GGUFError) -> UInt64 {
        guard let entry = metadata.first(where: { $0.key == GGUFFormat.alignmentKey }) else {
            return GGUFFormat.defaultAlignment
        }
        guard case .uint32(let value) = entry.value else { throw .badAlignmentType(type: entry.value.type) }
        guard value.nonzeroBitCount == 1 else { throw .badAlignment(value: UInt64(value)) }
        return UInt64(value)
    }
}

/// A header ready to be written, and the places of the data that follow it.
package struct GGUFLayout: Sendable {
    /// Everything before the tensor data, padded to the alignment when there are tensors.
    package let header: [UInt8]
    /// The parsed header: `file.tensors[i].offset` and `byteCount` tell what goes where, from `file.dataOffset` on.
    package let file: GGUFFile

    /// Size of the finished file: the end of the last tensor, padded to the alignment. **Units:** bytes.
    package var fileByteCount: UInt64 {
        guard let last = file.tensors.last else { return UInt64(header.count) }
        // No overflow: the reader has checked the padded end of every tensor.
        let end = (last.offset + last.byteCount).roundedUp(toMultipleOf: file.alignment) ?? .max
        return file.dataOffset.addingReportingOverflow(end).partialValue
    }
}

extension [UInt8] {
    /// Appends an integer, the least significant byte first.
    mutating func append(littleEndian value: some FixedWidthInteger) {
        for shift in stride(from: 0, to: value.bitWidth, by: 8) { append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    /// Appends a length of 64 bits and the bytes.
    mutating func append(counted bytes: some Collection<UInt8>) {
        append(littleEndian: UInt64(bytes.count))
        append(contentsOf: bytes)
    }

    /// Appends a metadata value without its type; an array with its element type and count.
    mutating func append(_ value: MetadataValue) {
        switch value {
        case .uint8(let value): append(value)
        case .int8(let value): append(littleEndian: value)
        case .uint16(let value): append(littleEndian: value)
        case .int16(let value): append(littleEndian: value)
        case .uint32(let value): append(littleEndian: value)
        case .int32(let value): append(littleEndian: value)
        case .float32(let value): append(littleEndian: value.bits)
        case .bool(let value): append(value ? 1 : 0)
        case .string(let value): append(counted: value.bytes)
        case .array(let value): append(value)
        case .uint64(let value): append(littleEndian: value)
        case .int64(let value): append(littleEndian: value)
        case .float64(let value): append(littleEndian: value.bits)
        }
    }

    private mutating func append(_ array: MetadataArray) {
        append(littleEndian: array.elementType.rawValue)
        append(littleEndian: UInt64(array.count))
        switch array {
        case .uint8(let elements): append(contentsOf: elements)
        case .int8(let elements): for element in elements { append(littleEndian: element) }
        case .uint16(let elements): for element in elements { append(littleEndian: element) }
        case .int16(let elements): for element in elements { append(littleEndian: element) }
        case .uint32(let elements): for element in elements { append(littleEndian: element) }
        case .int32(let elements): for element in elements { append(littleEndian: element) }
        case .float32(let elements): for element in elements { append(littleEndian: element.bits) }
        case .bool(let elements): for element in elements { append(element ? 1 : 0) }
        case .string(let elements): for index in 0..<elements.count { append(counted: elements[index]) }
        case .uint64(let elements): for element in elements { append(littleEndian: element) }
        case .int64(let elements): for element in elements { append(littleEndian: element) }
        case .float64(let elements): for element in elements { append(littleEndian: element.bits) }
        }
    }
}
