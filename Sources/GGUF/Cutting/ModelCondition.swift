/// A number that stands in a model's metadata, or is fixed by the family.
package enum FamilyNumber: Hashable, Sendable {
    /// Fixed by the family.
    case constant(Int)
    /// The metadata value `<architecture>.<key>`, or the default when it is absent.
    case key(String, default: Int)
}

/// A question about a whole model that its header answers.
package indirect enum ModelCondition: Hashable, Sendable {
    /// Every model.
    case always
    /// The number is at least this.
    case atLeast(FamilyNumber, Int)
    /// The model has one of these numbers of layers, draft heads not counted.
    case layerCount([Int])
    /// The model has at least so many layers, draft heads not counted.
    case layerCountAtLeast(Int)
    /// The vocabulary has this many tokens.
    case vocabularySize(Int)
    /// The model has a tensor of this name.
    case tensor(String)
    /// Windowed layers rotate another number of dimensions than the others.
    case rotationDiffers
    /// All of these hold.
    case all([ModelCondition])
    /// This does not hold.
    case not(ModelCondition)
}

/// A set of layers, told apart by metadata.
package enum LayerKind: Hashable, Sendable {
    /// Layers with a sliding window, by the family's window rule.
    case windowed
    /// Layers without one.
    case unwindowed
    /// Recurrent layers, by the family's recurrence rule.
    case recurrent
    /// Attention layers, by the family's recurrence rule.
    case attention
    /// Layers whose entry in `<architecture>.<key>` is this number.
    case entry(String, equals: Int)
    /// Layers whose entry in `<architecture>.<key>` is above zero.
    case positive(String)
    /// Layers that compute their own index of earlier tokens; the others share the one before them. `true` follows the
    /// table of GLM 5.2 where a model of a million tokens of context lists nothing.
    case indexer(hasDefaultTable: Bool)
    /// Layers from this index on.
    case from(FamilyNumber)
    /// Layers up to, and without, the last so many.
    case beforeLast(FamilyNumber)
}

/// How sliding windows are spread over a family's layers.
package struct WindowRule: Hashable, Sendable {
    /// Where the model says which layers have a window.
    package enum Source: Hashable, Sendable {
        /// In an array, which the file must have.
        case array
        /// In an array, or by a period: the odd layer stands first or last in it. A stage gets the array written out.
        case period(default: Int, denseFirst: Bool)
    }

    /// Where the model says it.
    package var source: Source
    /// When windows are in use at all.
    package var condition: ModelCondition = .always
    /// Whether stages may start with either kind although the kinds rotate different numbers of dimensions.
    package var allowsMixedRotation = false
}

/// How recurrent layers are told from attention layers.
package enum RecurrenceRule: Hashable, Sendable {
    /// By the array `attention.recurrent_layers`, or by `full_attention_interval`, whose last layer is the odd one. A
    /// stage gets the array written out.
    case interval(default: Int)
    /// Recurrent layers have no heads of keys and values.
    case noKeyValueHeads
    /// As before, but layers with a feed-forward part are neither.
    case noKeyValueHeadsNorFeedForward
}
