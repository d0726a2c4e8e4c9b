/// Why a file is refused. Each case names what was read, where it stands in the file, its value and the limit.
///
/// **Units:** `offset` is the absolute position in the file of the field that is wrong, in bytes.
package enum GGUFError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The source could not deliver bytes.
    case readFailed(offset: UInt64, count: Int, reason: String)
    /// The file does not start with `GGUF`.
    case badMagic(found: [UInt8])
    /// The file was written for a machine of the other byte order.
    case byteSwapped(offset: UInt64, version: UInt32)
    /// The version is not 2 or 3.
    case unsupportedVersion(offset: UInt64, version: UInt32)
    /// A count or length is above its limit.
    case limitExceeded(field: String, offset: UInt64, value: UInt64, limit: UInt64)
    /// The file ends before the field does; `needed` bytes from `offset` on, `remaining` are there.
    case truncated(field: String, offset: UInt64, needed: UInt64, remaining: UInt64)
    /// A key or tensor name is empty.
    case emptyName(field: String, offset: UInt64)
    /// A key or tensor name holds a byte that is not printable ASCII (C strings would end at a zero byte).
    case badNameByte(field: String, offset: UInt64, byte: UInt8)
    /// A key or tensor name occurs twice.
    case duplicateName(field: String, offset: UInt64, name: String)
    /// A metadata value has no known type.
    case unknownValueType(key: String, offset: UInt64, type: UInt32)
    /// An array of arrays; llama.cpp refuses it as well.
    case nestedArray(key: String, offset: UInt64)
    /// `general.alignment` is not a `u32`.
    case badAlignmentType(type: MetadataType)
    /// `general.alignment` is 0 or no power of two.
    case badAlignment(value: UInt64)
    /// `<architecture>.block_count` is negative or above the limit.
    case badLayerCount(key: String, value: String, limit: UInt64)
    /// A dimension is above `Int64.max`, that is negative for llama.cpp.
    case negativeDimension(tensor: String, offset: UInt64, dimension: Int, value: Int64)
    /// The product of the dimensions is above `Int64.max`.
    case elementCountOverflow(tensor: String, offset: UInt64, dimensions: [UInt64])
    /// The tensor's size in bytes, or the end of its padded data, cannot be represented.
    case byteCountOverflow(tensor: String, offset: UInt64, dimensions: [UInt64], type: TensorType)
    /// The tensor type's number is unknown.
    case unknownTensorType(tensor: String, offset: UInt64, type: UInt32)
    /// The tensor type was removed from llama.cpp.
    case removedTensorType(tensor: String, offset: UInt64, type: UInt32, name: String)
    /// The row length is no multiple of the type's block.
    case partialBlock(tensor: String, offset: UInt64, rowElementCount: UInt64, type: TensorType)
    /// The tensor's data does not start at a multiple of the alignment.
    case misalignedData(tensor: String, offset: UInt64, value: UInt64, alignment: UInt64)
    /// The tensor's data does not start where the data before it ends: a gap, an overlap or a disorder.
    case unexpectedData(tensor: String, offset: UInt64, value: UInt64, expected: UInt64)
    /// The tensor's data ends behind the end of the file.
    case dataBeyondFile(tensor: String, end: UInt64, fileByteCount: UInt64)
    /// The data section would start behind the end of the file.
    case noDataSection(dataOffset: UInt64, fileByteCount: UInt64)
    /// What was to be written or synthesised is not a legal file.
    case unwritable(field: String, reason: String)

    /// One sentence for people, with the numbers, and the next step.
    package var description: String { "\(finding) \(remedy)" }

    /// What is wrong.
    private var finding: String {
        switch self {
        case .readFailed(let offset, let count, let reason):
            "Reading \(count) bytes at offset \(offset) failed: \(reason)."
        case .badMagic(let found):
            "The file starts with \(Self.quoted(found)) instead of 'GGUF'."
        case .byteSwapped(let offset, let version):
            "The file is big-endian (its version reads as \(version) at offset \(offset))."
        case .unsupportedVersion(let offset, let version):
            "The version at offset \(offset) is \(version); versions 2 and 3 are read."
        case .limitExceeded(let field, let offset, let value, let limit):
            "The \(field) at offset \(offset) is \(value); at most \(limit) is allowed."
        case .truncated(let field, let offset, let needed, let remaining):
            "The \(field) at offset \(offset) needs \(needed) bytes, but the file has \(remaining) left."
        case .emptyName(let field, let offset):
            "The \(field) at offset \(offset) is empty."
        case .badNameByte(let field, let offset, let byte):
            "The \(field) holds the byte \(byte) at offset \(offset); names are printable ASCII."
        case .duplicateName(let field, let offset, let name):
            "The \(field) '\(name)' at offset \(offset) occurs twice."
        case .unknownValueType(let key, let offset, let type):
            "The value of '\(key)' has the unknown type \(type) at offset \(offset); types are 0 to 12."
        case .nestedArray(let key, let offset):
            "The value of '\(key)' is an array of arrays (offset \(offset)), which no model uses."
        case .badAlignmentType(let type):
            "general.alignment is of type \(type) instead of u32."
        case .badAlignment(let value):
            "general.alignment is \(value), which is not a power of two."
        case .badLayerCount(let key, let value, let limit):
            "\(key) is \(value); 0 to \(limit) layers are allowed."
        case .dataBeyondFile(let tensor, let end, let fileByteCount):
            "The data of tensor '\(tensor)' ends at \(end), but the file has \(fileByteCount) bytes."
        case .noDataSection(let dataOffset, let fileByteCount):
            "The tensor data would start at \(dataOffset), but the file has \(fileByteCount) bytes."
        case .unwritable(let field, let reason):
            "\(field) cannot be written: \(reason)."
        default:
            tensorFinding
        }
    }

    /// What is wrong with a row of the tensor table.
    private var tensorFinding: String {
        switch self {
        case .negativeDimension(let tensor, let offset, let dimension, let value):
            "Dimension \(dimension) of tensor '\(tensor)' at offset \(offset) is \(value), which is negative."
        case .elementCountOverflow(let tensor, let offset, let dimensions):
            "Tensor '\(tensor)' at offset \(offset) has the shape \(dimensions), more than \(Int64.max) elements."
        case .byteCountOverflow(let tensor, let offset, let dimensions, let type):
            "Tensor '\(tensor)' at offset \(offset), \(dimensions) of \(type), ends beyond 2^64 bytes."
        case .unknownTensorType(let tensor, let offset, let type):
            "Tensor '\(tensor)' has the unknown type \(type) at offset \(offset)."
        case .removedTensorType(let tensor, let offset, let type, let name):
            "Tensor '\(tensor)' has the type \(type) (\(name)) at offset \(offset), which llama.cpp has removed."
        case .partialBlock(let tensor, let offset, let row, let type):
            "Tensor '\(tensor)' at offset \(offset) has rows of \(row) elements; \(type) needs a multiple of "
                + "\(type.blockElementCount)."
        case .misalignedData(let tensor, let offset, let value, let alignment):
            "The data of tensor '\(tensor)' starts at \(value) (offset \(offset)), no multiple of the alignment "
                + "\(alignment)."
        case .unexpectedData(let tensor, let offset, let value, let expected):
            "The data of tensor '\(tensor)' starts at \(value) (offset \(offset)); the data before it ends at "
                + "\(expected)."
        default:
            "The file is malformed."
        }
    }

    /// What to do about it.
    private var remedy: String {
        switch self {
        case .readFailed: "Check that the file is readable and its disk is healthy."
        case .badMagic: "Give the path of a GGUF model file; other formats must be converted first."
        case .byteSwapped: "Convert it with the byte-swapping script of llama.cpp, or download the little-endian file."
        case .unsupportedVersion(_, let version):
            version > GGUFFormat.versions.upperBound
                ? "Update skein, or download the model in an older version of the format."
                : "Convert the model again with a current llama.cpp."
        case .truncated, .dataBeyondFile, .noDataSection: "The download is incomplete: download the file again."
        case .removedTensorType, .unknownTensorType: "Quantise the model again with a current llama.cpp."
        case .limitExceeded: "No known model needs that much: the file is damaged or hostile; do not load it."
        case .unwritable: "Correct the description of the model."
        default: "The file is damaged or hostile: download it again from a trusted source."
        }
    }

    private static func quoted(_ bytes: [UInt8]) -> String {
        let printable = bytes.map { 0x20...0x7E ~= $0 ? $0 : 0x3F }
        return "'\(String(decoding: printable, as: UTF8.self))'"
    }
}
