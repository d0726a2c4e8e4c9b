package import Vocabulary

extension ModelCutter {
    /// Whether stages behind the first read the token ids again, so that rows without a token have no place there.
    package var laterStagesReadTokens: Bool {
        if case .inject(_, realTokens: true) = rules.feed { return true }
        return false
    }

    /// How the file of the stage `layers` is made; with `heads` the last stage has the first of the model's own heads
    /// for several tokens, which it MUST have (`headObstacle`).
    ///
    /// **Throws:** `unwritable` when the layout breaks a limit of the format. The caller MUST have checked the cut.
    package func plan(_ layers: LayerRange, heads: Bool = false) throws(CutError) -> StageFilePlan {
        precondition(layers.end <= layerCount, "stage \(layers) of \(layerCount) layers")
        let builder = StageBuilder(cutter: self, layers: layers, heads: heads && layers.end == layerCount)
        let tensors = builder.tensors()
        let layout: GGUFLayout
        do {
            layout = try GGUFWriter(metadata: builder.metadata(), tensors: tensors.map(\.plan)).layout()
        } catch {
            throw .unwritable(error)
        }
        var segments: [StageFilePlan.Segment] = []
        for (tensor, placed) in zip(tensors, layout.file.tensors) {
            guard let source = tensor.source, source.byteCount > 0 else { continue }
            let segment = StageFilePlan.Segment(
                sourceOffset: file.fileOffset(of: source), destinationOffset: layout.file.fileOffset(of: placed),
                byteCount: source.byteCount)
            if let last = segments.last, last.sourceOffset + last.byteCount == segment.sourceOffset,
                last.destinationOffset + last.byteCount == segment.destinationOffset
            {
                segments[segments.count - 1].byteCount += segment.byteCount
            } else {
                segments.append(segment)
            }
        }
        return StageFilePlan(
            layers: layers, layerCount: layerCount, header: layout.header, segments: segments,
            fileByteCount: layout.fileByteCount, recipe: recipe(layers))
    }

    /// Why the model's own head for several tokens cannot guess; nil when it can.
    package var headObstacle: String? { HeadRules.obstacle(facts) }

    /// How the engine runs the model in one stage, from its own file.
    package var wholeRecipe: StageRecipe {
        var recipe = StageRecipe.whole(width: width)
        recipe.layerOutput = layerOutput
        return recipe
    }

    /// What a model may be cut at, a stage may stop at: the residual is then all that later layers need.
    private var layerOutput: String? {
        guard case .perLayer(let name) = rules.residual, !laterStagesReadTokens, layerCount > 1,
            legalBoundaries == Array(1..<layerCount)
        else { return nil }
        return name
    }

    /// How the engine runs the stage `layers`.
    private func recipe(_ layers: LayerRange) -> StageRecipe {
        var recipe = StageRecipe(feed: .tokens, capture: nil, width: width, layerOutput: layerOutput)
        if layers.first > 0 {
            switch rules.feed {
            case .rows: recipe.feed = .rows
            case .inject(let node, let realTokens): recipe.feed = .inject(node, realTokens: realTokens)
            }
        }
        if layers.end < layerCount {
            switch rules.residual {
            case .perLayer(let name): recipe.capture = .named("\(name)-\(layers.count - 1)")
            case .fixed(let name): recipe.capture = .named(name)
            }
        }
        // The whole model derives its constants rightly by itself.
        if layers.count < layerCount { recipe.patches = rules.patches.flatMap { patches($0, layers) } }
        return recipe
    }

    private func patches(_ rule: PatchRule, _ layers: LayerRange) -> [StageRecipe.ScalePatch] {
        switch rule {
        case .scale(let nodes, let factor, let condition):
            guard facts.holds(condition), let value = facts.value(of: factor) else { return [] }
            return nodes.map { StageRecipe.ScalePatch(node: $0, factor: value) }
        case .decay(let named, let inputs):
            let isRecurrent = facts.layers(.recurrent)
            return layers.indices.filter { isRecurrent[$0] }.flatMap { layer in
                // In double precision and then rounded, as the engine does.
                let factor = Float(1.0 - 1.0 * Double(layer) / Double(layerCount - 1) + 1e-5)
                let suffix = "-\(layer - layers.first)"
                return named.map { StageRecipe.ScalePatch(node: .named($0 + suffix), factor: factor) }
                    + inputs.map { StageRecipe.ScalePatch(node: .named($0 + suffix), factor: factor, isInput: true) }
            }
        }
    }
}

extension ModelFacts {
    fileprivate func value(of factor: PatchRule.Factor) -> Float? {
        switch factor {
        case .overRootOfLayers(let number): overRootOfLayers(number)
        case .inverseRootOfHeadShare: headShare.map { 1 / Float($0).squareRoot() }
        }
    }

    /// A number over the square root of the layers, in single precision as the engine computes it.
    func overRootOfLayers(_ number: Float) -> Float { number / Float(layerCount).squareRoot() }
}
