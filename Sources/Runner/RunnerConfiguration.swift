package import Identity
package import LlamaEngine
package import Serving
package import Transport
package import Vocabulary
import Wire

/// Everything a runner is told about its stage. It travels as JSON on the runner's standard input.
package struct RunnerConfiguration: Sendable, Codable {
    /// Identity of the cluster.
    package var cluster: String
    /// Identity of the placement.
    package var placement: String
    /// Fencing identity of the placement.
    package var epoch: Epoch
    /// Which stage this is, from 0.
    package var stageIndex: Int
    /// The layers of every stage of the placement.
    package var stages: [LayerRange]
    /// SHA-256 of the uncut model, hexadecimal.
    package var modelDigest: String
    /// The stage file, or the whole model for a single stage.
    package var path: String
    /// How the stage is run.
    package var recipe: StageRecipe
    /// Choices of requests that run at once.
    package var laneCount: Int
    /// Lanes beside those, for kept sequences of ended requests.
    package var shelfCount: Int
    /// What of kept sequences the model's caches can give to new ones.
    package var prefixReuse: PrefixReuse
    /// How tokens are guessed ahead; off for models whose caches cannot forget the newest positions.
    package var speculation: Speculation
    /// The draft model's file, on the entry stage; nil without one.
    package var draftPath: String?
    /// Whether the last stage guesses with the model's own heads for several tokens.
    package var usesHeads: Bool
    /// The projector's file, on the entry stage of a model that reads images; nil without one.
    package var projectorPath: String?
    /// SHA-256 of the projector, hexadecimal: rows of images are told apart by it.
    package var projectorDigest: String?
    /// KV cells shared by the lanes.
    package var cellCount: Int
    /// Tokens one request may span.
    package var window: Int
    /// Rows per microbatch.
    package var rowLimit: Int
    /// Compute threads.
    package var threads: Int
    /// Type of the K cache.
    package var keyType: CacheFormat
    /// Type of the V cache.
    package var valueType: CacheFormat
    /// Layers on the GPU; negative is all.
    package var gpuLayers: Int32
    /// Devices layers may be moved to, by the engine's names; nil leaves it to the engine.
    package var devices: [String]?
    /// How activations travel.
    package var wire: String
    /// Where this runner listens for its own node and for runners beside it; port 0 lets the system choose.
    package var listen: LinkAddress
    /// Where it listens for other machines; nil when it does not.
    package var remote: RemoteListening?
    /// Conditions on what this runner sends to other stages.
    package var conditions: LinkConditions
    /// Where sequences are kept on disk; nil keeps none there.
    package var archive: ArchiveSettings?
    /// Seed of requests that bring none.
    package var seed: UInt64
    /// What the stage's steps cost, when that is known from an earlier time; else the runner times them.
    package var costs: StepCosts?

    /// The stage's layers.
    package var layers: LayerRange { stages[stageIndex] }
    /// Number of layers of the uncut model.
    package var layerCount: Int { stages.last?.end ?? 0 }
    /// Whether this is the entry stage.
    package var isEntry: Bool { stageIndex == 0 }
    /// Whether this is the last stage.
    package var isLast: Bool { stageIndex == stages.count - 1 }

    /// Makes a configuration with default limits.
    package init(
        cluster: String, placement: String, epoch: Epoch, stageIndex: Int, stages: [LayerRange], modelDigest: String,
        path: String, recipe: StageRecipe, laneCount: Int, cellCount: Int, window: Int, listen: LinkAddress
    ) {
        self.cluster = cluster
        self.placement = placement
        self.epoch = epoch
        self.stageIndex = stageIndex
        self.stages = stages
        self.modelDigest = modelDigest
        self.path = path
        self.recipe = recipe
        self.laneCount = laneCount
        self.cellCount = cellCount
        self.window = window
        self.listen = listen
        shelfCount = 0
        prefixReuse = .off
        speculation = .off
        usesHeads = false
        rowLimit = 512
        threads = 1
        keyType = .f16
        valueType = .f16
        gpuLayers = -1
        wire = WireFormat.f32.description
        conditions = LinkConditions()
        seed = 0
    }
}

/// How a runner is reached from other machines: over TCP with TLS, both sides proven.
package struct RemoteListening: Sendable, Codable {
    /// Address to bind.
    package var host: String
    /// Port to bind; 0 lets the system choose.
    package var port: Int
    /// What proves whose runner it is, and whom it believes; also used for links to other machines.
    package var pass: LinkPass

    /// Makes settings.
    package init(host: String, port: Int, pass: LinkPass) {
        self.host = host
        self.port = port
        self.pass = pass
    }
}

