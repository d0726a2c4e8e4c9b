import LlamaEngine
import Runner
import Transport

extension Benchmarks {
    /// A prompt through several one-thread stages against one: tokens per second, and where the time goes; with
    /// `limit`, also what as many placements bring at once.
    ///
    /// **Throws:** `DeploymentError` or `GenerationError` when a placement does not run.
    package static func prefill(
        model: String, stages: Int, cut: [Int]?, tokens: Int, delayMicroseconds: Int, limit: Bool,
        _ environment: BenchEnvironment
    ) async throws -> BenchReport {
        var report = BenchReport(
            "prefill", model: model,
            settings: [
                "threads": "1 per stage", "stages": "\(stages)", "cut": text(of: cut), "tokens": "\(tokens)",
                "delay_us": "\(delayMicroseconds)",
            ], engine: LlamaLibrary.version)
        var soloSpec = spec(model, name: "solo", stages: 1, threads: 1)
        soloSpec.window = tokens + 64
        var splitSpec = spec(model, name: "split", stages: stages, threads: 1)
        splitSpec.window = tokens + 64
        splitSpec.conditions.delayMicroseconds = delayMicroseconds
        if let cut { splitSpec.cutting = .boundaries(cut) }
        var figures = PrefillFigures()
        for run in 1...environment.runs {
            try await BenchPlacement.withPair(soloSpec, splitSpec, environment: environment) { solo, split in
                let alone = try await measure(solo, tokens: tokens, run: run)
                let together = try await measure(split, tokens: tokens, run: run)
                figures.add(alone, together, tokens: tokens)
                environment.progress("run \(run): \(figures.latest)")
            }
            guard limit else { continue }
            figures.addLimit(
                try await BenchPlacement.machineLimit(soloSpec, count: stages, environment: environment) { placement in
                    1 / (try await measure(placement, tokens: tokens, run: run)).seconds
                })
        }
        report.results = figures.results(stages: stages)
        return report
    }

    private static func measure(
        _ placement: BenchPlacement, tokens: Int, run: Int
    ) async throws -> PrefillFigures.Side {
        let before = await placement.stageTimes()
        let sample = try await placement.generate(promptTokens: tokens, outputTokens: 1, seed: UInt64(run))
        return PrefillFigures.Side(
            seconds: sample.prefillSeconds, before: before, after: await placement.stageTimes())
    }
}
