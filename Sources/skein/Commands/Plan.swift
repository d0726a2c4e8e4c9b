import ArgumentParser
import FoundationEssentials
import GGUF
import LlamaEngine
import ModelStore
import Node
import Placement
import Vocabulary

/// `skein plan`: where a model would run, with the arithmetic, without running it.
struct Plan: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show how a model would be placed: memory, context and predicted speed.",
        discussion: """
            Without --nodes this machine alone is asked for its memory; how fast it is is known where 'skein serve' or \
            'skein devices --speed --keep' measured it. An inventory describes machines for what-if \
            planning: {"nodes":[{"name":"a","memory_gb":16,"weight_read_gb_s":20,"prefill_gflops":300}],\
            "links":[{"from":"a","to":"b","rtt_ms":0.4,"mb_s":110}]}. What is left out counts as unknown. \
            With --on-cluster, the cluster says what it would do now; nothing is decided. \
            Exits with 4 when the model would not fit.
            """)

    @Argument(help: "Model file (GGUF). Default: the built-in model.")
    var model: String?

    @Option(help: "Number of stages, or auto.")
    var stages = "auto"

    @Option(help: "Cut in front of these layers, a,b,… (instead of --stages).")
    var cut: NumberList?

    @Option(help: "Context in tokens. Default: what fits, up to what the model was trained for, at most 131072.")
    var ctx: Int?

    @Option(help: "Requests answered at once. Default: 4, or what the cluster decides.")
    var lanes: Int?

    @OptionGroup var cache: CacheOptions

    @Option(help: "The model's projector (GGUF), which takes its room beside the first stage.")
    var mmproj: String?

    @Option(
        help: ArgumentHelp(
            """
            Count what guessing ahead takes: mtp the model's own head for several tokens on the last stage, the file \
            of a draft model its room beside the first one; auto, ngram and off take none.
            """,
            valueName: "auto|ngram|mtp|off|file"))
    var draft: String?

    @Option(help: "Use only these machines, a,b,…")
    var on: String?

    @Option(help: "Do not use these machines, a,b,…")
    var exclude: String?

    @Option(help: "Copies of the placement.")
    var replicas = 1

    @Option(help: "Inventory of machines (JSON).")
    var nodes: String?

    @Flag(help: "Ask the cluster, with MODEL as 'skein deploy' reads it.")
    var onCluster = false

    @OptionGroup var asked: NodeOptions

    @Flag(help: "Print as JSON.")
    var json = false

    func validate() throws {
        try validateOnCluster()
        if stages != "auto", (Int(stages) ?? 0) < 1 {
            throw ValidationError("--stages is '\(stages)'; it takes auto or a number from 1 on.")
        }
        if !onCluster, let draft { _ = try DraftOptions.read(draft) }
    }

    func names(_ list: String?) -> [String] {
        list?.split(separator: ",").map { String($0) } ?? []
    }

    func run() async throws {
        if onCluster { return try await runOnCluster() }
        let answer: Answer
        do {
            answer = try planned()
        } catch let error as PlacementError {
            Output.error("\(error)")
            if case .invalid = error { throw ExitCode(2) }
            throw ExitCode(1)
        } catch {
            Output.error("\(error)")
            throw ExitCode(1)
        }
        json ? try printJSON(answer) : printText(answer)
        if !answer.fits { throw ExitCode(4) }
    }

    /// What was found, by replica.
    private struct Answer {
        var plans: [PlacementPlan]
        /// Where the draft model goes; empty without one.
        var drafts: [DraftAnswer] = []
        var shortfall: Shortfall?

        var fits: Bool {
            shortfall == nil && drafts.allSatisfy { if case .besideEntry = $0 { true } else { false } }
        }
    }

    private func planned() throws -> Answer {
        let path = try model ?? NodeService.builtinModelPath(cacheFolder: Folders.cache)
        let file = try ModelFile(path: path)
        let cutter = try file.cutter()
        if let cut, let cut = Cut(layerCount: cutter.layerCount, boundaries: cut.numbers) {
            try cutter.check(cut)
        }
        let count = Int(stages)
        // A number of stages that the family does not allow is refused with those that it does.
        if let count, cut == nil, count > 1, count <= cutter.layerCount {
            _ = try cutter.evenCut(stageCount: count)
        }
        let inventory = try nodes.map { try InventoryFile.read($0) } ?? Self.thisMachine()
        let planner = try Planner(model: ModelFootprint(cutter), inventory: inventory)
        let store = planner.model.stores.chosen(keys: cache.cacheTypeK, values: cache.cacheTypeV)
        var request = PlacementRequest(
            context: ctx, lanes: lanes ?? 4, keys: store.keys, values: store.values, stages: cut == nil ? count : nil,
            boundaries: cut?.numbers, on: names(on), exclude: names(exclude), replicas: replicas)
        if let mmproj { try DeploymentPlan.count(projector: mmproj, of: file, in: &request) }
        let drafting = try draft.map(DraftOptions.read) ?? .off
        request.kept = DeploymentSpec.keptUnasked
        if drafting == .mtp { request.head = .ofEngine }
        let found = try planner.planReplicas(request)
        var answer = Answer(plans: found.plans, shortfall: found.shortfall)
        if case .model(let path) = drafting {
            let draft = try ModelFootprint(try ModelFile(path: path).cutter())
            answer.drafts = planner.placeDrafts(draft, beside: found.plans, request)
        }
        return answer
    }

    /// This machine, with the speed that was measured of it as it is now.
    private static func thisMachine() -> Inventory {
        let devices = EngineDevices.all()
        let device = devices.first(where: \.isOffload)?.name
        let fingerprint = MachineFingerprint.thisMachine(
            devices: devices, device: device, threads: MachineInventory.coreCount)
        var speed = DeviceSpeed()
        if case .known(let figures) = DeviceFigureFile(dataFolder: Folders.data).content(of: fingerprint) {
            speed = figures.speed
        }
        return MachineInventory.thisMachine(speed: speed, tilesWeights: WeightPacking.usesTiles)
    }

    private func printJSON(_ answer: Answer) throws {
        struct Report: Encodable {
            var fits: Bool
            var placements: [PlacementPlan]
            var drafts: [DraftAnswer]
            var shortfall: Shortfall?
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        let report = Report(
            fits: answer.fits, placements: answer.plans, drafts: answer.drafts, shortfall: answer.shortfall)
        Output.line(String(decoding: try encoder.encode(report), as: UTF8.self))
    }

    private func printText(_ answer: Answer) {
        for (index, plan) in answer.plans.enumerated() {
            if answer.plans.count > 1 { Output.line("replica \(index + 1)") }
            for line in PlanText.lines(plan) { Output.line(line) }
            if answer.drafts.indices.contains(index) { Output.line(PlanText.line(answer.drafts[index])) }
        }
        guard let shortfall = answer.shortfall else { return }
        for line in PlanText.lines(shortfall) { Output.line(line) }
    }
}
