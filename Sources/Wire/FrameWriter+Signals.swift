package import Vocabulary

extension FrameWriter {
    /// Appends the answer to a frame of an older epoch: `current` is the highest epoch the stage obeys.
    ///
    /// **Throws:** `limitExceeded` when more unsent frames wait than the link's budget allows.
    package mutating func fenced(step: UInt32, current: Epoch) throws(WireError) {
        try frame(.fenced, stream: step) { writer throws(WireError) in
            try writer.put(current)
        }
    }

    /// Appends a cancellation of `count` steps from `first` on (step ids wrap around); they are answered with the
    /// failure `cancelled` unless they are done already.
    ///
    /// **Throws:** `limitExceeded` when more unsent frames wait than the link's budget allows.
    package mutating func cancel(from first: UInt32, count: UInt32) throws(WireError) {
        try frame(.cancel, stream: first) { writer throws(WireError) in
            try writer.put(count)
        }
    }

    /// Appends the promise that no more steps will follow.
    ///
    /// **Throws:** `limitExceeded` when more unsent frames wait than the link's budget allows.
    package mutating func drain() throws(WireError) { try frame(.drain, stream: 0) { _ throws(WireError) in } }

    /// Appends the answer to `drain`: everything before it is done.
    ///
    /// **Throws:** `limitExceeded` when more unsent frames wait than the link's budget allows.
    package mutating func drained() throws(WireError) { try frame(.drained, stream: 0) { _ throws(WireError) in } }

    /// Appends a request for a sign of life; `token` comes back in the pong, for example the sender's clock.
    ///
    /// **Throws:** `limitExceeded` when more unsent frames wait than the link's budget allows.
    package mutating func ping(_ token: UInt64) throws(WireError) {
        try frame(.ping, stream: 0) { writer throws(WireError) in
            try writer.put(token)
        }
    }

    /// Appends the answer to a ping, with its token.
    ///
    /// **Throws:** `limitExceeded` when more unsent frames wait than the link's budget allows.
    package mutating func pong(_ token: UInt64) throws(WireError) {
        try frame(.pong, stream: 0) { writer throws(WireError) in
            try writer.put(token)
        }
    }

    /// Appends a request for the stage's counters.
    ///
    /// **Throws:** `limitExceeded` when more unsent frames wait than the link's budget allows.
    package mutating func statisticsRequest() throws(WireError) {
        try frame(.statisticsRequest, stream: 0) { _ throws(WireError) in }
    }

    /// Appends what became of a stage's part of a sequence on disk. Stages in between pass it on.
    ///
    /// **Throws:** `cannotEncode` for a stage beyond the limit; `limitExceeded` when more unsent frames wait than the
    /// link's budget allows.
    package mutating func archiveReport(_ report: ArchiveReport) throws(WireError) {
        guard (0..<Limits.stages).contains(report.stage) else {
            throw .cannotEncode(
                field: "archiveReport.stage", value: report.stage, allowed: "0 … \(Limits.stages - 1)")
        }
        try frame(.archiveReport, stream: 0) { writer throws(WireError) in
            try writer.put(report.key)
            try writer.put16(report.stage, "archiveReport.stage")
            try writer.put(report.outcome.rawValue)
            try writer.put(UInt8(0))
        }
    }

    /// u64 term, u64 number.
    mutating func put(_ epoch: Epoch) throws(WireError) {
        try put(epoch.term)
        try put(epoch.number)
    }
}

extension ByteReader {
    /// u64 term, u64 number.
    mutating func epoch(_ bytes: RawSpan, _ field: String) throws(WireError) -> Epoch {
        let term = try u64(bytes, field)
        return Epoch(term: term, number: try u64(bytes, field))
    }

    /// The body of an archive report.
    mutating func archiveReport(_ bytes: RawSpan) throws(WireError) -> ArchiveReport {
        let key = try sequenceKey(bytes, "archiveReport.key")
        let stage = try shortCount(bytes, "archiveReport.stage", limit: Limits.stages - 1)
        let code = try u8(bytes, "archiveReport.outcome")
        guard let outcome = ArchiveReport.Outcome(rawValue: code) else {
            throw .invalidValue(field: "archiveReport.outcome", offset: offset - 1, value: Int(code), allowed: "1 … 3")
        }
        try reserved8(bytes, "archiveReport.reserved")
        return ArchiveReport(key: key, stage: stage, outcome: outcome)
    }
}
