import GGUF
import Testing

@Suite struct `Findings in well-formed files` {
    /// A tokenizer of `count` ordinary tokens, and two layers.
    private func writer(tokens: [String] = ["a", "b", "c"], model: String = "gpt2") -> GGUFWriter {
        GGUFWriter(
            metadata: [
                MetadataEntry(key: "general.architecture", value: .text("llama")),
                MetadataEntry(key: "llama.block_count", value: .uint32(2)),
                MetadataEntry(key: "llama.context_length", value: .uint32(128)),
                MetadataEntry(key: "llama.embedding_length", value: .uint32(32)),
                MetadataEntry(key: "tokenizer.ggml.model", value: .text(model)),
                MetadataEntry(key: "tokenizer.ggml.tokens", value: .array(.texts(tokens))),
                MetadataEntry(key: "tokenizer.ggml.merges", value: .array(.texts(["a b"]))),
                MetadataEntry(
                    key: "tokenizer.ggml.token_type", value: .array(.int32(tokens.map { _ in 1 }))),
            ],
            tensors: [
                TensorPlan(name: "blk.0.attn_norm.weight", dimensions: [32], type: .f32),
                TensorPlan(name: "blk.1.attn_norm.weight", dimensions: [32], type: .f32),
            ])
    }

    private func findings(_ writer: GGUFWriter) throws -> [GGUFFinding] { try writer.layout().file.validate() }

    /// The findings after one value is set, as (severity, kind, subject).
    private func findings(setting key: String, _ value: MetadataValue) throws -> [String] {
        var changed = writer()
        changed.set(key, value)
        return try findings(changed).map { "\($0.severity) \($0.kind.rawValue) \($0.subject)" }
    }

    @Test func `nothing is found in good files`() throws {
        #expect(try findings(writer()) == [])
        for path in ["Models/skein-tiny-q8_0.gguf", "Models/skein-tiny-draft-q8_0.gguf"] {
            #expect(try GGUFFile.parse(try repositoryFile(path)).validate() == [])
        }
    }

