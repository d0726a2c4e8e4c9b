/// What one family of models needs to be cut, as data. `FamilyRules.table` holds the families that need more than the
/// trivial rules; every other family is cut by the default value and has to prove itself by `skein verify`.
package struct FamilyRules: Hashable, Sendable {
    /// Name of the tensor that carries the residual out of a layer, without `-<layer>`.
    package var residual = "l_out"
    /// Why the family cannot be staged at all; nil when it can.
    package var refusal: String?
    /// Where stages may start.
    package var boundaries: [BoundaryRule] = []
    /// What every stage must contain.
    package var requirements: [StageRequirement] = []
    /// How metadata and tensors of a stage differ from those of the model.
    package var rewrites: [StageRewrite] = []

    /// The trivial rules.
    package init(
        residual: String = "l_out", refusal: String? = nil, boundaries: [BoundaryRule] = [],
        requirements: [StageRequirement] = [], rewrites: [StageRewrite] = []
    ) {
        self.residual = residual
        self.refusal = refusal
        self.boundaries = boundaries
        self.requirements = requirements
        self.rewrites = rewrites
    }
}

/// A number that stands in a model's metadata, or is fixed by the family.
package enum FamilyNumber: Hashable, Sendable {
    /// Fixed by the family.
    case constant(Int)
    /// The metadata value `<architecture>.<key>`, or the default when it is absent.
    case key(String, default: Int)
}

/// Where a stage may start, because llama.cpp derives a layer's kind from its index.
package enum BoundaryRule: Hashable, Sendable {
    /// Only at multiples of a period. A number of 0 or 1 allows every layer.
    case multiple(of: FamilyNumber, reason: String)
    /// As `multiple`, unless the model lists the kinds per layer in the array `<architecture>.<array>`.
    case multipleUnlessArray(of: FamilyNumber, array: String, reason: String)
    /// Not behind this layer: the layers from there on belong together.
    case notAfter(FamilyNumber, reason: String)
    /// Not before this layer: the layers up to there belong together.
    case notBefore(FamilyNumber, reason: String)
}

/// A set of layers, told apart by the model's own tensors or metadata.
package enum LayerKind: Hashable, Sendable {
    /// Layers that have a tensor of this role, `ssm_in.weight`.
    case withTensor(String)
    /// Layers that have none of these tensors.
    case withoutTensors([String])
    /// Layers whose index is or is not the last of its period: `index % period < period - 1` (sliding windows).
    case periodic(FamilyNumber, last: Bool)
    /// As `periodic` with the odd one at the start of each period.
    case periodicFirst(FamilyNumber, first: Bool)
    /// Layers whose entry in the array `<architecture>.<key>` is (not) zero.
    case entry(String, isZero: Bool)
}

/// What every stage must contain, because llama.cpp aborts otherwise.
package struct StageRequirement: Hashable, Sendable {
    /// Layers of this kind.
    package var kind: LayerKind
    /// The kind in words, "a sliding-window layer".
    package var name: String

    /// Makes a requirement.
    package init(_ kind: LayerKind, name: String) {
        self.kind = kind
        self.name = name
    }
}

/// How a stage's file differs from the model's.
package enum StageRewrite: Hashable, Sendable {
    /// Set `<architecture>.<key>` in every stage but the first.
    case setAfterFirst(key: String, MetadataValue)
    /// `<architecture>.<key>` counts layers from the start: it becomes `max(0, n - first)`.
    case subtractFirst(key: String)
    /// `<architecture>.<key>` is set in every stage that does not reach the end.
    case setUnlessLast(key: String, MetadataValue)
    /// The shared tensor is zeros in every stage but the first.
    case zeroAfterFirst(tensor: String)
    /// The shared tensor is left out of every stage but the first.
    case dropAfterFirst(tensor: String)
    /// The shared tensor is left out of every stage but the last.
    case dropUnlessLast(tensor: String)
    /// The sliding-window pattern is written out as the array `<architecture>.<key>`, so that renumbering cannot change it.
    case writePattern(key: String, kind: LayerKind)
}
