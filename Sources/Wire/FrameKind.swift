/// What a frame says. The numbers are part of the protocol: docs/protocols/stage-frames.md and runner.md.
package enum FrameKind: UInt8, Hashable, Sendable, CaseIterable {
    /// The dialer's offer; first frame of every connection.
    case hello = 0x01
    /// The acceptor agrees.
    case welcome = 0x02
    /// The acceptor refuses, with the reason; last frame of the connection.
    case refuse = 0x03

    /// A microbatch: rows and their activations.
    case step = 0x10
    /// Changes of sequence state.
    case operations = 0x11
    /// Tokens sampled by the last stage.
    case result = 0x12
    /// A step failed on a stage.
    case failure = 0x13
    /// A frame came from an older epoch than the stage obeys.
    case fenced = 0x14
    /// Steps that need not be run any more.
    case cancel = 0x15
    /// No more steps will follow.
    case drain = 0x16
    /// Everything before `drain` has been done.
    case drained = 0x17
    /// Asks for a sign of life.
    case ping = 0x18
    /// The sign of life.
    case pong = 0x19
    /// Asks for a stage's counters.
    case statisticsRequest = 0x1A
    /// A stage's counters.
    case statistics = 0x1B
    /// A stage's part of a sequence on disk was written or read, or could not be.
    case archiveReport = 0x1C
    /// A chunk of a prompt that other steps overtake between layers.
    case deferredStep = 0x1D

    /// A request to the entry stage's runner.
    case generate = 0x40
    /// The client no longer wants a request.
    case cancelRequest = 0x41
    /// What happened to a request.
    case event = 0x42
    /// Asks a runner for its report.
    case reportRequest = 0x43
    /// A runner's report.
    case report = 0x44

    /// Whether the frame belongs to the handshake; all others need an agreed version.
    package var isHandshake: Bool { rawValue <= 0x03 }

    /// Whether the frame is spoken between a node and a runner only.
    package var isRunner: Bool { rawValue >= 0x40 }

    /// Largest body of this kind on a link of `frameByteLimit`. **Units:** bytes.
    package func bodyByteLimit(frameByteLimit: Int) -> Int {
        let budget = frameByteLimit - FrameHeader.byteCount
        return switch self {
        case .hello, .welcome, .refuse:
            min(budget, Limits.handshakeBytes - FrameHeader.byteCount)
        case .fenced, .cancel, .drain, .drained, .ping, .pong, .statisticsRequest, .statistics, .cancelRequest,
            .reportRequest, .archiveReport:
            min(budget, Limits.signalBytes)
        case .failure:
            min(budget, Limits.handshakeBytes - FrameHeader.byteCount)
        case .step, .deferredStep, .operations, .result, .generate, .event, .report:
            budget
        }
    }
}
