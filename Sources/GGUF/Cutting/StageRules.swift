package import Vocabulary

/// How a stage that is not the first gets its rows.
package enum FeedRule: Hashable, Sendable {
    /// As embedding rows, for families that use them as they are.
    case rows
    /// Over the data of a node, for families that transform embeddings or treat rows unlike tokens. `realTokens` says
    /// whether other nodes of the stage read the token ids.
    case inject(NodePattern, realTokens: Bool)

    /// Over the looked-up token embeddings: right for every family that does not transform them, with the positions and
    /// branches of the token path.
    static let tokenGather = FeedRule.inject(.operation("GET_ROWS", source: "token_embd.weight"), realTokens: false)

    /// Over the node of this name; the ids do not matter.
    static func at(_ node: String) -> FeedRule { .inject(.named(node), realTokens: false) }
}

/// What the residual is called when it leaves a stage.
package enum ResidualName: Hashable, Sendable {
    /// `<name>-<last local layer>`.
    case perLayer(String)
    /// A name of its own.
    case fixed(String)
}

/// Where a stage may start, because llama.cpp derives something from a layer's index.
package enum BoundaryRule: Hashable, Sendable {
    /// Only at multiples of a period, in models that fulfil the condition. A period of 0 or 1 allows every layer.
    case multiple(of: FamilyNumber, when: ModelCondition, reason: String)
    /// Not before this layer: the layers up to there belong together.
    case notBefore(FamilyNumber, reason: String)
    /// Only behind the last layer whose entry in `<architecture>.<key>` is not negative.
    case afterLastEntry(String, reason: String)
    /// Not within the last so many layers and `margin` before them: those belong together.
    case notWithinLast(FamilyNumber, margin: Int, reason: String)
}

/// What every stage must contain, because llama.cpp aborts otherwise.
package struct StageRequirement: Hashable, Sendable {
    /// Layers of this kind.
    package var kind: LayerKind
    /// How many of them.
    package var minimum = 1
    /// The kind in words, "layer with a sliding window".
    package var name: String
}

/// What a stage must start with, because llama.cpp takes it from there.
package struct FirstLayerRule: Hashable, Sendable {
    /// What is asked of the layer.
    package enum Demand: Hashable, Sendable {
        /// It is of this kind.
        case isKind(LayerKind)
        /// It is of this kind exactly when the model's first layer is.
        case isLikeFirst(LayerKind)
    }

    /// Which layer: the stage's first one of this kind, or simply the first when nil.
    package var among: LayerKind?
    /// What is asked of it.
    package var demand: Demand
    /// Which models.
    package var condition: ModelCondition = .always
    /// Why, in words that follow "cannot run:".
    package var reason: String
}

/// Numbers of layers by which llama.cpp recognises another model.
package struct ForbiddenSizes: Hashable, Sendable {
    /// The numbers.
    package var sizes: [Int]
    /// Which models.
    package var condition: ModelCondition = .always
    /// Why, in words that follow "cannot run:".
    package var reason: String
}

/// How a stage's metadata differs from the model's. Keys stand without `<architecture>.`.
package enum MetadataRule: Hashable, Sendable {
    /// A number that is written.
    package enum Value: Hashable, Sendable {
        /// This number.
        case unsigned(UInt32)
        /// This factor over the square root of the model's number of layers.
        case overRootOfLayers(Float)
    }

    /// 1.0 in every stage but the first, even when the model lacks the key.
    case oneAfterFirst(String)
    /// 0 in every stage but the first, when the model has the key.
    case zeroAfterFirst(String)
    /// Removed from every stage but the first.
    case removeAfterFirst(String)
    /// Counts layers from the start: `value - first`, at least 0 and at most the stage's layers.
    case countFromStart(String)
    /// Counts layers from the end: what of them lies in the stage.
    case countFromEnd(String)
    /// Written when the model lacks the key or has 0 there.
    case fill(String, Value, when: ModelCondition)
    /// Written out by layer when the model lacks the key.
    case fillLayers(String, LayerKind, when: ModelCondition)
    /// Everything under the prefix, and the tensor, stands only in the stage that has the one layer listed in
    /// `<prefix><key>`.
    case confine(prefix: String, listKey: String, tensor: String)
}

/// How a stage's shared tensors differ from the model's.
package enum SharedTensorRule: Hashable, Sendable {
    /// Zeros of the same shape in every stage but the first.
    case holeAfterFirst(String)
    /// Left out of every stage but the first.
    case dropAfterFirst(String)
    /// Left out of stages without such a layer.
    case onlyWith(LayerKind, String)
}

/// Scaling nodes whose factor is set right, in every stage.
package enum PatchRule: Hashable, Sendable {
    /// All these nodes get one factor.
    case scale([NodePattern], Factor, when: ModelCondition)
    /// The decay of linear attention, by the layer's place in the whole model: the scaling node `<named>-<layer>`, and
    /// the unnamed ones that feed the nodes `<inputs>-<layer>`.
    case decay(named: [String], inputs: [String])

    /// A factor.
    package enum Factor: Hashable, Sendable {
        /// This number over the square root of the model's number of layers.
        case overRootOfLayers(Float)
        /// One over the square root of the embedding's share of a head.
        case inverseRootOfHeadShare
    }
}

/// The vocabulary of a stage between the first and the last one.
package enum MiddleVocabulary: Hashable, Sendable {
    /// One token, so that token table and head take no room.
    case oneToken
    /// The model's size, with tables of zeros: ids are checked against it, or the graph needs it.
    case full
}
