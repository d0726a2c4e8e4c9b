import CLlama
import CLlamaExtras
package import Serving
package import Vocabulary

/// Everything needed to load one stage.
package struct LlamaStageConfiguration: Sendable {
    /// The stage file (or the whole model, for a single stage).
    package var path: String
    /// The layers of the uncut model in this file.
    package var layers: LayerRange
    /// Layers of the uncut model.
    package var layerCount: Int
    /// How the stage is run.
    package var recipe: StageRecipe
    /// Context and threads.
    package var context: ContextOptions
    /// Loading. With `loadsHeads` the last stage guesses with the model's own heads for several tokens.
    package var model: ModelOptions

    /// Makes a configuration.
    package init(
        path: String, layers: LayerRange, layerCount: Int, recipe: StageRecipe, context: ContextOptions,
        model: ModelOptions = ModelOptions()
    ) {
        self.path = path
        self.layers = layers
        self.layerCount = layerCount
        self.recipe = recipe
        self.context = context
        self.model = model
    }
}

/// A stage on stock llama.cpp (docs/decisions/0001-stock-engine-cut-by-layers.md).
///
/// **Isolation:** owned by one compute thread.
package struct LlamaStageEngine: StageEngine, ~Copyable {
    /// Fixed facts about the stage.
    package let shape: StageShape
    /// The model, shared with the tokenizer.
    package let model: SharedModel
    let context: LlamaContext
    let batch: StageBatch
    let feed: StageRecipe.Feed
    var samplers: [LaneSampler?]
    private var candidates: CandidateBuffer
    private let splitsByLane: Bool
    var windows = VerifyWindows()
    /// Holds what lies behind sliding windows; nil without any.
    var keeper: WindowKeeper?
    /// Keeps the cells of long prompts together; nil where prompts do not pause.
    var reserved: ReservedCells?
    /// Rows gathered so far of lanes that become a vector.
    var poolers: [LanePooler?]
    /// Images in the lanes' prompts, on the first stage.
    var images: [[ImageSpan]]
    /// Rows that are through some layers only.
    var layered: LayeredRows?
    let layerOutput: String?
    /// The model's own heads for several tokens; nil where they are not used.
    private let heads: DraftHeads?
    private let isEncoder: Bool

    /// Loads a stage.
    ///
    /// **Throws:** `loadFailed` when the file is refused; `cancelled` when `progress` answers false; `failed` when
    /// there is no memory for the context.
    package init(
        _ configuration: LlamaStageConfiguration, progress: (Float) -> Bool = { _ in true }
    ) throws(EngineError) {
        let loaded = try LlamaModel(path: configuration.path, options: configuration.model, progress: progress)
        try self.init(configuration, model: SharedModel(loaded))
    }

    /// Makes a stage over a model that is loaded already.
    ///
    /// **Throws:** `failed` when there is no memory for the context.
    package init(_ configuration: LlamaStageConfiguration, model: SharedModel) throws(EngineError) {
        let isLast = configuration.layers.end == configuration.layerCount
        let context = try LlamaContext(model: model, options: configuration.context, recipe: configuration.recipe)
        heads =
            isLast && configuration.model.loadsHeads
            ? try DraftHeads(beside: context, options: configuration.context) : nil
        feed = configuration.recipe.feed
        layerOutput = configuration.recipe.layerOutput
        self.model = model
        shape = StageShape(
            layers: configuration.layers, layerCount: configuration.layerCount, width: configuration.recipe.width,
            cellCount: Int(unsafe llama_n_ctx(context.handle)), laneCount: configuration.context.laneCount,
            rowLimit: configuration.context.rowLimit)
        batch = StageBatch(
            rowLimit: configuration.context.rowLimit,
            positionsPerRow: configuration.recipe.feed == .rows ? model.model.positionsPerRow : 1)
        samplers = [LaneSampler?](repeating: nil, count: configuration.context.laneCount)
        poolers = [LanePooler?](repeating: nil, count: configuration.context.laneCount)
        images = [[ImageSpan]](repeating: [], count: configuration.context.laneCount)
        isEncoder = model.model.isEncoder
        candidates = CandidateBuffer(vocabularySize: isLast ? model.model.vocabularySize : 0)
        splitsByLane = model.model.isRecurrentOrHybrid
        keeper = context.keptSequence.map {
            WindowKeeper(
                sequence: $0, window: unsafe llama_model_n_swa(model.model.handle),
                laneCount: configuration.context.laneCount)
        }
        reserved = context.reservedSequence.map {
            ReservedCells(sequence: $0, laneCount: configuration.context.laneCount)
        }
        self.context = context
    }

    /// Bytes the stage takes, as the library's allocator planned them.
    package var memory: StageMemory {
        var memory = context.memoryBreakdown
        if let heads {
            let own = heads.memory
            memory.cache = ByteCount(memory.cache.bytes + own.cache.bytes)
            memory.compute = ByteCount(memory.compute.bytes + own.compute.bytes)
        }
        return memory
    }

    /// Whether the stage guesses with the model's own heads for several tokens.
    package var hasHeads: Bool { heads != nil }

    /// Makes one guess for each of so many lanes, which MUST be empty and stay so, for measuring what it takes.
    ///
    /// **Throws:** `failed` without heads and when the library refuses.
    package mutating func rehearseGuesses(lanes count: Int) throws(EngineError) {
        var parameters = SamplingParameters()
        parameters.temperature = 0
        let sampler = try LaneSampler(LaneSampling(parameters: parameters, promptLength: 1), model: model.model)
        guard heads?.rehearse(count, sampler, &candidates) == true else {
            throw .failed(operation: "guessing", code: -1, reason: LlamaLibrary.reason(or: "no reason was logged"))
        }
    }

    /// Logits of row `row` of the last `execute`, for comparison by `skein verify`.
    ///
    /// **Shape:** `[vocabularySize]`. Empty when the row was not flagged or this is not the last stage.
    package func copyLogits(ofRow row: Int, into logits: inout [Float]) {
        logits.removeAll(keepingCapacity: true)
        guard shape.isLast, let pointer = unsafe llama_get_logits_ith(context.handle, Int32(row)) else { return }
        unsafe logits.append(contentsOf: UnsafeBufferPointer(start: pointer, count: model.model.vocabularySize))
    }

    /// Applies a sequence operation to the KV cache and, on the last stage, to the lane's sampler.
    ///
    /// **Throws:** `invalidRow` for a lane outside the shape; `failed` when the library refuses.
    package mutating func apply(_ operation: SequenceOperation) throws(EngineError) {
        heads?.apply(operation)
        switch operation {
        case .open(let lane, let sampling):
            let slot = try slot(lane)
            guard !isEncoder else { return }
            unsafe reserved?.open(slot, promptLength: Int(sampling.promptLength), context.memory)
            images[slot] = sampling.images
            poolers[slot] = sampling.pooling.map(LanePooler.init)
            guard shape.isLast, sampling.pooling == nil else { return }
            // A lane whose sampler is refused has none, whatever it had before.
            samplers[slot] = nil
            samplers[slot] = try LaneSampler(sampling, model: model.model)
        case .trim(let lane, let position):
            let slot = try slot(lane)
            forgetLayers(of: lane)
            unsafe reserved?.giveBack(slot, context.memory)
            guard unsafe llama_memory_seq_rm(context.memory, Int32(slot), position, -1) else {
                throw .failed(
                    operation: "trimming lane \(slot) to \(position)", code: 0,
                    reason: "this kind of cache cannot forget a part of a sequence")
            }
            keeper?.cut(slot, to: position)
        // The sampler finds out by the next row: behind a verify window it knows just what was accepted, and making
        // a new one from the whole history would cost more than the window gained.
        case .copy(let from, let to, let length):
            let source = try slot(from)
            let target = try slot(to)
            unsafe llama_memory_seq_cp(context.memory, Int32(source), Int32(target), 0, length)
            keeper?.copied(source, to: target, length: length)
            if let history = samplers[source]?.history {
                samplers[target]?.adopt(history.prefix(Int(length)))
            } else {
                // Without the history of what is copied, penalties and grammar would go by another answer.
                samplers[target] = nil
            }
        case .free(let lane):
            let slot = try slot(lane)
            forgetLayers(of: lane)
            unsafe reserved?.giveBack(slot, context.memory)
            _ = unsafe llama_memory_seq_rm(context.memory, Int32(slot), -1, -1)
            keeper?.cut(slot, to: 0)
            if shape.isLast { samplers[slot] = nil }
            poolers[slot] = nil
            images[slot] = []
        case .guess: break
        case .archive:
            throw .archiveIsTheRunners
        }
    }

    /// Runs the stage's layers over `rows`; see `StageEngine.execute`.
    ///
    /// **Shape:** `activations` is `[rows.count, width]`. **Throws:** as the protocol says.
    package mutating func execute(
        _ rows: [StageRow], activations: Span<Float>, into output: inout StageOutput
    ) throws(EngineError) {
        try check(rows, activations)
        prepare(&output, rows: rows.count)
        if isEncoder { return try encode(rows, &output) }
        windows.begin()
        // Recurrent caches regroup rows of unequal sequences, which would permute the residual rows: hand them
        // groups that keep their order (one lane's run, or one row of each lane).
        var start = 0
        for end in splitsByLane ? laneGroups(rows) : [rows.count] {
            while start < end {
                let part = start..<imageBoundary(rows, start..<vectorBoundary(rows, start..<end))
                try decode(rows, part, activations, &output)
                start = part.upperBound
            }
        }
    }
}

