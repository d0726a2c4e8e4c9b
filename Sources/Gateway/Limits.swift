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
}
