import Vocabulary

/// A point of hybrid logical time: greater than every stamp its maker had seen, and close to the wall clock.
///
/// **Units:** milliseconds since 1970, then a counter within the millisecond, then the maker.
/// **Source:** Kulkarni et al., "Logical Physical Clocks", OPODIS 2014.
package struct Stamp: Hashable, Sendable, Codable, Comparable, CustomStringConvertible {
    /// Wall clock of the maker, or of a stamp it had seen, whichever was later.
    package let milliseconds: Int64
    /// Distinguishes stamps of one millisecond.
    package let counter: UInt32
    /// Who made it; breaks ties.
    package let node: NodeID

    /// Makes a stamp of its parts.
    package init(milliseconds: Int64, counter: UInt32, node: NodeID) {
        self.milliseconds = milliseconds
        self.counter = counter
        self.node = node
    }

    /// Before every stamp.
    package static let zero = Stamp(milliseconds: 0, counter: 0, node: NodeID(0))

    /// `milliseconds.counter@node`.
    package var description: String { "\(milliseconds).\(counter)@\(node)" }

    /// Orders by time, then counter, then node.
    package static func < (left: Stamp, right: Stamp) -> Bool {
        (left.milliseconds, left.counter, left.node) < (right.milliseconds, right.counter, right.node)
    }
}

/// Makes stamps that only grow, whatever the wall clock does.
struct HybridClock: Sendable {
    let node: NodeID
    /// Wall clock minus monotonic clock. **Units:** milliseconds.
    private var offset: Int64 = 0
    private(set) var latest = Stamp.zero

    init(node: NodeID) { self.node = node }

    /// The shell read the wall clock, at the start or because it jumped.
    mutating func set(wall milliseconds: Int64, now: Instant) {
        offset = milliseconds &- now.nanoseconds / 1_000_000
    }

    /// Wall time as far as it is known. **Units:** milliseconds since 1970, not negative.
    func wall(now: Instant) -> Int64 { max(0, offset &+ now.nanoseconds / 1_000_000) }

    mutating func next(now: Instant) -> Stamp {
        let wall = wall(now: now)
        if wall > latest.milliseconds {
            latest = Stamp(milliseconds: wall, counter: 0, node: node)
        } else if latest.counter < .max {
            latest = Stamp(milliseconds: latest.milliseconds, counter: latest.counter + 1, node: node)
        } else {
            latest = Stamp(milliseconds: latest.milliseconds + 1, counter: 0, node: node)
        }
        return latest
    }

    /// Never to be passed by a later stamp of this clock; a stamp from beyond the end of time is not believed.
    mutating func observe(_ stamp: Stamp) {
        guard stamp.milliseconds <= Limits.latestMilliseconds else { return }
        if stamp > latest { latest = stamp }
    }
}
