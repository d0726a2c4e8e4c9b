import LlamaEngine
import ModelStore
import Placement
import Runner
import Vocabulary

/// What the planner predicts of a placement against what its runners do.
package enum PlacementBench {
    /// Tokens of a timed prompt, where the window allows.
    static let promptTokens = 512
    /// Tokens of a timed answer.
    static let answerTokens = 64
    /// Timings of the device before every run.
    private static let deviceRuns = 5
    /// Memory that the planner may use, so that it refuses nothing: 1 TiB.
    private static let memory: UInt64 = 1 << 40

    /// Runs the cases one after the other.
    ///
    /// **Throws:** `DeploymentError` or `GenerationError` when a placement does not run, `PlacementError` when it
    /// cannot be planned.
    package static func run(_ cases: [PlacementCase], _ environment: BenchEnvironment) async throws -> BenchReport {
        var report = BenchReport(
            "placement", model: cases.count == 1 ? cases[0].model : "synthetic shapes",
            settings: ["threads": "1 per stage", "answer": "\(answerTokens)"], engine: LlamaLibrary.version)
        var misses: [String] = []
        for one in cases {
            let figures = try await run(one, environment)
            report.results += figures.results
            misses += figures.misses
            for miss in figures.misses { environment.progress(miss) }
        }
        report.misses = misses
        return report
    }

    private static func run(_ one: PlacementCase, _ environment: BenchEnvironment) async throws -> PlacementFigures {
        let model = try ModelFootprint(try ModelFile(path: one.model).cutter())
        return try await BenchPlacement.with(one.spec, environment: environment) { placement in
            // A full step of a long prompt touches all that steps ever use.
            _ = try await placement.generate(
                promptTokens: min(one.rows, one.window - 16), outputTokens: 8, seed: 0)
            _ = try await placement.generate(
                promptTokens: one.promptTokens, outputTokens: answerTokens + 1, seed: 1)
            let resident = await placement.stageTimes().map { $0.memory?.residentBytes }
            let plan = try plan(one, model, placement.cut, speed: DeviceSpeed())
            var figures = PlacementFigures(
                label: one.label, planned: plan.stages.map(\.footprint.total), resident: resident)
            for stage in plan.stages {
                environment.progress(
                    "\(one.label) stage \(stage.index): \(told(stage.footprint, resident[stage.index]))")
            }
            for run in 1...environment.runs {
                let speed = DeviceBenchmark.speed(
                    of: model.weightTypes, threads: 1, runs: deviceRuns, withPrefill: false)
                let predicted = try Self.plan(one, model, placement.cut, speed: speed)
                let sample = try await placement.generate(
                    promptTokens: one.promptTokens, outputTokens: answerTokens + 1, seed: UInt64(run))
                figures.add(
                    predicted: predicted.tokensPerSecond, measured: Double(answerTokens) / sample.decodeSeconds)
                environment.progress("\(one.label) run \(run): \(figures.latest)")
            }
            return figures
        }
    }

    private static func told(_ footprint: StageFootprint, _ resident: UInt64?) -> String {
        "weights \(footprint.weights), cache \(footprint.cache), compute \(footprint.compute), output "
            + "\(footprint.output), overhead \(footprint.overhead), together \(footprint.total), resident "
            + (resident.map { "\(ByteCount($0))" } ?? "unknown")
    }

    /// The placement as the planner sees it: every stage on a machine of its own where hops take time, else all on one.
    static func plan(
        _ one: PlacementCase, _ model: ModelFootprint, _ cut: Cut, speed: DeviceSpeed
    ) throws -> PlacementPlan {
        var policy = PlacementPolicy()
        policy.promptTokens = one.promptTokens
        policy.answerTokens = answerTokens
        let device = DeviceInventory(
            usableMemory: ByteCount(memory), speed: speed, tilesWeights: WeightPacking.usesTiles)
        let count = one.delayMicroseconds > 0 ? cut.stageCount : 1
        let names = (0..<count).map { "machine\($0)" }
        let links = names.flatMap { from in
            names.filter { $0 != from }.map { to in
                // A round trip is two ways; within the machine bytes cost next to nothing.
                LinkInventory(
                    from: from, to: to, roundTripMilliseconds: Double(2 * one.delayMicroseconds) / 1000,
                    bytesPerSecond: 1e9)
            }
        }
        let planner = try Planner(
            model: model,
            inventory: Inventory(nodes: names.map { NodeInventory(name: $0, devices: [device]) }, links: links),
            policy: policy)
        let cache = model.stores.chosen(keys: nil, values: nil)
        var request = PlacementRequest(
            context: one.window, lanes: one.lanes, rows: one.rows, keys: cache.keys, values: cache.values)
        let boundaries = cut.stages.dropFirst().map(\.first)
        if boundaries.isEmpty { request.stages = 1 } else { request.boundaries = Array(boundaries) }
        switch try planner.plan(request) {
        case .placed(let plan): return plan
        case .shortfall(let shortfall):
            throw DeploymentError.setting(name: "case", value: one.label, limit: "\(shortfall)")
        }
    }
}
