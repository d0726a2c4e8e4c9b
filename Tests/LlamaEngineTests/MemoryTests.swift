import Foundation
import GGUF
import LlamaEngine
import ModelStore
import Placement
import Serving
import Testing
import Vocabulary

extension `The engine` {
    /// The closed formula of planning against the library's own allocator, which simulates every allocation.
    @Suite struct `Memory` {
        private static let layout = WeightPacking.usesTiles ? WeightLayout.tiled : .plain

        private struct Compared {
            var formula: StageFootprint
            var library: StageMemory

            /// How far the formula is off, as a share of the stage.
            var error: Double {
                let mine = formula.weights.bytes + formula.cache.bytes + formula.compute.bytes
                let real = library.weights.bytes + library.cache.bytes + library.compute.bytes
                return Double(mine) / Double(real) - 1
            }
        }

        private static func compare(
            _ path: String, _ model: ModelFootprint, _ layers: LayerRange, _ recipe: StageRecipe,
            _ settings: MemorySettings
        ) throws -> Compared {
            var options = ModelOptions()
            options.withoutAllocation = true
            let engine = try LlamaStageEngine(
                LlamaStageConfiguration(
                    path: path, layers: layers, layerCount: model.layerCount, recipe: recipe,
                    context: ContextOptions(
                        cellCount: settings.cells, laneCount: settings.lanes, rowLimit: settings.rows,
                        keyType: try #require(CacheType(rawValue: settings.keys.rawValue)),
                        valueType: try #require(CacheType(rawValue: settings.values.rawValue))),
                    model: options), abort: AbortFlag())
            return Compared(formula: model.stage(layers, settings), library: engine.memory)
        }

        private static func withScratch(_ body: (URL) throws -> Void) throws {
            let folder = FileManager.default.temporaryDirectory.appending(path: "skein-memory-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            try body(folder)
        }

        /// A file of a header alone: its data is a hole that takes no disk.
        private static func write(_ header: [UInt8], byteCount: UInt64, to path: URL) throws {
            try Data(header).write(to: path)
            let handle = try FileHandle(forWritingTo: path)
            try handle.truncate(atOffset: byteCount)
            try handle.close()
        }

        @Test(arguments: [(512, 1, 64, CacheFormat.f16), (2048, 4, 512, .f16), (2048, 4, 128, .q8_0)])
        func `of the built-in model is planned within three percent`(
            cells: Int, lanes: Int, rows: Int, format: CacheFormat
        ) throws {
            let model = try ModelFootprint(BuiltinModel.cutter())
            let compared = try Self.compare(
                BuiltinModel.path, model, model.whole, .whole(width: model.width),
                MemorySettings(
                    cells: cells, lanes: lanes, rows: rows, keys: format, values: format, layout: Self.layout))
            #expect(compared.formula.weights == compared.library.weights)
            #expect(compared.formula.cache == compared.library.cache)
            #expect(abs(compared.error) < 0.03, "\(compared)")
        }

        @Test(arguments: ["qwen3-0.6b", "llama3.2-1b", "mamba-130m", "phi3-mini"])
        func `of a known shape and its stages is planned within three percent`(name: String) throws {
            let layout = try #require(ModelShape.named(name)).writer().layout()
            let cutter = try ModelCutter(layout.file)
            let model = try ModelFootprint(cutter)
            let settings = MemorySettings(cells: 4096, layout: Self.layout)
            try Self.withScratch { folder in
                let whole = folder.appending(path: "whole.gguf")
                try Self.write(layout.header, byteCount: layout.fileByteCount, to: whole)
                let compared = try Self.compare(
                    whole.path, model, model.whole, .whole(width: model.width), settings)
                #expect(compared.formula.weights == compared.library.weights)
                #expect(compared.formula.cache == compared.library.cache)
                #expect(abs(compared.error) < 0.03, "\(compared)")
                for layers in try cutter.evenCut(stageCount: 3).stages {
                    let plan = try cutter.plan(layers)
                    let file = folder.appending(path: "stage\(layers.first).gguf")
                    try Self.write(plan.header, byteCount: plan.fileByteCount, to: file)
                    let stage = try Self.compare(file.path, model, layers, plan.recipe, settings)
                    #expect(stage.formula.weights == stage.library.weights, "\(layers)")
                    #expect(stage.formula.cache == stage.library.cache, "\(layers)")
                    #expect(abs(stage.error) < 0.03, "\(layers): \(stage)")
                }
            }
        }

        @Test(arguments: SynthesisArchitecture.allCases)
        func `of weights and cache is planned exactly for every family`(architecture: SynthesisArchitecture) throws {
            let layout = try ModelShape(architecture).writer().layout()
            let model = try ModelFootprint(try ModelCutter(layout.file))
            try Self.withScratch { folder in
                let path = folder.appending(path: "model.gguf")
                try Self.write(layout.header, byteCount: layout.fileByteCount, to: path)
                let compared = try Self.compare(
                    path.path, model, model.whole, .whole(width: model.width),
                    MemorySettings(cells: 512, rows: 64, layout: Self.layout))
                #expect(compared.formula.weights == compared.library.weights)
                #expect(compared.formula.cache == compared.library.cache)
            }
        }
    }
}
