/// By how much rounds take longer than the costs of their steps foretell. Costs are timed step by step: they do not
/// know that stages of one machine compete for its memory, that processors become hot and that other programs run.
///
/// **Source:** docs/internals/serving.md, Costs.
struct RoundFactors: Hashable, Sendable {
    private struct Key: Hashable, Sendable {
        let rows: Int
        /// Rows of the smaller step that is left over.
        let rest: Int
        /// Stages that have something to compute at once.
        let busyStages: Int

        init(_ grouping: Grouping, stages: Int) {
            rows = grouping.size
            rest = grouping.lanes % grouping.size
            busyStages = min(stages, grouping.groups)
        }
    }

    private struct Seen: Hashable, Sendable {
        var latest: [Double] = []
        /// Times taken of any grouping when it was seen last.
        var count = 0
        /// After so many times of others it is as good as new.
        var memory = Limits.roundMemory
    }

    private var seen: [Key: Seen] = [:]
    private var count = 0

    /// What the time that costs foretell for a round has to be multiplied by, and whether it is time to look again; nil
    /// until such rounds were seen twice, and when that is long ago. What disturbs a round only lengthens it, so the
    /// shortest of the latest counts.
    func known(_ grouping: Grouping, stages: Int) -> (factor: Double, isStale: Bool)? {
        guard let seen = seen[Key(grouping, stages: stages)], seen.latest.count > 1 else { return nil }
        let age = count - seen.count
        guard age < seen.memory, let factor = seen.latest.min() else { return nil }
        return (factor, age * Limits.roundRetries >= seen.memory)
    }

    /// Takes what was seen. With what was seen before others had their turn it has nothing to do: the machine may be
    /// busier now. What is given up again and again is tried at longer and longer intervals.
    mutating func record(_ factor: Double, of grouping: Grouping, stages: Int) {
        count += 1
        let key = Key(grouping, stages: stages)
        var now = seen[key] ?? Seen(count: count)
        if (count - now.count) * Limits.roundRetries >= now.memory {
            (now.latest, now.memory) = ([], min(2 * now.memory, Limits.longestRoundMemory))
        }
        now.latest = now.latest.suffix(Limits.latestRounds - 1) + [factor]
        if now.latest.count == Limits.latestRounds { now.memory = Limits.roundMemory }
        now.count = count
        seen[key] = now
    }
}
