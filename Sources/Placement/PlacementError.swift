/// What cannot be planned at all. That a model does not fit is no error but an answer.
package enum PlacementError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The model has more layers than planning takes.
    case tooManyLayers(actual: Int, limit: Int)
    /// The header lacks what the memory formula needs.
    case incomplete(field: String, problem: String)
    /// A number in the header that no model has, and no arithmetic is right for.
    case beyondLimit(field: String, value: UInt64, limit: UInt64)
    /// A field of the request or of the inventory is outside its limits.
    case invalid(field: String, value: String, limit: String)

    /// One sentence with the next step.
    package var description: String {
        switch self {
        case .tooManyLayers(let actual, let limit):
            "The model has \(actual) layers and planning takes at most \(limit); it cannot be placed."
        case .incomplete(let field, let problem):
            "\(field) \(problem); the file's memory cannot be planned, use a complete model file."
        case .beyondLimit(let field, let value, let limit):
            "\(field) is \(value), and planning takes at most \(limit). No known model needs that much: the file is "
                + "damaged or hostile; do not load it."
        case .invalid(let field, let value, let limit):
            "\(field) is \(value); \(limit)."
        }
    }
}
