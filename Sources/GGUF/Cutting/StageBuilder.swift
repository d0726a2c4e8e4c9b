import Vocabulary

/// Makes the content of one stage's file by the family's rules.
struct StageBuilder {
    /// A tensor of the stage and where its data comes from; nil is a hole of zeros.
    struct Tensor {
        var plan: TensorPlan
        var source: TensorInfo?
    }

    private let facts: ModelFacts
    private let layers: LayerRange
    /// Whether the model's first head for several tokens is the layer behind the stage's own.
    private let hasHead: Bool
    private let prefix: String

    init(cutter: ModelCutter, layers: LayerRange, heads: Bool = false) {
        facts = cutter.facts
        self.layers = layers
        hasHead = heads
        prefix = cutter.architecture + "."
    }

    private var file: GGUFFile { facts.file }
    private var rules: FamilyRules { facts.rules }
    private var isFirst: Bool { layers.first == 0 }
    private var isLast: Bool { layers.end == facts.layerCount }
    private var isMiddle: Bool { !isFirst && !isLast }
    private var hasOneToken: Bool { isMiddle && rules.middleVocabulary == .oneToken }

    // MARK: Metadata

    func metadata() -> [MetadataEntry] {
        var writer = GGUFWriter(metadata: file.metadata.compactMap(entry))
        set(&writer, "block_count", layers.count + (hasHead ? 1 : 0))
        if file[prefix + "nextn_predict_layers"] != nil {
            set(&writer, "nextn_predict_layers", hasHead ? 1 : 0)
        }
        if isMiddle {
            // No stage between the first and the last one turns text into tokens or tokens into text.
            writer.set("tokenizer.ggml.model", .text("no_vocab"))
            set(&writer, "vocab_size", hasOneToken ? 1 : facts.vocabularySize ?? 1)
        }
        nameDerivedSizes(&writer)
        apply(.countFromStart("leading_dense_block_count"), &writer)
        if file[prefix + "embedding_scale"] != nil { apply(.oneAfterFirst("embedding_scale"), &writer) }
        if rules.window != nil { writeWindows(&writer) }
        if case .interval = rules.recurrence { writeLayers("attention.recurrent_layers", .recurrent, &writer) }
        for rule in rules.metadata { apply(rule, &writer) }
        return renamed(writer.metadata)
    }

    /// The entry as it stands in the stage before the rules, nil when it does not.
    private func entry(_ entry: MetadataEntry) -> MetadataEntry? {
        if isMiddle, entry.key.hasPrefix("tokenizer.") { return nil }
        guard let array = entry.value.array, array.count >= layers.end,
            PerLayerKeys.contains(entry.key, of: facts.architecture)
        else { return entry }
        let head = hasHead && array.count > facts.layerCount ? [facts.layerCount] : []
        return MetadataEntry(key: entry.key, value: .array(array.selecting(Array(layers.indices) + head)))
    }

    private func set(_ writer: inout GGUFWriter, _ key: String, _ value: Int) {
        writer.set(prefix + key, .uint32(UInt32(clamping: value)))
    }

    /// Writes the sizes that the engine would derive from the heads of the stage's own first layer.
    private func nameDerivedSizes(_ writer: inout GGUFWriter) {
        guard facts.isArray("attention.head_count"), let share = facts.headShare else { return }
        for key in ["attention.key_length", "attention.value_length"] where file[prefix + key] == nil {
            set(&writer, key, share)
        }
        if file[prefix + "rope.dimension_count"] == nil {
            set(&writer, "rope.dimension_count", facts.unsigned("attention.key_length") ?? share)
        }
    }

    private func writeWindows(_ writer: inout GGUFWriter) {
        guard let window = rules.window, case .period = window.source, facts.holds(window.condition) else { return }
        writeLayers("attention.sliding_window_pattern", .windowed, &writer)
    }

    /// Writes out by layer what the engine would derive from a layer's index, unless the model has the array.
    private func writeLayers(_ key: String, _ kind: LayerKind, _ writer: inout GGUFWriter) {
        guard !facts.isArray(key) else { return }
        let isKind = facts.layers(kind)
        writer.set(prefix + key, .array(.uint32(layers.indices.map { isKind[$0] ? 1 : 0 })))
    }

    private func apply(_ rule: MetadataRule, _ writer: inout GGUFWriter) {
        switch rule {
        case .oneAfterFirst(let key):
            if !isFirst { writer.set(prefix + key, .float(1)) }
        case .zeroAfterFirst(let key):
            if !isFirst, file[prefix + key] != nil { set(&writer, key, 0) }
        case .removeAfterFirst(let key):
            if !isFirst { writer.metadata.removeAll { $0.key == prefix + key } }
        case .countFromStart(let key):
            guard let count = facts.unsigned(key) else { return }
            set(&writer, key, min(max(0, count - layers.first), layers.count))
        case .countFromEnd(let key):
            guard let count = facts.unsigned(key) else { return }
            set(&writer, key, max(0, layers.end - max(layers.first, facts.layerCount - count)))
        case .fill(let key, let value, let condition):
            let present = writer.metadata.first { $0.key == prefix + key }?.value
            guard present == nil || present?.unsigned == 0, facts.holds(condition) else { return }
            switch value {
            case .unsigned(let number): writer.set(prefix + key, .uint32(number))
            case .overRootOfLayers(let number): writer.set(prefix + key, .float(facts.overRootOfLayers(number)))
            }
        case .fillLayers(let key, let kind, let condition):
            if facts.holds(condition) { writeLayers(key, kind, &writer) }
        case .confine(let group, let listKey, _):
            guard let layer = confinedLayer(group + listKey) else { return }
            if layers.indices.contains(layer) {
                writer.set(prefix + group + listKey, .array(.uint32([UInt32(clamping: layer - layers.first)])))
            } else {
                writer.metadata.removeAll { $0.key.hasPrefix(prefix + group) }
            }
        }
    }

