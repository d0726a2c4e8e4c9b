/// The round trip of a connection, smoothed as TCP does it.
///
/// **Source:** Jacobson, "Congestion Avoidance and Control", SIGCOMM 1988: gains of 1/8 and 1/4.
package struct RoundTrip: Hashable, Sendable {
    /// Smoothed time; nil before the first answer. **Units:** nanoseconds.
    package private(set) var smoothed: Int64?
    /// Smoothed distance of a time from the smoothed one. **Units:** nanoseconds.
    package private(set) var jitter: Int64 = 0

    /// Nothing was measured.
    package init() {}

    /// Takes one measurement. **Units:** nanoseconds.
    package mutating func add(_ nanoseconds: Int64) {
        let sample = max(0, nanoseconds)
        guard let before = smoothed else {
            smoothed = sample
            jitter = sample / 2
            return
        }
        let error = sample - before
        smoothed = before + error / 8
        jitter += (abs(error) - jitter) / 4
    }
}
