import CLlama
package import Serving
package import Vocabulary

extension LlamaStageEngine {
    /// Whether `advance` may stop between layers.
    package var canPause: Bool { context.spareSequence != nil }

    /// Runs the layers of a prompt's rows a few at a time; see `StageEngine.advance`. **Throws:** as the protocol says.
    package mutating func advance(
        _ rows: [StageRow], for duration: Duration, into output: inout StageOutput
    ) throws(EngineError) -> Bool {
        try check(rows, [Float]().span)
        guard let lane = rows.first?.lane, rows.allSatisfy({ $0.lane == lane && $0.token >= 0 }) else {
            throw .invalidRow(field: "a lane or token of rows that pause", value: Int(rows[0].lane.index), limit: 0)
        }
        let part = try part(of: rows)
        layered = nil
        switch try run(part, lane, for: duration) {
        case .paused:
            layered = part
            return false
        case .finished:
            windows.begin()
            try sample(rows, rows.indices, &output)
            return true
        case .broken(let reason):
            throw .failed(operation: "running the layers of a prompt bit by bit", code: part.layersDone, reason: reason)
        }
    }

    /// What goes on with the rows, or begins them.
    private func part(of rows: [StageRow]) throws(EngineError) -> LayeredRows {
        guard let layerOutput, canPause else {
            throw .failed(operation: "pausing between layers", code: 0, reason: "this model or stage cannot be paused")
        }
        if let layered, layered.rows == rows { return layered }
        return LayeredRows(rows, width: shape.width, layerCount: shape.layerCount, layerOutput: layerOutput)
    }

    private func run(_ part: LayeredRows, _ lane: Lane, for duration: Duration) throws(EngineError)
        -> LayeredRows.Progress
    {
        let rows = part.rows
        let isFirst = part.layersDone == 0
        guard let spare = context.spareSequence else { return .broken(reason: "no sequence is spare") }
        // The rows' own cells are the lane's since the first part: the library would refuse their positions there.
        if !isFirst, rows[0].position > 0 {
            unsafe llama_memory_seq_cp(context.memory, llama_seq_id(lane.index), spare, 0, rows[0].position)
        }
        defer { if !isFirst { _ = unsafe llama_memory_seq_rm(context.memory, spare, -1, -1) } }
        batch.fill(rows, rows.indices, flagsAll: false, hidesTokens: false, sequence: isFirst ? nil : spare)
        part.begin(for: duration)
        context.hooks?.layered = part
        let status = unsafe context.decode(batch.tokens)
        context.hooks?.layered = nil
        let progress = part.end()
        try require(status, rows: rows.count)
        return progress
    }

    /// The lane does not hold the rows any more.
    mutating func forgetLayers(of lane: Lane) {
        if layered?.rows.first?.lane == lane { layered = nil }
    }
}
