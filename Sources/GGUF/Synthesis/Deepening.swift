/// A model made deeper by repeating its layers: the new header's content, and where each tensor's data comes from.
package struct DeepenedModel: Sendable {
    /// The new file's metadata and tensor table.
    package let writer: GGUFWriter
    /// For each tensor of `writer`, the place in the source file's `tensors` whose data it gets, unchanged.
    package let sources: [Int]
}

extension GGUFFile {
    /// The same model with `layers` layers, made by repeating those it has; everything else stays.
    ///
    /// Layer `i` is a copy of a layer of the same kind: leading dense layers stay in front, layers for predicting
    /// several tokens stay at the end, patterns keep their period, and metadata with one value per layer follows. In a
    /// model with leading dense layers whose attention is told by such metadata, attention and feed-forward part
    /// may come from different layers, so that the deeper model mixes all kinds.
    /// **Throws:** `GGUFError.unwritable` when the model cannot be made that deep.
    package func deepened(layers: Int) throws(GGUFError) -> DeepenedModel {
        var plan = try Deepening(file: self, layerCount: layers)
        return try plan.make()
    }
}

/// Plans the repetition of layers.
private struct Deepening {
    let file: GGUFFile
    let architecture: String
    /// Layers of the source without, and with, those for predicting several tokens.
    let trunkCount: Int
    let oldCount: Int
    let newCount: Int
    /// The tensors of each source layer, as places in the file.
    var tensorsOfLayer: [[Int]]
    /// Layers at the start that have a kind of their own.
    var leadCount = 0

    init(file: GGUFFile, layerCount: Int) throws(GGUFError) {
        guard let architecture = file.architecture, let oldCount = file.layerCount, oldCount >= 1 else {
            throw .unwritable(field: "layers", reason: "the model does not say how many it has")
        }
        let limit = Int(GGUFLimits().layerCountMax)
        guard layerCount >= oldCount, layerCount <= limit else {
            throw .unwritable(
                field: "layers", reason: "\(layerCount) is asked for, and \(oldCount) to \(limit) can be made")
        }
        guard (file.unsigned("split.count") ?? 1) <= 1 else {
            throw .unwritable(field: "layers", reason: "the file is one of several shards; merge them first")
        }
        self.file = file
        self.architecture = architecture
        self.oldCount = oldCount
        newCount = layerCount
        let ahead = Int(clamping: file.unsigned("\(architecture).nextn_predict_layers") ?? 0)
        guard ahead < oldCount else {
            throw .unwritable(field: "layers", reason: "all \(oldCount) layers only predict further tokens")
        }
        trunkCount = oldCount - ahead
        tensorsOfLayer = Array(repeating: [], count: oldCount)
        for (place, tensor) in file.tensors.enumerated() {
            if tensor.name.hasPrefix("enc.blk.") || tensor.name.hasPrefix("dec.blk.") {
                throw .unwritable(field: "layers", reason: "the layers of an encoder and a decoder cannot be repeated")
            }
            guard let layer = tensor.layerIndex else { continue }
            guard layer < oldCount else {
                throw .unwritable(field: tensor.name, reason: "the model has only \(oldCount) layers")
            }
            tensorsOfLayer[layer].append(place)
        }
    }

    mutating func make() throws(GGUFError) -> DeepenedModel {
        if architecture == "hrm_text" { return try makeLooped() }
        leadCount = findLead()
        let (mixers, feeds) = try (sources(isMixer: true), sources(isMixer: false))
        var writer = GGUFWriter(copying: file)
        writer.metadata = file.metadata.map { entry in
            MetadataEntry(key: entry.key, value: value(entry, mixers: mixers, feeds: feeds))
        }
        var order: [(place: Int, layer: Int?)] = []
        var hasLayers = false
        for (place, tensor) in file.tensors.enumerated() {
            if tensor.layerIndex == nil {
                order.append((place, nil))
            } else if !hasLayers {
                // All layers stand where the first one stood.
                hasLayers = true
                for layer in 0..<newCount {
                    let (mixer, feed) = (mixers[layer], feeds[layer])
                    for place in tensorsOfLayer[mixer] where mixer == feed || !isFeed(place) {
                        if mixer == layer || !isSingle(place) { order.append((place, layer)) }
                    }
                    if mixer != feed {
                        for place in tensorsOfLayer[feed] where isFeed(place) { order.append((place, layer)) }
                    }
                }
            }
        }
        writer.tensors = order.map { place, layer in
            let tensor = file.tensors[place]
            return TensorPlan(tensor, name: layer.map { "blk.\($0).\(tensor.roleName)" })
        }
        return DeepenedModel(writer: writer, sources: order.map(\.place))
    }

    /// Whether a tensor belongs to the feed-forward part of its layer.
    private func isFeed(_ place: Int) -> Bool {
        let role = file.tensors[place].roleName
        return role.hasPrefix("ffn_") || role.hasPrefix("exp_probs_b")
    }

    /// Whether a tensor may occur in one layer of a model only: the engine supports one layer with n-gram embeddings.
    private func isSingle(_ place: Int) -> Bool { file.tensors[place].roleName.hasPrefix("ple_") }

    /// Names and shapes of a layer's attention or feed-forward tensors: layers with equal ones are of one kind.
    private func kind(_ layer: Int, isMixer: Bool) -> [String] {
        tensorsOfLayer[layer].filter { isFeed($0) != isMixer }
            .map { "\(file.tensors[$0].roleName) \(file.tensors[$0].dimensions)" }.sorted()
    }

