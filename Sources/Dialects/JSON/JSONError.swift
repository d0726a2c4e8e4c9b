/// Why bytes are not an acceptable JSON text. Offsets count bytes from the start of the text.
package enum JSONError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The text is longer than `limit` bytes.
    case tooLarge(bytes: Int, limit: Int)
    /// The text ends inside a value.
    case unexpectedEnd(offset: Int, expected: String)
    /// A byte that cannot stand here.
    case unexpectedByte(offset: Int, byte: UInt8, expected: String)
    /// NaN or Infinity, with or without a sign, as or in the value of `key`; nil where no object is around it.
    case nonFinite(offset: Int, word: String, key: String?)
    /// Bytes that are not UTF-8.
    case invalidUTF8(offset: Int)
    /// A backslash followed by something that is no escape.
    case invalidEscape(offset: Int)
    /// Half of a surrogate pair.
    case loneSurrogate(offset: Int)
    /// A control character that must be escaped.
    case controlCharacter(offset: Int, byte: UInt8)
    /// A number longer than `limit` bytes.
    case numberTooLong(offset: Int, limit: Int)
    /// Nesting beyond `limit` levels.
    case tooDeep(offset: Int, limit: Int)
    /// More than `limit` values.
    case tooManyValues(offset: Int, limit: Int)
    /// An object with more than `limit` members.
    case tooManyMembers(offset: Int, limit: Int)
    /// A key that the object already has.
    case duplicateKey(offset: Int, key: String)
    /// Something after the value.
    case trailingBytes(offset: Int)

    /// Where the text is wrong; nil when it is its length.
    package var offset: Int? {
        switch self {
        case .tooLarge: nil
        case .unexpectedEnd(let offset, _), .unexpectedByte(let offset, _, _), .nonFinite(let offset, _, _),
            .invalidUTF8(let offset), .invalidEscape(let offset), .loneSurrogate(let offset),
            .controlCharacter(let offset, _), .numberTooLong(let offset, _), .tooDeep(let offset, _),
            .tooManyValues(let offset, _), .tooManyMembers(let offset, _), .duplicateKey(let offset, _),
            .trailingBytes(let offset):
            offset
        }
    }

    /// What is wrong and where, without a full stop.
    package var description: String {
        switch self {
        case .tooLarge(let bytes, let limit): "the text has \(bytes) bytes, the limit is \(limit)"
        case .unexpectedEnd(let offset, let expected): "the text ends at byte \(offset) where \(expected) is expected"
        case .unexpectedByte(let offset, let byte, let expected):
            "\(Self.show(byte)) at byte \(offset) where \(expected) is expected"
        case .nonFinite(let offset, let word, let key):
            "\(word) at byte \(offset)" + (key.map { ", for '\(clipped($0))'," } ?? "") + " is no JSON"
        case .invalidUTF8(let offset): "the bytes from byte \(offset) are not UTF-8"
        case .invalidEscape(let offset): "unknown escape at byte \(offset)"
        case .loneSurrogate(let offset): "half of a surrogate pair at byte \(offset)"
        case .controlCharacter(let offset, let byte):
            "control character \(Self.show(byte)) at byte \(offset) inside a string must be escaped"
        case .numberTooLong(let offset, let limit): "the number at byte \(offset) is longer than \(limit) bytes"
        case .tooDeep(let offset, let limit): "nesting at byte \(offset) is deeper than \(limit) levels"
        case .tooManyValues(let offset, let limit): "at byte \(offset) the text has more than \(limit) values"
        case .tooManyMembers(let offset, let limit):
            "the object at byte \(offset) has more than \(limit) members"
        case .duplicateKey(let offset, let key):
            "the key '\(clipped(key))' at byte \(offset) is already in the object"
        case .trailingBytes(let offset): "something follows the value at byte \(offset)"
        }
    }

    private static func show(_ byte: UInt8) -> String {
        if byte > 0x20, byte < 0x7F { return "'\(Character(Unicode.Scalar(byte)))'" }
        let digits = String(byte, radix: 16, uppercase: true)
        return "0x" + (digits.count < 2 ? "0" : "") + digits
    }
}

/// A client's value fit to be quoted in an error, a log or a header: short and without control characters.
func clipped(_ text: String) -> String {
    let start = text.unicodeScalars.prefix(Limits.quotedCharacters)
    var quoted = ""
    for scalar in start {
        let isControl = scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
        quoted.unicodeScalars.append(isControl ? "?" : scalar)
    }
    return start.endIndex < text.unicodeScalars.endIndex ? quoted + "…" : quoted
}
