package import Vocabulary

/// Why a model cannot be cut, or not there.
package enum CutError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file lacks what cutting needs.
    case incomplete(field: String, problem: String)
    /// The file is one of several that make up a model.
    case sharded(parts: UInt64)
    /// The family cannot be staged on stock llama.cpp.
    case unsupportedFamily(architecture: String, reason: String)
    /// The family can be staged, but not this model of it.
    case unsupportedModel(architecture: String, reason: String)
    /// Nobody has measured that stages of the family compute what the model does.
    case uncertifiedFamily(architecture: String, reason: String)
    /// A stage would start or end where the family's layers do not allow it.
    case illegalBoundary(boundary: Int, reason: String, legal: [Int])
    /// A stage would lack what every stage of the family needs.
    case illegalStage(layers: LayerRange, reason: String, legal: [Int])
    /// The cut speaks of another number of layers than the model has.
    case wrongLayerCount(given: Int, actual: Int)
    /// Another number of stages was asked for than can be made.
    case tooManyStages(asked: Int, most: Int, possible: [Int])
    /// The stage file could not be laid out.
    case unwritable(GGUFError)

    /// One sentence with the numbers and the next step.
    package var description: String {
        switch self {
        case .incomplete(let field, let problem):
            "\(field) \(problem); the file cannot be cut, serve it in one stage."
        case .sharded(let parts):
            "The file is one of \(parts) parts of a model (split.count); merge the parts before cutting it."
        case .unsupportedFamily(let architecture, let reason):
            "Models of the family '\(architecture)' cannot be cut: \(reason); serve it in one stage."
        case .unsupportedModel(let architecture, let reason):
            "This model of the family '\(architecture)' cannot be cut: \(reason); serve it in one stage."
        case .uncertifiedFamily(let architecture, let reason):
            "The family '\(architecture)' is not certified for cutting: \(reason); serve it in one stage."
        case .illegalBoundary(let boundary, let reason, let legal):
            "A stage cannot start at layer \(boundary): \(reason); \(Self.cuts(legal))."
        case .illegalStage(let layers, let reason, let legal):
            "The stage \(layers) cannot run: \(reason); \(Self.cuts(legal))."
        case .wrongLayerCount(let given, let actual):
            "The cut is for \(given) layers but the model has \(actual)."
        case .tooManyStages(let asked, let most, let possible):
            asked > most
                ? "\(asked) stages were asked for, but this model can be cut into at most \(most)."
                : "This model cannot be cut into \(asked) stages, only into \(Self.list(possible))."
        case .unwritable(let error):
            "The stage file cannot be laid out: \(error)"
        }
    }

    private static func cuts(_ legal: [Int]) -> String {
        legal.isEmpty ? "no cut is legal, serve it in one stage" : "layers where a stage can start are \(list(legal))"
    }

    private static func list(_ numbers: [Int]) -> String { numbers.map(String.init).joined(separator: ", ") }
}
