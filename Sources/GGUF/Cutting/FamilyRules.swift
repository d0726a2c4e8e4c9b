/// What one family of models needs to be cut, as data: a closed vocabulary of rules, each of them measured against the
/// uncut model.
///
/// The default value is the trivial rule: rows go in as they are, any cut, arrays sliced by layer.
package struct FamilyRules: Hashable, Sendable {
    /// Why no model of the family can be staged; nil when they can.
    package var refusal: String?
    /// Why the family counts as unknown although llama.cpp lists it; nil when it was measured.
    package var doubt: String?
    /// Models of the family that cannot be staged.
    package var modelRefusals: [ModelRefusal] = []
    /// How a later stage gets its rows.
    package var feed: FeedRule = .rows
    /// What the tensor is called that carries the residual out of a stage.
    package var residual: ResidualName = .perLayer("l_out")
    /// How many times the residual is as wide as the embedding.
    package var widthFactor: FamilyNumber = .constant(1)
    /// How sliding windows are spread over the layers; nil when the family has none or any cut is right.
    package var window: WindowRule?
    /// How recurrent layers are told from attention; nil when the family has only one kind.
    package var recurrence: RecurrenceRule?
    /// Where stages may start.
    package var boundaries: [BoundaryRule] = []
    /// What every stage must contain, beside what `window` and `recurrence` ask for.
    package var requirements: [StageRequirement] = []
    /// What a stage's first layer must be like.
    package var firstLayers: [FirstLayerRule] = []
    /// Stage sizes that mean something else to the engine.
    package var forbiddenSizes: [ForbiddenSizes] = []
    /// How a stage's metadata differs from the model's.
    package var metadata: [MetadataRule] = []
    /// How a stage's shared tensors differ from the model's.
    package var sharedTensors: [SharedTensorRule] = []
    /// Constants the engine derives from something a stage does not know.
    package var patches: [PatchRule] = []
    /// The vocabulary of a stage between the first and the last one.
    package var middleVocabulary = MiddleVocabulary.oneToken
    /// Whether the loader insists on `output.weight`; elsewhere it falls back to the token table.
    package var needsOutput = false
    /// Under which other family a stage is written.
    package var renamings: [Renaming] = []
    /// Whether draft heads count only when their tensors are in the file.
    package var probesDraftHeads = false

    /// The trivial rules.
    package init() {}

    /// The trivial rules, changed.
    init(_ change: (inout FamilyRules) -> Void) { change(&self) }

    /// The rules of a family that cannot be staged.
    static func refused(_ reason: String) -> FamilyRules { FamilyRules { $0.refusal = reason } }
}

/// Models of an otherwise cuttable family that cannot be staged.
package struct ModelRefusal: Hashable, Sendable {
    /// Which models.
    package var condition: ModelCondition
    /// Why, in words that follow "cannot be cut:".
    package var reason: String
}

/// Writes a stage as a file of another family, whose graph is the same for every number of layers.
package struct Renaming: Hashable, Sendable {
    /// Which models.
    package var condition: ModelCondition
    /// The other family.
    package var architecture: String
}
