import GGUF
import LlamaEngine
import ModelStore
import Serving
package import Vocabulary
package import Wire

/// How a model's staged execution is compared with its unstaged one.
package struct VerificationSpec: Sendable {
    /// Which cuts are run.
    package enum Cuts: Sendable, Hashable {
        /// Every legal cut into two stages, then for every larger number of stages up to this one the most even cut and
        /// a few others.
        case standard(upTo: Int)
        /// Every legal cut into exactly this many stages.
        case stages(Int)
        /// This cut.
        case boundaries([Int])
    }

    /// The model file.
    package var path: String
    /// Which cuts are run.
    package var cuts = Cuts.standard(upTo: 4)
    /// How activations travel between the stages.
    package var wire = WireFormat.f32
    /// Tokens decoded per lane.
    package var tokenCount = 64
    /// Prompt length of the first lane; the others are shorter. **Units:** tokens.
    package var promptLength = 48
    /// What keys are stored in; nil as a deployment of the model would.
    package var keyType: CacheFormat?
    /// What values are stored in; nil as for keys.
    package var valueType: CacheFormat?

    /// Verifies the file at `path`.
    package init(path: String) { self.path = path }
}

/// The result of one cut.
package struct CutVerdict: Sendable, Codable {
    /// First layers of the stages but the first.
    package var cut: [Int]
    /// Whether the family's rules allow the cut.
    package var legal: Bool
    /// Largest difference of a logit; 0 is bit for bit equal.
    package var maxAbsDiff: Double
    /// Decoded tokens that were equal.
    package var tokensEqual: Int
    /// Decoded tokens compared.
    package var tokens: Int
    /// Why the cut failed or was not run.
    package var reason: String?

    /// Names as in the command's JSON.
    enum CodingKeys: String, CodingKey {
        case cut, legal, tokens, reason
        case maxAbsDiff = "max_abs_diff"
        case tokensEqual = "tokens_equal"
    }

    /// Whether staged and unstaged agreed bit for bit.
    package var passed: Bool { legal && maxAbsDiff == 0 && tokensEqual == tokens && reason == nil }
}

/// The result of a model.
package struct VerificationReport: Sendable, Codable {
    /// The model's file name.
    package var model: String
    /// Its family.
    package var architecture: String
    /// Its layers.
    package var layers: Int
    /// Largest number of stages that was run.
    package var stages: Int
    /// The wire format.
    package var wire: String
    /// One entry per cut.
    package var cuts: [CutVerdict]
    /// Layers at which a stage may start.
    package var legalBoundaries: [Int]
    /// Why the family cannot be cut; nil when it can.
    package var refusal: String?
    /// What became of prompts that went through the layers one by one; nil for a model whose graph does not stop
    /// between layers. As a cut it has no boundaries.
    package var layered: CutVerdict?
    /// Whether every cut that was run passed, and at least one was run, and prompts that went through the layers one by
    /// one did.
    package var passed: Bool

    /// Names as in the command's JSON.
    enum CodingKeys: String, CodingKey {
        case model, architecture, layers, stages, wire, cuts, refusal, layered, passed
        case legalBoundaries = "legal_boundaries"
    }
}

