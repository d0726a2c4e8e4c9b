package import GGUF
package import Vocabulary

/// What placing a model needs to know of it, read from its header alone: what every layer weighs, keeps and computes.
///
/// `docs/internals/memory-model.md` has the arithmetic and how far it is from what llama.cpp allocates.
package struct ModelFootprint: Sendable {
    /// GGUF architecture, `qwen3`.
    package let architecture: String
    /// Layers that can be placed.
    package let layerCount: Int
    /// Floats per row between stages.
    package let width: Int
    /// Tokens in the vocabulary.
    package let vocabularySize: Int
    /// Tokens of context the model was trained for; 0 when the file does not say.
    package let trainedContext: Int
    /// What its card asks of the machines that run it.
    package let tags: PlacementTags
    /// Why the model cannot be cut; nil when it can.
    package let obstacle: CutError?
    /// Why the model's own head for several tokens cannot guess; nil when it can.
    package let headObstacle: String?
    /// Whether a range of layers can be a stage: `legal[first][end]`.
    let legal: [[Bool]]

    let work: ModelWork
    let caches: [LayerCache]
    let window: UInt64
    /// What the cache can be stored in.
    package let stores: CacheStores
    /// Bytes of the layers before each index, padded as the library lays tensors out.
    let weightsBefore: [UInt64]
    /// The same when they are packed for tiles.
    let tiledBefore: [UInt64]
    /// The same as they stand in the file, which is what is fetched.
    let fetchedBefore: [UInt64]
    let streams: [LayerStream]
    let headStream: LayerStream
    private let shared: SharedTensors
    private let head: HeadFootprint

    /// Reads a model.
    ///
    /// **Throws:** `PlacementError.tooManyLayers`, `.beyondLimit` with a number no model has, or `.incomplete` when the
    /// header lacks what the formula needs.
    package init(_ cutter: ModelCutter) throws(PlacementError) {
        guard cutter.layerCount <= PlacementLimits.layerCountMax else {
            throw .tooManyLayers(actual: cutter.layerCount, limit: PlacementLimits.layerCountMax)
        }
        guard let vocabularySize = cutter.vocabularySize else {
            throw .incomplete(field: "tokenizer.ggml.tokens", problem: "is missing, and no other field tells its size")
        }
        let numbers = try HeaderNumbers(cutter)
        try cutter.checkSizes(vocabularySize: vocabularySize)
        architecture = cutter.architecture
        layerCount = cutter.layerCount
        width = cutter.width
        self.vocabularySize = vocabularySize
        let context = cutter.file.unsigned("\(cutter.architecture).context_length") ?? 0
        trainedContext = Int(clamping: min(context, UInt64(PlacementLimits.contextMax)))
        tags = PlacementTags(cutter.file)
        obstacle = cutter.obstacle
        headObstacle = cutter.headObstacle
        legal = Self.legalStages(cutter)
        let rules = CacheRules(cutter, numbers)
        caches = rules.layers()
        window = rules.window
        stores = CacheStores(rules, architecture: cutter.architecture)
        let tensors = cutter.layerTensors
        work = ModelWork(cutter, numbers, rules: rules, tensors: tensors, vocabularySize: vocabularySize)
        let tiles = Tiles(cutter.file.tensors)
        func before(_ bytes: (TensorInfo) -> UInt64) -> [UInt64] {
            tensors.reduce(into: [0]) { sums, layer in
                sums.append(layer.reduce(sums[sums.count - 1]) { $0 + bytes($1) })
            }
        }
        weightsBefore = before { TensorPadding.padded($0.byteCount) }
        tiledBefore = before { TensorPadding.padded($0.byteCount + tiles.added($0.name, $0.type, $0.dimensions)) }
        fetchedBefore = before(\.byteCount)
        let share = ExpertShare(cutter)
        streams = tensors.map { LayerStream(tensors: $0, share: share) }
        headStream = LayerStream(head: cutter.file)
        shared = SharedTensors(cutter, tiles)
        head = HeadFootprint(work: work, caches: caches)
    }

    /// What a row reads of each layer, a quarter of the head counted with the last one: stages of even weight take
    /// about equally long on equal machines. Rows of answers pass the head and rows of prompts do not, so with the
    /// whole head prompts would wait for the first stages, with none of it answers would for the last.
    /// **Units:** millionths of the whole, at least 1. **Source:** docs/decisions/0026-a-quarter-of-the-head.md.
    package var layerWeights: [Int] {
        var bytes = streams.map(\.byteCountPerRow)
        if !bytes.isEmpty { bytes[bytes.count - 1] += headStream.byteCountPerRow / 4 }
        let sum = max(1, bytes.reduce(0, +))
        return bytes.map { max(1, Int($0 / sum * 1e6)) }
    }

    /// Types of the weights a row reads, in order of their numbers.
    package var weightTypes: [TensorType] {
        let types = Set((streams + [headStream]).flatMap { $0.parts.map(\.type) })
        return types.sorted { $0.rawValue < $1.rawValue }
    }

    /// Whether `layers` can be a stage.
    package func isLegal(_ layers: LayerRange) -> Bool {
        layers.end <= layerCount && legal[layers.first][layers.end]
    }

    /// Bytes the stage `layers` needs. The caller MUST pass layers of this model.
    package func stage(_ layers: LayerRange, _ settings: MemorySettings) -> StageFootprint {
        precondition(layers.end <= layerCount, "stage \(layers) of \(layerCount) layers")
        let settings = allowed(settings)
        var cache: UInt64 = 0
        var extent = WorkExtent()
        for layer in layers.indices {
            cache = cache.addingSaturated(caches[layer].byteCount(settings, window: window))
            work.extend(&extent, by: layer, settings)
        }
        return stage(layers, settings, cache: cache, extent)
    }

    /// Bytes of every stage that starts at `first`, handed out in order of its end; linear in the layers.
    func stages(startingAt first: Int, _ settings: MemorySettings, _ body: (StageFootprint) -> Void) {
        let settings = allowed(settings)
        var cache: UInt64 = 0
        var extent = WorkExtent()
        for layer in first..<layerCount {
            cache = cache.addingSaturated(caches[layer].byteCount(settings, window: window))
            work.extend(&extent, by: layer, settings)
            guard legal[first][layer + 1] else { continue }
            body(stage(LayerRange(first: first, end: layer + 1), settings, cache: cache, extent))
        }
    }

    /// The settings with as many kept sequences as the model may have.
    private func allowed(_ settings: MemorySettings) -> MemorySettings {
        var settings = settings
        let isRecurrent = caches.contains { $0.stateByteCount > 0 }
        settings.kept = MemorySettings.kept(settings.kept, beside: settings.lanes, isRecurrent: isRecurrent)
        return settings
    }

    private func stage(
        _ layers: LayerRange, _ settings: MemorySettings, cache: UInt64, _ extent: WorkExtent
    ) -> StageFootprint {
        let tensors = shared.sizes(layers, hasHead: settings.head != nil)
        let asked = layers.end == layerCount ? settings.head : nil
        let head = asked.map { self.head.buffers($0, settings) } ?? HeadFootprint.Buffers()
        let ownBefore = settings.layout == .tiled ? tiledBefore : weightsBefore
        let vocabulary = work.vocabularySize(of: layers)
        let compute = work.computeByteCount(extent, vocabularySize: vocabulary, settings, window: window)
        // The engine asks for logits of the rows that sample, where the library reserves them for every row.
        let flagged = layers.end == layerCount ? min(UInt64(max(1, settings.lanes)), settings.stepRows) : 0
        let touched = work.computeByteCount(
            extent, vocabularySize: vocabulary, settings, window: window, flaggedRows: flagged)
        return StageFootprint(
            layers: layers,
            weights: ByteCount(
                ownBefore[layers.end] - ownBefore[layers.first] + tensors.loaded[settings.layout.rawValue]),
            cache: ByteCount(cache.addingSaturated(head.cache)),
            compute: ByteCount(compute.addingSaturated(head.compute)),
            untouched: ByteCount(
                settings.layout == .offloaded ? 0 : compute - min(compute, touched) + head.untouched),
            output: ByteCount(work.outputByteCount(layers, settings) + head.output),
            overhead: ByteCount(
                RunnerOverhead.byteCount(vocabularySize: vocabulary, width: work.width, settings) + head.overhead),
            projector: layers.first == 0 ? settings.projector : ByteCount(0),
            fetched: ByteCount(fetchedBefore[layers.end] - fetchedBefore[layers.first] + tensors.fetched))
    }

    /// Bytes of the tensors outside the layers that a stage takes from the model. **Units:** bytes.
    func sharedFetchedByteCount(_ layers: LayerRange, hasHead: Bool) -> UInt64 {
        shared.sizes(layers, hasHead: hasHead).fetched
    }

    /// All layers.
    package var whole: LayerRange { LayerRange(first: 0, end: layerCount) }

    private static func legalStages(_ cutter: ModelCutter) -> [[Bool]] {
        (0..<cutter.layerCount).map { first in
            (0...cutter.layerCount).map { end in
                end > first && cutter.isLegal(LayerRange(first: first, end: end))
            }
        }
    }
}

