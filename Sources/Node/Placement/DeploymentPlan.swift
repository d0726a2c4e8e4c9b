import GGUF
import ModelStore
import Placement
import Runner
import Serving
import Transport
package import Vocabulary
import Wire

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A deployment worked out for this machine: the model's card, the cut, and a file for every stage.
package struct DeploymentPlan: Sendable {
    /// What is served.
    package let spec: DeploymentSpec
    /// What is known about the model.
    package let card: ModelCard
    /// Where it is cut.
    package let cut: Cut
    /// The stage files, pinned as long as the plan lives; one stage uses the model file itself.
    let files: [StageFile]
    private let costs: StepCostCache
    private let isRecurrent: Bool
    /// Sequences the engine library tells apart.
    private static let laneLimit = 256

    struct StageFile: Sendable {
        let path: String
        let recipe: StageRecipe
        let pin: PinnedFile?
    }

    /// Reads the model's header, checks it, cuts it and makes the stage files.
    ///
    /// **Throws:** `DeploymentError.store` or `.setting` with the numbers.
    package init(_ spec: DeploymentSpec, caches: NodeCaches) throws(DeploymentError) {
        guard (1...Self.laneLimit).contains(spec.laneCount) else {
            throw .setting(name: "lanes", value: "\(spec.laneCount)", limit: "1 … \(Self.laneLimit) are allowed")
        }
        guard (0...Self.laneLimit).contains(spec.keptSequences) else {
            throw .setting(
                name: "kept-prefixes", value: "\(spec.keptSequences)", limit: "0 … \(Self.laneLimit) are allowed")
        }
        do {
            let file = try ModelFile(path: spec.path)
            let digest = try caches.digests.digest(ofFile: spec.path)
            let cutter = try file.cutter()
            let cut = try Self.cut(spec, cutter)
            isRecurrent = cutter.layers(.recurrent).contains(true)
            let trained = file.trainedContext
            let window = spec.window ?? min(trained, DeploymentSpec.defaultWindow)
            guard window >= 2, window <= 1 << 24 else {
                throw DeploymentError.setting(
                    name: "ctx", value: "\(window)", limit: "2 … \(1 << 24) tokens are allowed")
            }
            card = file.card(id: spec.name, digest: digest, layerCount: cutter.layerCount, servedContext: window)
            var files: [StageFile] = []
            for layers in cut.stages where cut.stageCount > 1 {
                let plan = try cutter.plan(layers)
                let pin = try caches.stages.materialise(plan, of: spec.path, digest: digest)
                files.append(StageFile(path: pin.path, recipe: plan.recipe, pin: pin))
            }
            if files.isEmpty {
                files = [StageFile(path: spec.path, recipe: .whole(width: cutter.width), pin: nil)]
            }
            self.files = files
            costs = caches.costs
            self.cut = cut
            self.spec = spec
        } catch let error as DeploymentError {
            throw error
        } catch {
            throw .store(reason: "\(error)")
        }
    }

    private static func cut(_ spec: DeploymentSpec, _ cutter: ModelCutter) throws -> Cut {
        switch spec.cutting {
        case .stages(1): return Cut.whole(layerCount: cutter.layerCount)
        case .stages(let count):
            guard count >= 1, count <= cutter.layerCount else {
                throw DeploymentError.setting(
                    name: "stages", value: "\(count)", limit: "1 … \(cutter.layerCount) are possible for this model")
            }
            // A header that lacks what planning needs can still be cut by the number of layers.
            return try cutter.evenCut(stageCount: count, weights: try? ModelFootprint(cutter).layerWeights)
        case .boundaries(let boundaries):
            guard let cut = Cut(layerCount: cutter.layerCount, boundaries: boundaries) else {
                throw DeploymentError.setting(
                    name: "cut", value: boundaries.map(String.init).joined(separator: ","),
                    limit: "ascending layers in 1 … \(cutter.layerCount - 1) are allowed")
            }
            try cutter.check(cut)
            return cut
        }
    }

    /// What each runner is told.
    func runnerConfigurations(cluster: String, placement: String, epoch: Epoch, folder: String) -> [RunnerConfiguration]
    {
        files.enumerated().map { index, file in
            var configuration = RunnerConfiguration(
                cluster: cluster, placement: placement, epoch: epoch, stageIndex: index, stages: cut.stages,
                modelDigest: card.digest, path: file.path, recipe: file.recipe,
                laneCount: spec.laneCount, cellCount: card.servedContext, window: card.servedContext,
                listen: .unix(path: "\(folder)/\(epoch.number)-\(index).sock"))
            // A recurrent state is as large for a kept sequence as for a running one.
            let room = isRecurrent ? spec.laneCount : Self.laneLimit
            configuration.shelfCount = min(spec.keptSequences, room, Self.laneLimit - spec.laneCount)
            configuration.prefixReuse = spec.keptSequences == 0 ? .off : isRecurrent ? .whole : .beginnings
            // A recurrent state exists for the newest position only, so wrong guesses could not be taken back.
            configuration.speculation = isRecurrent ? .off : spec.speculation
            configuration.rowLimit = min(spec.rowLimit, card.servedContext)
            configuration.threads = spec.threads ?? max(1, Self.coreCount / cut.stageCount)
            configuration.keyType = spec.keyType
            configuration.valueType = spec.valueType
            configuration.gpuLayers = spec.gpuLayers
            configuration.wire = spec.wire.description
            configuration.conditions = spec.conditions
            configuration.seed = UInt64.random(in: .min ... .max)
            configuration.costs = costs.costs(of: configuration)
            return configuration
        }
    }

    /// Keeps what a stage measured for the next start; what it was told is known already.
    func remember(_ measured: StepCosts, of stage: RunnerConfiguration) {
        if stage.costs == nil { costs.remember(measured, of: stage) }
    }

    private static var coreCount: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }
}
