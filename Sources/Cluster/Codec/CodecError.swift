/// Why bytes are no valid record of the control plane. Each case names the field and the numbers.
package enum CodecError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The bytes end inside a field.
    case truncated(field: String, offset: Int, needed: Int, available: Int)
    /// A count or length is above its bound.
    case limitExceeded(field: String, offset: Int, value: UInt64, limit: UInt64)
    /// A field has a value without meaning.
    case invalidValue(field: String, offset: Int, value: UInt64)
    /// A text is not UTF-8.
    case invalidText(field: String, offset: Int)

    /// One sentence with the numbers and the next step.
    package var description: String {
        switch self {
        case .truncated(let field, let offset, let needed, let available):
            "\(field) at byte \(offset) needs \(needed) bytes, \(available) are left; the message is dropped."
        case .limitExceeded(let field, let offset, let value, let limit):
            "\(field) at byte \(offset) is \(value), above the limit \(limit); the message is dropped."
        case .invalidValue(let field, let offset, let value):
            "\(field) at byte \(offset) is \(value), which has no meaning; update the older of both nodes."
        case .invalidText(let field, let offset):
            "\(field) at byte \(offset) is not UTF-8; the message is dropped."
        }
    }
}