extension LlamaStageEngine {
    func slot(_ lane: Lane) throws(EngineError) -> Int {
        let slot = Int(lane.index)
        guard slot < shape.laneCount else { throw .invalidRow(field: "lane", value: slot, limit: shape.laneCount - 1) }
        return slot
    }

    func check(_ rows: [StageRow], _ activations: Span<Float>) throws(EngineError) {
        guard !rows.isEmpty, rows.count <= shape.rowLimit else {
            throw .invalidRow(field: "rows", value: rows.count, limit: shape.rowLimit)
        }
        if !shape.isFirst, activations.count != rows.count * shape.width {
            throw .invalidRow(field: "activations", value: activations.count, limit: rows.count * shape.width)
        }
        let vocabularySize = model.model.vocabularySize
        for row in rows {
            let slot = try slot(row.lane)
            guard row.position >= 0 else { throw .invalidRow(field: "position", value: Int(row.position), limit: 0) }
            if feed == .tokens, row.token < 0 || Int(row.token) >= vocabularySize, !isImage(row, slot) {
                throw .invalidRow(field: "token", value: Int(row.token), limit: vocabularySize - 1)
            }
        }
    }

    /// Makes room for what so many rows leave behind.
    func prepare(_ output: inout StageOutput, rows count: Int) {
        output.samples.removeAll(keepingCapacity: true)
        if shape.isLast {
            output.activations.removeAll(keepingCapacity: true)
        } else if output.activations.count != count * shape.width {
            output.activations = [Float](repeating: 0, count: count * shape.width)
        }
    }

