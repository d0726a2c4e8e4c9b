package import Vocabulary

extension FrameWriter {
    /// Appends a step frame, or that of a deferred step. `slice` is rounded to milliseconds, 1 to 255.
    ///
    /// **Shape:** `activations` is `[rows.count, width]`, row-major, or empty when the receiver starts from tokens.
    /// **Throws:** `limitExceeded` beyond the link's budget (send fewer rows), `cannotEncode` for no rows, too many, or
    /// a negative position, `nonFiniteRow` for q8. A throw leaves the writer as it was.
    package mutating func step(
        _ step: UInt32, rows: [StageRow], activations: Span<Float>, width: Int, format: WireFormat,
        slice: Duration? = nil, isDeferred: Bool = false
    ) throws(WireError) {
        precondition((1...Limits.width).contains(width), "width \(width) is outside 1...\(Limits.width)")
        precondition(
            activations.isEmpty || activations.count == rows.count * width,
            "\(activations.count) activations for \(rows.count) rows of \(width)")
        guard (1...Limits.rows).contains(rows.count) else {
            throw .cannotEncode(field: "step.rows", value: rows.count, allowed: "1 … \(Limits.rows)")
        }
        let encoding = activations.isEmpty ? .none : ActivationKernel.encoding(of: activations, format)
        try frame(isDeferred ? .deferredStep : .step, stream: step) { writer throws(WireError) in
            try writer.put16(rows.count, "step.rows")
            try writer.put(encoding.rawValue)
            try writer.put(slice.map { UInt8(min(255, max(1, ($0 / .milliseconds(1)).rounded()))) } ?? 0)
            try writer.putRows(rows)
            let count = rows.count * encoding.rowByteCount(width: width)
            let start = try writer.reserve(count)
            var failedRow: Int?
            unsafe writer.withReserved(start, count) { target in
                failedRow = unsafe ActivationKernel.encode(activations, encoding, width: width, into: target)
            }
            if let failedRow { throw .nonFiniteRow(row: failedRow) }
        }
    }

    private mutating func putRows(_ rows: [StageRow]) throws(WireError) {
        let start = try reserve(rows.count * StepLayout.rowByteCount)
        var offset = start
        for row in rows {
            guard row.position >= 0 else {
                throw .cannotEncode(field: "step.row.position", value: Int(row.position), allowed: "0 and above")
            }
            let flags = row.samples ? StepLayout.samplesFlag : 0
            let head = UInt64(row.lane.index) | UInt64(flags) << 16 | UInt64(row.position.magnitude) << 32
            overwrite(head, at: offset)
            overwrite(row.token, at: offset + 8)
            offset += StepLayout.rowByteCount
        }
    }
}
