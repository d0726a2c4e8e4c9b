/// Where a stage's time and bytes went since its placement; sent only when asked for.
package struct StageStatistics: Hashable, Sendable {
    /// Index of the stage.
    package var stage = 0
    /// Steps executed.
    package var steps: UInt64 = 0
    /// Rows executed.
    package var rows: UInt64 = 0
    /// Time in the engine. **Units:** nanoseconds.
    package var computeNanoseconds: UInt64 = 0
    /// Time encoding frames. **Units:** nanoseconds.
    package var encodeNanoseconds: UInt64 = 0
    /// Time decoding frames. **Units:** nanoseconds.
    package var decodeNanoseconds: UInt64 = 0
    /// Time from handing a frame to the transport until it took it. **Units:** nanoseconds.
    package var sendNanoseconds: UInt64 = 0
    /// Time waiting for the next frame. **Units:** nanoseconds.
    package var waitNanoseconds: UInt64 = 0
    /// Bytes sent to other stages.
    package var sentBytes: UInt64 = 0
    /// Bytes received from other stages.
    package var receivedBytes: UInt64 = 0

    /// Makes counters that are all zero.
    package init() {}

    /// The counters in the order of the wire; a later version appends to it.
    var counters: [UInt64] {
        [
            steps, rows, computeNanoseconds, encodeNanoseconds, decodeNanoseconds, sendNanoseconds, waitNanoseconds,
            sentBytes, receivedBytes,
        ]
    }
}

extension FrameWriter {
    /// Appends a stage's counters.
    ///
    /// **Throws:** `cannotEncode` for a stage index above `Limits.stages`.
    package mutating func statistics(_ statistics: StageStatistics) throws(WireError) {
        let counters = statistics.counters
        try frame(.statistics, stream: 0) { writer throws(WireError) in
            try writer.put16(statistics.stage, "statistics.stage", limit: Limits.stages)
            try writer.put16(counters.count, "statistics.counters")
            for counter in counters {
                try writer.put(counter)
            }
        }
    }
}

extension ByteReader {
    /// The body of a statistics frame; counters this release does not know are passed over, absent ones are 0.
    mutating func statistics(_ bytes: RawSpan) throws(WireError) -> StageStatistics {
        var statistics = StageStatistics()
        statistics.stage = try shortCount(bytes, "statistics.stage", limit: Limits.stages)
        let count = Int(try u16(bytes, "statistics.counters"))
        try require(8 * count, "statistics.counters")
        var counters = statistics.counters
        for index in 0..<count {
            let counter = try u64(bytes, "statistics.counter")
            if index < counters.count { counters[index] = counter }
        }
        try finish("statistics")
        statistics.steps = counters[0]
        statistics.rows = counters[1]
        statistics.computeNanoseconds = counters[2]
        statistics.encodeNanoseconds = counters[3]
        statistics.decodeNanoseconds = counters[4]
        statistics.sendNanoseconds = counters[5]
        statistics.waitNanoseconds = counters[6]
        statistics.sentBytes = counters[7]
        statistics.receivedBytes = counters[8]
        return statistics
    }
}
