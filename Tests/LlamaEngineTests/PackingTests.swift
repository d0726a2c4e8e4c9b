import CLlama
import CLlamaExtras
import Foundation
import GGUF
import ModelStore
import Serving
import Testing
import Vocabulary

@testable import LlamaEngine

extension `The engine` {
    /// Weights packed anew for the processor against the same weights as the file has them. On processors without a
    /// layout of their own both are the same.
    @Suite struct `Packed weights` {
        private static let shape = {
            var shape = ModelShape(.qwen3)
            (shape.width, shape.feedForward, shape.headSize) = (256, 512, 64)
            shape.tensorType = .f16
            return shape
        }()
        private static let prompt = (0..<40).map { Token($0 * 7 % 500) }

        private static func logits(_ path: String, layerCount: Int, width: Int, isPacked: Bool) throws -> [[Float]] {
            var options = ModelOptions()
            options.packsWeights = isPacked
            let stage = try EngineStage(
                LlamaStageConfiguration(
                    path: path, layers: LayerRange(first: 0, end: layerCount), layerCount: layerCount,
                    recipe: .whole(width: width),
                    context: ContextOptions(cellCount: 256, laneCount: 1, rowLimit: 64), model: options))
            try stage.open(0, .plain(prompt))
            // Many rows and a single one take different ways through the kernels.
            return [try stage.run(prompt), try stage.run([3], at: prompt.count)]
        }

        /// `format` has the library quantise the model anew.
        private static func withModel(
            _ shape: ModelShape, as format: String?, _ body: (_ path: String) throws -> Void
        ) throws {
            let folder = FileManager.default.temporaryDirectory.appending(path: "skein-packing-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            var path = folder.appending(path: "model.gguf").path
            try ModelSynthesis.write(shape, seed: 7, to: path)
            if let format {
                let source = path
                path = folder.appending(path: "quantised.gguf").path
                try Quantizer.quantize(source, to: path, as: format)
            }
            try body(path)
        }

        private static func check(_ shape: ModelShape, as format: String? = nil) throws {
            try withModel(shape, as: format) { path in try check(shape, path) }
        }

        private static func check(_ shape: ModelShape, _ path: String) throws {
            let plain = try logits(path, layerCount: shape.layerCount, width: shape.width, isPacked: false)
            let packed = try logits(path, layerCount: shape.layerCount, width: shape.width, isPacked: true)
            for (plain, packed) in zip(plain, packed) {
                let range = try #require(plain.max()) - (try #require(plain.min()))
                #expect(range > 0)
                #expect(plain.distance(to: packed) < range / 50, "\(plain.distance(to: packed)) of \(range)")
            }
        }

        @Test(arguments: SynthesisArchitecture.allCases)
        func `compute in every family what plain ones do`(architecture: SynthesisArchitecture) throws {
            try Self.check(ModelShape(architecture))
        }

        @Test(arguments: ["q4_0", "q4_1", "q5_0", "q4_k_m", "q5_k_m", "q6_k", nil])
        func `compute in every layout what plain ones do`(format: String?) throws {
            try Self.check(Self.shape, as: format)
        }

        @Test(arguments: ["q4_k_m", "q4_0", "q8_0"])
        func `are those that strips do not multiply`(format: String) throws {
            try Self.withModel(Self.shape, as: format) { path in
                let isPacked =
                    format != "q4_k_m" || WeightPacking.usesTiles
                    || !extras_multiplies_by_strips(GGML_TYPE_Q4_K.rawValue)
                #expect(WeightPacking.pays(path: path) == isPacked)
            }
        }
    }
}
