package import Vocabulary

/// When a request came, and with that how much of the time its client gives it has passed.
package struct Arrival: Sendable {
    private let began: ContinuousClock.Instant
    /// What its client gives it; nil for as long as it needs. **Units:** seconds.
    private let timeout: Double?

    /// That of a request which comes now and may take `timeout` seconds, of which `elapsed` were over before.
    package init(timeout: Double?, elapsed: Double? = nil) {
        began = .now - .seconds(elapsed ?? 0)
        self.timeout = timeout
    }

    /// That of a request which comes now.
    package init(of request: GenerationRequest) {
        self.init(timeout: request.timeoutSeconds, elapsed: request.elapsedSeconds)
    }

    /// What has passed of the request's time. **Units:** seconds.
    package var elapsedSeconds: Double { (ContinuousClock.now - began).inSeconds }

    /// When its time is up; nil for one that has as much as it needs.
    package var end: ContinuousClock.Instant? { timeout.map { began + .seconds($0) } }

    /// The error it ends with since its time was up; nil before.
    package var overdue: GenerationError? {
        guard let timeout, let end, ContinuousClock.now >= end else { return nil }
        return .deadlineExceeded(seconds: timeout)
    }
}
