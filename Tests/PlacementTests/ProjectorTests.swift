import GGUF
import Placement
import Testing
import Vocabulary

@Suite struct `A projector` {
    private static func facts(_ width: Int) throws -> ProjectorFacts {
        try ProjectorFacts(try ProjectorShape(width: width).writer().layout().file)
    }

    private static func header(
        _ architecture: String, _ entries: [(String, MetadataValue)] = [], tensors: [TensorPlan] = []
    ) throws -> GGUFFile {
        let all = [(GGUFFormat.architectureKey, MetadataValue.text(architecture))] + entries
        return try GGUFWriter(metadata: all.map { MetadataEntry(key: $0.0, value: $0.1) }, tensors: tensors)
            .layout().file
    }

    private static func projector(_ family: String) throws -> ProjectorFacts {
        try ProjectorFacts(
            try header("clip", [("clip.has_vision_encoder", .bool(true)), ("clip.projector_type", .text(family))]))
    }

    @Test func `its header tells its width, its weights and its largest picture`() throws {
        let facts = try Self.facts(512)
        #expect(facts.family == "mlp" && facts.width == 512)
        #expect(facts.patchSize == 14 && facts.pixelCount == 56 * 56)
        let layout = try ProjectorShape(width: 512).writer().layout()
        #expect(facts.weightBytes >= layout.file.tensorByteCount && facts.weightBytes < layout.fileByteCount)
        let footprint = ProjectorFootprint(facts, rows: ByteCount(1 << 20))
        #expect(footprint.total.bytes == footprint.weights.bytes + footprint.compute.bytes + 1 << 20)
        #expect(footprint.compute.bytes > 56 * 56 * 3 * 4)
    }

    /// Shapes of known encoders with two matrices behind them, and the buffers of their graphs as `no_alloc` of the
    /// pinned engine counts them (`mtmd_get_memory_usage` less the tensors).
    @Test(arguments: [
        (image: 336, patch: 14, inner: 1024, wide: 4096, rows: 4096, bytes: 22_593_024),
        (image: 384, patch: 14, inner: 1152, wide: 4304, rows: 2048, bytes: 24_403_520),
        (image: 896, patch: 14, inner: 1152, wide: 4304, rows: 2560, bytes: 136_806_400),
        (image: 448, patch: 14, inner: 1024, wide: 4096, rows: 2048, bytes: 31_776_768),
        (image: 448, patch: 14, inner: 1024, wide: 1024, rows: 256, bytes: 23_388_160),
        (image: 224, patch: 16, inner: 768, wide: 3072, rows: 2048, bytes: 4_417_088),
    ])
    func `its buffers are close to what the engine reserves`(
        shape: (image: Int, patch: Int, inner: Int, wide: Int, rows: Int, bytes: Int)
    ) throws {
        let sizes = [
            ("image_size", shape.image), ("patch_size", shape.patch), ("embedding_length", shape.inner),
            ("feed_forward_length", shape.wide),
        ]
        let entries = sizes.map { ("clip.vision.\($0.0)", MetadataValue.uint32(UInt32($0.1))) }
        let output = TensorPlan(name: "mm.2.weight", dimensions: [8, UInt64(shape.rows)], type: .f16)
        let facts = try ProjectorFacts(
            try Self.header("clip", [("clip.has_vision_encoder", .bool(true))] + entries, tensors: [output]))
        let share =
            Double(ProjectorFootprint(facts, rows: ByteCount(0)).compute.bytes) / Double(shape.bytes)
        #expect((0.99...1.15).contains(share), "\(share)")
    }