/// Compares staged with unstaged execution: the same script of steps on one engine and on chains of engines.
package struct Verification: Sendable {
    /// Cuts run per number of stages beyond two.
    static let cutLimit = 6
    /// Cuts run for one exact number of stages.
    static let exactCutLimit = 512

    private let spec: VerificationSpec
    private let cache: StageFileCache
    private let digests: DigestCache

    /// Verifies with stage files in `cacheFolder`.
    package init(_ spec: VerificationSpec, cacheFolder: String) {
        self.spec = spec
        cache = StageFileCache(folder: "\(cacheFolder)/stages")
        digests = DigestCache(folder: "\(cacheFolder)/digests")
    }

    /// Runs the comparison; `progress` gets every verdict as it is made.
    ///
    /// **Throws:** `StoreError` for a file that is malformed, `EngineError` when the whole model cannot be run.
    package func run(progress: (CutVerdict) -> Void = { _ in }) throws -> VerificationReport {
        let file = try ModelFile(path: spec.path)
        let cutter = try file.cutter()
        let cuts = try chosenCuts(cutter)
        var report = VerificationReport(
            model: spec.path.split(separator: "/").last.map(String.init) ?? spec.path,
            architecture: cutter.architecture, layers: cutter.layerCount, stages: cuts.map(\.stageCount).max() ?? 1,
            wire: spec.wire.description, cuts: [], legalBoundaries: cutter.legalBoundaries,
            refusal: cutter.refusal, passed: false)
        guard !cuts.isEmpty else { return report }
        let script = VerificationScript(spec, cutter)
        let whole = try script.run(try wholeModel(cutter))
        let digest = try digests.digest(ofFile: spec.path)
        for cut in cuts {
            let verdict = self.verdict(cut, cutter, digest, script, whole)
            report.cuts.append(verdict)
            progress(verdict)
        }
        report.layered = layered(cutter, script, whole)
        report.passed = report.cuts.allSatisfy(\.passed) && report.layered?.passed ?? true
        return report
    }

    private func chosenCuts(_ cutter: ModelCutter) throws -> [Cut] {
        switch spec.cuts {
        case .boundaries(let boundaries):
            guard let cut = Cut(layerCount: cutter.layerCount, boundaries: boundaries) else {
                throw DeploymentError.setting(
                    name: "cuts", value: boundaries.map(String.init).joined(separator: ","),
                    limit: "ascending layers in 1 … \(cutter.layerCount - 1) are allowed")
            }
            try cutter.check(cut)
            return [cut]
        case .stages(let count):
            let cuts = cutter.legalCuts(stageCount: count, limit: Self.exactCutLimit)
            // An impossible number of stages is refused with the largest possible one, not passed over.
            if cuts.isEmpty { _ = try cutter.evenCut(stageCount: count) }
            return cuts
        case .standard(let most):
            var cuts = cutter.legalCuts(stageCount: 2, limit: Self.exactCutLimit)
            for count in stride(from: 3, through: min(most, cutter.layerCount), by: 1) {
                let all = cutter.legalCuts(stageCount: count, limit: 4096)
                guard let even = try? cutter.evenCut(stageCount: count) else { continue }
                // Spread over the list, which is in lexical order: first, last and some between.
                let step = max(1, all.count / Self.cutLimit)
                cuts += [even] + stride(from: 0, to: all.count, by: step).map { all[$0] }.filter { $0 != even }
            }
            return cuts
        }
    }

    private func wholeModel(_ cutter: ModelCutter) throws -> EngineChain {
        let layers = LayerRange(first: 0, end: cutter.layerCount)
        return try EngineChain(
            [try stage(path: spec.path, layers, cutter, recipe: cutter.wholeRecipe)], wire: spec.wire)
    }

    private func stage(
        path: String, _ layers: LayerRange, _ cutter: ModelCutter, recipe: StageRecipe
    ) throws -> LlamaStageConfiguration {
        let cache = try cutter.cache(keys: spec.keyType, values: spec.valueType)
        return LlamaStageConfiguration(
            path: path, layers: layers, layerCount: cutter.layerCount, recipe: recipe,
            context: ContextOptions(
                cellCount: 512, laneCount: VerificationScript.laneCount, rowLimit: 128, keyType: cache.keys,
                valueType: cache.values))
    }

    /// Prompts that go through the layers one by one, against those that go at once.
    private func layered(
        _ cutter: ModelCutter, _ script: VerificationScript, _ whole: VerificationTrace
    ) -> CutVerdict? {
        guard cutter.wholeRecipe.layerOutput != nil else { return nil }
        var verdict = CutVerdict(cut: [], legal: true, maxAbsDiff: 0, tokensEqual: 0, tokens: whole.tokens.count)
        do {
            let chain = try wholeModel(cutter)
            guard chain.pauses() else { return nil }
            let trace = try script.run(chain, isLayered: true)
            (verdict.maxAbsDiff, verdict.tokensEqual, verdict.tokens) = whole.compare(trace)
        } catch {
            verdict.reason = "\(error)"
        }
        return verdict
    }

    private func verdict(
        _ cut: Cut, _ cutter: ModelCutter, _ digest: String, _ script: VerificationScript, _ whole: VerificationTrace
    ) -> CutVerdict {
        var verdict = CutVerdict(cut: cut.boundaries, legal: true, maxAbsDiff: 0, tokensEqual: 0, tokens: 0)
        do {
            var pins: [PinnedFile] = []
            var stages: [LlamaStageConfiguration] = []
            for layers in cut.stages {
                let plan = try cutter.plan(layers)
                let pin = try cache.materialise(plan, of: spec.path, digest: digest)
                pins.append(pin)
                stages.append(try stage(path: pin.path, layers, cutter, recipe: plan.recipe))
            }
            let chain = try EngineChain(stages, wire: spec.wire)
            let pauses = chain.pauses()
            let trace = try script.run(chain)
            (verdict.maxAbsDiff, verdict.tokensEqual, verdict.tokens) = whole.compare(trace)
            guard pauses else { return verdict }
            let layered = whole.compare(try script.run(try EngineChain(stages, wire: spec.wire), isLayered: true))
            verdict.maxAbsDiff = max(verdict.maxAbsDiff, layered.maxAbsDiff)
            verdict.tokensEqual = min(verdict.tokensEqual, layered.tokensEqual)
        } catch {
            verdict.reason = "\(error)"
            verdict.tokens = whole.tokens.count
        }
        return verdict
    }
}
