/// A bound per minute: a bucket that holds one minute's worth, fills evenly, and is emptied by what is used.
///
/// It may owe: what an answer costs is known at its end only, and is taken then in full. While it owes, nothing more is
/// admitted, so that over many minutes no more is used than was allowed.
struct TokenBucket: Hashable, Sendable {
    private static let minute = 60e9

    /// What a minute allows.
    let perMinute: Int
    private var level: Double
    private var updated: Int64

    /// A full bucket. **Units:** nanoseconds since some origin.
    init(perMinute: Int, now: Int64) {
        precondition(perMinute > 0, "\(perMinute) per minute")
        self.perMinute = perMinute
        level = Double(perMinute)
        updated = now
    }

    /// How long until `amount` is there; 0 when it is. **Units:** seconds, rounded up.
    mutating func wait(for amount: Int, now: Int64) -> Int {
        fill(now)
        // More than a full bucket will never be there; a full one has to do.
        let missing = min(Double(amount), Double(perMinute)) - level
        // A millionth of a second is no reason to wait another whole one: sums of fractions are not exact.
        let exact = missing / Double(perMinute) * 60 - 1e-6
        guard exact > 0 else { return 0 }
        let seconds = exact.rounded(.up)
        return max(1, Int(min(seconds, 1e9)))
    }

    /// Takes an amount out, even one that is not there.
    mutating func take(_ amount: Int, now: Int64) {
        fill(now)
        level -= Double(amount)
    }

    private mutating func fill(_ now: Int64) {
        // A clock that goes back fills nothing.
        guard now > updated else { return }
        level = min(Double(perMinute), level + Double(now - updated) / Self.minute * Double(perMinute))
        updated = now
    }
}
