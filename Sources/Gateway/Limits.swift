/// Bounds of what the gateway keeps and runs.
package enum Limits {
    /// Most responses that are made in the background at once.
    package static let backgroundResponses = 16
    /// Most finished responses whose events are kept for clients that come back.
    static let finishedEventLogs = 64
    /// Most bytes of events kept of one response, and of all that are finished. **Units:** bytes.
    static let eventLogBytes = 64 << 20
    /// Most times a conversation is shortened until it fits the window.
    static let shortenings = 8
    /// Longest body that `BareServer` repeats. **Units:** bytes.
    static let echoBytes = 64 << 10

    /// Most bytes of an answer, about, that wait for its reader when one more piece is taken. A model that makes a
    /// hundred tokens a second takes five minutes for so much text, and 25 s with twenty alternatives to each token: a
    /// client that pauses for a moment never falls so far behind, and beside a model it is little. **Units:** bytes.
    package static let unreadBytes = 4 << 20

    /// Prompts of one request that are under way at once: enough to fill microbatches, few enough to leave most places
    /// in the line to others.
    static let promptsAtOnce = 4

    /// Most messages of a WebSocket that wait while a response is made.
    static let socketMessages = 16
    /// Most bytes of responses a WebSocket remembers. **Units:** bytes.
    static let socketMemoryBytes = 64 << 20

    /// Longest time a client may let an answer take in so many words; without any it takes as long as it needs.
    /// **Units:** seconds.
    static let longestTimeoutSeconds = 86_400.0

    /// Pieces of a stream that are queued before the event loop gets the time to look at its sockets.
    static let piecesPerTurn = 64

    // MARK: Keys

    /// Most keys of a node, those taken back included.
    package static let keys = 1024
    /// Random bytes of a key.
    static let keyBytes = 32
    /// Longest name of a key. **Units:** bytes.
    static let keyNameBytes = 64
    /// Longest key that is looked at. **Units:** bytes.
    static let presentedKeyBytes = 256
    /// Highest bound of a key per minute.
    static let perMinute = 1_000_000_000
    /// Longest key file. **Units:** bytes.
    package static let keyFileBytes = 4 << 20
}
