package import Vocabulary

extension ModelCutter {
    /// How the file of the stage `layers` is made.
    ///
    /// **Throws:** `unwritable` when the layout breaks a limit of the format. The caller MUST have checked the cut.
    package func plan(_ layers: LayerRange) throws(CutError) -> StageFilePlan {
        let stage = StageContents(cutter: self, layers: layers)
        let layout: GGUFLayout
        do {
            layout = try GGUFWriter(metadata: stage.metadata, tensors: stage.tensors.map(\.plan)).layout()
        } catch {
            throw .unwritable(error)
        }
        var segments: [StageFilePlan.Segment] = []
        for (tensor, placed) in zip(stage.tensors, layout.file.tensors) {
            guard let source = tensor.source else { continue }
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
}

extension ModelCutter {
    private func recipe(_ layers: LayerRange) -> StageRecipe {
        StageRecipe(
            feed: layers.first == 0 ? .tokens : .rows,
            capture: layers.end == layerCount ? nil : .named("\(rules.residual)-\(layers.count - 1)"), width: width)
    }
}

/// What stands in one stage's file.
private struct StageContents {
    /// A tensor of the stage and where its data comes from; nil is a hole.
    struct Tensor {
        var plan: TensorPlan
        var source: TensorInfo?
    }

    let metadata: [MetadataEntry]
    let tensors: [Tensor]

    init(cutter: ModelCutter, layers: LayerRange) {
        let builder = StageBuilder(cutter: cutter, layers: layers)
        metadata = builder.metadata()
        tensors = builder.tensors()
    }
}

/// Applies the trivial rules and the family's rewrites to one stage.
private struct StageBuilder {
    let cutter: ModelCutter
    let layers: LayerRange

    private var file: GGUFFile { cutter.file }
    private var isFirst: Bool { layers.first == 0 }
    private var isLast: Bool { layers.end == cutter.layerCount }
    /// The stage's layers in the model's numbering; draft heads behind the last layer stay with the last stage.
    private var blocks: Range<Int> { layers.first..<(isLast ? file.layerCount ?? layers.end : layers.end) }
    private var prefix: String { cutter.architecture + "." }

    // MARK: Metadata

    func metadata() -> [MetadataEntry] {
        var writer = GGUFWriter(metadata: file.metadata.compactMap(entry))
        writer.set(prefix + "block_count", .uint32(UInt32(blocks.count)))
        if !isLast, file[prefix + "nextn_predict_layers"] != nil {
            writer.set(prefix + "nextn_predict_layers", .uint32(0))
        }
        if !isFirst, !isLast {
            // A middle stage meets no token: without a vocabulary it needs neither table nor head of full size.
            writer.set("tokenizer.ggml.model", .text("no_vocab"))
            writer.set(prefix + "vocab_size", .uint32(1))
        }
        for rewrite in cutter.rules.rewrites { apply(rewrite, to: &writer) }
        return writer.metadata
    }

    private func entry(_ entry: MetadataEntry) -> MetadataEntry? {
        if !isFirst, !isLast, entry.key.hasPrefix("tokenizer.") { return nil }
        guard entry.key.hasPrefix(prefix), let array = entry.value.array, array.count == file.layerCount else { return entry }
        return MetadataEntry(key: entry.key, value: .array(array.selecting(Array(blocks))))
    }

    private func apply(_ rewrite: StageRewrite, to writer: inout GGUFWriter) {
        switch rewrite {
        case .setAfterFirst(let key, let value):
            if !isFirst { writer.set(prefix + key, value) }
        case .setUnlessLast(let key, let value):
            if !isLast { writer.set(prefix + key, value) }
        case .subtractFirst(let key):
            guard let count = file.unsigned(prefix + key) else { return }
            writer.set(prefix + key, .uint32(UInt32(clamping: Int64(clamping: count) - Int64(layers.first))))
        case .writePattern(let key, let kind):
            guard file[prefix + key]?.array == nil else { return }
            writer.set(prefix + key, .array(.bool(blocks.map { cutter.layer($0, is: kind) })))
        case .zeroAfterFirst, .dropAfterFirst, .dropUnlessLast: break
        }
    }

    // MARK: Tensors

    func tensors() -> [StageContents.Tensor] {
        file.tensors.compactMap { tensor in
            if let layer = tensor.layerIndex {
                guard blocks.contains(layer) else { return nil }
                let name = "blk.\(layer - layers.first).\(tensor.roleName)"
                return StageContents.Tensor(plan: TensorPlan(tensor, name: name), source: tensor)
            }
            return shared(tensor)
        }
    }

    private func shared(_ tensor: TensorInfo) -> StageContents.Tensor? {
        for rewrite in cutter.rules.rewrites {
            switch rewrite {
            case .zeroAfterFirst(tensor.name) where !isFirst: return hole(tensor)
            case .dropAfterFirst(tensor.name) where !isFirst: return nil
            case .dropUnlessLast(tensor.name) where !isLast: return nil
            default: continue
            }
        }
        let needed: Bool
        switch tensor.name {
        case "token_embd.weight": needed = isFirst || isLast && file.tensor(named: "output.weight") == nil
        case "output.weight", "output.bias": needed = isLast
        default: needed = true
        }
        return needed ? StageContents.Tensor(plan: TensorPlan(tensor), source: tensor) : unread(tensor)
    }

    /// Zeros that are read.
    private func hole(_ tensor: TensorInfo) -> StageContents.Tensor {
        StageContents.Tensor(plan: TensorPlan(tensor), source: nil)
    }

    /// A tensor the loader insists on and nobody reads: one row where there is no vocabulary, else the smallest type.
    private func unread(_ tensor: TensorInfo) -> StageContents.Tensor {
        var plan = TensorPlan(tensor)
        let hasVocabulary = isFirst || isLast
        if !hasVocabulary, let count = plan.dimensions.last, count > 1 { plan.dimensions[plan.dimensions.count - 1] = 1 }
        if plan.dimensions.count == 2 {
            plan.type = plan.dimensions[0] % TensorType.iq1_s.blockElementCount == 0 ? .iq1_s : .f16
        }
        return StageContents.Tensor(plan: plan, source: nil)
    }
}
