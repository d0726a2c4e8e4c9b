import GGUF
import Testing

@Suite struct `Deepened models` {
    private func header(_ architecture: String, _ metadata: [(String, MetadataValue)], _ tensors: [(String, [UInt64])])
        throws -> GGUFFile
    {
        try GGUFWriter(
            metadata: [MetadataEntry(key: "general.architecture", value: .text(architecture))]
                + metadata.map { MetadataEntry(key: "\(architecture).\($0.0)", value: $0.1) },
            tensors: tensors.map { TensorPlan(name: $0.0, dimensions: $0.1, type: .f32) }
        ).layout().file
    }

    /// Which source layer each tensor of a role comes from, by layer.
    private func sources(_ deep: DeepenedModel, of file: GGUFFile, role: String) -> [Int: Int] {
        var map: [Int: Int] = [:]
        for (tensor, place) in zip(deep.writer.tensors, deep.sources) {
            guard let (layer, name) = TensorInfo.layerName(tensor.name), name == role else { continue }
            map[layer] = file.tensors[place].layerIndex
        }
        return map
    }

    @Test func `as many layers as before is the same file`() throws {
        let file = try GGUFFile.parse(try repositoryFile("Models/skein-tiny-q8_0.gguf"))
        let deep = try file.deepened(layers: 8)
        #expect(try deep.writer.layout().file == file)
        #expect(deep.sources == Array(file.tensors.indices))
    }

    @Test func `layers are repeated in turn, with tensors of the same shape and type`() throws {
        let file = try GGUFFile.parse(try repositoryFile("Models/skein-tiny-draft-q8_0.gguf"))
        let deep = try file.deepened(layers: 5)
        let layout = try deep.writer.layout()
        #expect(layout.file.layerCount == 5)
        #expect(layout.file.tensors.count == 2 + 5 * 11)
        #expect(layout.file.validate() == [])
        #expect(sources(deep, of: file, role: "attn_q.weight") == [0: 0, 1: 1, 2: 0, 3: 1, 4: 0])
        for (tensor, place) in zip(layout.file.tensors, deep.sources) {
            let source = file.tensors[place]
            #expect(tensor.byteCount == source.byteCount && tensor.type == source.type)
            #expect(tensor.roleName == source.roleName)
        }
        #expect(layout.file.tensors.last?.name == "output_norm.weight")
    }

