package import Foundation
import Vocabulary

/// A point of the wall clock: what certificates and tokens are dated with.
///
/// **Units:** milliseconds since 1970, UTC.
package struct WallTime: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// Milliseconds since 1970.
    package let milliseconds: Int64

    /// Wraps milliseconds since 1970; what lies beyond the years 0 to 9999 is moved to their ends.
    package init(milliseconds: Int64) {
        self.milliseconds = min(max(milliseconds, Self.earliest), Self.latest)
    }

    /// The same time as the library of certificates writes it.
    package init(_ date: Date) {
        let milliseconds = (date.timeIntervalSince1970 * 1000).rounded()
        self.init(milliseconds: Int64(exactly: milliseconds) ?? (milliseconds < 0 ? Self.earliest : Self.latest))
    }

    private static let earliest: Int64 = -62_167_219_200_000
    private static let latest: Int64 = 253_402_300_799_999

    /// What this machine's clock shows.
    package static var current: WallTime { WallTime(Date()) }

    /// The same time as the library of certificates reads it.
    package var date: Date { Date(timeIntervalSince1970: Double(milliseconds) / 1000) }

    /// The time `duration` later.
    package func advanced(by duration: Duration) -> WallTime {
        let (sum, overflow) = milliseconds.addingReportingOverflow(duration.inNanoseconds / 1_000_000)
        return WallTime(milliseconds: overflow ? (duration < .zero ? Self.earliest : Self.latest) : sum)
    }

    /// The time from `earlier` to this one, negative when `earlier` is later.
    package func since(_ earlier: WallTime) -> Duration { .milliseconds(milliseconds - earlier.milliseconds) }

    /// Whether two clocks that show this and `other` can work together.
    package func agrees(with other: WallTime) -> Bool {
        let difference = since(other)
        return difference <= Limits.clockSkew && difference >= .zero - Limits.clockSkew
    }

    /// `2026-11-21T07:05:00Z`.
    package var description: String { date.formatted(.iso8601) }

    /// Orders by time.
    package static func < (left: WallTime, right: WallTime) -> Bool { left.milliseconds < right.milliseconds }
}
