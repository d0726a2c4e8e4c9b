/// Why a runner cannot do its work.
package enum RunnerError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The node's configuration is not usable.
    case badConfiguration(field: String, value: String, allowed: String)
    /// A line on standard input is not a command.
    case badCommand(reason: String)
    /// The model could not be loaded.
    case loadFailed(reason: String)
    /// A link to another stage could not be opened.
    case linkFailed(role: String, reason: String)

    /// One sentence with the numbers.
    package var description: String {
        switch self {
        case .badConfiguration(let field, let value, let allowed):
            "The runner's configuration has \(field) = '\(value)'; allowed: \(allowed)."
        case .badCommand(let reason):
            "The runner was given a line it does not understand: \(reason)."
        case .loadFailed(let reason):
            "The model could not be loaded: \(reason)"
        case .linkFailed(let role, let reason):
            "The \(role) link could not be opened: \(reason)."
        }
    }
}

/// What ended a running stage.
enum StageLoss: Sendable {
    /// The link to a neighbour broke: whatever happened, happened there.
    case neighbour(String)
    /// The stage itself cannot go on.
    case own(String)
}
