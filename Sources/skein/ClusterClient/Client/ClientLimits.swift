/// Bounds of what the command line takes from a node and waits for.
struct ClientLimits: Sendable {
    /// Longest answer, and longest event of a stream. **Units:** bytes.
    var answerBytes = 16 << 20
    /// How long connecting may take.
    var connecting: Duration = .seconds(5)
    /// How long an answer may take; a node answers a command within 15 s, whatever becomes of it.
    var patience: Duration = .seconds(30)
    /// A stream of events that is silent for so long is asked for again: a machine that lost its power says nothing.
    var silence: Duration = .seconds(60)
    /// How often in a row a stream is asked for again in vain.
    var retries = 10
    /// Longest pause between two tries.
    var pauseMaximum: Duration = .seconds(5)

    /// Longest a deployment is waited for. **Units:** seconds; the API's own bound.
    static let waitSeconds = 600
    /// Longest a deployment is waited for unless told otherwise. **Units:** seconds.
    static let waitDefaultSeconds = 60
    /// Longest URL of a node, and longest key. **Units:** bytes.
    static let settingBytes = 1024

    /// How long to wait before a try: longer each time.
    func pause(before attempt: Int) -> Duration {
        min(.milliseconds(250) * (1 << min(max(attempt - 1, 0), 8)), pauseMaximum)
    }
}