    /// Leading layers of their own kind: dense ones before layers of experts, or as RWKV 7 has one.
    private func findLead() -> Int {
        if ["rwkv7", "arwkv7"].contains(architecture) { return 1 }
        let lead = Int(clamping: file.unsigned("\(architecture).leading_dense_block_count") ?? 0)
        guard lead > 0, lead < trunkCount else { return 0 }
        // Families that have no such layers may carry the number all the same.
        let differs =
            (0..<lead).contains { kind($0, isMixer: false) != kind(lead, isMixer: false) }
            || (0..<lead).contains { kind($0, isMixer: true) != kind(lead, isMixer: true) }
        return differs ? lead : 0
    }

    /// The source layer of every new layer.
    private func sources(isMixer: Bool) throws(GGUFError) -> [Int] {
        let ahead = oldCount - trunkCount
        // Where metadata tells each layer's kind of attention, the lead does not matter to it.
        let lead = isMixer && isToldByMetadata() ? 0 : leadCount
        let period = period(isMixer: isMixer)
        let body = (trunkCount - lead) / period * period
        guard body >= period else {
            throw .unwritable(
                field: "layers",
                reason: "the pattern of \(period) layers is longer than the \(trunkCount - lead) layers there are")
        }
        return (0..<newCount).map { layer in
            if layer >= newCount - ahead { return trunkCount + layer - (newCount - ahead) }
            return layer < lead ? layer : lead + (layer - lead) % body
        }
    }

    /// After how many layers a pattern that is told by one number repeats.
    private func period(isMixer: Bool) -> Int {
        if architecture == "ernie4_5-moe" { return 1 }
        let keys = isMixer ? ["full_attention_interval"] : ["interleave_moe_layer_step", "moe_every_n_layers"]
        var period = 1
        for key in keys {
            let full = "\(architecture).\(key)"
            // A list of the recurrent layers overrules the interval.
            if isMixer && file["\(architecture).attention.recurrent_layers"]?.array != nil { continue }
            guard let step = file.unsigned(full), step > 1, step <= UInt64(oldCount) else { continue }
            let differs = (1..<trunkCount).contains { kind($0, isMixer: isMixer) != kind(0, isMixer: isMixer) }
            if differs { period = Int(step) }
        }
        return period
    }

    /// Whether layers of different attention have different per-layer metadata.
    private func isToldByMetadata() -> Bool {
        let arrays = file.metadata.filter { isPerLayer($0) && !isFeedKey($0.key) }
            .compactMap { $0.value.array?.integers }
        var kindOfValues: [([Int64], [String])] = []
        for layer in 0..<trunkCount {
            let values = arrays.map { $0[layer] }
            let kind = kind(layer, isMixer: true)
            if let known = kindOfValues.first(where: { $0.0 == values }) {
                if known.1 != kind { return false }
            } else {
                kindOfValues.append((values, kind))
            }
        }
        return true
    }

    /// Whether an entry has one value per layer.
    private func isPerLayer(_ entry: MetadataEntry) -> Bool {
        guard let array = entry.value.array, array.count == oldCount, entry.key.hasPrefix("\(architecture).") else {
            return false
        }
        let name = entry.key.dropFirst(architecture.count + 1)
        // Arrays with a length of their own, which may happen to be the number of layers.
        return name != "rope.dimension_sections" && name != "target_layers"
            && !["ple.", "adapters.", "classifier."].contains { name.hasPrefix($0) }
    }

    /// Whether per-layer metadata is about the feed-forward part.
    private func isFeedKey(_ key: String) -> Bool {
        ["feed_forward", "expert", "swiglu"].contains { key.dropFirst(architecture.count + 1).contains($0) }
    }

    private func value(_ entry: MetadataEntry, mixers: [Int], feeds: [Int]) -> MetadataValue {
        switch entry.key.dropFirst(architecture.count + 1) {
        case _ where !entry.key.hasPrefix("\(architecture)."): break
        case "block_count": return .uint32(UInt32(newCount))
        case "leading_dense_block_count":
            // All dense stays all dense.
            if let lead = entry.value.unsigned, lead >= UInt64(trunkCount) { return .uint32(UInt32(newCount)) }
        case "interleave_moe_layer_step" where architecture == "ernie4_5-moe":
            // The engine gives every layer behind the lead experts, but computes them in every n-th only.
            return .uint32(1)
        default: break
        }
        guard isPerLayer(entry), let array = entry.value.array else { return entry.value }
        return .array(array.selecting(isFeedKey(entry.key) ? feeds : mixers))
    }

    /// A model that runs through the same few layers again and again is made deeper by more rounds.
    private func makeLooped() throws(GGUFError) -> DeepenedModel {
        let key = "\(architecture).hrm.h_cycles"
        guard let cycles = file.unsigned(key).flatMap({ Int(exactly: $0) }), cycles >= 1, oldCount % cycles == 0,
            newCount % (oldCount / cycles) == 0
        else {
            throw .unwritable(
                field: "layers", reason: "\(newCount) is not a whole number of rounds of the model's layers")
        }
        var writer = GGUFWriter(copying: file)
        let layers = (0..<newCount).map { $0 % oldCount }
        writer.metadata = file.metadata.map { entry in
            MetadataEntry(key: entry.key, value: value(entry, mixers: layers, feeds: layers))
        }
        writer.set(key, .uint32(UInt32(newCount / (oldCount / cycles))))
        return DeepenedModel(writer: writer, sources: Array(file.tensors.indices))
    }
}
