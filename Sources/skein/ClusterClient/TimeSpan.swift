import ArgumentParser

/// A length of time as people write it: a number and s, m, h or d, as in 30d.
struct TimeSpan: Hashable, Sendable, ExpressibleByArgument {
    let seconds: Int64

    static let day = TimeSpan(seconds: 86_400)

    private init(seconds: Int64) { self.seconds = seconds }

    init?(argument: String) {
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let unit = argument.last.flatMap({ units[$0] }), let number = Int64(argument.dropLast()), number > 0
        else { return nil }
        let (seconds, overflows) = number.multipliedReportingOverflow(by: unit)
        // A hundred years are for ever.
        guard !overflows, seconds <= 36_500 * 86_400 else { return nil }
        self.seconds = seconds
    }

    /// In the largest unit that gives a whole number, as it is written on the command line.
    var defaultValueDescription: String {
        for (unit, size) in [("h", Int64(3600)), ("m", 60)] where seconds % size == 0 {
            return "\(seconds / size)\(unit)"
        }
        return "\(seconds)s"
    }
}
