/// The bounds a header must respect; every one is checked before memory is taken.
///
/// The defaults leave room for every model known to exist; they are far below what would hurt a server.
package struct GGUFLimits: Hashable, Sendable {
    /// Metadata entries per file.
    package var metadataCountMax: UInt64 = 65_536
    /// Tensors per file.
    package var tensorCountMax: UInt64 = 65_536
    /// Length of a metadata key. **Units:** bytes. **Source:** the GGUF specification (2^16 - 1).
    package var keyByteCountMax: UInt64 = 65_535
    /// Length of one string value. **Units:** bytes.
    package var stringByteCountMax: UInt64 = 64 << 20
    /// Elements of one array value.
    package var arrayCountMax: UInt64 = 1 << 24
    /// Length of a tensor name. **Units:** bytes. **Source:** `GGML_MAX_NAME` is 64 with the closing zero.
    package var tensorNameByteCountMax: UInt64 = 63
    /// Dimensions of a tensor. **Source:** `GGML_MAX_DIMS`.
    package var dimensionCountMax: UInt64 = 4
    /// Length of everything before the tensor data. **Units:** bytes.
    package var headerByteCountMax: UInt64 = 256 << 20
    /// Value of `<architecture>.block_count`. **Source:** `LLAMA_MAX_LAYERS`.
    package var layerCountMax: UInt64 = 512
    /// Bytes asked of the source at once. **Units:** bytes.
    package var windowByteCount: Int = 256 << 10

    /// The defaults above.
    package init() {}
}

/// Constants of the file format.
package enum GGUFFormat {
    /// The first four bytes of every file.
    package static let magic: [UInt8] = [0x47, 0x47, 0x55, 0x46]
    /// The oldest and newest version that are read; 3 is written.
    package static let versions: ClosedRange<UInt32> = 2...3
    /// Alignment of the tensor data where the file names none. **Units:** bytes.
    package static let defaultAlignment: UInt64 = 32
    /// The metadata key that changes the alignment.
    package static let alignmentKey = "general.alignment"
    /// The metadata key of the architecture's name.
    package static let architectureKey = "general.architecture"
    /// Fewest bytes a metadata entry can take: key length, one key byte, type, one value byte.
    static let metadataEntryByteCountMin: UInt64 = 8 + 1 + 4 + 1
    /// Fewest bytes a tensor entry can take: name length, one name byte, dimension count, type, offset.
    static let tensorEntryByteCountMin: UInt64 = 8 + 1 + 4 + 4 + 8
}
