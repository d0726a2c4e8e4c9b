/// A point on the wall clock, handed in by who has a clock.
///
/// **Units:** nanoseconds since 1970-01-01T00:00:00Z.
package struct Timestamp: Hashable, Sendable, CustomStringConvertible {
    /// Nanoseconds since 1970.
    package let nanoseconds: Int64

    /// Wraps nanoseconds since 1970.
    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// Wraps whole seconds since 1970; what a timestamp cannot hold becomes the first or last one.
    package init(seconds: Int64) {
        let (product, overflows) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        nanoseconds = overflows ? (seconds < 0 ? .min : .max) : product
    }

    /// As RFC 3339 has it, to the microsecond: `2024-07-22T20:33:28.123648Z`.
    package var description: String {
        let (days, nanosecondsOfDay) = Self.divided(nanoseconds, by: 86_400_000_000_000)
        let (year, month, day) = Self.date(daysSince1970: days)
        let seconds = nanosecondsOfDay / 1_000_000_000
        let microseconds = nanosecondsOfDay / 1000 % 1_000_000
        let date = "\(Self.digits(year, 4))-\(Self.digits(month, 2))-\(Self.digits(day, 2))"
        let time = [seconds / 3600, seconds / 60 % 60, seconds % 60].map { Self.digits($0, 2) }.joined(separator: ":")
        return "\(date)T\(time).\(Self.digits(microseconds, 6))Z"
    }

    /// The Gregorian date. Years begin in March here, so that a leap day is the last day of a year of its 400-year era.
    private static func date(daysSince1970 days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        // Day 0 of era 0 is 0000-03-01, 719,468 days before 1970.
        let (era, dayOfEra) = divided(days + 719_468, by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        return (era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month, day)
    }

    /// Quotient and remainder with a remainder that is never negative.
    private static func divided(_ value: Int64, by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let remainder = value % divisor
        return remainder < 0 ? (value / divisor - 1, remainder + divisor) : (value / divisor, remainder)
    }

    private static func digits(_ value: Int64, _ count: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
    }
}
