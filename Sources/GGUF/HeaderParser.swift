/// Turns the bytes of a header into a `GGUFFile`, refusing whatever llama.cpp would refuse or stumble over.
struct HeaderParser<Source: ByteSource> {
    var cursor: HeaderCursor<Source>
    let limits: GGUFLimits
    let fileByteCount: UInt64

    init(_ source: Source, limits: GGUFLimits) {
        cursor = HeaderCursor(source, limits: limits)
        self.limits = limits
        fileByteCount = source.byteCount
    }

    mutating func parse(expectingData: Bool) throws(GGUFError) -> GGUFFile {
        let version = try readVersion()
        let tensorCount = try readCount(
            "tensor count", limit: limits.tensorCountMax, entry: GGUFFormat.tensorEntryByteCountMin)
        let metadataCount = try readCount(
            "metadata count", limit: limits.metadataCountMax, entry: GGUFFormat.metadataEntryByteCountMin)
        let (metadata, keyIndex) = try readMetadata(count: metadataCount)
        let alignment = try alignment(metadata, keyIndex)
        try checkLayerCount(metadata, keyIndex)
        let (tensors, tensorIndex) = try readTensors(count: tensorCount, alignment: alignment)
        let headerByteCount = cursor.position
        let dataOffset = try dataOffset(alignment: alignment, hasTensors: tensorCount > 0)
        if expectingData { try checkExtent(tensors, dataOffset: dataOffset) }
        return GGUFFile(
            version: version, metadata: metadata, tensors: tensors, alignment: alignment,
            headerByteCount: headerByteCount, dataOffset: dataOffset, fileByteCount: fileByteCount,
            keyIndex: keyIndex, tensorIndex: tensorIndex)
    }

    private mutating func readVersion() throws(GGUFError) -> UInt32 {
        var magic: [UInt8] = []
        try cursor.read(4, into: &magic, "magic")
        let isSwapped = magic == GGUFFormat.magic.reversed()
        guard isSwapped || magic == GGUFFormat.magic else { throw .badMagic(found: magic) }
        let offset = cursor.position
        let version = try cursor.readUInt32("version")
        // A file of the other byte order has its small version number in the high bytes.
        if isSwapped || (version != 0 && version & 0xFFFF == 0) {
            throw .byteSwapped(offset: offset, version: version)
        }
        guard GGUFFormat.versions.contains(version) else {
            throw .unsupportedVersion(offset: offset, version: version)
        }
        return version
    }

    /// A count of entries that take at least `entry` bytes each, so that a lie is found before memory is taken.
    private mutating func readCount(_ field: String, limit: UInt64, entry: UInt64) throws(GGUFError) -> Int {
        let offset = cursor.position
        let count = try cursor.readUInt64(field)
        guard count <= limit else { throw .limitExceeded(field: field, offset: offset, value: count, limit: limit) }
        let (needed, overflow) = count.multipliedReportingOverflow(by: entry)
        guard !overflow, needed <= cursor.remaining else {
            throw .truncated(
                field: "\(field) of \(count)", offset: offset, needed: overflow ? .max : needed,
                remaining: cursor.remaining)
        }
        return Int(count)
    }

    private func alignment(_ metadata: [MetadataEntry], _ index: [String: Int]) throws(GGUFError) -> UInt64 {
        guard let place = index[GGUFFormat.alignmentKey] else { return GGUFFormat.defaultAlignment }
        guard case .uint32(let value) = metadata[place].value else {
            throw .badAlignmentType(type: metadata[place].value.type)
        }
        guard value.nonzeroBitCount == 1 else { throw .badAlignment(value: UInt64(value)) }
        return UInt64(value)
    }

    private func checkLayerCount(_ metadata: [MetadataEntry], _ index: [String: Int]) throws(GGUFError) {
        guard let place = index[GGUFFormat.architectureKey], let name = metadata[place].value.byteString else { return }
        let key = "\(name.text).block_count"
        guard let value = index[key].map({ metadata[$0].value }) else { return }
        if let count = value.unsigned {
            guard count <= limits.layerCountMax else {
                throw .badLayerCount(key: key, value: "\(count)", limit: limits.layerCountMax)
            }
        } else if let count = value.integer {
            throw .badLayerCount(key: key, value: "\(count)", limit: limits.layerCountMax)
        }
    }

    /// The data section starts at the next multiple of the alignment; a file without tensors has none.
    private func dataOffset(alignment: UInt64, hasTensors: Bool) throws(GGUFError) -> UInt64 {
        guard hasTensors else { return cursor.position }
        guard let offset = cursor.position.roundedUp(toMultipleOf: alignment), offset <= fileByteCount else {
            throw .noDataSection(
                dataOffset: cursor.position.roundedUp(toMultipleOf: alignment) ?? .max, fileByteCount: fileByteCount)
        }
        return offset
    }

    /// Every tensor must end inside the file; offsets ascend, but empty tensors make "the last" no shortcut.
    private func checkExtent(_ tensors: [TensorInfo], dataOffset: UInt64) throws(GGUFError) {
        for tensor in tensors {
            let (start, overflowStart) = dataOffset.addingReportingOverflow(tensor.offset)
            let (end, overflowEnd) = start.addingReportingOverflow(tensor.byteCount)
            guard !overflowStart, !overflowEnd, end <= fileByteCount else {
                throw .dataBeyondFile(
                    tensor: tensor.name, end: overflowStart || overflowEnd ? .max : end, fileByteCount: fileByteCount)
            }
        }
    }
}

extension UInt64 {
    /// The next multiple of `alignment` (a power of two), or nil beyond 2^64.
    func roundedUp(toMultipleOf alignment: UInt64) -> UInt64? {
        let (sum, overflow) = addingReportingOverflow(alignment - 1)
        return overflow ? nil : sum & ~(alignment - 1)
    }
}
