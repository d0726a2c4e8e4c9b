package import Vocabulary

/// Decides whether and when a placement that lost a runner is started again: a circuit breaker as a value.
package struct RestartPolicy: Hashable, Sendable {
    /// Crashes within `window` that open the breaker.
    package static let crashLimit = 3
    /// The breaker's window.
    package static let window = Duration.seconds(60)

    private var crashes: [Instant] = []

    /// No crash so far.
    package init() {}

    /// What to do after a crash.
    package enum Decision: Hashable, Sendable {
        /// Start again after the pause.
        case restart(after: Duration)
        /// Stop: too many crashes in a short time.
        case giveUp(crashes: Int, within: Duration)
    }

    /// Takes a crash into account and decides.
    package mutating func crashed(at now: Instant) -> Decision {
        crashes.removeAll { now.since($0) > Self.window }
        crashes.append(now)
        guard crashes.count < Self.crashLimit else { return .giveUp(crashes: crashes.count, within: Self.window) }
        // The first restart is immediate: most crashes are single events and somebody waits for an answer.
        return .restart(after: crashes.count == 1 ? .zero : .seconds(crashes.count - 1))
    }
}
