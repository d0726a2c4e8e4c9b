/// By how much rounds take longer than the costs of their steps foretell. Costs are timed step by step: they do not
/// know that stages of one machine compete for its memory, that processors become hot and that other programs run.
///
/// **Source:** docs/internals/serving.md, Costs.
struct RoundFactors: Hashable, Sendable {
    private struct Key: Hashable, Sendable {
        let rows: Int
        /// Stages that compute at once.
        let busyStages: Int

        init(_ grouping: Grouping, stages: Int) {
            rows = grouping.size
            busyStages = min(stages, (grouping.lanes + grouping.size - 1) / grouping.size)
        }
    }

    private struct Seen: Hashable, Sendable {
        var latest: [Double] = []
        /// Times taken of any grouping when it was seen last.
        var count = 0
    }

    private var seen: [Key: Seen] = [:]
    private var count = 0

    /// What the time that costs foretell for a round has to be multiplied by, and how many times have been taken of
    /// others since; nil until such rounds were seen twice, and when that is long ago. What disturbs a round only
    /// lengthens it, so the shortest of the latest counts.
    func known(_ grouping: Grouping, stages: Int) -> (factor: Double, age: Int)? {
        guard let seen = seen[Key(grouping, stages: stages)], seen.latest.count > 1 else { return nil }
        let age = count - seen.count
        guard age < Limits.roundMemory, let factor = seen.latest.min() else { return nil }
        return (factor, age)
    }

    /// Takes what was seen. With what was seen before others had their turn it has nothing to do: the machine may be
    /// busier now.
    mutating func record(_ factor: Double, of grouping: Grouping, stages: Int) {
        count += 1
        let key = Key(grouping, stages: stages)
        let isRecent = seen[key].map { count - $0.count < Limits.roundRetry } ?? false
        let earlier = isRecent ? seen[key]?.latest ?? [] : []
        seen[key] = Seen(latest: earlier.suffix(Limits.latestRounds - 1) + [factor], count: count)
    }
}
