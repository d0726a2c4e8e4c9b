/// A number of bytes.
///
/// **Units:** bytes; printed in binary multiples (`7.6 MiB`).
package struct ByteCount: Hashable, Sendable, Codable, Comparable, CustomStringConvertible {
    /// The number of bytes.
    package let bytes: UInt64

    /// Wraps a number of bytes.
    package init(_ bytes: UInt64) { self.bytes = bytes }

    /// The count in binary multiples with one decimal, `512 B`, `7.6 MiB`.
    package var description: String {
        let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        guard bytes >= 1024 else { return "\(bytes) B" }
        var tenths = bytes / 1024 * 10 + bytes % 1024 * 10 / 1024
        var unit = 0
        while tenths >= 10240, unit + 1 < units.count {
            tenths /= 1024
            unit += 1
        }
        return "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }

    /// Orders by size.
    package static func < (left: ByteCount, right: ByteCount) -> Bool { left.bytes < right.bytes }
}

/// A point on a monotonic clock, handed to the pure core as a value so that no decision reads a clock.
///
/// **Units:** nanoseconds since an arbitrary origin of this process or simulation.
package struct Instant: Hashable, Sendable, Codable, Comparable {
    /// Nanoseconds since the origin.
    package let nanoseconds: Int64

    /// Wraps nanoseconds since the origin.
    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// The instant `duration` later.
    package func advanced(by duration: Duration) -> Instant {
        let (seconds, attoseconds) = duration.components
        return Instant(nanoseconds: nanoseconds + seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }

    /// The time from `earlier` to this instant, negative when `earlier` is later.
    package func since(_ earlier: Instant) -> Duration { .nanoseconds(nanoseconds - earlier.nanoseconds) }

    /// Orders by time.
    package static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }
}

extension Duration {
    /// The duration in seconds, for reports and JSON.
    package var inSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }

    /// The duration as whole nanoseconds; what does not fit is clamped (292 years).
    package var inNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        return whole + attoseconds / 1_000_000_000
    }

    /// The duration in milliseconds, for reports and JSON.
    package var inMilliseconds: Double { inSeconds * 1000 }
}
