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
            options.loadsHeads = settings.head != nil && layers.end == model.layerCount
            let engine = try LlamaStageEngine(
                LlamaStageConfiguration(
                    path: path, layers: layers, layerCount: model.layerCount, recipe: recipe,
                    context: ContextOptions(
                        cellCount: settings.cells, laneCount: settings.lanes + settings.kept, rowLimit: settings.rows,
                        keyType: settings.keys, valueType: settings.values),
                    model: options))
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
            try Self.checkStages(of: layout, MemorySettings(cells: 4096, layout: Self.layout))
        }

        /// Holds the whole model and three stages of it against the library.
        private static func checkStages(of layout: GGUFLayout, _ settings: MemorySettings) throws {
            let cutter = try ModelCutter(layout.file)
            let model = try ModelFootprint(cutter)
            try withScratch { folder in
                let whole = folder.appending(path: "whole.gguf")
                try write(layout.header, byteCount: layout.fileByteCount, to: whole)
                var compared = [try compare(whole.path, model, model.whole, .whole(width: model.width), settings)]
                for layers in try cutter.evenCut(stageCount: 3).stages {
                    let plan = try cutter.plan(layers, heads: settings.head != nil)
                    let file = folder.appending(path: "stage\(layers.first).gguf")
                    try write(plan.header, byteCount: plan.fileByteCount, to: file)
                    compared.append(try compare(file.path, model, layers, plan.recipe, settings))
                }
                for one in compared {
                    #expect(one.formula.weights == one.library.weights, "\(one.formula.layers)")
                    #expect(one.formula.cache == one.library.cache, "\(one.formula.layers)")
                    #expect(abs(one.error) < 0.03, "\(one)")
                }
            }
        }

        /// The model with a trained head, eight times as wide, so that buffers count beside weights.
        @Test(arguments: [(512, 1, 64), (2048, 4, 512), (8192, 8, 512)])
        func `of a model's own head is planned within three percent`(cells: Int, lanes: Int, rows: Int) throws {
            let small = try ModelFile(path: `A model's own heads`.path).header
            var writer = GGUFWriter(metadata: small.metadata, tensors: small.tensors.map { TensorPlan($0) })
            let grown: Set<UInt64> = [128, 256, 384, 512, 768]
            for index in writer.tensors.indices {
                writer.tensors[index].dimensions = writer.tensors[index].dimensions.map {
                    grown.contains($0) ? 8 * $0 : $0
                }
            }
            for key in [
                "embedding_length", "feed_forward_length", "attention.head_count", "attention.head_count_kv",
                "expert_feed_forward_length",
            ] {
                writer.set("glm4moe.\(key)", .uint32(8 * UInt32(try #require(small.unsigned("glm4moe.\(key)")))))
            }
            let layout = try writer.layout()
            var settings = MemorySettings(cells: cells, lanes: lanes, kept: 2, rows: rows, layout: Self.layout)
            let plain = settings
            settings.head = HeadSettings(
                spareCells: LlamaStageEngine.headSpareCells, gatheredRows: LlamaStageEngine.headGatheredRows,
                rows: Serving.Limits.draftFeed)
            try Self.checkStages(of: layout, settings)

            // What the library's own breakdown does not have: logits and hidden rows, on the last stage.
            let model = try ModelFootprint(try ModelCutter(layout.file))
            #expect(model.headObstacle == nil)
            let given = (lanes + 2) * model.vocabularySize + (rows + min(rows, 128)) * model.width
            for (layers, isLast) in [(LayerRange(first: 3, end: 5), false), (LayerRange(first: 5, end: 8), true)] {
                let (with, without) = (model.stage(layers, settings), model.stage(layers, plain))
                #expect(with.output.bytes - without.output.bytes == (isLast ? UInt64(4 * given) : 0))
                #expect((with.overhead > without.overhead) == isLast)
            }
        }

        @Test(arguments: [("mamba-130m", 4), ("qwen3-0.6b", 4)])
        func `of kept sequences is planned exactly`(name: String, kept: Int) throws {
            let layout = try #require(ModelShape.named(name)).writer().layout()
            let model = try ModelFootprint(try ModelCutter(layout.file))
            try Self.withScratch { folder in
                let path = folder.appending(path: "model.gguf")
                try Self.write(layout.header, byteCount: layout.fileByteCount, to: path)
                let settings = MemorySettings(cells: 1024, lanes: 4, kept: kept, layout: Self.layout)
                let compared = try Self.compare(path.path, model, model.whole, .whole(width: model.width), settings)
                #expect(compared.formula.cache == compared.library.cache)
                #expect(abs(compared.error) < 0.03, "\(compared)")
            }
        }

        @Test func `of a recurrent model counts no more kept sequences than may run`() throws {
            let model = try ModelFootprint(
                try ModelCutter(try #require(ModelShape.named("mamba-130m")).writer().layout().file))
            let caches = [4, 8].map { model.stage(model.whole, MemorySettings(cells: 512, lanes: 4, kept: $0)).cache }
            #expect(caches[0] == caches[1])
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
