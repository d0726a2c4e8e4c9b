import Runner

/// Collects what prompts through one stage and through several show.
struct PrefillFigures {
    /// One prompt through one placement.
    struct Side {
        var seconds: Double
        var before: [StageTimes]
        var after: [StageTimes]

        /// Time in each stage's engine. **Units:** seconds.
        var compute: [Double] {
            zip(after, before).map { Double($0.computeNanoseconds - $1.computeNanoseconds) / 1e9 }
        }

        /// Rows of a step, on the average.
        var rowsPerStep: Double {
            guard let end = after.first, let start = before.first, end.steps > start.steps else { return .nan }
            return Double(end.rows - start.rows) / Double(end.steps - start.steps)
        }
    }

    private var solo: [Double] = []
    private var split: [Double] = []
    private var ratio: [Double] = []
    private var limit: [Double] = []
    private var machineLimit: [Double] = []
    private var work: [Double] = []
    private var busy: [[Double]] = []
    private var soloRows: [Double] = []
    private var splitRows: [Double] = []

    /// Takes what `BenchPlacement.machineLimit` found.
    mutating func addLimit(_ limit: Double) { machineLimit.append(limit) }

    mutating func add(_ alone: Side, _ together: Side, tokens: Int) {
        solo.append(Double(tokens) / alone.seconds)
        split.append(Double(tokens) / together.seconds)
        ratio.append(alone.seconds / together.seconds)
        let (one, several) = (alone.compute.reduce(0, +), together.compute)
        limit.append(one / (several.max() ?? .nan))
        work.append(several.reduce(0, +) / one)
        busy.append(several.map { $0 / together.seconds })
        soloRows.append(alone.rowsPerStep)
        splitRows.append(together.rowsPerStep)
    }

    /// The newest run, for whoever waits.
    var latest: String {
        guard let ratio = ratio.last, let solo = solo.last, let split = split.last else { return "" }
        return "one stage \(BenchReport.rounded(solo)) tokens/s, split \(BenchReport.rounded(split)), "
            + "ratio \(BenchReport.rounded(ratio))"
    }

    func results(stages: Int) -> [BenchReport.Result] {
        [
            .init("solo_tok_s", unit: "tokens/s", solo), .init("split_tok_s", unit: "tokens/s", split),
            .init("split_over_solo", unit: "ratio", ratio),
            .init("split_work", unit: "ratio, computing of all stages over solo's", work),
            .init("solo_rows_per_step", unit: "rows", soloRows), .init("split_rows_per_step", unit: "rows", splitRows),
        ] + BenchReport.Result.machineLimit(machineLimit)
            + BenchReport.Result.stageShares(limit: limit, busy: busy, stages: stages)
    }
}
