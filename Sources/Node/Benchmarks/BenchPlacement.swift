import Logging
import ModelStore
import NIOPosix
import Runner
import Vocabulary

/// A placement started for a bench: real runner processes, real links, everything but HTTP.
struct BenchPlacement: Sendable {
    private let supervisor: PlacementSupervisor
    let name: String
    /// Where the model is cut.
    let cut: Cut

    /// Runs `body` beside a running placement of `spec`.
    static func with<Value: Sendable>(
        _ spec: DeploymentSpec, environment: BenchEnvironment, _ body: (BenchPlacement) async throws -> Value
    ) async throws -> Value {
        let plan = try DeploymentPlan(spec, caches: NodeCaches(folder: environment.cacheFolder))
        let supervisor = PlacementSupervisor(
            plan: plan, executable: environment.executable, folder: environment.socketFolder,
            eventLoop: MultiThreadedEventLoopGroup.singleton.next(), logger: Logger(label: "bench"))
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await supervisor.run() }
            defer { group.cancelAll() }
            let placement = BenchPlacement(supervisor: supervisor, name: spec.name, cut: plan.cut)
            _ = try await supervisor.ready()
            return try await body(placement)
        }
    }

    /// Runs `body` beside running placements of both, which have answered once.
    ///
    /// Each run of a bench starts its pair anew. Processes of one program with the same settings differ in speed for as
    /// long as they live, by where the kernel put their memory and threads; one pair would carry its difference through
    /// all runs, and no median would show it.
    static func withPair(
        _ first: DeploymentSpec, _ second: DeploymentSpec, environment: BenchEnvironment,
        _ body: (_ first: BenchPlacement, _ second: BenchPlacement) async throws -> Void
    ) async throws {
        try await withAll([first, second], environment: environment) { try await body($0[0], $0[1]) }
    }

    /// How much more several placements of one stage get done at once than one alone: what the machine's cores leave to
    /// each other, so that no split into as many stages can be better. `measure` is a rate.
    static func machineLimit(
        _ spec: DeploymentSpec, count: Int, environment: BenchEnvironment,
        _ measure: @escaping @Sendable (BenchPlacement) async throws -> Double
    ) async throws -> Double {
        let specs = (0..<count).map { index in
            var one = spec
            one.name += "-\(index)"
            return one
        }
        var limit = Double.nan
        try await withAll(specs, environment: environment) { placements in
            let alone = try await measure(placements[0])
            let together = try await withThrowingTaskGroup(of: Double.self) { group in
                for placement in placements { group.addTask { try await measure(placement) } }
                return try await group.reduce(0, +)
            }
            limit = together / alone
        }
        return limit
    }

    private static func withAll(
        _ specs: [DeploymentSpec], environment: BenchEnvironment, started: [BenchPlacement] = [],
        _ body: ([BenchPlacement]) async throws -> Void
    ) async throws {
        guard let next = specs.first else {
            for placement in started { _ = try await placement.generate(promptTokens: 64, outputTokens: 8, seed: 0) }
            return try await body(started)
        }
        try await with(next, environment: environment) { placement in
            try await withAll(
                Array(specs.dropFirst()), environment: environment, started: started + [placement], body)
        }
    }

    /// What one request took.
    struct Sample: Sendable {
        var prefillSeconds: Double
        var decodeSeconds: Double
        var outputTokens: Int
    }

    /// Answers a prompt of `promptTokens` arbitrary tokens with exactly `outputTokens` tokens, greedily.
    func generate(promptTokens: Int, outputTokens: Int, seed: UInt64) async throws -> Sample {
        var random = SeededRandom(seed: seed)
        let tokens = (0..<promptTokens).map { _ in Token(random.below(250)) }
        var request = GenerationRequest(
            id: RequestID(UInt64.random(in: 1 ... .max)), model: name, prompt: .tokens(tokens))
        request.sampling.temperature = 0
        request.sampling.ignoreEndOfGeneration = true
        request.maxOutputTokens = outputTokens
        return try await generate(request)
    }

    /// Answers a request.
    func generate(_ request: GenerationRequest) async throws -> Sample {
        for await event in await (try supervisor.ready()).generate(request) {
            switch event {
            case .failed(let error): throw error
            case .finished(let completion):
                return Sample(
                    prefillSeconds: completion.timings.prefillSeconds, decodeSeconds: completion.timings.decodeSeconds,
                    outputTokens: completion.usage.outputTokens)
            case .preparing, .queued, .started, .output: break
            }
        }
        throw GenerationError.engineFailed(reason: "the stream ended without an end")
    }

    /// The entry stage's own report.
    func report() async throws -> EntryReport? { await (try supervisor.ready()).report() }

    /// The counters of every stage, by index.
    func stageTimes() async -> [StageTimes] { await supervisor.stageTimes() }
}

/// Where a bench finds what it needs.
package struct BenchEnvironment: Sendable {
    /// This program.
    package var executable: String
    /// Folder of caches.
    package var cacheFolder: String
    /// Short folder for sockets.
    package var socketFolder: String
    /// Folder with llama-server and llama-bench of the same engine build; nil leaves the comparisons out.
    package var peerFolder: String?
    /// Runs per figure, at least 5.
    package var runs: Int
    /// Hears what was just measured, for whoever waits.
    package var progress: @Sendable (String) -> Void = { _ in }

    /// Makes an environment.
    package init(executable: String, cacheFolder: String, socketFolder: String, peerFolder: String?, runs: Int) {
        self.executable = executable
        self.cacheFolder = cacheFolder
        self.socketFolder = socketFolder
        self.peerFolder = peerFolder
        self.runs = runs
    }
}
