import GGUF
import Vocabulary

/// Sizes that decide how large the buffers of a step are. **Units:** floats per row, unless said otherwise.
struct LayerWork: Sendable, Hashable {
    /// Heads of queries.
    var headCount: UInt64 = 0
    /// All queries.
    var queries: UInt64 = 0
    /// Keys as they are computed.
    var keys: UInt64 = 0
    /// Values as they are computed.
    var values: UInt64 = 0
    /// What attention answers, before its output matrix.
    var answers: UInt64 = 0
    /// The dense feed-forward part: its width.
    var feedForward: UInt64 = 0
    /// The part of the experts a row uses: their widths together.
    var experts: UInt64 = 0
    /// Experts a row uses.
    var expertCount: UInt64 = 0
    /// The recurrent part.
    var recurrent: UInt64 = 0
}

/// What a stage's layers have in common for its buffers.
struct WorkExtent: Sendable, Hashable {
    /// Floats per row at the widest place of the widest layer.
    var widest: UInt64 = 0
    /// The largest state per lane. **Units:** bytes.
    var state: UInt64 = 0
    /// Whether a layer attends to everything.
    var seesAll = false
    /// Whether a layer attends to a window.
    var seesWindow = false
}

/// The arithmetic of a stage's buffers.
struct ModelWork: Sendable {
    let width: UInt64
    /// By layer, and behind the last one that of the model's own head for several tokens, where it has one.
    let layers: [LayerWork]
    let vocabularySize: UInt64
    private let layerCount: Int
    private let hasFullMiddleVocabulary: Bool
    private let isWindowed: [Bool]
    private let hasAttention: [Bool]
    /// State per lane. **Units:** bytes.
    private let states: [UInt64]

    init(
        _ cutter: ModelCutter, _ numbers: HeaderNumbers, rules: CacheRules, tensors: [[TensorInfo]],
        vocabularySize: Int
    ) {
        width = numbers["embedding_length"] ?? 0
        layerCount = cutter.layerCount
        self.vocabularySize = UInt64(vocabularySize)
        hasFullMiddleVocabulary = cutter.rules.middleVocabulary == .full
        isWindowed = cutter.layers(.windowed)
        let caches = rules.layers()
        hasAttention = caches.map { $0.keys > 0 }
        states = caches.map(\.stateByteCount)
        let used = numbers.perLayer("expert_used_count")
        let attention = hasAttention
        let windowed = isWindowed
        let head = cutter.headTensors
        layers = (tensors + (head.isEmpty ? [] : [head])).enumerated().map { layer, tensors in
            // A head for several tokens attends as the layer in front of it.
            let like = min(layer, attention.count - 1)
            var work = LayerWork()
            func rows(_ name: String) -> UInt64 {
                tensors.first { $0.roleName == name }?.dimensions.dropFirst().first ?? 0
            }
            func columns(_ name: String) -> UInt64 { tensors.first { $0.roleName == name }?.dimensions.first ?? 0 }
            if attention[like] {
                work.headCount = rules.headCount(like)
                let size = rules.headSizes(isWindowed: windowed[like])
                work.queries = rules.headCount(like) * size.key
                work.keys = rules.pairCount(like) * size.key
                work.values = rules.pairCount(like) * size.value
                work.answers = rules.headCount(like) * size.value
            }
            // The matrix that leads back: the one that leads in may be gate and up together.
            work.feedForward = max(columns("ffn_down.weight"), columns("ffn_down_shexp.weight"))
            if let count = used?[like], count > 0, columns("ffn_down_exps.weight") > 0 {
                work.expertCount = count
                work.experts = work.expertCount * columns("ffn_down_exps.weight")
            }
            work.recurrent = rows("ssm_in.weight")
            return work
        }
    }

    /// Tokens the stage's file knows.
    func vocabularySize(of layers: LayerRange) -> UInt64 {
        let isMiddle = layers.first > 0 && layers.end < layerCount
        return isMiddle && !hasFullMiddleVocabulary ? 1 : vocabularySize
    }

