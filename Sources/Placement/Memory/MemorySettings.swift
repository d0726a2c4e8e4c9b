package import Vocabulary

/// How a stage is run, as far as its memory depends on it.
package struct MemorySettings: Sendable, Hashable, Codable {
    /// Tokens of context shared by all lanes. **Units:** cells of the cache, before padding.
    package var cells: Int
    /// Sequences at once.
    package var lanes: Int
    /// Sequences of ended requests kept beside those, as `kept(_:beside:isRecurrent:)` allows.
    package var kept: Int
    /// Largest number of rows per step.
    package var rows: Int
    /// Type of the K cache.
    package var keys: CacheFormat
    /// Type of the V cache.
    package var values: CacheFormat
    /// Whether attention is computed without a matrix of scores.
    package var usesFlashAttention: Bool
    /// Whether layers with a sliding window keep every cell, as Skein's engine does so that any prefix can be reused.
    package var keepsWholeWindows: Bool
    /// How the weights lie in memory.
    package var layout: WeightLayout
    /// What the projector takes beside the first stage; 0 for a model that reads text alone.
    package var projector: ByteCount
    /// How the last stage runs the model's own head for several tokens; nil where it does not.
    package var head: HeadSettings?

    /// Makes settings; by default what `skein serve` uses on a processor.
    package init(
        cells: Int, lanes: Int = 4, kept: Int = 0, rows: Int = 512, keys: CacheFormat = .f16,
        values: CacheFormat = .f16,
        usesFlashAttention: Bool = true, keepsWholeWindows: Bool = true, layout: WeightLayout = .plain,
        projector: ByteCount = ByteCount(0), head: HeadSettings? = nil
    ) {
        self.cells = cells
        self.lanes = lanes
        self.kept = kept
        self.rows = rows
        self.keys = keys
        self.values = values
        self.usesFlashAttention = usesFlashAttention
        self.keepsWholeWindows = keepsWholeWindows
        self.layout = layout
        self.projector = projector
        self.head = head
    }

    /// The same with another context.
    package func with(cells: Int) -> MemorySettings {
        var settings = self
        settings.cells = cells
        return settings
    }

    /// Sequences the engine library tells apart, but for one that stages need for themselves.
    package static let sequenceLimit = 255

    /// How many of the wished sequences are kept beside `lanes`: a recurrent state is as large for a kept sequence as
    /// for a running one.
    package static func kept(_ wished: Int, beside lanes: Int, isRecurrent: Bool) -> Int {
        max(0, min(wished, isRecurrent ? lanes : sequenceLimit, sequenceLimit - lanes))
    }

    /// Sequences the library knows: running and kept.
    var sequences: UInt64 { UInt64(max(1, lanes)).addingSaturated(UInt64(max(0, kept))) }

    /// Cells as the library allocates them: a multiple of 256.
    package var paddedCells: UInt64 { UInt64(max(1, cells) + 255) / 256 * 256 }

    /// Rows of one step, which are never more than there are cells.
    var stepRows: UInt64 { min(UInt64(max(1, rows)), UInt64(max(1, cells))) }

    /// Cells of a layer with a sliding window of `window` tokens.
    func windowCells(_ window: UInt64) -> UInt64 {
        guard !keepsWholeWindows, window > 0 else { return paddedCells }
        // The library pads the smaller cache to 256 whatever the context is.
        let wanted = window.multipliedSaturated(by: sequences).addingSaturated(stepRows)
        return (min(paddedCells, wanted) + 255) / 256 * 256
    }
}
