import GGUF
import Placement
import Testing
import Vocabulary

@Suite struct `The memory formula` {
    /// What llama.cpp's own allocator planned (no_alloc, flash attention on, processor): bytes of weights, cache and
    /// compute buffers of whole models and of stages.
    struct Recorded: Sendable, CustomTestStringConvertible {
        var shape: String
        var layers: Range<Int>
        var cells: Int
        var lanes = 4
        var rows = 512
        var format = CacheFormat.f16
        var keepsWholeWindows = true
        var weights: UInt64
        var cache: UInt64
        var compute: UInt64

        var testDescription: String { "\(shape) \(layers) with \(cells) cells" }
    }

    static let recorded: [Recorded] = [
        Recorded(
            shape: "phi3-mini", layers: 0..<32, cells: 4096, weights: 4_060_483_584, cache: 1_610_612_736,
            compute: 95_041_536),
        Recorded(
            shape: "phi3-mini", layers: 0..<32, cells: 8192, rows: 128, format: .q8_0, weights: 4_060_483_584,
            cache: 1_711_276_032, compute: 19_563_008),
        Recorded(
            shape: "llama3.2-1b", layers: 10..<16, cells: 4096, weights: 666_902_528, cache: 50_331_648,
            compute: 271_058_944),
        Recorded(
            shape: "llama3.2-1b", layers: 10..<16, cells: 8192, rows: 128, format: .q8_0, weights: 666_902_528,
            cache: 53_477_376, compute: 68_813_312),
        Recorded(
            shape: "mamba-130m", layers: 8..<16, cells: 4096, weights: 33_463_456, cache: 3_735_552,
            compute: 20_992_032),
        Recorded(
            shape: "gpt-oss-20b", layers: 8..<16, cells: 4096, weights: 7_006_100_992, cache: 67_108_864,
            compute: 105_273_344),
        Recorded(
            shape: "gpt-oss-20b", layers: 8..<16, cells: 8192, keepsWholeWindows: false, weights: 7_006_100_992,
            cache: 75_497_472, compute: 106_321_920),
        Recorded(
            shape: "gemma3-1b", layers: 8..<17, cells: 4096, weights: 256_819_968, cache: 37_748_736,
            compute: 60_053_504),
        Recorded(
            shape: "gemma3-1b", layers: 8..<17, cells: 8192, keepsWholeWindows: false, weights: 256_819_968,
            cache: 29_360_128, compute: 62_674_944),
        Recorded(
            shape: "deepseek-v2-lite", layers: 0..<27, cells: 8192, rows: 128, format: .q8_0,
            weights: 16_698_528_256, cache: 135_364_608, compute: 63_013_376),
        Recorded(
            shape: "qwen3-30b-a3b", layers: 0..<16, cells: 4096, weights: 10_936_197_120, cache: 134_217_728,
            compute: 319_555_584),
    ]

