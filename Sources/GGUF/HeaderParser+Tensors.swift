extension HeaderParser {
    /// The tensor table in file order and the place of every name.
    ///
    /// Offsets must be exactly contiguous (padded to the alignment), as llama.cpp demands: so they can neither
    /// overlap nor leave bytes that no tensor owns.
    mutating func readTensors(
        count: Int, alignment: UInt64
    ) throws(GGUFError) -> ([TensorInfo], [String: Int]) {
        var tensors: [TensorInfo] = []
        var index: [String: Int] = [:]
        tensors.reserveCapacity(count)
        index.reserveCapacity(count)
        var dataEnd: UInt64 = 0
        for place in 0..<count {
            let start = cursor.position
            let name = try cursor.readName("name of tensor \(place)", limit: limits.tensorNameByteCountMax)
            guard index.updateValue(place, forKey: name) == nil else {
                throw .duplicateName(field: "tensor name", offset: start, name: name)
            }
            let tensor = try readTensor(name, dataEnd: dataEnd, alignment: alignment)
            let (end, overflow) = tensor.offset.addingReportingOverflow(tensor.byteCount)
            guard !overflow, let padded = end.roundedUp(toMultipleOf: alignment) else {
                throw .byteCountOverflow(
                    tensor: name, offset: start, dimensions: tensor.dimensions, type: tensor.type)
            }
            dataEnd = padded
            tensors.append(tensor)
        }
        return (tensors, index)
    }

    private mutating func readTensor(
        _ name: String, dataEnd: UInt64, alignment: UInt64
    ) throws(GGUFError) -> TensorInfo {
        let shapeOffset = cursor.position
        let dimensions = try readDimensions(name)
        guard let elements = TensorInfo.elementCount(of: dimensions) else {
            throw .elementCountOverflow(tensor: name, offset: shapeOffset, dimensions: dimensions)
        }
        let type = try readTensorType(name)
        let row = dimensions.first ?? 1
        guard row % type.blockElementCount == 0 else {
            throw .partialBlock(tensor: name, offset: shapeOffset, rowElementCount: row, type: type)
        }
        let (byteCount, overflow) = (elements / type.blockElementCount)
            .multipliedReportingOverflow(by: type.blockByteCount)
        guard !overflow else {
            throw .byteCountOverflow(tensor: name, offset: shapeOffset, dimensions: dimensions, type: type)
        }
        let offset = cursor.position
        let value = try cursor.readUInt64("data offset of tensor '\(name)'")
        guard value % alignment == 0 else {
            throw .misalignedData(tensor: name, offset: offset, value: value, alignment: alignment)
        }
        guard value == dataEnd else {
            throw .unexpectedData(tensor: name, offset: offset, value: value, expected: dataEnd)
        }
        return TensorInfo(name: name, dimensions: dimensions, type: type, offset: value, byteCount: byteCount)
    }

    private mutating func readDimensions(_ name: String) throws(GGUFError) -> [UInt64] {
        let countOffset = cursor.position
        let count = UInt64(try cursor.readUInt32("dimension count of tensor '\(name)'"))
        guard count <= limits.dimensionCountMax else {
            throw .limitExceeded(
                field: "dimension count of tensor '\(name)'", offset: countOffset, value: count,
                limit: limits.dimensionCountMax)
        }
        var dimensions: [UInt64] = []
        dimensions.reserveCapacity(Int(count))
        for dimension in 0..<Int(count) {
            let offset = cursor.position
            let value = try cursor.readUInt64("dimension \(dimension) of tensor '\(name)'")
            guard value <= UInt64(Int64.max) else {
                throw .negativeDimension(
                    tensor: name, offset: offset, dimension: dimension, value: Int64(bitPattern: value))
            }
            dimensions.append(value)
        }
        return dimensions
    }

    private mutating func readTensorType(_ name: String) throws(GGUFError) -> TensorType {
        let offset = cursor.position
        let number = try cursor.readUInt32("type of tensor '\(name)'")
        if let type = TensorType(rawValue: number) { return type }
        if let removed = TensorType.removedName(number) {
            throw .removedTensorType(tensor: name, offset: offset, type: number, name: "\(removed)")
        }
        throw .unknownTensorType(tensor: name, offset: offset, type: number)
    }
}