    /// Ends of the groups `[start, end)` into which rows are split for recurrent caches.
    private func laneGroups(_ rows: [StageRow]) -> [Int] {
        var ends: [Int] = []
        var index = 0
        while index < rows.count {
            var end = index + 1
            if end < rows.count, rows[end].lane == rows[index].lane {
                while end < rows.count, rows[end].lane == rows[index].lane { end += 1 }
            } else {
                var seen: Set<Lane> = [rows[index].lane]
                while end < rows.count, !seen.contains(rows[end].lane),
                    end + 1 == rows.count || rows[end + 1].lane != rows[end].lane
                {
                    seen.insert(rows[end].lane)
                    end += 1
                }
            }
            ends.append(end)
            index = end
        }
        return ends
    }

    private mutating func decode(
        _ rows: [StageRow], _ range: Range<Int>, _ activations: Span<Float>, _ output: inout StageOutput
    ) throws(EngineError) {
        let pooler = shape.isLast ? poolers[Int(rows[range.lowerBound].lane.index)] : nil
        let flagsAll = !shape.isLast || pooler?.needsAllRows ?? false
        let isImage = rows[range.lowerBound].token < 0
        batch.fill(rows, range, flagsAll: flagsAll, hidesTokens: hidesTokens || isImage)
        let isSeen = isImage && shape.isFirst
        let seen = isSeen ? imageRows(rows[range]) : []
        let flagged = flagsAll ? range.count : rows[range].count(where: \.samples)
        // A chunk without flagged rows has nothing in front of the head.
        let takesVectors = pooler != nil && flagged > 0
        var vectors = [Float](repeating: 0, count: takesVectors ? flagged * model.model.vectorWidth : 0)
        let bytes = range.lowerBound * shape.width * 4..<range.upperBound * shape.width * 4
        unsafe keeper?.settle(context.memory)
        giveCells(to: rows[range])
        let status = unsafe activations.withUnsafeBytes { incoming in
            unsafe seen.withUnsafeBytes { seen in
                let rows =
                    unsafe isSeen
                    ? seen : shape.isFirst ? incoming : UnsafeRawBufferPointer(rebasing: incoming[bytes])
                let isEmbedded = feed == .rows || isSeen
                guard !takesVectors else {
                    return unsafe vectors.withUnsafeMutableBytes { outgoing in
                        unsafe run(rows, isEmbedded, residual: outgoing, takesVectors: true)
                    }
                }
                return unsafe output.activations.withUnsafeMutableBytes { outgoing in
                    let residual =
                        unsafe shape.isLast ? outgoing : UnsafeMutableRawBufferPointer(rebasing: outgoing[bytes])
                    return unsafe run(rows, isEmbedded, residual: residual, takesVectors: false)
                }
            }
        }
        try require(status, rows: range.count)
        try requireExchange(entering: bytes.count, leaving: bytes.count)
        unsafe keeper?.note(rows[range], context.memory)
        if takesVectors {
            try pool(vectors, of: rows[range].filter { flagsAll || $0.samples }, &output)
        } else if shape.isLast, pooler == nil {
            try sample(rows, range, &output)
        }
    }