    @Test(arguments: recorded) func `agrees with the real allocator within three percent`(recorded: Recorded) throws {
        let model = try Models.footprint(try #require(ModelShape.named(recorded.shape)))
        let footprint = model.stage(
            LayerRange(first: recorded.layers.lowerBound, end: recorded.layers.upperBound),
            MemorySettings(
                cells: recorded.cells, lanes: recorded.lanes, rows: recorded.rows, keys: recorded.format,
                values: recorded.format, keepsWholeWindows: recorded.keepsWholeWindows))
        #expect(footprint.weights.bytes == recorded.weights)
        #expect(footprint.cache.bytes == recorded.cache)
        let mine = Double(footprint.weights.bytes + footprint.cache.bytes + footprint.compute.bytes)
        let real = Double(recorded.weights + recorded.cache + recorded.compute)
        #expect(abs(mine / real - 1) < 0.03)
        #expect(abs(Double(footprint.compute.bytes) / Double(recorded.compute) - 1) < 0.2)
    }

    @Test(arguments: SynthesisArchitecture.allCases)
    func `weights of every stage are what its file holds`(architecture: SynthesisArchitecture) throws {
        let cutter = try Models.cutter(ModelShape(architecture))
        let model = try ModelFootprint(cutter)
        let settings = MemorySettings(cells: 512)
        for first in 0..<model.layerCount {
            for end in first + 1...model.layerCount {
                let layers = LayerRange(first: first, end: end)
                #expect(model.isLegal(layers) == cutter.isLegal(layers))
                guard model.isLegal(layers), layers.count < model.layerCount else { continue }
                let plan = try cutter.plan(layers)
                let file = try GGUFFile.parse(ByteArraySource(plan.header), expectingData: false)
                let padded = file.tensors.reduce(0) { $0 + ($1.byteCount + 31) / 32 * 32 }
                let footprint = model.stage(layers, settings)
                #expect(footprint.weights.bytes == padded, "\(layers)")
                #expect(footprint.fetched.bytes == plan.copiedByteCount, "\(layers)")
            }
        }
    }

    @Test func `a cell of grouped attention costs its heads in the type of the cache`() throws {
        let model = try Models.even(layers: 4)
        func cache(_ format: CacheFormat) -> UInt64 {
            model.stage(model.whole, MemorySettings(cells: 1000, keys: format, values: format)).cache.bytes
        }
        // 2 heads of 64 for keys and for values, 4 layers, 1000 cells padded to 1024.
        #expect(cache(.f16) == 4 * 2 * 128 * 2 * 1024)
        #expect(cache(.q8_0) == 4 * 2 * (128 / 32 * 34) * 1024)
        #expect(cache(.q4_0) == 4 * 2 * (128 / 32 * 18) * 1024)
        #expect(cache(.f32) == 2 * cache(.f16))
    }

    @Test func `lanes share the cells of attention and multiply recurrent states`() throws {
        func cache(_ architecture: SynthesisArchitecture, lanes: Int) throws -> UInt64 {
            let model = try Models.footprint(ModelShape(architecture))
            return model.stage(model.whole, MemorySettings(cells: 512, lanes: lanes)).cache.bytes
        }
        #expect(try cache(.qwen3, lanes: 1) == cache(.qwen3, lanes: 8))
        #expect(try cache(.mamba, lanes: 8) == 8 * cache(.mamba, lanes: 1))
        let one = try cache(.jamba, lanes: 1)
        #expect(try cache(.jamba, lanes: 8) > one)
        #expect(try cache(.jamba, lanes: 8) < 8 * one)
    }

    @Test func `windows bound the cache only where they are allowed to`() throws {
        var shape = ModelShape(.gemma3)
        shape.contextLength = 65_536
        let model = try Models.footprint(shape)
        func cache(_ cells: Int, whole: Bool) -> UInt64 {
            model.stage(model.whole, MemorySettings(cells: cells, lanes: 1, keepsWholeWindows: whole)).cache.bytes
        }
        #expect(cache(65_536, whole: true) == 2 * cache(32_768, whole: true))
        // One layer of six sees everything; the others keep 128 + 512 cells, padded to 768.
        let perCell: UInt64 = 2 * 2 * 16 * 2
        #expect(cache(65_536, whole: false) == perCell * (65_536 + 5 * 768))
    }

    @Test func `latent attention keeps one compressed row per token`() throws {
        let model = try Models.footprint(ModelShape(.deepseek2))
        // 32 compressed values and 16 rotated ones, once for keys and values together.
        #expect(model.stage(model.whole, MemorySettings(cells: 512)).cache.bytes == 4 * 48 * 2 * 512)
    }

    @Test func `a shared token table counts twice in a device's memory`() throws {
        var shape = ModelShape(.qwen3)
        shape.hasOutput = false
        let model = try Models.footprint(shape)
        let host = model.stage(model.whole, MemorySettings(cells: 512))
        let device = model.stage(model.whole, MemorySettings(cells: 512, layout: .offloaded))
        #expect(device.weights.bytes - host.weights.bytes == 512 * (64 / 32 * 34))
    }

    @Test func `packing for tiles adds to every block of eight bits, and a shared table stands there twice`() throws {
        let model = try Models.footprint(try #require(ModelShape.named("qwen3-0.6b")))
        let plain = model.stage(model.whole, MemorySettings(cells: 512)).weights.bytes
        let tiled = model.stage(model.whole, MemorySettings(cells: 512, layout: .tiled)).weights.bytes
        // 28 layers with 16 heads of 128 and 8 of keys and values, and a table of 151,936 tokens.
        let attention: UInt64 = 2 * 1024 * (2048 + 1024)
        let feedForward: UInt64 = 3 * 1024 * 3072
        let values: UInt64 = 28 * (attention + feedForward)
        let table: UInt64 = 151_936 * 1024
        #expect(tiled - plain == values / 32 * 4 + table / 32 * 38)
    }

    @Test func `experts are not packed for tiles, and with stacked matrices nothing is`() throws {
        func added(_ architecture: SynthesisArchitecture) throws -> UInt64 {
            var shape = ModelShape(architecture)
            (shape.width, shape.hasOutput) = (128, true)
            let model = try Models.footprint(shape)
            return model.stage(model.whole, MemorySettings(cells: 512, layout: .tiled)).weights.bytes
                - model.stage(model.whole, MemorySettings(cells: 512)).weights.bytes
        }
        #expect(try added(.qwen3) > 0)
        #expect(try added(.qwen3moe) < added(.qwen3))
        #expect(try added(.deepseek2) == 0)
    }

    @Test func `counts what the library reserves and nothing touches as no memory, save on a device`() throws {
        let model = try Models.footprint(try #require(ModelShape.named("qwen3-0.6b")))
        let settings = MemorySettings(cells: 2048)
        let stage = model.stage(model.whole, settings)
        // Logits of 512 rows are reserved, and four are computed: what is left is the widest layer.
        let widest = UInt64(4 * 1024 + 3 * 3072) * 4 * 512
        #expect(stage.compute.bytes > 300_000_000)
        #expect(stage.compute.bytes - stage.untouched.bytes == widest + 2 * 2048 * 512 + 64 * 512)
        let parts = [stage.weights, stage.cache, stage.compute, stage.output, stage.overhead].map(\.bytes)
        #expect(stage.total.bytes == parts.reduce(0, +) - stage.untouched.bytes)
        var offloaded = settings
        offloaded.layout = .offloaded
        #expect(model.stage(model.whole, offloaded).untouched.bytes == 0)
    }

    /// Resident bytes (VmRSS) of runners after prompts that filled their steps: 0.6B in q8_0, 2,048 tokens, four lanes,
    /// whole with 512 rows and cut 16 + 12 with 64.
    @Test(arguments: [(0, 28, 512, 973_520), (0, 16, 64, 695_100), (16, 28, 64, 559_652)])
    func `is what runners were seen to take`(first: Int, end: Int, rows: Int, kibibytes: Int) throws {
        var shape = try #require(ModelShape.named("qwen3-0.6b"))
        shape.tensorType = .q8_0
        let stage = try Models.footprint(shape).stage(
            LayerRange(first: first, end: end), MemorySettings(cells: 2048, rows: rows))
        #expect(abs(Double(kibibytes * 1024) / Double(stage.total.bytes) - 1) < 0.05)
    }

    @Test func `logits are kept for every row in front of the last stage and per lane in it`() throws {
        let model = try Models.even(layers: 3) { $0.vocabularySize = 1000 }
        let settings = MemorySettings(cells: 4096, lanes: 4, rows: 256)
        func output(_ first: Int, _ end: Int) -> UInt64 {
            model.stage(LayerRange(first: first, end: end), settings).output.bytes
        }
        #expect(output(0, 1) == 256 * 1000 * 4)
        #expect(output(1, 2) == 256 * 4)
        #expect(output(2, 3) == 4 * 1000 * 4)
    }

    @Test func `stages are even with a quarter of the head`() throws {
        var shape = try #require(ModelShape.named("qwen3-0.6b"))
        shape.tensorType = .q8_0
        let cutter = try Models.cutter(shape)
        let weights = try ModelFootprint(cutter).layerWeights
        let head = Double(weights[27] - weights[0]) / Double(weights[0])
        // 155.6 million weights of the head over 15.7 million of a layer.
        #expect((2.4...2.55).contains(head))
        // 15 layers against 13 and a quarter of the head; with all of it 19 against 9, with none 14 against 14.
        #expect(try cutter.evenCut(stageCount: 2, weights: weights).boundaries == [15])
    }
}
