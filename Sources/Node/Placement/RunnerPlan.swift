import GGUF
import ModelStore
import Placement
import Runner
import Serving
import Transport
import Vocabulary
import Wire

/// The file a stage is loaded from, pinned as long as the value lives.
struct StageFile: Sendable {
    let path: String
    let recipe: StageRecipe
    /// Keeps the file in its cache; nil for files of no cache.
    let pin: PinnedFile?
}

/// What the runners of one placement have in common, wherever they run.
struct RunnerPlan: Sendable {
    let spec: DeploymentSpec
    let card: ModelCard
    let stages: [LayerRange]
    private let isRecurrent: Bool
    private let isWindowed: Bool
    private let isEncoder: Bool
    /// What the cache is stored in.
    private let cache: (keys: CacheFormat, values: CacheFormat)
    /// The file of the draft model; nil without one.
    private let draftPath: String?
    /// The digest of the projector's file; nil without one.
    private let projectorDigest: String?
    private let costs: StepCostCache
    private static let laneLimit = MemorySettings.sequenceLimit
    /// Longest window. **Units:** tokens.
    private static let windowLimit = 1 << 24

    /// Whether the numbers of a wish are within their limits.
    static func check(_ spec: DeploymentSpec) throws(DeploymentError) {
        guard (1...laneLimit).contains(spec.laneCount) else {
            throw .setting(name: "lanes", value: "\(spec.laneCount)", limit: "1 … \(laneLimit) are allowed")
        }
        guard (0...laneLimit).contains(spec.keptSequences) else {
            throw .setting(
                name: "kept-prefixes", value: "\(spec.keptSequences)", limit: "0 … \(laneLimit) are allowed")
        }
        if let bytes = spec.archive?.byteLimit, !(ArchiveLimits.smallest...ArchiveLimits.largest).contains(bytes) {
            throw .setting(
                name: "prefix-disk", value: "\(bytes)",
                limit: "0, or \(ArchiveLimits.smallest) … \(ArchiveLimits.largest) bytes are allowed")
        }
    }

    init(
        _ spec: DeploymentSpec, of file: ModelFile, _ cutter: ModelCutter, digest: String, stages: [LayerRange],
        caches: NodeCaches
    ) throws(DeploymentError) {
        try Self.check(spec)
        isEncoder = file.isEncoder
        // An encoder keeps nothing.
        cache =
            isEncoder
            ? (spec.keyType ?? .f16, spec.valueType ?? .f16)
            : try cutter.cache(keys: spec.keyType, values: spec.valueType)
        let window = spec.window ?? file.unaskedWindow
        guard window >= 2, window <= Self.windowLimit else {
            throw .setting(name: "ctx", value: "\(window)", limit: "2 … \(Self.windowLimit) tokens are allowed")
        }
        self.spec = spec
        self.stages = stages
        costs = caches.costs
        isRecurrent = cutter.layers(.recurrent).contains(true)
        isWindowed = cutter.layers(.windowed).contains(true)
        if spec.drafting == .mtp, let obstacle = cutter.headObstacle {
            throw .heads(model: spec.name, reason: obstacle)
        }
        draftPath = try Self.draftPath(spec, digest: digest, isRecurrent: isRecurrent, caches)
        var card = file.card(id: spec.name, digest: digest, layerCount: cutter.layerCount, servedContext: window)
        if let path = spec.projector {
            guard !file.isEncoder else {
                throw .projector(path: path, reason: ProjectorObstacle.vectorsOnly.description)
            }
            projectorDigest = try ProjectorFile.digest(path, caches)
        } else {
            projectorDigest = nil
        }
        if projectorDigest != nil { card.sees = true }
        self.card = card
    }

    private static func draftPath(
        _ spec: DeploymentSpec, digest: String, isRecurrent: Bool, _ caches: NodeCaches
    ) throws(DeploymentError) -> String? {
        switch spec.drafting {
        case .off, .ngram, .mtp: return nil
        case .auto:
            // Guessing is never worth a refusal: without room for the file there are no guesses of a draft model.
            return try? BuiltinModel.draftPath(forDigest: digest, cacheFolder: caches.folder)
        case .model(let path):
            if isRecurrent {
                throw .draft(path: path, reason: "the model's own state cannot take back a wrong guess")
            }
            return path
        }
    }

    private var speculation: Speculation {
        switch spec.drafting {
        // A recurrent state exists for the newest position only, so wrong guesses could not be taken back.
        case _ where isRecurrent: .off
        case .auto: .auto
        case .off: .off
        case .ngram: .ngram
        case .model: .draft
        case .mtp: .mtp
        }
    }

    /// What a sequence gives others. What the library saves of one with a sliding window lacks what lies behind that.
    private func prefixReuse(isArchived: Bool) -> PrefixReuse {
        guard spec.keptSequences > 0 else { return .off }
        return isRecurrent || isWindowed && isArchived ? .whole : .beginnings
    }

    /// What the runner of one stage is told; `sharing` runners share this machine's cores.
    func configuration(
        _ index: Int, file: StageFile, cluster: String, placement: String, epoch: Epoch, listen: LinkAddress,
        sharing runners: Int
    ) -> RunnerConfiguration {
        var configuration = RunnerConfiguration(
            cluster: cluster, placement: placement, epoch: epoch, stageIndex: index, stages: stages,
            modelDigest: card.digest, path: file.path, recipe: file.recipe,
            laneCount: spec.laneCount, cellCount: card.servedContext, window: card.servedContext, listen: listen)
        configuration.shelfCount = MemorySettings.kept(
            spec.keptSequences, beside: spec.laneCount, isRecurrent: isRecurrent)
        configuration.archive = configuration.shelfCount == 0 ? nil : spec.archive
        configuration.prefixReuse = prefixReuse(isArchived: configuration.archive != nil)
        configuration.speculation = speculation
        configuration.draftPath = index == 0 ? draftPath : nil
        configuration.usesHeads = spec.drafting == .mtp && index == stages.count - 1
        configuration.projectorPath = index == 0 ? spec.projector : nil
        configuration.projectorDigest = index == 0 ? projectorDigest : nil
        configuration.rowLimit = min(spec.rowLimit, card.servedContext)
        if isEncoder {
            // It reads a whole text at once, and keeps nothing of it.
            configuration.rowLimit = card.servedContext
            configuration.shelfCount = 0
            configuration.prefixReuse = .off
            configuration.speculation = .off
        }
        configuration.threads = spec.threads ?? max(1, MachineInventory.coreCount / runners)
        (configuration.keyType, configuration.valueType) = cache
        configuration.gpuLayers = spec.gpuLayers
        configuration.devices = spec.devices
        configuration.wire = spec.wire.description
        configuration.conditions = spec.conditions
        configuration.seed = UInt64.random(in: .min ... .max)
        configuration.costs = costs.costs(of: configuration)
        return configuration
    }

    /// Keeps what a stage measured for the next start; what it was told is known already.
    func remember(_ measured: StepCosts, of stage: RunnerConfiguration) {
        if stage.costs == nil { costs.remember(measured, of: stage) }
    }
}
