import LlamaEngine
import Runner
import Transport
import Vocabulary
package import Wire

/// The benches of the command line. Every figure is a median over runs, every ratio comes from one run, in turns.
package enum Benchmarks {
    /// Tokens decoded per run.
    private static let decodeTokens = 64
    /// Tokens prefilled per run.
    private static let prefillTokens = 512

    /// The synthetic 0.6B shape in q8_0, made once and cached.
    ///
    /// **Throws:** `StoreError` when it cannot be written, `DeploymentError` when the shape is not known.
    package static func defaultModel(cacheFolder: String) throws -> String {
        try model(of: "qwen3-0.6b", cacheFolder: cacheFolder)
    }

    /// A cut as a report's setting.
    static func text(of cut: [Int]?) -> String { cut?.map(String.init).joined(separator: ",") ?? "even" }

    static func spec(_ model: String, name: String, stages: Int, threads: Int, lanes: Int = 1) -> DeploymentSpec {
        var spec = DeploymentSpec(name: name, path: model)
        spec.cutting = .stages(stages)
        spec.threads = threads
        spec.laneCount = lanes
        // What is measured is computing; what is compared with keeps nothing and guesses nothing either.
        spec.keptSequences = 0
        spec.drafting = .off
        spec.window = 1024 * lanes
        return spec
    }

    /// One stage against llama-bench.
    ///
    /// **Throws:** `DeploymentError` or `GenerationError` when the placement does not run, `.setting` for the peer.
    package static func solo(model: String, threads: Int, _ environment: BenchEnvironment) async throws -> BenchReport {
        var report = BenchReport(
            "solo", model: model,
            settings: ["threads": "\(threads)", "decode": "\(decodeTokens)", "prefill": "\(prefillTokens)"],
            engine: LlamaLibrary.version)
        let peer = environment.peerFolder.map { PeerBench(folder: $0, model: model, threads: threads) }
        var decode: [Double] = []
        var prefill: [Double] = []
        var decodeOverPeer: [Double] = []
        var prefillOverPeer: [Double] = []
        try await BenchPlacement.with(
            spec(model, name: "solo", stages: 1, threads: threads), environment: environment
        ) { placement in
            _ = try await placement.generate(promptTokens: 8, outputTokens: 8, seed: 0)
            for run in 0..<environment.runs {
                let long = try await placement.generate(
                    promptTokens: 1, outputTokens: decodeTokens + 1, seed: UInt64(run))
                decode.append(Double(decodeTokens) / long.decodeSeconds)
                if let peer {
                    decodeOverPeer.append(
                        decode[run] / (try await peer.tokensPerSecond(prefill: 0, decode: decodeTokens)))
                }
                let wide = try await placement.generate(promptTokens: prefillTokens, outputTokens: 1, seed: UInt64(run))
                prefill.append(Double(prefillTokens) / wide.prefillSeconds)
                if let peer {
                    prefillOverPeer.append(
                        prefill[run] / (try await peer.tokensPerSecond(prefill: prefillTokens, decode: 0)))
                }
            }
        }
        report.results = [
            .init("decode_tok_s", unit: "tokens/s", decode), .init("prefill_tok_s", unit: "tokens/s", prefill),
        ]
        if peer != nil {
            report.results.append(.init("decode_over_peer", unit: "ratio", decodeOverPeer))
            report.results.append(.init("prefill_over_peer", unit: "ratio", prefillOverPeer))
        }
        return report
    }

    /// Stages on this machine against one stage, one thread each, at the same number of streams; with `limit`, also
    /// what as many placements bring at once.
    ///
    /// **Throws:** `DeploymentError` or `GenerationError` when a placement does not run.
    package static func split(
        model: String, stages: Int, cut: [Int]?, streams: Int, wire: WireFormat, delayMicroseconds: Int, limit: Bool,
        _ environment: BenchEnvironment
    ) async throws -> BenchReport {
        var report = BenchReport(
            "split", model: model,
            settings: [
                "threads": "1 per stage", "stages": "\(stages)", "cut": text(of: cut), "streams": "\(streams)",
                "wire": wire.description, "delay_us": "\(delayMicroseconds)", "decode": "\(decodeTokens)",
            ], engine: LlamaLibrary.version)
        var splitSpec = spec(model, name: "split", stages: stages, threads: 1, lanes: streams)
        if let cut { splitSpec.cutting = .boundaries(cut) }
        splitSpec.wire = wire
        splitSpec.conditions.delayMicroseconds = delayMicroseconds
        let soloSpec = spec(model, name: "solo", stages: 1, threads: 1, lanes: streams)
        var figures = SplitFigures()
        for run in 0..<environment.runs {
            try await BenchPlacement.withPair(soloSpec, splitSpec, environment: environment) { solo, split in
                // How lanes go together best is learnt in service.
                if streams > 1 {
                    for placement in [solo, split] {
                        _ = try await rate(placement, streams: streams, run: environment.runs)
                    }
                }
                let soloBefore = await solo.stageTimes()
                let alone = try await rate(solo, streams: streams, run: run)
                figures.addSolo(soloBefore, await solo.stageTimes())
                let before = await split.stageTimes()
                let together = try await rate(split, streams: streams, run: run)
                figures.add(alone, together, before, await split.stageTimes())
            }
            guard limit else { continue }
            figures.addLimit(
                try await BenchPlacement.machineLimit(soloSpec, count: stages, environment: environment) { placement in
                    try await rate(placement, streams: streams, run: run)
                })
        }
        report.results = figures.results(streams: streams, stages: stages)
        return report
    }

    /// A prompt whose beginning is kept against one that is new: time to the first token.
    ///
    /// **Throws:** `DeploymentError` or `GenerationError` when the placement does not run.
    package static func prefix(
        model: String, stages: Int, tokens: Int, _ environment: BenchEnvironment
    ) async throws -> BenchReport {
        var report = BenchReport(
            "prefix", model: model, settings: ["threads": "1 per stage", "stages": "\(stages)", "tokens": "\(tokens)"],
            engine: LlamaLibrary.version)
        var spec = spec(model, name: "prefix", stages: stages, threads: 1, lanes: 2)
        spec.window = 2 * tokens + 512
        spec.keptSequences = 4
        var (miss, hit, ratio): ([Double], [Double], [Double]) = ([], [], [])
        try await BenchPlacement.with(spec, environment: environment) { placement in
            _ = try await placement.generate(promptTokens: 8, outputTokens: 8, seed: 0)
            for run in 1...environment.runs {
                let first = try await placement.generate(promptTokens: tokens, outputTokens: 2, seed: UInt64(run))
                // The same beginning and 16 tokens more: the next turn of a conversation.
                let second = try await placement.generate(promptTokens: tokens + 16, outputTokens: 2, seed: UInt64(run))
                miss.append(first.prefillSeconds * 1000)
                hit.append(second.prefillSeconds * 1000)
                ratio.append(second.prefillSeconds / first.prefillSeconds)
            }
        }
        report.results = [
            .init("miss_ttft_ms", unit: "ms", miss), .init("hit_ttft_ms", unit: "ms", hit),
            .init("hit_over_miss", unit: "ratio", ratio),
        ]
        return report
    }

    /// Aggregate tokens per second of `streams` requests at once, over the time the slowest took to decode.
    private static func rate(_ placement: BenchPlacement, streams: Int, run: Int) async throws -> Double {
        let clock = ContinuousClock()
        let began = clock.now
        let samples = try await withThrowingTaskGroup(of: BenchPlacement.Sample.self) { group in
            for stream in 0..<streams {
                group.addTask {
                    try await placement.generate(
                        promptTokens: 1, outputTokens: decodeTokens + 1, seed: UInt64(run * 1000 + stream))
                }
            }
            var samples: [BenchPlacement.Sample] = []
            for try await sample in group { samples.append(sample) }
            return samples
        }
        guard streams > 1 else { return Double(decodeTokens) / (samples.first?.decodeSeconds ?? .nan) }
        return Double(samples.reduce(0) { $0 + $1.outputTokens }) / (clock.now - began).inSeconds
    }
}
