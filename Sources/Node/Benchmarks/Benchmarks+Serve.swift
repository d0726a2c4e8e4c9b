import LlamaEngine
import ModelStore
import Vocabulary

extension Benchmarks {
    /// Tokens each stream decodes before anything is measured.
    private static let warmTokens = 8

    /// `skein serve` against llama-server, through HTTP, as their clients see them.
    ///
    /// Both servers are up at the same time with the same lanes, room and threads; only one is loaded at a time, who
    /// goes first changes from run to run, and each run starts them anew.
    ///
    /// **Throws:** `BenchError` when a server does not run or answers something else, `DeploymentError.setting`.
    package static func serve(
        model: String, _ settings: ServeSettings, _ environment: BenchEnvironment
    ) async throws -> BenchReport {
        try settings.check(besidePeer: environment.peerFolder != nil)
        try StoreFiles.makeFolders("\(environment.cacheFolder)/bench/home")
        let pair = ServePair(model: model, settings: settings, environment: environment)
        var report = BenchReport(
            settings.keptTokens != nil ? "serve-kept" : settings.longPrompt != nil ? "serve-long-prompt" : "serve",
            model: model,
            settings: [
                "threads": "\(pair.threads)", "stages": "\(settings.stages)", "prompt": "\(settings.promptTokens)",
                "decode": "\(settings.decodeTokens)", "kv": settings.cacheType.rawValue,
                "slot": "\(settings.slotTokens)", "runs": "\(environment.runs)",
                "long_prompt": settings.longPrompt.map { "\($0)" } ?? "none",
                "kept": settings.keptTokens.map { "\($0)" } ?? "none",
            ], engine: LlamaLibrary.version)
        for streams in settings.streams {
            if let long = settings.longPrompt {
                report.results += try await arrival(pair, streams: streams, long: long)
            } else {
                report.results += try await throughput(pair, streams: streams)
            }
        }
        return report
    }

    private static func throughput(_ pair: ServePair, streams: Int) async throws -> [BenchReport.Result] {
        var figures = pair.settings.keptTokens == nil ? ServeFigures() : ServeFigures("kept", over: "empty")
        // Servers of its own for each run, as `BenchPlacement.withPair` says.
        for run in 1...pair.environment.runs {
            let (own, other) = try await pair.with(lanes: streams) { skein, peer in
                try await pair.leaveConversations(on: skein)
                for target in [skein] + (peer.map { [$0] } ?? []) {
                    _ = try await pair.round(target, streams: streams, run: 0, tokens: warmTokens)
                }
                var other: LoadFigures?
                if let peer, run.isMultiple(of: 2) { other = try await pair.round(peer, streams: streams, run: run) }
                let own = try await pair.round(skein, streams: streams, run: run)
                if let peer, other == nil { other = try await pair.round(peer, streams: streams, run: run) }
                return (own, other)
            }
            figures.add(own, other)
            let beside = other.map { ", \(pair.peerName) \($0)" } ?? ""
            pair.environment.progress("\(streams) streams, run \(run): skein \(own)\(beside)")
        }
        return figures.results(streams: streams)
    }

    private static func arrival(_ pair: ServePair, streams: Int, long: Int) async throws -> [BenchReport.Result] {
        try await pair.with(lanes: streams + 1) { skein, peer in
            var results: [BenchReport.Result] = []
            for (label, target) in [("skein", skein)] + (peer.map { [("peer", $0)] } ?? []) {
                _ = try await pair.round(target, streams: streams, run: 0, tokens: warmTokens)
                var all: [ArrivalFigures] = []
                for run in 1...pair.environment.runs {
                    let figures = try await LongPromptRound(pair: pair, streams: streams, long: long).run(target, run)
                    pair.environment.progress("\(streams) streams, run \(run): \(target.name) \(figures)")
                    all.append(figures)
                }
                results += LongPromptRound.results("s\(streams)_\(label)", all)
            }
            return results
        }
    }
}