/// What an entry stage has to know of all stages of its chain.
package struct ChainFacts: Hashable, Sendable, Codable {
    /// What every stage's steps cost, entry stage first; nil when one could not be timed.
    package var costs: [StepCosts]?
    /// Every stage keeps sequences on disk.
    package var archives = false
    /// The last stage's own heads for several tokens.
    package var heads: HeadFacts?
    /// Every stage may leave a prompt's rows between its layers.
    package var pauses = false

    /// Nothing is known.
    package init() {}

    /// What stages say of themselves, entry stage first; nil from one that says nothing.
    package init(costs: [StepCosts?], archives: [Bool?], heads: HeadFacts?, pauses: [Bool?]) {
        self.costs = costs.contains { $0 == nil } ? nil : costs.compactMap { $0 }
        self.archives = archives.allSatisfy { $0 == true }
        self.heads = heads
        self.pauses = pauses.allSatisfy { $0 == true }
    }
}

/// What the node tells a runner: one JSON object per line on its standard input. The end of the input ends the runner.
package enum RunnerCommand: Sendable, Codable {
    /// First line: what to run.
    case configure(RunnerConfiguration)
    /// When every runner of the placement listens: open the links to the next stage and, on the last stage, to the
    /// entry stage.
    ///
    /// Only the entry stage looks at `chain`.
    case connect(next: LinkTarget?, entry: LinkTarget?, chain: ChainFacts)
    /// Prove whose runner it is with this from now on, and believe whom it says; links of others are closed.
    case trust(LinkPass)
    /// Say where the time went.
    case report
    /// Write what is kept as soon as nothing runs, and say when that is done. The entry stage's; others answer at once.
    case archive
}

/// What a runner tells the node: one JSON object per line on its standard output.
package enum RunnerReport: Sendable, Codable {
    /// The runner accepts connections here, and those of other machines at this port.
    case listening(LinkAddress, remotePort: Int?)
    /// The model is being read, 0 … 1.
    case loading(fraction: Double)
    /// The model is read.
    case loaded(LoadedStage)
    /// The links are open: the stage takes part in the chain.
    case ready
    /// Where the time went so far.
    case times(StageTimes)
    /// Nothing is left to be written, after `archive`.
    case archived
    /// The runner cannot go on, and exits.
    case failed(reason: String)
    /// A link to another stage broke or could not be opened; the runner exits, and is not to blame.
    case detached(reason: String)
}

/// Where a stage's time and bytes went since it was loaded.
package struct StageTimes: Sendable, Codable {
    /// Steps run.
    package var steps: UInt64
    /// Rows run.
    package var rows: UInt64
    /// Time in the engine. **Units:** nanoseconds.
    package var computeNanoseconds: UInt64
    /// Time encoding frames. **Units:** nanoseconds.
    package var encodeNanoseconds: UInt64
    /// Time steps waited for the compute thread. **Units:** nanoseconds.
    package var waitNanoseconds: UInt64
    /// Bytes of step frames sent on.
    package var sentBytes: UInt64
    /// What the latest steps took in the engine, oldest first.
    package var engineTrace: [StepTime]
    /// What the latest steps took from their start in the entry stage to the tokens of the last one, oldest first;
    /// empty but on the entry stage of several.
    package var chainTrace: [StepTime]
    /// What the runner's process takes; nil where the system does not tell.
    package var memory: ProcessMemory?

    init(_ statistics: StageStatistics, engineTrace: [StepTime], chainTrace: [StepTime]) {
        self.engineTrace = engineTrace
        self.chainTrace = chainTrace
        memory = ProcessMemory.own
        steps = statistics.steps
        rows = statistics.rows
        computeNanoseconds = statistics.computeNanoseconds
        encodeNanoseconds = statistics.encodeNanoseconds
        waitNanoseconds = statistics.waitNanoseconds
        sentBytes = statistics.sentBytes
    }
}

/// Facts about a loaded stage.
package struct LoadedStage: Sendable, Codable {
    /// The stage's shape.
    package var shape: StageShape
    /// Bytes as the library's allocator planned them.
    package var memory: StageMemory
    /// Tokens in the vocabulary, on the entry stage.
    package var vocabularySize: Int
    /// Context the model was trained for.
    package var trainedContext: Int
    /// Seconds from the start of loading to its end.
    package var loadSeconds: Double
    /// What its steps cost; nil when they could not be timed.
    package var costs: StepCosts?
    /// Whether it only makes vectors and generates nothing.
    package var isEncoder: Bool
    /// Whether it keeps sequences on disk; nil is no.
    package var archives: Bool?
    /// Bytes of the draft model beside it; nil without one.
    package var draftMemory: StageMemory?
    /// What its own heads for several tokens take; nil where they are not used.
    package var heads: HeadFacts?
    /// Whether it may leave a prompt's rows between its layers; nil is no.
    package var pauses: Bool?
}
