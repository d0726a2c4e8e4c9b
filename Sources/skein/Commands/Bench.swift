import ArgumentParser
import FoundationEssentials
import Node
import Wire

/// `skein bench …`: figures with their ratios.
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure this machine: medians over runs, ratios within one run.",
        subcommands: [
            BenchSolo.self, BenchSplit.self, BenchPrefill.self, BenchPrefix.self, BenchSpeculation.self,
            BenchServe.self, BenchGateway.self, BenchPlan.self, BenchPlacementRun.self, BenchEvents.self,
        ])
}

/// What all benches take.
struct BenchOptions: ParsableArguments {
    @Option(help: "Model file. Default: a synthetic 0.6B model in q8_0, made once.")
    var model: String?

    @Option(help: "Runs per figure, at least 5.")
    var runs = 5

    @Option(help: "Folder with llama-server and llama-bench of the same engine build (make peers).")
    var peer: String?

    @Flag(help: "Print the report as JSON.")
    var json = false

    func validate() throws {
        guard runs >= 5 else { throw ValidationError("--runs is \(runs); a median needs at least 5.") }
    }

    func run(_ body: @escaping @Sendable (String, BenchEnvironment) async throws -> BenchReport) async throws {
        let cacheFolder = Folders.cache
        let (model, peer, runs) = (model, peer, runs)
        try await report {
            let path = try model ?? Benchmarks.defaultModel(cacheFolder: cacheFolder)
            return try await SocketFolder.with { folder in
                var environment = BenchEnvironment(
                    executable: try ThisProgram.path, cacheFolder: cacheFolder, socketFolder: folder,
                    peerFolder: peer, runs: runs)
                environment.progress = { Output.error($0) }
                return try await body(path, environment)
            }
        }
    }

    /// Prints the report of a bench, which ends, children and all, when a signal asks for it.
    func report(_ body: @escaping @Sendable () async throws -> BenchReport) async throws {
        do {
            let report = try await Interruption.watch(body)
            try show(report)
            guard let misses = report.misses, !misses.isEmpty else { return }
            for miss in misses { Output.error(miss) }
            throw ExitCode(1)
        } catch let code as ExitCode {
            throw code
        } catch {
            Output.error("\(error)")
            throw ExitCode(1)
        }
    }

    private func show(_ report: BenchReport) throws {
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys]
            return Output.line(String(decoding: try encoder.encode(report), as: UTF8.self))
        }
        Output.line("\(report.name) \(report.model) on \(report.machine.processor), \(report.machine.cores) cores")
        for result in report.results {
            let spread =
                result.samples.count > 16
                ? "p95 \(Self.rounded(result.p95)), p99 \(Self.rounded(result.p99)) of \(result.samples.count)"
                : "runs: \(Self.listed(result.samples))"
            let place = [result.case, result.stage.map { "stage \($0)" }].compactMap { $0 }.joined(separator: ", ")
            let name = place.isEmpty ? result.metric : "\(place): \(result.metric)"
            Output.line("  \(name) \(Self.rounded(result.p50)) \(result.unit)  (\(spread))")
        }
    }

    private static func listed(_ samples: [Double]) -> String { samples.map(rounded).joined(separator: " ") }

    private static func rounded(_ value: Double) -> String { "\(BenchReport.rounded(value))" }
}

/// `skein bench solo`.
struct BenchSolo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "solo", abstract: "One stage against llama-bench: decode and prefill.")

    @OptionGroup var options: BenchOptions

    @Option(help: "Compute threads.")
    var threads = 1

    func run() async throws {
        try await options.run { [threads] model, environment in
            try await Benchmarks.solo(model: model, threads: threads, environment)
        }
    }
}

