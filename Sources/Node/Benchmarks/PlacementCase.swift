import GGUF
import ModelStore
import Placement
import Transport
import Vocabulary

/// One placement that is predicted and measured.
package struct PlacementCase: Sendable {
    /// What it is called in the report.
    package var label: String
    /// The model's file.
    package var model: String
    /// Where it is cut.
    package var cutting = DeploymentSpec.Cutting.stages(1)
    /// Context shared by the lanes. **Units:** tokens.
    package var window = 2048
    /// Sequences at once.
    package var lanes = 4
    /// Rows of the largest step.
    package var rows = 512
    /// One way of each hop beside the machine's own time. **Units:** microseconds.
    package var delayMicroseconds = 0

    /// A case with the settings above.
    package init(label: String, model: String) {
        self.label = label
        self.model = model
    }

    var spec: DeploymentSpec {
        var spec = DeploymentSpec(name: "placement", path: model)
        spec.cutting = cutting
        spec.window = window
        spec.laneCount = lanes
        spec.rowLimit = rows
        spec.threads = 1
        spec.conditions.delayMicroseconds = delayMicroseconds
        // One row per step is what is predicted.
        spec.drafting = .off
        spec.keptSequences = 0
        return spec
    }

    /// Tokens of the prompt whose answer is timed, so that it fits the window with its answer.
    var promptTokens: Int { min(PlacementBench.promptTokens, window / 4) }

    /// The cases of the synthetic shapes: the 0.6B shape and smaller ones, uncut and in stages, with several windows,
    /// lanes and rows. Models are made where they are not there yet.
    ///
    /// **Throws:** `StoreError` or `DeploymentError` when one cannot be written.
    package static func usual(cacheFolder: String) throws -> [PlacementCase] {
        let large = try Benchmarks.defaultModel(cacheFolder: cacheFolder)
        let middle = try Benchmarks.model(of: "qwen2.5-0.5b", cacheFolder: cacheFolder)
        let small = try Benchmarks.smallModel(cacheFolder: cacheFolder)
        // The scheduler cuts prompts for several stages into chunks whose size it chooses by what steps cost, 64 rows
        // more often than not; so that a step of all rows happens, steps are no larger where a model is cut.
        func make(_ label: String, _ model: String, _ change: (inout PlacementCase) -> Void) -> PlacementCase {
            var one = PlacementCase(label: label, model: model)
            change(&one)
            return one
        }
        return [
            make("0.6b", large) { _ in },
            make("0.6b cut 14", large) {
                $0.cutting = .boundaries([14])
                $0.rows = 64
            },
            make("0.6b cut 5,20", large) {
                $0.cutting = .boundaries([5, 20])
                ($0.window, $0.lanes, $0.rows) = (8192, 2, 64)
            },
            make("0.6b cut 14, 5 ms", large) {
                $0.cutting = .boundaries([14])
                ($0.lanes, $0.rows, $0.delayMicroseconds) = (1, 64, 5000)
            },
            make("0.5b", middle) { ($0.window, $0.lanes) = (4096, 1) },
            make("0.5b in 3", middle) {
                $0.cutting = .stages(3)
                ($0.window, $0.rows) = (16_384, 64)
            },
            make("0.1b", small) { $0.window = 1024 },
            make("0.1b in 2", small) {
                $0.cutting = .stages(2)
                $0.rows = 64
            },
            make("0.1b in 4", small) {
                $0.cutting = .stages(4)
                ($0.window, $0.lanes, $0.rows) = (32_768, 16, 64)
            },
        ]
    }
}

extension Benchmarks {
    /// The synthetic model of a known shape in q8_0, made once and cached.
    static func model(of name: String, cacheFolder: String) throws -> String {
        guard let shape = ModelShape.named(name) else {
            throw DeploymentError.setting(name: "shape", value: name, limit: "it is not known")
        }
        return try model(shape, name: name, cacheFolder: cacheFolder)
    }

    /// A llama of 0.1B parameters with a head of its own.
    static func smallModel(cacheFolder: String) throws -> String {
        var shape = ModelShape(.llama)
        (shape.layerCount, shape.width, shape.feedForward) = (16, 640, 1792)
        (shape.headCount, shape.headCountKV, shape.headSize) = (10, 5, 64)
        (shape.vocabularySize, shape.contextLength) = (32_000, 32_768)
        return try model(shape, name: "llama-0.1b", cacheFolder: cacheFolder)
    }

    private static func model(_ shape: ModelShape, name: String, cacheFolder: String) throws -> String {
        let path = "\(cacheFolder)/bench/\(name)-q8_0.gguf"
        if (try? FileByteSource(path: path)) != nil { return path }
        try StoreFiles.makeFolders("\(cacheFolder)/bench")
        var shape = shape
        shape.tensorType = .q8_0
        try ModelSynthesis.write(shape, seed: 1, to: path)
        return path
    }
}
