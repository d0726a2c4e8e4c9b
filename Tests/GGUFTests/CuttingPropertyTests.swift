import GGUF
import Testing
import Vocabulary

@Suite struct `Stages of every family` {
    /// A header with every array and tensor that some rule looks at.
    private func model(_ architecture: String) -> CutModel {
        func draw(_ pattern: [UInt32]) -> MetadataValue { list((0..<12).map { pattern[$0 % pattern.count] }) }
        var model = CutModel(
            architecture,
            [
                ("attention.head_count", draw([4])), ("attention.head_count_kv", draw([0, 2])),
                ("feed_forward_length", draw([0])), ("attention.sliding_window", .uint32(64)),
                ("attention.compress_ratios", draw([4, 128])), ("leading_dense_block_count", .uint32(2)),
                ("hyper_connection.count", .uint32(4)), ("embedding_scale", .float(3)), ("ple.layers", list([4])),
                ("full_attention_interval", .uint32(2)), ("rope.dimension_sections", list([1, 1, 1, 1])),
            ])
        if FamilyRules.rules(for: architecture)?.window?.source == .array {
            model.metadata.append(("attention.sliding_window_pattern", draw([1, 0])))
        }
        model.roles += ["ffn_down_exps.weight"]
        model.shared += [
            ("rope_freqs.weight", [32]), ("position_embd.weight", [256, 8]), ("output.bias", [16]),
            ("output.scale", [1]),
        ]
        return model
    }

    @Test(arguments: FamilyRules.families)
    func `the stages' tensors are the model's layers, each once`(architecture: String) throws {
        let cutter = try ModelCutter(try model(architecture).header(), allowsUnknownFamilies: true)
        guard cutter.obstacle == nil else { return }
        for count in [2, 3] {
            for cut in cutter.legalCuts(stageCount: count, limit: 2) {
                var layers: [String] = []
                for range in cut.stages {
                    let stage = try CutStage(cutter, range.first, range.end)
                    layers += try check(stage, range, cutter)
                    #expect(try cutter.plan(range) == stage.plan, "a plan is the same every time")
                }
                #expect(layers == cutter.file.tensors.filter { $0.layerIndex != nil }.map(\.name))
            }
        }
    }

    /// Checks one stage and returns the names of its layer tensors in the model.
    private func check(_ stage: CutStage, _ range: LayerRange, _ cutter: ModelCutter) throws -> [String] {
        let file = stage.file
        #expect(file.layerCount == range.count)
        #expect(file.dataOffset == UInt64(stage.plan.header.count))
        var end = file.dataOffset
        for segment in stage.plan.segments {
            let isSound =
                segment.byteCount > 0 && segment.destinationOffset >= end
                && segment.sourceOffset >= cutter.file.dataOffset
                && segment.sourceOffset + segment.byteCount <= cutter.file.fileByteCount
            #expect(isSound, "\(segment) behind \(end)")
            end = segment.destinationOffset + segment.byteCount
        }
        #expect(end <= stage.plan.fileByteCount)
        let arrays = file.metadata.filter { entry in
            let name = entry.key.drop { $0 != "." }.dropFirst()
            return ["attention.head_count", "attention.head_count_kv", "attention.compress_ratios"].contains(name)
        }
        #expect(arrays.map { $0.value.array?.count } == [range.count, range.count, range.count])
        #expect((stage.recipe.feed == .tokens) == (range.first == 0))
        #expect((stage.recipe.capture == nil) == (range.end == cutter.layerCount))
        #expect(stage.recipe.width == cutter.width)
        var names: [String] = []
        for tensor in file.tensors {
            let origin = stage.origin(of: tensor)
            if tensor.layerIndex == nil && origin == nil { continue }
            let isRight =
                origin?.roleName == tensor.roleName && origin?.type == tensor.type
                && origin?.dimensions == tensor.dimensions
                && origin?.layerIndex == tensor.layerIndex.map { $0 + range.first }
            #expect(isRight, "\(tensor.name) comes from \(origin?.name ?? "nowhere")")
            if let origin, origin.layerIndex != nil { names.append(origin.name) }
        }
        return names
    }
}
