import Serving
import Vocabulary

/// Rows of images among rows of text (docs/internals/vision.md).
extension LlamaStageEngine {
    /// Where the rows from the range's start have to be cut: the library takes either tokens or embeddings at once, so
    /// rows of images are decoded by themselves. Every stage cuts alike, so that a cut model computes the same bits as
    /// the uncut one.
    func imageBoundary(_ rows: [StageRow], _ range: Range<Int>) -> Int {
        let isImage = rows[range.lowerBound].token < 0
        return rows[range].firstIndex { ($0.token < 0) != isImage } ?? range.upperBound
    }

    /// Whether a row without a token is one that the lane's images have.
    func isImage(_ row: StageRow, _ slot: Int) -> Bool {
        row.token < 0 && images[slot].row(at: Int(row.position))?.count == shape.width
    }

    /// The embeddings of image rows, which `isImage` has found. **Shape:** `[rows.count, width]`.
    func imageRows(_ rows: ArraySlice<StageRow>) -> [Float] {
        var floats: [Float] = []
        floats.reserveCapacity(rows.count * shape.width)
        for row in rows { floats += images[Int(row.lane.index)].row(at: Int(row.position)) ?? [] }
        return floats
    }
}