/// `skein bench split`.
struct BenchSplit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "split", abstract: "Several one-thread stages against one, and what a hop costs.")

    @OptionGroup var options: BenchOptions

    @Option(help: "Stages.")
    var stages = 2

    @Option(help: "Cut in front of these layers, a,b,… (instead of --stages).")
    var cut: NumberList?

    @Option(help: "Requests at once.")
    var streams = 1

    @Option(help: "How activations travel.")
    var wire = "f32"

    @Option(help: "Added one-way delay per hop, in milliseconds.")
    var delay = 0.0

    @Flag(help: "Also measure as many whole models at once as there are stages: what this machine allows.")
    var limit = false

    func run() async throws {
        guard let format = WireFormat.allCases.first(where: { $0.description == wire }) else {
            throw ValidationError(
                "--wire is '\(wire)'; it takes \(WireFormat.allCases.map(\.description).joined(separator: ", ")).")
        }
        let stages = cut.map { $0.numbers.count + 1 } ?? stages
        try await options.run { [cut, streams, delay, limit] model, environment in
            try await Benchmarks.split(
                model: model, stages: stages, cut: cut?.numbers, streams: streams, wire: format,
                delayMicroseconds: Int(delay * 1000), limit: limit, environment)
        }
    }
}

/// `skein bench prefill`.
struct BenchPrefill: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prefill", abstract: "A long prompt through several one-thread stages against one.")

    @OptionGroup var options: BenchOptions

    @Option(help: "Stages.")
    var stages = 2

    @Option(help: "Cut in front of these layers, a,b,… (instead of --stages).")
    var cut: NumberList?

    @Option(help: "Tokens of the prompt.")
    var tokens = 1000

    @Option(help: "Added one-way delay per hop, in milliseconds.")
    var delay = 0.0

    @Flag(help: "Also measure as many whole models at once as there are stages: what this machine allows.")
    var limit = false

    func run() async throws {
        guard BenchLimits.promptTokens.contains(tokens) else {
            throw ValidationError("--tokens is \(tokens); 1 … \(BenchLimits.promptTokens.upperBound) are allowed.")
        }
        let stages = cut.map { $0.numbers.count + 1 } ?? stages
        try await options.run { [cut, tokens, delay, limit] model, environment in
            try await Benchmarks.prefill(
                model: model, stages: stages, cut: cut?.numbers, tokens: tokens,
                delayMicroseconds: Int(delay * 1000), limit: limit, environment)
        }
    }
}

/// `skein bench speculation`.
struct BenchSpeculation: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "speculation", abstract: "Guessed tokens against none, where text repeats itself and where not.")

    @OptionGroup var options: BenchOptions

    @Flag(help: "Measure the built-in model.")
    var builtin = false

    @Option(help: "Stages, one thread each.")
    var stages = 1

    @Option(help: "Requests at once.")
    var streams = 1

    @Option(help: "Tokens of an answer.")
    var decode = 128

    @Option(help: "Added one-way delay per hop, in milliseconds.")
    var delay = 0.0

    @OptionGroup var draft: DraftOptions

    func run() async throws {
        guard BenchLimits.decodeTokens.contains(decode), BenchLimits.streams.contains(streams) else {
            throw ValidationError("--decode \(decode) or --streams \(streams) is out of its range.")
        }
        var options = options
        if builtin { options.model = try NodeService.builtinModelPath(cacheFolder: Folders.cache) }
        try await options.run { [stages, streams, decode, delay, drafting = draft.draft] model, environment in
            try await Benchmarks.speculation(
                model: model,
                SpeculationBench(
                    stages: stages, streams: streams, tokens: decode, delayMicroseconds: Int(delay * 1000),
                    drafting: drafting),
                environment)
        }
    }
}

/// `skein bench prefix`.
struct BenchPrefix: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prefix",
        abstract: "Time to the first token: a prompt that begins like a kept one against a new one.")

    @OptionGroup var options: BenchOptions

    @Option(help: "Stages.")
    var stages = 1

    @Option(help: "Tokens of the prompt.")
    var tokens = 2000

    func run() async throws {
        guard (16...65_536).contains(tokens) else {
            throw ValidationError("--tokens is \(tokens); 16 … 65536 are allowed.")
        }
        try await options.run { [stages, tokens] model, environment in
            try await Benchmarks.prefix(model: model, stages: stages, tokens: tokens, environment)
        }
    }
}