/// How the library lays out tensors in a buffer on the processor.
enum TensorPadding {
    /// **Units:** bytes. **Source:** `TENSOR_ALIGNMENT` of ggml-backend.cpp.
    static let alignment: UInt64 = 32

    static func padded(_ byteCount: UInt64) -> UInt64 { (byteCount + alignment - 1) / alignment * alignment }
}

/// Tensors outside the layers, summed once per kind of stage.
private struct SharedTensors: Sendable {
    struct Sizes: Sendable {
        /// Bytes by how they lie.
        var loaded = WeightLayout.allCases.map { _ in UInt64(0) }
        var fetched: UInt64 = 0
    }

    private let cutter: ModelCutter
    private let followsLayers: Bool
    private let middle: Sizes
    private let first: Sizes
    private let last: Sizes
    private let lastWithHead: Sizes
    private let whole: Sizes
    private let tiles: Tiles

    init(_ cutter: ModelCutter, _ tiles: Tiles) {
        self.cutter = cutter
        self.tiles = tiles
        let count = cutter.layerCount
        followsLayers = cutter.sharedTensorsFollowLayers
        whole = Self.sum(cutter, tiles, LayerRange(first: 0, end: count))
        first = count > 1 ? Self.sum(cutter, tiles, LayerRange(first: 0, end: 1)) : whole
        let end = LayerRange(first: count - 1, end: count)
        last = count > 1 ? Self.sum(cutter, tiles, end) : whole
        // No plan asks for a head that cannot guess.
        lastWithHead = count > 1 && cutter.headObstacle == nil ? Self.sum(cutter, tiles, end, hasHead: true) : last
        middle = count > 2 ? Self.sum(cutter, tiles, LayerRange(first: 1, end: 2)) : whole
    }

