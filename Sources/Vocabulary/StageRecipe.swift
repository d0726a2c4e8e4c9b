/// A node of the engine's graph, found by its name or by what it computes.
package enum NodePattern: Hashable, Sendable, Codable {
    /// The node of exactly this name, `l_out-5`.
    case named(String)
    /// Every node whose name starts with this, `hidden_scaled-`.
    case prefix(String)
    /// The node of this operation that reads a tensor of this name: `GET_ROWS` of `token_embd.weight`. The source may
    /// end in `*`, which stands for any end.
    case operation(String, source: String)
}

/// How one stage of a family runs on the stock engine: what is fed in, what is taken out, and which constants are set
/// right. All of it happens in the evaluation callback; the library stays as it is.
package struct StageRecipe: Hashable, Sendable, Codable {
    /// How rows enter the graph.
    package enum Feed: Hashable, Sendable, Codable {
        /// As token ids, in the first stage.
        case tokens
        /// As embedding rows, for families that treat them as they are.
        case rows
        /// As token ids whose effect is overwritten: the node's data is replaced by the rows once it is computed.
        /// `realTokens` says whether the stage has a vocabulary and other nodes read the ids; else every id is 0.
        case inject(NodePattern, realTokens: Bool)
    }

    /// A constant of a scaling node that the engine derives from something a stage does not know.
    package struct ScalePatch: Hashable, Sendable, Codable {
        /// The nodes.
        package var node: NodePattern
        /// The factor they get.
        package var factor: Float
        /// Whether the scaling node is not the one found but its first input, which has no name of its own.
        package var isInput: Bool

        /// Makes a patch.
        package init(node: NodePattern, factor: Float, isInput: Bool = false) {
            self.node = node
            self.factor = factor
            self.isInput = isInput
        }
    }

    /// How rows enter.
    package var feed: Feed
    /// The node that leaves the stage; nil in the last one.
    package var capture: NodePattern?
    /// Floats per row between the stages.
    package var width: Int
    /// Constants to set right.
    package var patches: [ScalePatch]
    /// The nodes `<name>-<layer>`, by the layer's place in the stage, hold all that the layers behind one need of those
    /// before it: a stage may stop at each of them and go on later. Nil where it may not.
    package var layerOutput: String?

    /// Makes a recipe.
    package init(
        feed: Feed, capture: NodePattern?, width: Int, patches: [ScalePatch] = [], layerOutput: String? = nil
    ) {
        self.feed = feed
        self.capture = capture
        self.width = width
        self.patches = patches
        self.layerOutput = layerOutput
    }

    /// The recipe of a model that is not cut.
    package static func whole(width: Int) -> StageRecipe { StageRecipe(feed: .tokens, capture: nil, width: width) }
}
