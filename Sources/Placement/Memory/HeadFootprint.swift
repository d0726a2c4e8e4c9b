/// How the last stage runs a model's own head for several tokens (MTP), as far as its memory depends on it.
package struct HeadSettings: Sendable, Hashable, Codable {
    /// Cells it has beside as many as the stage's own context, per sequence.
    package var spareCells: Int
    /// Rows of a sequence that wait until they are read together.
    package var gatheredRows: Int
    /// Largest number of rows per step.
    package var rows: Int

    /// Makes settings.
    package init(spareCells: Int, gatheredRows: Int, rows: Int) {
        self.spareCells = spareCells
        self.gatheredRows = gatheredRows
        self.rows = rows
    }
}

/// What the context of a model's own head for several tokens takes beside the last stage's: one layer's cells and its
/// own buffers. Its weights are among the stage's tensors.
///
/// **Source:** docs/decisions/0024-heads-guess-on-the-last-stage.md.
struct HeadFootprint: Sendable {
    /// Bytes of buffers.
    struct Buffers: Sendable, Hashable {
        /// Cells of the head's layer.
        var cache: UInt64 = 0
        /// Buffers of its graph, as the library reserves them.
        var compute: UInt64 = 0
        /// What of them no step ever writes to.
        var untouched: UInt64 = 0
        /// Logits of the guesses, and the hidden rows that the stage and the head give out.
        var output: UInt64 = 0
        /// Hidden rows on their way from the one to the other, and those that wait.
        var overhead: UInt64 = 0
    }

    private let work: ModelWork
    private let cache: LayerCache

    /// The head keeps what the layer does that keeps most, but for an indexer's keys, which its cache does not have.
    init(work: ModelWork, caches: [LayerCache]) {
        self.work = work
        cache = caches.map(\.withoutIndex).max { $0.keys + $0.values < $1.keys + $1.values } ?? LayerCache()
    }

    /// Bytes of the head of a stage with settings.
    func buffers(_ head: HeadSettings, _ settings: MemorySettings) -> Buffers {
        let spare = UInt64(max(0, head.spareCells)).multipliedSaturated(by: settings.sequences)
        var own = settings
        own.cells = Int(clamping: settings.paddedCells.addingSaturated(spare))
        own.rows = min(settings.rows, head.rows)
        let extent = work.headExtent(own)
        func compute(_ flaggedRows: UInt64?) -> UInt64 {
            work.computeByteCount(
                extent, vocabularySize: work.vocabularySize, own, window: 0, flaggedRows: flaggedRows)
        }
        let reserved = compute(nil)
        let gathered = UInt64(max(0, head.gatheredRows)).multipliedSaturated(by: settings.sequences)
        return Buffers(
            cache: cache.byteCount(own, window: 0), compute: reserved,
            untouched: reserved - min(reserved, compute(min(UInt64(max(1, settings.lanes)), own.stepRows))),
            output: 4 * (settings.sequences * work.vocabularySize + (settings.stepRows + own.stepRows) * work.width),
            overhead: (2 * settings.stepRows + gathered).multipliedSaturated(by: 4 * work.width))
    }
}
