import Runner

/// Collects what a split run shows.
struct SplitFigures {
    private var solo: [Double] = []
    private var split: [Double] = []
    private var ratio: [Double] = []
    private var limit: [Double] = []
    private var hop: [Double] = []
    private var compute: [Double] = []
    private var encode: [Double] = []
    private var queue: [Double] = []
    private var wire: [Double] = []
    private var entry: [Double] = []
    private var bytes: [Double] = []
    private var soloCompute: [Double] = []
    /// By stage, in each run.
    private var stageCompute: [[Double]] = []
    private var stageBusy: [[Double]] = []
    private var soloRows: [Double] = []
    private var splitRows: [Double] = []

    /// Takes what the stages of the solo placement had counted before and after its run.
    mutating func addSolo(_ before: [StageTimes], _ after: [StageTimes]) {
        soloRows += Self.rowsPerStep(before, after)
        soloCompute += Self.computePerRow(before, after)
    }

    /// Time in each stage's engine per row of the first. **Units:** microseconds.
    private static func computePerRow(_ before: [StageTimes], _ after: [StageTimes]) -> [Double] {
        guard let end = after.first, let start = before.first, end.rows > start.rows else { return [] }
        let rows = Double(end.rows - start.rows)
        return zip(after, before).map { Double($0.computeNanoseconds - $1.computeNanoseconds) / rows / 1000 }
    }

    /// Takes what `BenchPlacement.machineLimit` found.
    mutating func addLimit(_ limit: Double) { self.limit.append(limit) }

    private static func rowsPerStep(_ before: [StageTimes], _ after: [StageTimes]) -> [Double] {
        guard let end = after.first, let start = before.first, end.steps > start.steps else { return [] }
        return [Double(end.rows - start.rows) / Double(end.steps - start.steps)]
    }

    mutating func add(_ alone: Double, _ together: Double, _ before: [StageTimes], _ after: [StageTimes]) {
        solo.append(alone)
        split.append(together)
        ratio.append(together / alone)
        guard let first = after.first, let start = before.first, first.rows > start.rows else { return }
        let rows = Double(first.rows - start.rows)
        splitRows += Self.rowsPerStep(before, after)
        let computing = Self.computePerRow(before, after)
        stageCompute.append(computing)
        // A row is a token, but for the few of the prompts.
        stageBusy.append(computing.map { $0 * together / 1_000_000 })
        bytes.append(Double(first.sentBytes - start.sentBytes) / rows)

        let steps = Self.steps(after, since: start.chainTrace.last?.step ?? 0)
        guard !steps.isEmpty else { return }
        // The direct return is a hop too: a chain of S stages has S of them.
        hop += steps.map { ($0.chain - $0.engines) / Double(after.count) }
        func sum(_ field: KeyPath<StageTimes, UInt64>) -> Double {
            zip(after, before).reduce(0.0) { $0 + Double($1.0[keyPath: field] - $1.1[keyPath: field]) } / rows / 1000
        }
        let count = Double(steps.count)
        let chain = steps.reduce(0.0) { $0 + $1.chain } / count
        compute.append(steps.reduce(0.0) { $0 + $1.engines } / count)
        encode.append(sum(\.encodeNanoseconds))
        queue.append(sum(\.waitNanoseconds))
        wire.append(chain - (compute.last ?? 0) - (encode.last ?? 0) - (queue.last ?? 0))
        entry.append(1_000_000 / together - chain)
    }

    /// The steps after `last`: from the entry stage and back, and in all engines together. **Units:** microseconds.
    private static func steps(_ times: [StageTimes], since last: UInt32) -> [(chain: Double, engines: Double)] {
        let engines = times.map { stage in
            Dictionary(stage.engineTrace.map { ($0.step, $0.nanoseconds) }) { _, newest in newest }
        }
        return (times.first?.chainTrace ?? []).filter { $0.step > last }.compactMap { step in
            var sum = 0.0
            for engine in engines {
                guard let own = engine[step.step] else { return nil }
                sum += Double(own)
            }
            return (Double(step.nanoseconds) / 1000, sum / 1000)
        }
    }

    func results(streams: Int, stages: Int) -> [BenchReport.Result] {
        var results: [BenchReport.Result] = [
            .init("solo_tok_s", unit: "tokens/s", solo), .init("split_tok_s", unit: "tokens/s", split),
            .init("split_over_solo", unit: "ratio", ratio),
            .init("bytes_per_token_hop", unit: "bytes", bytes),
        ]
        results += BenchReport.Result.machineLimit(limit)
        if streams == 1 {
            results.append(.init("hop_latency_us", unit: "us", hop))
            results.append(.init("compute_us_per_token", unit: "us", compute))
            results.append(.init("encode_us_per_token", unit: "us", encode))
            results.append(.init("queue_us_per_token", unit: "us", queue))
            results.append(.init("wire_us_per_token", unit: "us", wire))
            results.append(.init("entry_us_per_token", unit: "us", entry))
        } else {
            results.append(.init("overlap", unit: "ratio, limit \(stages)", ratio))
            results.append(.init("solo_rows_per_step", unit: "rows", soloRows))
            results.append(.init("split_rows_per_step", unit: "rows", splitRows))
            let limits = zip(soloCompute, stageCompute).map { $0 / ($1.max() ?? .nan) }
            results += BenchReport.Result.stageShares(limit: limits, busy: stageBusy, stages: stages)
        }
        return results
    }
}
