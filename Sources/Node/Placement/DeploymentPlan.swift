import GGUF
import LlamaEngine
import ModelStore
import Placement
import Runner
import Serving
import Transport
package import Vocabulary
import Wire

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
    private let runners: RunnerPlan
    /// Where the model's file comes from.
    let sources: [ModelSource]

    /// The deployment as names find it.
    var named: NamedModel {
        NamedModel(
            id: spec.name, standing: .own, aliases: spec.aliases, sources: sources,
            quantization: card.quantization == "unknown" ? "" : card.quantization, digest: card.digest)
    }

    /// Reads the model's header, checks it, cuts it and makes the stage files.
    ///
    /// **Throws:** `DeploymentError.store` or `.setting` with the numbers.
    package init(_ spec: DeploymentSpec, caches: NodeCaches) throws(DeploymentError) {
        do {
            try RunnerPlan.check(spec)
            let file = try ModelFile(path: spec.path)
            let digest = try caches.digests.digest(ofFile: spec.path)
            let cutter = try file.cutter()
            let cut = try Self.cut(spec, cutter)
            runners = try RunnerPlan(spec, of: file, cutter, digest: digest, stages: cut.stages, caches: caches)
            try Self.checkDraft(of: spec)
            try ProjectorFile.check(spec, cutter, stages: cut.stageCount)
            card = runners.card
            sources = ModelCatalogue.sources(
                ModelCatalogue.texts((spec.sources + file.sources).map(\.description)))
            var files: [StageFile] = []
            for layers in cut.stages where cut.stageCount > 1 {
                let plan = try cutter.plan(layers, heads: spec.drafting == .mtp)
                let pin = try caches.stages.materialise(plan, of: spec.path, digest: digest)
                files.append(StageFile(path: pin.path, recipe: plan.recipe, pin: pin))
            }
            if files.isEmpty {
                files = [StageFile(path: spec.path, recipe: cutter.wholeRecipe, pin: nil)]
            }
            self.files = files
            self.cut = cut
            self.spec = spec
        } catch let error as DeploymentError {
            throw error
        } catch {
            throw .store(reason: "\(error)")
        }
    }

    /// A draft model that cannot guess for the model is refused before anything is started.
    private static func checkDraft(of spec: DeploymentSpec) throws(DeploymentError) {
        guard case .model(let path) = spec.drafting else { return }
        do throws(EngineError) {
            guard
                let difference = try VocabularyDifference.between(draftPath: path, modelPath: spec.path)
            else { return }
            throw EngineError.loadFailed(path: path, reason: "\(difference)")
        } catch {
            if case .loadFailed(_, let reason) = error { throw .draft(path: path, reason: reason) }
            throw .draft(path: path, reason: "\(error)")
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
            runners.configuration(
                index, file: file, cluster: cluster, placement: placement, epoch: epoch,
                listen: .unix(path: "\(folder)/\(epoch.number)-\(index).sock"), sharing: cut.stageCount)
        }
    }

    /// Keeps what a stage measured for the next start; what it was told is known already.
    func remember(_ measured: StepCosts, of stage: RunnerConfiguration) { runners.remember(measured, of: stage) }
}
