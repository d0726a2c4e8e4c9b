import CLlama
package import Serving
package import Vocabulary

extension LlamaStageEngine {
    /// Whether `advance` may stop between layers.
    package var canPause: Bool { context.spareSequence != nil }

    /// Runs the layers of a prompt's rows a few at a time; see `StageEngine.advance`.
    ///
    /// **Shape:** `activations` is `[rows.count, width]`. **Throws:** as the protocol says.
    package mutating func advance(
        _ rows: [StageRow], activations: Span<Float>, for duration: Duration, into output: inout StageOutput
    ) throws(EngineError) -> Bool {
        try check(rows, activations)
        guard let lane = rows.first?.lane, rows.allSatisfy({ $0.lane == lane && $0.token >= 0 }) else {
            throw .invalidRow(field: "a lane or token of rows that pause", value: Int(rows[0].lane.index), limit: 0)
        }
        let part = try part(of: rows)
        layered = nil
        switch try run(part, lane, activations, for: duration, &output) {
        case .paused:
            layered = part
            return false
        case .finished:
            guard shape.isLast else { return true }
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
        return LayeredRows(
            rows, width: shape.width, layerCount: shape.layers.count, layerOutput: layerOutput,
            leavesResidual: !shape.isLast)
    }

    private mutating func run(
        _ part: LayeredRows, _ lane: Lane, _ activations: Span<Float>, for duration: Duration,
        _ output: inout StageOutput
    ) throws(EngineError) -> LayeredRows.Progress {
        let rows = part.rows
        guard let spare = context.spareSequence else { return .broken(reason: "no sequence is spare") }
        part.begin(for: duration)
        // The rows' own cells are the lane's since the first part: the library would refuse their positions there.
        if !part.isFirst, rows[0].position > 0 {
            unsafe llama_memory_seq_cp(context.memory, llama_seq_id(lane.index), spare, 0, rows[0].position)
        }
        defer { if !part.isFirst { _ = unsafe llama_memory_seq_rm(context.memory, spare, -1, -1) } }
        if part.isFirst, let last = rows.last {
            reserve(lane, from: rows[0].position)
            unsafe reserved?.take(Int(lane.index), to: last.position + 1, context.memory)
        }
        batch.fill(
            rows, rows.indices, flagsAll: part.isLast && !shape.isLast, hidesTokens: hidesTokens,
            sequence: part.isFirst ? nil : spare)
        if part.isLast { prepare(&output, rows: rows.count) }
        context.hooks?.layered = part
        let status = unsafe activations.withUnsafeBytes { incoming in
            unsafe output.activations.withUnsafeMutableBytes { outgoing in
                unsafe run(incoming, feed == .rows, residual: outgoing, takesVectors: false)
            }
        }
        context.hooks?.layered = nil
        let progress = part.end()
        try require(status, rows: rows.count)
        if case .broken = progress { return progress }
        let bytes = rows.count * shape.width * MemoryLayout<Float>.stride
        let isThrough = if case .finished = progress { true } else { false }
        try requireExchange(entering: part.isFirst ? bytes : 0, leaving: isThrough ? bytes : 0)
        return progress
    }

    /// Has cells kept for what is left of a lane's prompt, if there are enough.
    private mutating func reserve(_ lane: Lane, from position: Int32) {
        guard let hooks = context.hooks, let reserved, let positions = reserved.missing(Int(lane.index), from: position)
        else { return }
        let start = unsafe reserved.start(context.memory)
        let nothing = [Float](repeating: 0, count: feed == .tokens ? 0 : shape.rowLimit * shape.width)
        hooks.stopsAtOnce = true
        defer { hooks.stopsAtOnce = false }
        for first in stride(from: 0, to: positions.count, by: shape.rowLimit) {
            let count = min(shape.rowLimit, positions.count - first)
            let rows = (0..<count).map {
                StageRow(lane: lane, position: start + Int32(first + $0), token: 0, samples: false)
            }
            batch.fill(rows, rows.indices, flagsAll: false, hidesTokens: true, sequence: reserved.sequence)
            let status = unsafe nothing.withUnsafeBytes { nothing in
                unsafe tryRun(
                    nothing, feed == .rows, residual: UnsafeMutableRawBufferPointer(start: nil, count: 0),
                    takesVectors: false)
            }
            guard status == 0 else {
                _ = unsafe llama_memory_seq_rm(context.memory, reserved.sequence, start, -1)
                unsafe self.reserved?.giveBack(Int(lane.index), context.memory)
                return
            }
        }
        self.reserved?.keep(positions, for: Int(lane.index), start: start)
    }

    /// The lane does not hold the rows any more.
    mutating func forgetLayers(of lane: Lane) {
        if layered?.rows.first?.lane == lane { layered = nil }
    }
}