    /// Bytes of the graph's buffers: what lives at the same time at its widest place, within a layer or at the head,
    /// which is computed for `flaggedRows` rows; nil is all, as the library reserves it.
    ///
    /// The allocator never frees inputs before their last reader and splits free room by best fit, so some places cost
    /// a row or two more than what lives there; the whole multiples of `width` below contain that.
    func computeByteCount(
        _ extent: WorkExtent, vocabularySize: UInt64, _ settings: MemorySettings, window: UInt64,
        flaggedRows: UInt64? = nil
    ) -> UInt64 {
        // All rows of the widest model and the states of all lanes may be beyond 64 bits.
        let row = 4 * settings.stepRows
        var cells: UInt64 = 0
        if extent.seesAll { cells += settings.paddedCells }
        if extent.seesWindow { cells += settings.windowCells(window) }
        let masks = (settings.usesFlashAttention ? 2 : 4) * cells * settings.stepRows
        // The states of all lanes are gathered before a recurrent layer and stand beside the ones it writes.
        let gathered = (2 * settings.sequences).multipliedSaturated(by: extent.state)
        let body = masks.addingSaturated(row.multipliedSaturated(by: extent.widest)).addingSaturated(gathered)
        let head = 4 * (flaggedRows ?? settings.stepRows) * (3 * width + vocabularySize)
        return max(body, head).addingSaturated(Self.smallInputs * settings.stepRows)
    }

    /// Tokens, positions, cells and output rows. **Units:** bytes per row.
    private static let smallInputs: UInt64 = 64

    /// What the graph of the model's own head for several tokens computes: its layer, and in front of it a row's token
    /// beside the hidden row it goes with, as one row of twice the width.
    func headExtent(_ settings: MemorySettings) -> WorkExtent {
        WorkExtent(widest: layers.last.map { widest($0, settings) + 2 * width } ?? 0, seesAll: true)
    }

    /// Takes one more layer into a stage's extent.
    func extend(_ extent: inout WorkExtent, by layer: Int, _ settings: MemorySettings) {
        extent.widest = max(extent.widest, widest(layers[layer], settings))
        extent.state = max(extent.state, states[layer])
        guard hasAttention[layer] else { return }
        if isWindowed[layer] { extent.seesWindow = true } else { extent.seesAll = true }
    }

    /// Floats per row at the widest place of a layer.
    private func widest(_ work: LayerWork, _ settings: MemorySettings) -> UInt64 {
        // Input, residual and normed row beside queries, keys and values; or queries beside answers.
        var attention = 2 * width + max(width + work.queries + work.keys + work.values, work.queries + work.answers)
        // Without flash attention the scores of every head, twice: before and after the softmax.
        if !settings.usesFlashAttention { attention += 2 * work.headCount * settings.paddedCells }
        // Gate, up and their product.
        let dense = 4 * width + 3 * work.feedForward
        // The answers of all experts fit in the room of gate and up, or are laid behind them.
        let answers = work.expertCount * width
        let experts = 4 * width + 3 * work.experts + (answers > 2 * work.experts ? answers : 0)
        let recurrent = 5 * width + 2 * work.recurrent
        return max(attention, dense, work.experts > 0 ? experts : 0, work.recurrent > 0 ? recurrent : 0)
    }

    /// Bytes of the buffer that takes logits out of the graph. A stage that is not the last one flags all its rows, so
    /// that the library keeps a row of logits for each of them although none is computed.
    func outputByteCount(_ layers: LayerRange, _ settings: MemorySettings) -> UInt64 {
        let rows = layers.end < layerCount ? settings.stepRows : 0
        return 4 * max(rows, settings.sequences) * vocabularySize(of: layers)
    }
}

/// What a runner takes beside its engine's buffers.
enum RunnerOverhead {
    /// Bytes of the process, of its tokenizer and of the rows on their way.
    static func byteCount(vocabularySize: UInt64, width: UInt64, _ settings: MemorySettings) -> UInt64 {
        processByteCount + vocabularySize * bytesPerToken + rowBuffers * 4 * width * settings.stepRows
    }

    /// A runner beside its model: the pages of the program and its libraries that it touches, 41 MB, and what it keeps
    /// for itself. **Units:** bytes.
    private static let processByteCount: UInt64 = 53 << 20
    /// The tokenizer's tables, and the candidates of the sampler. **Units:** bytes per token.
    private static let bytesPerToken: UInt64 = 250
    /// Copies of a step's rows outside the graph: as they arrive, as they leave, and the frame they travel in.
    private static let rowBuffers: UInt64 = 3
}
