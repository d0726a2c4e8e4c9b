/// Why bytes are no DNS message. Such a datagram is dropped; nobody is told.
package enum DNSError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The message is larger than any that is read.
    case tooLarge(bytes: Int, limit: Int)
    /// The message ends within something.
    case truncated(field: String, offset: Int)
    /// More questions or records are announced than are read.
    case tooMany(field: String, count: Int, limit: Int)
    /// A label is empty, too long or of an unknown kind.
    case label(length: Int, limit: Int, offset: Int)
    /// A name is too long.
    case name(bytes: Int, limit: Int)
    /// A pointer within a name does not point backwards, or there are too many.
    case pointer(target: Int, offset: Int)
    /// The data of a record do not fill the length they were given.
    case dataLength(type: UInt16, length: Int, offset: Int)

    /// One sentence with the next step.
    package var description: String {
        switch self {
        case .tooLarge(let bytes, let limit):
            "A DNS message of \(bytes) bytes is larger than \(limit); it is dropped."
        case .truncated(let field, let offset):
            "A DNS message ends at byte \(offset), within \(field); it is dropped."
        case .tooMany(let field, let count, let limit):
            "A DNS message announces \(count) \(field), at most \(limit) can be; it is dropped."
        case .label(let length, let limit, let offset):
            "A label at byte \(offset) of a DNS message has the length \(length), it may have 1 … \(limit); "
                + "the message is dropped."
        case .name(let bytes, let limit):
            "A name of \(bytes) bytes is longer than \(limit); choose a shorter one."
        case .pointer(let target, let offset):
            "A name of a DNS message goes on at byte \(target), told at byte \(offset), which is not before it or one "
                + "time too many; the message is dropped."
        case .dataLength(let type, let length, let offset):
            "The data of type \(type) at byte \(offset) of a DNS message do not fill their \(length) bytes; "
                + "the message is dropped."
        }
    }
}
