import ArgumentParser
import FoundationEssentials
import Node

/// `skein bench placement`.
struct BenchPlacementRun: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "placement", abstract: "What the planner predicts against what runners take.",
        discussion: """
            Compares, of every stage, the resident bytes of its process with the plan, and the tokens per second of \
            one stream with what is predicted from the device's measured figures. Without a model or cut the \
            synthetic shapes are taken, the 0.6B one and smaller. Exits with 1 when memory is off by more than 5 % or \
            speed by more than 15 %.
            """)

    @OptionGroup var options: BenchOptions

    @Option(help: "Only the synthetic cases whose name begins so.")
    var only: String?

    @Option(help: "Stages.")
    var stages: Int?

    @Option(help: "Cut in front of these layers, a,b,… (instead of --stages).")
    var cut: NumberList?

    @Option(help: "Context in tokens.")
    var ctx = 2048

    @Option(help: "Requests answered at once.")
    var lanes = 4

    @Option(help: "Rows of the largest step.")
    var rows = 512

    @Option(help: "Added one-way delay per hop, in milliseconds.")
    var delay = 0.0

    func validate() throws {
        guard (64...131_072).contains(ctx), (1...256).contains(lanes), (1...4096).contains(rows) else {
            throw ValidationError("--ctx \(ctx), --lanes \(lanes) or --rows \(rows) is out of its range.")
        }
        guard (0...1000).contains(delay) else { throw ValidationError("--delay is \(delay); 0 … 1000 are allowed.") }
    }

    func run() async throws {
        let single = options.model != nil || stages != nil || cut != nil
        try await options.run { [only, stages, cut, ctx, lanes, rows, delay] model, environment in
            guard single else {
                let cases = try PlacementCase.usual(cacheFolder: environment.cacheFolder)
                return try await PlacementBench.run(
                    cases.filter { $0.label.hasPrefix(only ?? "") }, environment)
            }
            let name = model.split(separator: "/").last.map(String.init) ?? model
            var one = PlacementCase(label: name, model: model)
            one.cutting = cut.map { .boundaries($0.numbers) } ?? .stages(stages ?? 1)
            (one.window, one.lanes, one.rows) = (ctx, lanes, min(rows, ctx))
            one.delayMicroseconds = Int(delay * 1000)
            return try await PlacementBench.run([one], environment)
        }
    }
}

/// `skein bench plan`.
struct BenchPlan: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "How long planning takes on many machines.",
        discussion: "Exits with 1 when a median is above 200 ms.")

    @Option(help: "Machines.")
    var nodes = 64

    @Option(help: "Layers of the model.")
    var layers = 128

    @OptionGroup var options: BenchOptions

    func run() async throws {
        guard (1...256).contains(nodes), (2...512).contains(layers) else {
            throw ValidationError("--nodes \(nodes) or --layers \(layers) is out of its range.")
        }
        try await options.report { [nodes, layers, runs = options.runs] in
            try PlanBench.run(nodes: nodes, layers: layers, runs: runs)
        }
    }
}

/// `skein bench events`.
struct BenchEvents: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "Events per second of the control plane, with its memory on the disk.",
        discussion: """
            A leader and a follower in this process, each with a real store below the data folder's disk or --folder. \
            Exits with 1 when the brain and the disk of either apply fewer than 20000 events per second.
            """)

    @Option(help: "Events per run.")
    var events = 40_000

    @Option(help: "Folder for the stores. Default: below the cache folder.")
    var folder: String?

    @OptionGroup var options: BenchOptions

    func run() async throws {
        guard (1000...10_000_000).contains(events) else {
            throw ValidationError("--events is \(events); 1000 … 10000000 are allowed.")
        }
        let parent = folder ?? "\(Folders.cache)/bench"
        try await options.report { [events, runs = options.runs] in
            let place = "\(parent)/events-\(UInt32.random(in: .min ... .max))"
            defer { try? FileManager.default.removeItem(atPath: place) }
            return try EventBench.run(events: events, runs: runs, folder: place)
        }
    }
}
