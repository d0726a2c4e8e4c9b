import ArgumentParser
import LlamaEngine
import Logging
import ModelStore
import Node
import Serving
import Wire

/// `skein serve`: a node.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve a model over the APIs of OpenAI, Anthropic and Ollama.",
        discussion: "Without a model the built-in one is served, so that a first run needs nothing else.")

    @Argument(help: "Model file (GGUF). Default: the built-in model, as 'skein-tiny'.")
    var model: String?

    @Option(help: "Name clients use. Default: the file's name without .gguf.")
    var name: String?

    @OptionGroup var names: NameOptions

    @Option(help: "The model's projector (GGUF): with it the model reads images.")
    var mmproj: String?

    @OptionGroup var cutting: CuttingOptions
    @OptionGroup var engine: EngineOptions
    @OptionGroup var devices: DeviceOptions
    @OptionGroup var disk: PrefixDiskOptions

    @Option(help: "Where the API listens, HOST:PORT.")
    var listen = "127.0.0.1:7534"

    @OptionGroup var exposure: ExposureOptions
    @OptionGroup var cluster: ClusterOptions

    @Flag(help: "Serve alone: belong to no cluster and open no port for other nodes.")
    var alone = false

    @OptionGroup var logging: LoggingOptions

    func validate() throws {
        _ = try Self.address(listen)
        guard alone, let option = cluster.given.first else { return }
        throw ValidationError("\(option) does not go with --alone, which opens no port for other nodes.")
    }

    func run() async throws {
        let (host, port) = try Self.address(listen)
        let cacheFolder = Folders.cache
        let path = try model ?? NodeService.builtinModelPath(cacheFolder: cacheFolder)
        let ownName = model.map { ModelFile.name(ofPath: $0) } ?? NodeService.builtinModelName
        var spec = DeploymentSpec(name: name ?? ownName, path: path)
        cutting.apply(to: &spec)
        try engine.apply(to: &spec)
        spec.projector = mmproj
        spec.aliases = names.aliases.filter { $0 != spec.name }
        spec.sources = names.origins
        spec.archive = disk.settings
        var configuration = NodeConfiguration(deployments: [spec])
        configuration.host = host
        configuration.port = port
        configuration.exposure = exposure.exposure
        configuration.devices = devices.names
        if !alone {
            var settings = try cluster.settings
            settings.threads = try EngineOptions.checked(threads: engine.threads)
            settings.archive = disk.settings
            configuration.cluster = settings
        }
        let node = NodeService(configuration, executable: try ThisProgram.path, logger: try logging.logger)
        let served = spec.name
        try await NodeEnding.reported(listen: listen) {
            try await node.run { port in Output.line("skein serves \(served) at http://\(host):\(port)/v1") }
        }
    }

    static func address(_ text: String, of option: String = "--listen") throws -> (host: String, port: Int) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65535).contains(port), colon != text.startIndex
        else { throw ValidationError("\(option) is '\(text)'; it takes HOST:PORT with a port in 0 … 65535.") }
        return (String(text[..<colon]).trimmingBrackets, port)
    }
}

extension String {
    fileprivate var trimmingBrackets: String {
        hasPrefix("[") && hasSuffix("]") ? String(dropFirst().dropLast()) : self
    }
}

/// What a node writes to standard error.
struct LoggingOptions: ParsableArguments {
    @Option(help: "Log level: trace, debug, info, notice, warning, error.")
    var logLevel = "warning"

    func validate() throws { _ = try level }

    private var level: Logger.Level {
        get throws {
            guard let level = Logger.Level(rawValue: logLevel) else {
                throw ValidationError("--log-level is '\(logLevel)'; it takes trace … error.")
            }
            return level
        }
    }

    /// The logger, made once per process.
    var logger: Logger {
        get throws {
            let level = try level
            LoggingSystem.bootstrap(StreamLogHandler.standardError)
            var logger = Logger(label: "skein")
            logger.logLevel = level
            return logger
        }
    }
}

/// Who may use the API.
struct ExposureOptions: ParsableArguments {
    @Flag(help: "Let everybody in who can reach the address. Without it, every address but loopback needs keys.")
    var noAuth = false

    @Flag(help: "Demand a key on loopback, too; for a node behind a proxy.")
    var requireKey = false

    @Option(
        name: .customLong("allow-host"), parsing: .singleValue,
        help: "A name by which clients without a key may call this node, beside localhost. May be repeated.")
    var hosts: [String] = []

    @Option(
        name: .customLong("cors-origin"), parsing: .singleValue,
        help: "An origin whose pages may use this node, as in https://chat.example, or '*'. May be repeated.")
    var origins: [String] = []

    var exposure: Exposure {
        var exposure = Exposure()
        exposure.isOpen = noAuth
        exposure.requiresKey = requireKey
        exposure.hostNames = hosts
        exposure.corsOrigins = origins
        return exposure
    }
}

/// Where a model is cut.
struct CuttingOptions: ParsableArguments {
    @Option(help: "Number of stages the model is cut into.")
    var stages = 1

    @Option(help: "Cut in front of these layers, a,b,… (instead of --stages).")
    var cut: NumberList?

    @Option(help: "How activations travel between stages: f32, f16, bf16, q8 or auto.")
    var wire = "f32"

    func validate() throws {
        guard stages >= 1 else { throw ValidationError("--stages is \(stages); it takes 1 or more.") }
        guard wireFormat != nil else {
            throw ValidationError(
                "--wire is '\(wire)'; it takes \(WireFormat.allCases.map(\.description).joined(separator: ", ")).")
        }
    }

    var wireFormat: WireFormat? { WireFormat.allCases.first { $0.description == wire } }

    func apply(to spec: inout DeploymentSpec) {
        spec.cutting = cut.map { .boundaries($0.numbers) } ?? .stages(stages)
        if let wireFormat { spec.wire = wireFormat }
    }
}

/// How stages are run.
struct EngineOptions: ParsableArguments {
    @Option(help: "Context window in tokens. Default: what the model was trained for, at most 131072.")
    var ctx: Int?

    @Option(help: "Requests answered at once.")
    var lanes = 4

    @Option(help: "Sequences of ended requests kept, so that a prompt that begins alike starts sooner; 0 keeps none.")
    var keptPrefixes = DeploymentSpec.keptUnasked

    @OptionGroup var draft: DraftOptions

    @Option(help: "Compute threads per stage. Default: the machine's cores shared by the stages.")
    var threads: Int?

    @Option(help: "Layers on the GPU; -1 is all.")
    var gpuLayers = -1

    @OptionGroup var cache: CacheOptions

    static func checked(threads: Int?) throws -> Int? {
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads is \(threads); it takes 1 … 1024.")
        }
        return threads
    }

    func apply(to spec: inout DeploymentSpec) throws {
        spec.window = ctx
        spec.laneCount = lanes
        spec.keptSequences = keptPrefixes
        spec.drafting = draft.draft
        spec.threads = try Self.checked(threads: threads)
        spec.gpuLayers = Int32(clamping: gpuLayers)
        spec.keyType = cache.cacheTypeK
        spec.valueType = cache.cacheTypeV
    }
}
