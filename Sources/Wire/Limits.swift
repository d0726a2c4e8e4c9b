/// The bounds of everything that crosses a link, checked before memory is taken.
package enum Limits {
    /// Largest frame, header included, unless a link is given another budget. **Units:** bytes.
    package static let frameBytes = 64 << 20
    /// Largest budget a link may be given. **Units:** bytes.
    package static let frameBytesMax = 1 << 30
    /// Largest frame before the handshake is done, so a stranger cannot make us take memory. **Units:** bytes.
    package static let handshakeBytes = 4096
    /// Largest body of a frame that only signals (cancel, drain, ping, fenced, statistics). **Units:** bytes.
    package static let signalBytes = 1024
    /// Most rows of a step.
    package static let rows = 8192
    /// Most floats of a row.
    package static let width = 131_072
    /// Most sequence operations of one frame.
    package static let operations = 4096
    /// Most alternatives reported for one token.
    package static let alternatives = 256
    /// Most guesses behind one token.
    package static let guesses = 64
    /// Longest token text. **Units:** bytes.
    package static let tokenBytes = 4096
    /// Longest GBNF grammar. **Units:** UTF-8 bytes.
    package static let grammarBytes = 4 << 20
    /// Longest pattern of a grammar trigger. **Units:** UTF-8 bytes.
    package static let patternBytes = 64 << 10
    /// Most triggers of a lazy grammar.
    package static let triggers = 1024
    /// Longest text that begins or ends thinking, and most tokens that write one. **Units:** UTF-8 bytes.
    package static let thinkingMarkBytes = 128
    /// Most texts that end thinking.
    package static let thinkingEnds = 8
    /// Most corrected logits of a request.
    package static let logitBiases = 262_144
    /// Most DRY breakers of a request.
    package static let dryBreakers = 256
    /// Longest DRY breaker. **Units:** UTF-8 bytes.
    package static let dryBreakerBytes = 1024
    /// Longest cluster or placement id. **Units:** UTF-8 bytes.
    package static let identityBytes = 128
    /// Longest reason of a failure or refusal; a longer one is cut. **Units:** UTF-8 bytes.
    package static let reasonBytes = 2048
    /// Most stages of a placement.
    package static let stages = 4096
    /// Most layers of a model.
    package static let layers = 65_536
    /// Most choices of a request.
    package static let choices = 1024
    /// Most tool-call parts, and most token log-probabilities, of one event.
    package static let eventParts = 65_536
    /// Most tokens an inspection is answered with.
    package static let eventTokens = 1 << 20
    /// Longest text of an error; a longer one is cut. **Units:** UTF-8 bytes.
    package static let errorTextBytes = 16 << 10
    /// Most model names an error lists; more are cut.
    package static let listedModels = 64
}
