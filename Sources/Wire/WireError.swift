/// Why bytes are no valid frame, or why a value cannot become one. Each case names the field, its value and the limit.
package enum WireError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A size or count is above its bound.
    case limitExceeded(field: String, value: Int, limit: Int)
    /// The body ends inside a field.
    case truncated(field: String, offset: Int, needed: Int, available: Int)
    /// The body is longer or shorter than its own counts say.
    case lengthMismatch(field: String, value: Int, expected: Int)
    /// A field of a received frame has a value without meaning.
    case invalidValue(field: String, offset: Int, value: Int, allowed: String)
    /// A text field of a received frame is not UTF-8.
    case invalidText(field: String, offset: Int)
    /// A list of fields lacks one or carries it twice.
    case fieldCount(field: String, value: Int, expected: Int)
    /// The frame's bytes changed on their way.
    case checksumMismatch(carried: UInt32, computed: UInt32)
    /// No frame has this kind.
    case unknownKind(UInt8)
    /// A frame of this kind has no place here.
    case unexpectedKind(FrameKind, expected: String)
    /// The frame was written in another protocol version than the handshake agreed on.
    case versionMismatch(found: UInt16, agreed: UInt16)
    /// A value given to the writer does not fit its field.
    case cannotEncode(field: String, value: Int, allowed: String)
    /// q8 cannot carry a row with an infinity or NaN.
    case nonFiniteRow(row: Int)

    /// One sentence with the numbers and the next step.
    package var description: String {
        switch self {
        case .limitExceeded(let field, let value, let limit):
            "\(field) is \(value), above the limit \(limit); send less at once or raise the link's budget."
        case .truncated(let field, let offset, let needed, let available):
            "\(field) at byte \(offset) needs \(needed) bytes, \(available) are left; the sender's encoder is broken."
        case .lengthMismatch(let field, let value, let expected):
            "\(field) is \(value) bytes long but its contents need \(expected); the sender's encoder is broken."
        case .invalidValue(let field, let offset, let value, let allowed):
            "\(field) at byte \(offset) is \(value); allowed: \(allowed). Both ends must run compatible releases."
        case .invalidText(let field, let offset):
            "\(field) at byte \(offset) is not UTF-8; the sender's encoder is broken."
        case .fieldCount(let field, let value, let expected):
            "\(field) occurs \(value) times instead of \(expected); the sender's encoder is broken."
        case .checksumMismatch(let carried, let computed):
            "The frame's checksum is \(carried) but its bytes give \(computed); the link corrupts data."
        case .unknownKind(let kind):
            "Frame kind \(kind) is unknown; the peer speaks another protocol or a newer release."
        case .unexpectedKind(let kind, let expected):
            "A frame of kind \(kind) came where \(expected) was expected; the link is closed."
        case .versionMismatch(let found, let agreed):
            "The frame is of protocol version \(found) but the handshake agreed on \(agreed); the link is closed."
        case .cannotEncode(let field, let value, let allowed):
            "\(field) is \(value) and cannot be sent; allowed: \(allowed)."
        case .nonFiniteRow(let row):
            "Row \(row) holds an infinity or NaN, which q8 cannot carry; use the wire format f32."
        }
    }
}
