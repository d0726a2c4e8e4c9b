package import Vocabulary

/// A frame between two stages after the handshake, decoded.
package enum StageFrame: Hashable, Sendable {
    /// A microbatch; rows and activations are read out of the body through the layout.
    case step(StepLayout)
    /// A chunk of a prompt, all rows of one lane, that other steps overtake between layers.
    case deferredStep(StepLayout)
    /// Changes of sequence state, applied in order before step `before`.
    case operations([SequenceOperation], before: UInt32)
    /// The tokens sampled in step `step`.
    case result([SampledToken], step: UInt32)
    /// Step `step` failed.
    case failure(StageFailure, step: UInt32)
    /// Frame `step` came from an older epoch than the stage obeys.
    case fenced(current: Epoch, step: UInt32)
    /// `count` steps from `first` on need not be run.
    case cancel(first: UInt32, count: UInt32)
    /// No more steps will follow.
    case drain
    /// Everything before `drain` is done.
    case drained
    /// Asks for a sign of life.
    case ping(UInt64)
    /// The sign of life, with the ping's token.
    case pong(UInt64)
    /// Asks for the stage's counters.
    case statisticsRequest
    /// The stage's counters.
    case statistics(StageStatistics)
    /// What became of a stage's part of a sequence on disk.
    case archiveReport(ArchiveReport)

    /// Decodes the body that belongs to a checked header. Verify the checksum first (`FrameHeader.verify`).
    ///
    /// `width` is the placement's number of floats per row.
    /// **Throws:** `unexpectedKind` for frames of the handshake and of runners; everything a body can have wrong.
    package static func parse(_ header: FrameHeader, body: RawSpan, width: Int) throws(WireError) -> StageFrame {
        var reader = ByteReader(body)
        let frame: StageFrame
        switch header.kind {
        case .step: return .step(try StepLayout.parse(body, step: header.stream, width: width))
        case .deferredStep: return .deferredStep(try StepLayout.parse(body, step: header.stream, width: width))
        case .operations: frame = .operations(try reader.operations(body), before: header.stream)
        case .result: frame = .result(try reader.result(body), step: header.stream)
        case .failure: frame = .failure(try reader.failure(body), step: header.stream)
        case .fenced: frame = .fenced(current: try reader.epoch(body, "fenced.current"), step: header.stream)
        case .cancel: frame = .cancel(first: header.stream, count: try reader.u32(body, "cancel.count"))
        case .drain: frame = .drain
        case .drained: frame = .drained
        case .ping: frame = .ping(try reader.u64(body, "ping.token"))
        case .pong: frame = .pong(try reader.u64(body, "pong.token"))
        case .statisticsRequest: frame = .statisticsRequest
        case .statistics: frame = .statistics(try reader.statistics(body))
        case .archiveReport: frame = .archiveReport(try reader.archiveReport(body))
        case .hello, .welcome, .refuse, .generate, .cancelRequest, .event, .reportRequest, .report:
            throw .unexpectedKind(header.kind, expected: "a frame between stages")
        }
        try reader.finish("\(header.kind)")
        return frame
    }
}