    @Test func `leading dense layers stay in front`() throws {
        let file = try ModelShape(.deepseek2).writer().layout().file
        let deep = try file.deepened(layers: 9)
        #expect(sources(deep, of: file, role: "ffn_up.weight") == [0: 0])
        #expect(
            sources(deep, of: file, role: "ffn_up_exps.weight")
                == [1: 1, 2: 2, 3: 3, 4: 1, 5: 2, 6: 3, 7: 1, 8: 2])
        #expect(try deep.writer.layout().file.unsigned("deepseek2.leading_dense_block_count") == 1)
    }

    @Test func `a model that is all dense stays so`() throws {
        var shape = ModelShape(.deepseek2)
        shape.leadingDenseCount = 4
        let file = try shape.writer().layout().file
        let deep = try file.deepened(layers: 9)
        #expect(try deep.writer.layout().file.unsigned("deepseek2.leading_dense_block_count") == 9)
        #expect(sources(deep, of: file, role: "ffn_up.weight").count == 9)
    }

    @Test func `hybrids keep their pattern, and per-layer metadata follows`() throws {
        let file = try ModelShape(.jamba).writer().layout().file
        let deep = try file.deepened(layers: 7)
        let made = try deep.writer.layout().file
        #expect(made.integers("jamba.attention.head_count_kv") == [0, 2, 0, 2, 0, 2, 0])
        #expect(sources(deep, of: file, role: "attn_q.weight") == [1: 1, 3: 3, 5: 1])
        #expect(made.tensors.filter { $0.roleName == "ssm_in.weight" }.compactMap(\.layerIndex) == [0, 2, 4, 6])
    }

    @Test func `attention told by metadata and a dense lead are combined`() throws {
        let file = try header(
            "kimi-linear",
            [
                ("block_count", .uint32(2)), ("leading_dense_block_count", .uint32(1)),
                ("attention.head_count_kv", .array(.uint32([2, 0]))),
                ("rope.dimension_sections", .array(.int32([8, 8]))),
            ],
            [
                ("token_embd.weight", [8, 4]), ("blk.0.attn_q.weight", [8, 8]), ("blk.0.ffn_up.weight", [8, 8]),
                ("blk.1.ssm_a", [8]), ("blk.1.ffn_up_exps.weight", [8, 8, 2]), ("output_norm.weight", [8]),
            ])
        let deep = try file.deepened(layers: 4)
        #expect(
            deep.writer.tensors.map(\.name) == [
                "token_embd.weight", "blk.0.attn_q.weight", "blk.0.ffn_up.weight", "blk.1.ssm_a",
                "blk.1.ffn_up_exps.weight", "blk.2.attn_q.weight", "blk.2.ffn_up_exps.weight", "blk.3.ssm_a",
                "blk.3.ffn_up_exps.weight", "output_norm.weight",
            ])
        let made = try deep.writer.layout().file
        #expect(made.integers("kimi-linear.attention.head_count_kv") == [2, 0, 2, 0])
        #expect(made.integers("kimi-linear.rope.dimension_sections") == [8, 8])
    }

    @Test func `a pattern told by one number keeps its period`() throws {
        let kinds = ["ffn_up.weight", "ffn_up_exps.weight", "ffn_up.weight"]
        let file = try header(
            "llama4", [("block_count", .uint32(3)), ("interleave_moe_layer_step", .uint32(2))],
            kinds.enumerated().map { ("blk.\($0.offset).\($0.element)", [8, 8]) })
        let deep = try file.deepened(layers: 6)
        #expect(sources(deep, of: file, role: "ffn_up_exps.weight") == [1: 1, 3: 1, 5: 1])
        #expect(sources(deep, of: file, role: "ffn_up.weight") == [0: 0, 2: 0, 4: 0])
    }

    @Test func `layers that predict further tokens stay at the end`() throws {
        let file = try header(
            "glm4moe", [("block_count", .uint32(3)), ("nextn_predict_layers", .uint32(1))],
            [("blk.0.w", [8]), ("blk.1.w", [8]), ("blk.2.nextn.w", [8])])
        let deep = try file.deepened(layers: 6)
        #expect(sources(deep, of: file, role: "w") == [0: 0, 1: 1, 2: 0, 3: 1, 4: 0])
        #expect(sources(deep, of: file, role: "nextn.w") == [5: 2])
    }

    @Test func `a looped model gets more rounds`() throws {
        let file = try header(
            "hrm_text", [("block_count", .uint32(6)), ("hrm.h_cycles", .uint32(2))],
            [("blk.0.w", [8]), ("blk.1.w", [8])])
        let deep = try file.deepened(layers: 12)
        #expect(deep.writer.tensors.count == 2)
        #expect(try deep.writer.layout().file.unsigned("hrm_text.hrm.h_cycles") == 4)
        #expect(throws: GGUFError.self) { try file.deepened(layers: 13) }
    }

    @Test func `what cannot be deepened is refused`() throws {
        let file = try GGUFFile.parse(try repositoryFile("Models/skein-tiny-draft-q8_0.gguf"))
        #expect(
            throws: GGUFError.unwritable(field: "layers", reason: "1 is asked for, and 2 to 512 can be made")
        ) { try file.deepened(layers: 1) }
        #expect(throws: GGUFError.self) { try file.deepened(layers: 513) }
        #expect(throws: GGUFError.self) { try sampleWriter().layout().file.deepened(layers: 2) }
        let encoder = try header("t5", [("block_count", .uint32(1))], [("enc.blk.0.w", [8])])
        #expect(throws: GGUFError.self) { try encoder.deepened(layers: 2) }
        let stray = try header("llama", [("block_count", .uint32(1))], [("blk.1.w", [8])])
        #expect(throws: GGUFError.self) { try stray.deepened(layers: 2) }
    }
}
