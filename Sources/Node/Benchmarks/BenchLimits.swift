import NIOCore

/// Bounds of what the benches that use the API start and keep.
package enum BenchLimits {
    /// Requests at once of `skein bench serve`.
    package static let streams = 1...64
    /// Stages of `skein bench serve`.
    package static let stages = 1...64
    /// Tokens of a prompt.
    package static let promptTokens = 1...65_536
    /// Tokens of an answer.
    package static let decodeTokens = 2...65_536
    /// Longest line of a stream, and with it what a connection keeps. **Units:** bytes.
    static let lineBytes = 1 << 20
    /// Beginning of an answer's body that is kept to name a failure. **Units:** bytes.
    static let openingBytes = 512
    /// Silence of a server after which a request is given up.
    static let silence = TimeAmount.seconds(120)
    /// Time a server may take until it answers.
    static let readySeconds = 180
    /// Time a server may take to end before it is killed.
    static let teardownSeconds = 10
    /// Lines of a server's log kept for the reason of a failure.
    static let logLines = 20
    /// Longest line of a server's log. **Units:** bytes.
    static let logLineBytes = 1 << 20
    /// Streams held open at once against the null engine.
    static let heldStreams = 1000
    /// Before a round: the compute threads of the server that was measured before wait busily for a while after their
    /// last step, and took half of a machine of two cores from whoever came next.
    static let rest = Duration.seconds(1)
}