    /// The one layer a group of keys is about.
    private func confinedLayer(_ key: String) -> Int? {
        file.integers(prefix + key)?.first.flatMap(Int.init(exactly:))
    }

    /// The metadata under the name of the family the stage is written as.
    private func renamed(_ metadata: [MetadataEntry]) -> [MetadataEntry] {
        guard let renaming = rules.renamings.first(where: { facts.holds($0.condition) }) else { return metadata }
        return metadata.map { entry in
            if entry.key == GGUFFormat.architectureKey {
                return MetadataEntry(key: entry.key, value: .text(renaming.architecture))
            }
            guard entry.key.hasPrefix(prefix) else { return entry }
            return MetadataEntry(
                key: renaming.architecture + "." + entry.key.dropFirst(prefix.count), value: entry.value)
        }
    }

    // MARK: Tensors

    func tensors() -> [Tensor] {
        file.tensors.compactMap { tensor in
            guard let layer = tensor.layerIndex, layers.indices.contains(layer) else { return outside(tensor) }
            return inside(tensor, layer)
        }
    }

    /// The stage's tensors outside its own layers, its head for several tokens among them.
    func sharedTensors() -> [Tensor] { file.tensors.compactMap(outside) }

    private func outside(_ tensor: TensorInfo) -> Tensor? {
        guard let layer = tensor.layerIndex else { return shared(tensor) }
        return hasHead && layer == facts.layerCount ? inside(tensor, layer) : nil
    }

    /// A tensor of a layer, numbered as the stage numbers its layers.
    private func inside(_ tensor: TensorInfo, _ layer: Int) -> Tensor {
        Tensor(plan: TensorPlan(tensor, name: "blk.\(layer - layers.first).\(tensor.roleName)"), source: tensor)
    }

    /// A tensor outside the layers. The loader refuses files with a tensor too few and files with one too many.
    private func shared(_ tensor: TensorInfo) -> Tensor? {
        for rule in rules.sharedTensors {
            switch rule {
            case .holeAfterFirst(tensor.name) where !isFirst: return hole(tensor)
            case .dropAfterFirst(tensor.name) where !isFirst: return nil
            case .onlyWith(let kind, tensor.name):
                let isKind = facts.layers(kind)
                if !layers.indices.contains(where: { isKind[$0] }) { return nil }
            default: continue
            }
        }
        for case .confine(let group, let listKey, tensor.name) in rules.metadata {
            if let layer = confinedLayer(group + listKey), !layers.indices.contains(layer) { return nil }
        }
        let whole = Tensor(plan: TensorPlan(tensor), source: tensor)
        switch tensor.name {
        case "token_embd.weight":
            return isFirst || (isLast && !hasOutput) || headReadsTokens ? whole : vocabularyHole(tensor)
        case "output.weight":
            if readsOutput { return whole }
            return needsOutput ? vocabularyHole(tensor) : nil
        case "output.bias": return isLast ? whole : vocabularyHole(tensor)
        // They belong to the type of the real head.
        case "output.scale", "output.input_scale": return readsOutput ? whole : nil
        default: return whole
        }
    }

    /// Whether the stage's head for several tokens reads the model's own token table.
    private var headReadsTokens: Bool {
        hasHead && file.tensor(named: "blk.\(facts.layerCount).nextn.embed_tokens.weight") == nil
    }

    private var hasOutput: Bool { file.tensor(named: "output.weight") != nil }

    /// Whether the head itself is read: in the last stage, or as the first stage's token table.
    private var readsOutput: Bool { isLast || (isFirst && file.tensor(named: "token_embd.weight") == nil) }

    /// Whether the loader, or a graph that reads the vocabulary's size, insists on a head nobody computes.
    private var needsOutput: Bool {
        rules.needsOutput || rules.middleVocabulary == .full || file.tensor(named: "token_embd.weight") == nil
    }

    /// Zeros of the same shape, in the smallest type: their size in memory counts, although no disk is behind them.
    private func hole(_ tensor: TensorInfo) -> Tensor {
        var plan = TensorPlan(tensor)
        if plan.dimensions.count == 2 {
            plan.type = plan.dimensions[0] % TensorType.iq1_s.blockElementCount == 0 ? .iq1_s : .f16
        }
        return Tensor(plan: plan, source: nil)
    }

    /// Zeros with one row per token of the stage's vocabulary.
    private func vocabularyHole(_ tensor: TensorInfo) -> Tensor {
        var hole = hole(tensor)
        if hasOneToken, !hole.plan.dimensions.isEmpty { hole.plan.dimensions[hole.plan.dimensions.count - 1] = 1 }
        return hole
    }
}
