package import Vocabulary

/// What planning asks about stages without laying out their files.
extension ModelCutter {
    /// Whether `layers` can be a stage: both ends allowed, and the stage itself. The whole model always can.
    package func isLegal(_ layers: LayerRange) -> Bool {
        precondition(layers.end <= layerCount, "stage \(layers) of \(layerCount) layers")
        if layers.count == layerCount { return true }
        return obstacle == nil && table.isLegal(layers.first, layers.end)
    }

    /// For every layer, whether it is of a kind, by the family's rules.
    package func layers(_ kind: LayerKind) -> [Bool] { facts.layers(kind) }

    /// Number of tokens, as the engine finds it; nil when the file does not tell.
    package var vocabularySize: Int? { facts.vocabularySize }

    /// The tensors of every layer that can be placed, by layer, in file order.
    package var layerTensors: [[TensorInfo]] {
        var layers = [[TensorInfo]](repeating: [], count: layerCount)
        for tensor in file.tensors {
            guard let layer = tensor.layerIndex, layer < layerCount else { continue }
            layers[layer].append(tensor)
        }
        return layers
    }

    /// The tensors of the model's first head for several tokens, in file order; empty without one.
    package var headTensors: [TensorInfo] { file.tensors.filter { $0.layerIndex == layerCount } }

    /// The tensors outside the layers that the file of the stage `layers` has, holes of zeros included; also those of
    /// the heads for several tokens behind the layers: for the whole model, which is served from its own file, and with
    /// `heads` for the last stage.
    ///
    /// The second element says whether the data comes from the model, so that it must be fetched.
    package func sharedTensors(
        _ layers: LayerRange, heads: Bool = false
    ) -> [(plan: TensorPlan, isCopied: Bool)] {
        if layers.count == layerCount {
            return file.tensors.filter { ($0.layerIndex ?? layerCount) >= layerCount }.map { (TensorPlan($0), true) }
        }
        let builder = StageBuilder(cutter: self, layers: layers, heads: heads && layers.end == layerCount)
        return builder.sharedTensors().map { ($0.plan, $0.source != nil) }
    }

    /// Whether `sharedTensors` depends on more than whether a stage is the first and whether it is the last.
    package var sharedTensorsFollowLayers: Bool {
        rules.sharedTensors.contains { if case .onlyWith = $0 { true } else { false } }
            || rules.metadata.contains { if case .confine = $0 { true } else { false } }
    }
}