    /// What is kept for the rows' prompts is given to them.
    private mutating func giveCells(to rows: ArraySlice<StageRow>) {
        // From the last row on: it takes what those before it would.
        for row in rows.reversed() { unsafe reserved?.take(Int(row.lane.index), to: row.position + 1, context.memory) }
    }

    var hidesTokens: Bool {
        if case .inject(_, realTokens: false) = feed { return true }
        return false
    }

    /// Runs the batch; answers the library's status. What is kept for prompts makes way when it has no cells, which it
    /// says before it computes anything.
    mutating func run(
        _ rows: UnsafeRawBufferPointer, _ isEmbedded: Bool, residual: UnsafeMutableRawBufferPointer, takesVectors: Bool
    ) -> Int32 {
        let status = unsafe tryRun(rows, isEmbedded, residual: residual, takesVectors: takesVectors)
        guard status == 1, unsafe reserved?.giveAllBack(context.memory) == true else { return status }
        return unsafe tryRun(rows, isEmbedded, residual: residual, takesVectors: takesVectors)
    }

    func tryRun(
        _ rows: UnsafeRawBufferPointer, _ isEmbedded: Bool, residual: UnsafeMutableRawBufferPointer, takesVectors: Bool
    ) -> Int32 {
        unsafe context.hooks?.begin(rows: rows, residual: residual, takesVectors: takesVectors)
        defer { context.hooks?.end() }
        guard isEmbedded else { return unsafe context.decode(batch.tokens) }
        guard let floats = unsafe rows.assumingMemoryBound(to: Float.self).baseAddress else { return -1 }
        return unsafe context.decode(batch.embeddings(floats))
    }

    /// A pattern that met no node would silently compute something else: that is an error, not an answer.
    func requireExchange(entering: Int, leaving: Int) throws(EngineError) {
        guard let hooks = context.hooks else { return }
        if !shape.isLast, hooks.taken != leaving {
            throw .failed(
                operation: "taking the residual", code: hooks.taken,
                reason: "the graph has no node of that name for every row; run skein verify on this model")
        }
        if case .inject = feed, hooks.given != entering {
            throw .failed(
                operation: "injecting the rows", code: hooks.given,
                reason: "the graph has no node of that name for every row; run skein verify on this model")
        }
    }

    func require(_ status: Int32, rows: Int) throws(EngineError) {
        switch status {
        case 0: return
        case 1: throw .outOfCells(rows: rows, cellCount: shape.cellCount)
        default:
            throw .failed(
                operation: "llama_decode", code: Int(status), reason: LlamaLibrary.reason(or: "no reason was logged"))
        }
    }

    mutating func sample(
        _ rows: [StageRow], _ range: Range<Int>, _ output: inout StageOutput
    ) throws(EngineError) {
        heads?.begin()
        let hidden = heads == nil ? nil : unsafe extras_hidden_rows(context.handle)
        for index in range {
            let row = rows[index]
            let slot = Int(row.lane.index)
            guard windows.admits(row) else { continue }
            if let hidden = unsafe hidden {
                let width = model.model.vectorWidth
                unsafe heads?.read(
                    row, hidden: UnsafeBufferPointer(start: hidden + (index - range.lowerBound) * width, count: width))
            }
            if let sampler = samplers[slot], sampler.contradicts(row.token, at: row.position) {
                samplers[slot] = try? sampler.trimmed(to: row.position, model: model.model)
            }
            samplers[slot]?.accept(row.token, at: row.position)
            guard row.samples else { continue }
            guard let pointer = unsafe llama_get_logits_ith(context.handle, Int32(index - range.lowerBound)) else {
                throw .failed(operation: "reading logits", code: index, reason: "the row has none")
            }
            let logits = unsafe UnsafeMutableBufferPointer(start: pointer, count: model.model.vocabularySize)
            var sample = SampledToken(lane: row.lane, position: row.position + 1, token: 0)
            do throws(LaneFailure) {
                guard let sampler = samplers[slot] else { throw .noSampler }
                sample.token = try unsafe sampler.sample(logits, at: sample.position, candidates: &candidates)
                sample.logprob = unsafe sampler.logprob(of: sample.token, UnsafeBufferPointer(logits))
                windows.follow(sample, promptLength: sampler.promptLength)
                heads?.sampled(sample, at: output.samples.count)
            } catch {
                // To throw here would end the answers of all lanes in the microbatch.
                sample.token = error.rawValue
                windows.end(row.lane)
            }
            output.samples.append(sample)
        }
        heads?.guess(&output.samples, samplers, &candidates)
    }
}