    @Test func `a model without architecture or layers is found`() throws {
        #expect(
            try findings(GGUFWriter()).map(\.description) == [
                "error missing-key general.architecture: the file does not say what model it is"
            ])
        var bare = writer()
        bare.metadata.removeAll { $0.key == "llama.block_count" }
        #expect(try findings(bare).map(\.kind) == [.missingKey])
        #expect(
            try findings(setting: "llama.block_count", .uint32(0)) == ["error out-of-range llama.block_count"])
        #expect(
            try findings(setting: "llama.block_count", .int32(2)) == ["error wrong-type llama.block_count"])
        #expect(
            try findings(setting: "general.architecture", .uint8(1)) == ["error wrong-type general.architecture"])
    }

    @Test func `tags of a card are a text or a short list of short ones`() throws {
        let (required, preferred) = (PlacementTags.requiredKey, PlacementTags.preferredKey)
        #expect(try findings(setting: required, .text("llama-cuda")) == [])
        #expect(try findings(setting: preferred, .array(.texts(["a", "b"]))) == [])
        #expect(try findings(setting: required, .uint32(1)) == ["error wrong-type \(required)"])
        let many = [String](repeating: "a", count: PlacementTags.countMax + 1)
        #expect(try findings(setting: preferred, .array(.texts(many))) == ["error wrong-length \(preferred)"])
        let long = String(repeating: "a", count: PlacementTags.byteCountMax + 1)
        #expect(try findings(setting: required, .text(long)) == ["error wrong-length \(required)"])
        #expect(try findings(setting: required, .array(.texts(["a", ""]))) == ["error wrong-length \(required)"])
    }

    @Test func `what a card asks for is read as it was written, and can be taken back`() throws {
        var writer = writer()
        let tags = PlacementTags(required: ["llama-cuda"], preferred: ["wired", "fast"])
        writer.set(tags)
        #expect(PlacementTags(try writer.layout().file) == tags)
        writer.set(PlacementTags(preferred: ["wired"]))
        #expect(PlacementTags(try writer.layout().file) == PlacementTags(preferred: ["wired"]))
        writer.set(PlacementTags.requiredKey, .text("llama-cuda"))
        #expect(PlacementTags(try writer.layout().file).required == ["llama-cuda"])
    }

    @Test func `tensors of layers that are not there are found, and layers without tensors`() throws {
        #expect(
            try findings(setting: "llama.block_count", .uint32(1)) == ["error stray-layer blk.1.attn_norm.weight"])
        #expect(try findings(setting: "llama.block_count", .uint32(3)) == ["warning empty-layer blk.2"])
        var shard = writer()
        shard.set("llama.block_count", .uint32(3))
        shard.set("split.count", .uint16(2))
        #expect(try findings(shard) == [])
        shard.set("split.count", .uint32(2))
        #expect(try findings(shard).map(\.kind) == [.wrongType])
    }

    @Test func `per-layer arrays must fit the layers and have 32-bit elements`() throws {
        let key = "llama.attention.head_count_kv"
        #expect(try findings(setting: key, .array(.uint32([1, 1]))) == [])
        #expect(try findings(setting: key, .array(.uint32([1, 1, 1]))) == ["error wrong-length \(key)"])
        #expect(try findings(setting: key, .array(.uint8([1, 1]))) == ["error wrong-type \(key)"])
        #expect(try findings(setting: key, .array(.uint64([1, 1]))) == ["error wrong-type \(key)"])
        #expect(try findings(setting: key, .uint64(1)) == ["error wrong-type \(key)"])
    }

    @Test func `numbers that the engine asserts are found`() throws {
        #expect(
            try findings(setting: "llama.rope.scaling.type", .text("spiral"))
                == ["error unknown-value llama.rope.scaling.type"])
        #expect(
            try findings(setting: "llama.expert_count", .uint32(2000)) == [
                "error out-of-range llama.expert_count", "error out-of-range llama.expert_used_count",
            ])
        #expect(
            try findings(setting: "llama.expert_used_count", .uint32(2))
                == ["error out-of-range llama.expert_used_count"])
        #expect(
            try findings(setting: "llama.nextn_predict_layers", .uint32(3))
                == ["error out-of-range llama.nextn_predict_layers"])
        #expect(
            try findings(setting: "llama.vocab_size", .uint32(.max)) == ["error out-of-range llama.vocab_size"])
        #expect(
            try findings(setting: "llama.embedding_length", .uint32(0))
                == ["error out-of-range llama.embedding_length"])
        #expect(
            try findings(setting: "general.alignment", .uint32(8)) == ["error loose-alignment general.alignment"])
        var groups = writer()
        groups.set("llama.expert_count", .uint32(8))
        groups.set("llama.expert_used_count", .uint32(2))
        #expect(try findings(groups) == [])
        groups.set("llama.expert_group_count", .uint32(3))
        #expect(try findings(groups).map(\.subject) == ["llama.expert_group_count", "llama.expert_group_used_count"])
    }

    @Test func `an empty tensor is found`() throws {
        var changed = writer()
        changed.tensors[1].dimensions = [32, 0]
        #expect(try findings(changed).map(\.kind) == [.emptyTensor])
    }

    @Test func `arrays that the engine reads with a fixed type must have it`() throws {
        let scores = "tokenizer.ggml.scores"
        #expect(try findings(setting: scores, .array(.floats([0, 0, 0]))) == [])
        #expect(try findings(setting: scores, .array(.uint8([0, 0, 0]))) == ["error wrong-type \(scores)"])
        #expect(try findings(setting: scores, .uint32(1)) == ["error wrong-type \(scores)"])
        #expect(try findings(setting: scores, .array(.floats([0, 0]))) == ["error wrong-length \(scores)"])
        #expect(try findings(setting: scores, .array(.floats([0, 0, 0, 0]))) == ["warning wrong-length \(scores)"])
        let types = "tokenizer.ggml.token_type"
        #expect(try findings(setting: types, .array(.uint8([1, 1, 1]))) == ["error wrong-type \(types)"])
        #expect(try findings(setting: types, .array(.uint32([1, 1, 1]))) == ["error wrong-type \(types)"])
        #expect(try findings(setting: types, .array(.int32([1]))) == ["error wrong-length \(types)"])
        let tokens = "tokenizer.ggml.tokens"
        #expect(try findings(setting: tokens, .array(.uint8([1]))) == ["error wrong-type \(tokens)"])
        #expect(
            try findings(setting: "tokenizer.ggml.merges", .text("a b")) == ["error wrong-type tokenizer.ggml.merges"])
    }

    @Test func `tokens of the same text are found, also after what the engine does to them`() throws {
        #expect(try findings(writer(tokens: ["a", "b", "a"])).map(\.kind) == [.duplicateToken])
        #expect(try findings(writer(tokens: ["", "b", "[EMPTY_0]"])).map(\.kind) == [.duplicateToken])
        #expect(try findings(writer(tokens: ["[EMPTY_2]", "b", ""])).map(\.kind) == [.duplicateToken])
        #expect(try findings(writer(tokens: ["[EMPTY_1]", "\0x", "c"])).map(\.kind) == [.duplicateToken, .cutToken])
        #expect(try findings(writer(tokens: ["", "", ""])) == [])
        // None of these names an empty token: there is none at that place, or the place is written otherwise.
        #expect(try findings(writer(tokens: ["[EMPTY_1]", "[EMPTY_00]", "[EMPTY_9]", ""])) == [])
        #expect(try findings(writer(tokens: ["a\0x", "a", "c"])).map(\.kind) == [.duplicateToken, .cutToken])
        #expect(
            try findings(writer(tokens: ["a", String(repeating: "x", count: 5000)])).map(\.kind) == [.longToken])
    }

    @Test func `a vocabulary beyond the limit is refused before anything is kept of its tokens`() throws {
        var table = StringTable()
        for _ in 0...1 << 20 { table.append([UInt8]()) }
        var changed = writer()
        changed.set("tokenizer.ggml.tokens", .array(.string(table)))
        // Neither missing types nor anything of the tokens is told beside.
        #expect(
            try findings(changed).map(\.description) == [
                "error out-of-range tokenizer.ggml.tokens: has 1048577 elements, expected at most 1048576"
            ])
        #expect(
            try findings(setting: "llama.vocab_size", .uint32(1 << 20 + 1))
                == ["error out-of-range llama.vocab_size"])
        #expect(try findings(setting: "llama.vocab_size", .uint32(1 << 20)) == [])
    }

    @Test(arguments: ["<0x-1>", "<0xZZ>", "<0x0>", "<0x000>", "0x00", "<0X00>", "x"])
    func `a byte token of another form is found`(text: String) throws {
        var changed = writer(tokens: ["a", text])
        changed.set("tokenizer.ggml.token_type", .array(.int32([1, 6])))
        #expect(try findings(changed).map(\.kind) == [.malformedByteToken])
    }

    @Test func `a tokenizer that falls back to bytes needs all of them`() throws {
        let digits = Array("0123456789ABCDEF")
        let bytes = (0..<256).map { "<0x\(digits[$0 / 16])\(digits[$0 % 16])>" }
        #expect(try findings(writer(tokens: bytes, model: "plamo2")) == [])
        let incomplete = try findings(writer(tokens: bytes.filter { $0 != "<0x7F>" }, model: "plamo2"))
        #expect(
            incomplete.map(\.description) == [
                "error missing-byte-token tokenizer.ggml.tokens: has no token for byte 127"
            ])
        #expect(try findings(writer(model: "llama")).map(\.severity) == [.warning])
        #expect(try findings(writer(model: "rwkv")).map(\.kind) == [.missingByteToken])
        #expect(try findings(writer(tokens: ["a", "\\n"], model: "rwkv")) == [])
    }

    @Test func `special tokens must be in the vocabulary when they are to be added`() throws {
        let bos = "tokenizer.ggml.bos_token_id"
        #expect(try findings(setting: bos, .uint32(3)) == ["warning stray-token \(bos)"])
        #expect(try findings(setting: bos, .int32(1)) == ["error wrong-type \(bos)"])
        #expect(try findings(setting: "tokenizer.ggml.add_bos_token", .bool(true)) == ["error stray-token \(bos)"])
        #expect(
            try findings(setting: "tokenizer.ggml.add_bos_token", .uint8(1))
                == ["error wrong-type tokenizer.ggml.add_bos_token"])
        var both = writer()
        both.set(bos, .uint32(2))
        both.set("tokenizer.ggml.add_bos_token", .bool(true))
        #expect(try findings(both) == [])
    }

    @Test func `an unknown tokenizer is found, none at all is fine`() throws {
        #expect(
            try findings(setting: "tokenizer.ggml.model", .text("abacus"))
                == ["error unknown-value tokenizer.ggml.model"])
        #expect(try findings(setting: "tokenizer.ggml.model", .text("no_vocab")) == [])
        #expect(
            try findings(setting: "tokenizer.ggml.merges", .array(.texts(["ab", " a"])))
                == ["warning malformed-merge tokenizer.ggml.merges", "warning malformed-merge tokenizer.ggml.merges"])
    }

    @Test func `a flood of warnings does not hide an error`() throws {
        var changed = writer()
        changed.set("tokenizer.ggml.merges", .array(.texts((0..<1000).map { "m\($0)" })))
        changed.set("tokenizer.ggml.add_bos_token", .bool(true))
        let found = try findings(changed)
        #expect(found.count == 51)
        #expect(found.first?.severity == .error)
    }
}
