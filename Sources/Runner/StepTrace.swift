/// What one step took.
package struct StepTime: Hashable, Sendable, Codable {
    /// The microbatch's number on the wire.
    package var step: UInt32
    /// **Units:** nanoseconds.
    package var nanoseconds: UInt64

    /// Makes a time.
    package init(step: UInt32, nanoseconds: UInt64) {
        self.step = step
        self.nanoseconds = nanoseconds
    }
}

/// The times of the latest steps, at most `limit`: from them a bench makes a distribution, where sums would hide the
/// outliers.
struct StepTrace: Sendable {
    /// Steps remembered.
    static let limit = 512

    private var ring: [StepTime] = []
    private var next = 0

    /// The times, oldest first.
    var times: [StepTime] { Array(ring[next...] + ring[..<next]) }

    mutating func append(_ time: StepTime) {
        guard ring.count == Self.limit else { return ring.append(time) }
        ring[next] = time
        next = (next + 1) % Self.limit
    }
}
