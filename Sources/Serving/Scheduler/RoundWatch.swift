import Vocabulary

/// How decoding lanes are meant to share microbatches.
package struct Grouping: Hashable, Sendable {
    /// Lanes that decode.
    package var lanes: Int
    /// Lanes per microbatch; what is left over goes in a smaller one.
    package var size: Int

    /// Microbatches of a round.
    var groups: Int { (lanes + size - 1) / size }

    /// Makes a grouping.
    package init(lanes: Int, size: Int) {
        self.lanes = lanes
        self.size = size
    }
}

/// Times rounds of all decoding lanes while nothing but their newest tokens goes through the stages.
///
/// **Source:** docs/internals/serving.md, Costs.
struct RoundWatch: Hashable, Sendable {
    private var grouping: Grouping?
    /// Nil during the first round of a grouping, in which its groups form.
    private var since: Instant?
    private var tokens = 0

    /// Whether the latest step that landed is one to be timed.
    var isWatching: Bool { grouping != nil }

    /// Takes a step that has landed, with as many tokens as lanes, and nil for one that carried anything else. Returns
    /// what a round has taken whenever enough of them have landed. **Units:** nanoseconds.
    mutating func land(_ grouping: Grouping?, tokens landed: Int, now: Instant) -> Double? {
        if grouping != self.grouping { self = RoundWatch(grouping: grouping) }
        guard let grouping else { return nil }
        tokens += landed
        guard let since else {
            if tokens >= grouping.lanes { (since, tokens) = (now, 0) }
            return nil
        }
        guard tokens >= Limits.watchedRounds * grouping.lanes else { return nil }
        defer { (self.since, tokens) = (now, 0) }
        return now.since(since).inSeconds * 1e9 * Double(grouping.lanes) / Double(tokens)
    }
}
