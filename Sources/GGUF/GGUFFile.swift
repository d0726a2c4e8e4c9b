/// The parsed header of a model file: metadata and tensor table. The tensor data stays where it is.
///
/// Every value of this type obeys the format: unique names, contiguous aligned tensor data, products that do not
/// overflow, and (unless parsed with `expectingData: false`) every tensor inside the file.
package struct GGUFFile: Sendable {
    /// Version of the format, 2 or 3.
    package let version: UInt32
    /// The metadata in file order; keys are unique.
    package let metadata: [MetadataEntry]
    /// The tensor table in file order, which is the order of the data; names are unique.
    package let tensors: [TensorInfo]
    /// Alignment of the tensor data, a power of two. **Units:** bytes.
    package let alignment: UInt64
    /// Where the tensor table ends, before the padding. **Units:** bytes.
    package let headerByteCount: UInt64
    /// Where the tensor data starts. **Units:** bytes from the start of the file.
    package let dataOffset: UInt64
    /// Size of the file that was parsed. **Units:** bytes.
    package let fileByteCount: UInt64

    private let keyIndex: [String: Int]
    private let tensorIndex: [String: Int]

    init(
        version: UInt32, metadata: [MetadataEntry], tensors: [TensorInfo], alignment: UInt64, headerByteCount: UInt64,
        dataOffset: UInt64, fileByteCount: UInt64, keyIndex: [String: Int], tensorIndex: [String: Int]
    ) {
        self.version = version
        self.metadata = metadata
        self.tensors = tensors
        self.alignment = alignment
        self.headerByteCount = headerByteCount
        self.dataOffset = dataOffset
        self.fileByteCount = fileByteCount
        self.keyIndex = keyIndex
        self.tensorIndex = tensorIndex
    }

    /// Parses the header of a file that nobody vouches for.
    ///
    /// Time is linear in the header, memory is bounded by `limits` and by the bytes that are there. With
    /// `expectingData: false` the tensor data may be missing (a header alone, for planning).
    /// **Throws:** `GGUFError`, for every file that is not well-formed.
    package static func parse(
        _ source: some ByteSource, limits: GGUFLimits = .init(), expectingData: Bool = true
    ) throws(GGUFError) -> GGUFFile {
        var parser = HeaderParser(source, limits: limits)
        return try parser.parse(expectingData: expectingData)
    }

    /// The value of a metadata key, or nil. Takes constant time.
    package subscript(key: String) -> MetadataValue? { keyIndex[key].map { metadata[$0].value } }

    /// The tensor of this name, or nil. Takes constant time.
    package func tensor(named name: String) -> TensorInfo? { tensorIndex[name].map { tensors[$0] } }
}

extension GGUFFile: Equatable {
    /// Whether two headers say the same: version, metadata and tensors in order, alignment and data offset.
    package static func == (left: GGUFFile, right: GGUFFile) -> Bool {
        left.version == right.version && left.metadata == right.metadata && left.tensors == right.tensors
            && left.alignment == right.alignment && left.dataOffset == right.dataOffset
    }
}
