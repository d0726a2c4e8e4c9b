import CLlama
import Serving
import Vocabulary

/// Vectors instead of tokens (docs/internals/llama-engine.md, Vectors).
extension LlamaStageEngine {
    /// Rows of a lane whose vector needs all of them that are decoded at once: llama.cpp keeps room for the logits of
    /// every flagged row, though none are computed.
    private static let vectorRowLimit = 64

    /// Where the rows from the range's start have to be cut: rows of a lane that becomes a vector are decoded by
    /// themselves, because their graph ends in front of the head. Every stage cuts alike, so that a cut model computes
    /// the same bits as the uncut one.
    func vectorBoundary(_ rows: [StageRow], _ range: Range<Int>) -> Int {
        guard hasPoolers else { return range.upperBound }
        let lane = rows[range.lowerBound].lane
        guard let pooler = poolers[Int(lane.index)] else {
            return rows[range].firstIndex { poolers[Int($0.lane.index)] != nil } ?? range.upperBound
        }
        let end = rows[range].firstIndex { $0.lane != lane } ?? range.upperBound
        return pooler.needsAllRows ? min(end, range.lowerBound + Self.vectorRowLimit) : end
    }

    private var hasPoolers: Bool { poolers.contains { $0 != nil } }

    /// Adds the rows in front of the head to their lane's vector, which is answered with the row that samples.
    ///
    /// **Shape:** `vectors` is `[flagged rows, width]`.
    mutating func pool(
        _ vectors: [Float], of flagged: [StageRow], _ output: inout StageOutput
    ) throws(EngineError) {
        let width = model.model.vectorWidth
        let taken = context.hooks?.taken ?? 0
        guard taken == vectors.count * MemoryLayout<Float>.size else {
            throw .failed(
                operation: "taking the vectors", code: taken,
                reason: "this family's graph does not show the rows in front of the head; use another model")
        }
        for (index, row) in flagged.enumerated() {
            let slot = Int(row.lane.index)
            poolers[slot]?.add(vectors.span.extracting(index * width..<(index + 1) * width))
            guard row.samples, let vector = poolers[slot]?.vector else { continue }
            output.samples.append(Self.answer(row, vector))
        }
    }

    /// Runs whole texts through a model that reads in both directions; the library pools them.
    mutating func encode(_ rows: [StageRow], _ output: inout StageOutput) throws(EngineError) {
        batch.fill(rows, rows.indices, flagsAll: true, hidesTokens: false)
        let status = unsafe llama_encode(context.handle, batch.tokens)
        guard status == 0 else {
            throw .failed(
                operation: "llama_encode", code: Int(status), reason: LlamaLibrary.reason(or: "no reason was logged"))
        }
        let width = model.model.vectorWidth
        for row in rows where row.samples {
            guard let start = unsafe llama_get_embeddings_seq(context.handle, Int32(row.lane.index)) else {
                throw .failed(
                    operation: "reading a vector", code: Int(row.lane.index), reason: "the lane has none")
            }
            output.samples.append(Self.answer(row, unsafe Array(UnsafeBufferPointer(start: start, count: width))))
        }
    }

    private static func answer(_ row: StageRow, _ vector: [Float]) -> SampledToken {
        var answer = SampledToken(lane: row.lane, position: row.position + 1, token: 0)
        answer.vector = vector
        return answer
    }
}