    func sizes(_ layers: LayerRange, hasHead: Bool) -> Sizes {
        let isFirst = layers.first == 0
        let isLast = layers.end == cutter.layerCount
        return switch (isFirst, isLast) {
        case (true, true): whole
        case _ where followsLayers: Self.sum(cutter, tiles, layers, hasHead: hasHead)
        case (true, false): first
        case (false, true): hasHead ? lastWithHead : last
        case (false, false): middle
        }
    }

    private static func sum(
        _ cutter: ModelCutter, _ tiles: Tiles, _ layers: LayerRange, hasHead: Bool = false
    ) -> Sizes {
        var sizes = Sizes()
        let tensors = cutter.sharedTensors(layers, heads: hasHead)
        let hasOutput = tensors.contains { $0.plan.name == "output.weight" }
        for (plan, isCopied) in tensors {
            let bytes = TensorInfo.byteCount(type: plan.type, dimensions: plan.dimensions) ?? 0
            // Without an output head the library takes the token table for one, needed or not.
            let isOutput = !hasOutput && plan.name == "token_embd.weight"
            for layout in WeightLayout.allCases {
                var loaded = TensorPadding.padded(bytes)
                if layout == .tiled {
                    loaded = TensorPadding.padded(bytes + tiles.added(plan.name, plan.type, plan.dimensions))
                }
                if isOutput { loaded += tiles.secondByteCount(plan.type, plan.dimensions, bytes, layout) }
                sizes.loaded[layout.rawValue] += loaded
            }
            if isCopied { sizes.fetched += bytes }
        }
        return sizes
    }
}
