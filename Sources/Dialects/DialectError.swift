/// Why a request's bytes cannot be turned into a `GenerationRequest`. Every case names the field, what is allowed
/// and what was sent.
package enum DialectError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Whether a number's field takes integers only; the vendors' error codes tell them apart.
    package enum NumberKind: String, Sendable, Hashable {
        /// Whole numbers.
        case integer
        /// Any number.
        case decimal
    }

    /// The body is longer than `limit` bytes.
    case bodyTooLarge(bytes: Int, limit: Int)
    /// The body is no acceptable JSON.
    case malformedJSON(JSONError)
    /// A field that must be there is not.
    case missingField(String)
    /// A field has a value of the wrong kind.
    case wrongType(field: String, expected: String, actual: String)
    /// A number below the smallest allowed.
    case belowMinimum(field: String, value: String, minimum: String, kind: NumberKind)
    /// A number above the largest allowed.
    case aboveMaximum(field: String, value: String, maximum: String, kind: NumberKind)
    /// More elements than allowed.
    case tooMany(field: String, count: Int, limit: Int)
    /// Fewer elements than needed.
    case tooFew(field: String, count: Int, minimum: Int)
    /// A text or schema longer than `limit` bytes.
    case tooLong(field: String, bytes: Int, limit: Int)
    /// A value that is not one of those allowed.
    case invalidValue(field: String, value: String, expected: String)
    /// A field this server cannot honour.
    case unsupportedField(field: String, remedy: String)
    /// A value of a known field this server cannot honour.
    case unsupportedValue(field: String, value: String, remedy: String)
    /// Fields that contradict each other; `field` is the one to change.
    case conflict(field: String, reason: String)

    /// The field the error is about; nil when it is the body as a whole.
    package var field: String? {
        switch self {
        case .bodyTooLarge, .malformedJSON: nil
        case .missingField(let field), .wrongType(let field, _, _), .belowMinimum(let field, _, _, _),
            .aboveMaximum(let field, _, _, _), .tooMany(let field, _, _), .tooFew(let field, _, _),
            .tooLong(let field, _, _), .invalidValue(let field, _, _), .unsupportedField(let field, _),
            .unsupportedValue(let field, _, _), .conflict(let field, _):
            field
        }
    }

    /// One or two sentences for people, with the numbers and the next step.
    package var description: String {
        switch self {
        case .bodyTooLarge(let bytes, let limit):
            "The request body has \(bytes) bytes; the limit is \(limit). Send a shorter request."
        case .malformedJSON(let error):
            "The request body is not valid JSON: \(error.description)."
        case .missingField(let field):
            "Missing required parameter: '\(field)'."
        case .wrongType(let field, let expected, let actual):
            "Invalid type for '\(field)': expected \(expected), but got \(actual) instead."
        case .belowMinimum(let field, let value, let minimum, let kind):
            "Invalid '\(field)': \(kind.rawValue) below minimum value. "
                + "Expected a value >= \(minimum), but got \(value) instead."
        case .aboveMaximum(let field, let value, let maximum, let kind):
            "Invalid '\(field)': \(kind.rawValue) above maximum value. "
                + "Expected a value <= \(maximum), but got \(value) instead."
        case .tooMany(let field, let count, let limit):
            "Invalid '\(field)': too long. Expected at most \(limit) elements, but got \(count) instead."
        case .tooFew(let field, let count, let minimum):
            "Invalid '\(field)': too short. Expected at least \(minimum) elements, but got \(count) instead."
        case .tooLong(let field, let bytes, let limit):
            "Invalid '\(field)': too long. Expected at most \(limit) bytes, but got \(bytes) instead."
        case .invalidValue(let field, let value, let expected):
            "Invalid value for '\(field)': \(value). Expected \(expected)."
        case .unsupportedField(let field, let remedy):
            "Unsupported parameter: '\(field)' is not supported by this server; \(remedy)."
        case .unsupportedValue(let field, let value, let remedy):
            "Unsupported value: '\(field)' does not support \(value) on this server; \(remedy)."
        case .conflict(let field, let reason):
            "Invalid '\(field)': \(reason)."
        }
    }
}