    @Test func `what is none is refused by what it is`() throws {
        #expect(throws: ProjectorObstacle.noProjector(architecture: "llama")) {
            try ProjectorFacts(try Self.header("llama"))
        }
        #expect(throws: ProjectorObstacle.soundOnly) {
            try ProjectorFacts(try Self.header("clip", [("clip.has_audio_encoder", .bool(true))]))
        }
        #expect(throws: ProjectorObstacle.noEncoder) { try ProjectorFacts(try Self.header("clip")) }
    }

    @Test func `a model that it does not fit is named with the reason`() throws {
        func model(_ architecture: String, width: UInt32, sections: [Int32]? = nil) throws -> GGUFFile {
            var entries: [(String, MetadataValue)] = [("\(architecture).embedding_length", .uint32(width))]
            if let sections {
                entries.append(("\(architecture).rope.dimension_sections", .array(.int32(sections))))
            }
            return try Self.header(architecture, entries)
        }
        let facts = try Self.facts(512)
        #expect(facts.obstacle(of: try model("llama", width: 512)) == nil)
        let other = facts.obstacle(of: try model("llama", width: 4096))
        #expect(other == .otherWidth(projector: 512, model: 4096))
        #expect("\(other.map(\.description) ?? "")".contains("512"))
        #expect(facts.obstacle(of: try model("qwen2vl", width: 512)) == .threeDirections(architecture: "qwen2vl"))
        let glm = try model("glm4", width: 512, sections: [8, 12, 12, 0])
        #expect(facts.obstacle(of: glm) == .threeDirections(architecture: "glm4"))
        #expect(facts.obstacle(of: try model("glm4", width: 512)) == nil)
        let llama = try model("llama", width: 512)
        #expect(try Self.projector("gemma3").obstacle(of: llama) == .bothDirections(family: "gemma3"))
        #expect(try Self.projector("granite4_vision").obstacle(of: llama) == .severalLayers(family: "granite4_vision"))
        // Of others the engine says it.
        #expect(try Self.projector("resampler").obstacle(of: llama) == nil)
    }

    @Test func `figures of a hostile header add up to no more than any machine has`() throws {
        let sizes = ["embedding_length", "feed_forward_length", "patch_size", "image_size", "image_max_pixels"]
        let entries = sizes.map { ("clip.vision.\($0)", MetadataValue.uint64(.max)) }
        let facts = try ProjectorFacts(
            try Self.header("clip", [("clip.has_vision_encoder", .bool(true))] + entries))
        #expect(ProjectorFootprint(facts, rows: ByteCount(1 << 28)).total.bytes <= PlacementLimits.memoryMax)
    }

    // MARK: In plans

    private func stages(
        _ model: ModelFootprint, _ memory: [UInt64], projector: UInt64
    ) throws -> [StagePlan] {
        let nodes = memory.enumerated().map { NodeInventory.simple("n\($0.offset)", memory: $0.element) }
        var request = PlacementRequest(context: 4096)
        request.projector = ByteCount(projector)
        return try #require(try Planner(model: model, inventory: .meshed(nodes)).plan(request).plan).stages
    }

    @Test func `it counts on the machine of the first stage, and on no other one`() throws {
        let model = try Models.even(layers: 12)
        let whole = model.stage(model.whole, MemorySettings(cells: 4096)).total.bytes
        let alone = try #require(try stages(model, [8 << 30], projector: 1 << 28).first)
        #expect(alone.footprint.projector == ByteCount(1 << 28))
        #expect(alone.footprint.total.bytes == whole + 1 << 28)
        #expect(alone.freeAfter.bytes == 8 << 30 - alone.footprint.total.bytes)
    }

    @Test func `the first stage goes where there is room for both`() throws {
        let model = try Models.even(layers: 12)
        let whole = model.stage(model.whole, MemorySettings(cells: 4096)).total.bytes
        let settings = MemorySettings(cells: 4096)
        let halves = [LayerRange(first: 0, end: 6), LayerRange(first: 6, end: 12)]
        let half = halves.map { model.stage($0, settings).total.bytes }.reduce(0, max) + 1 << 16
        for place in 0...1 {
            let plan = try stages(
                model, [half, half].enumerated().map { $0.element + ($0.offset == place ? half : 0) }, projector: half)
            #expect(plan.map(\.node) == ["n\(place)", "n\(1 - place)"])
            #expect(plan.map(\.footprint.projector.bytes) == [half, 0])
        }
        let short = try Planner(model: model, inventory: .meshed([.simple("a", memory: whole + 1)]))
        var request = PlacementRequest(context: 4096)
        request.projector = ByteCount(whole)
        let shortfall = try #require(try short.plan(request).shortfall)
        #expect(shortfall.required.bytes >= 2 * whole)
    }

    @Test func `a figure beyond every machine is refused`() throws {
        let planner = try Planner(
            model: try Models.even(layers: 4), inventory: .meshed([.simple("a", memory: 1 << 30)]))
        var request = PlacementRequest(context: 4096)
        request.projector = ByteCount(.max)
        #expect(throws: PlacementError.self) { try planner.plan(request) }
    }
}
