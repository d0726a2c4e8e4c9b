package import Vocabulary

/// Why a model cannot be cut, or not there.
package enum CutError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file lacks what cutting needs.
    case incomplete(field: String, problem: String)
    /// The family cannot be staged on stock llama.cpp.
    case unsupportedFamily(architecture: String, reason: String)
    /// A stage would start or end where the family's layers do not allow it.
    case illegalBoundary(boundary: Int, reason: String, legal: [Int])
    /// A stage would lack a kind of layer that every stage of the family needs.
    case illegalStage(layers: LayerRange, reason: String)
    /// The cut speaks of another number of layers than the model has.
    case wrongLayerCount(given: Int, actual: Int)
    /// More stages were asked for than can be made.
    case tooManyStages(asked: Int, most: Int)
    /// The stage file could not be laid out.
    case unwritable(GGUFError)

    /// One sentence with the numbers and the next step.
    package var description: String {
        switch self {
        case .incomplete(let field, let problem):
            "\(field) \(problem); the file cannot be cut, serve it in one stage."
        case .unsupportedFamily(let architecture, let reason):
            "Models of the family '\(architecture)' cannot be cut: \(reason); serve it in one stage."
        case .illegalBoundary(let boundary, let reason, let legal):
            "A stage cannot start at layer \(boundary): \(reason); legal cuts are "
                + (legal.isEmpty ? "none." : legal.map(String.init).joined(separator: ", ") + ".")
        case .illegalStage(let layers, let reason):
            "The stage \(layers) cannot run: \(reason); move the cut so that every stage has what it needs."
        case .wrongLayerCount(let given, let actual):
            "The cut is for \(given) layers but the model has \(actual)."
        case .tooManyStages(let asked, let most):
            "\(asked) stages were asked for, but this model can be cut into at most \(most)."
        case .unwritable(let error):
            "The stage file cannot be laid out: \(error)"
        }
    }
}
