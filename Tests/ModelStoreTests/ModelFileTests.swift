import Foundation
import GGUF
import ModelStore
import Testing
import Vocabulary

@Suite struct `Model files` {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private func refusal(_ path: String) -> StoreError? {
        do throws(StoreError) {
            _ = try ModelFile(path: path)
            return nil
        } catch {
            return error
        }
    }

    @Test func `the built-in model is sound`() throws {
        let file = try ModelFile(path: Models.builtin)
        let card = file.card(id: "tiny", digest: "d", layerCount: 8, servedContext: 512)
        #expect(card.architecture == "qwen3")
        #expect(card.width == 256)
        #expect(card.vocabularySize == 4096)
        #expect(card.parameterCount == 7_345_408)
        #expect(card.weightBytes.bytes == file.header.tensorByteCount)
        #expect(try file.cutter().legalBoundaries == Array(1..<8))
    }

    /// A sound, small file that says this of itself.
    private func file(_ texts: [(String, String)], at name: String) throws -> ModelFile {
        var writer = try ModelShape(.llama).writer()
        writer.set("general.file_type", .uint32(15))
        for (key, text) in texts { writer.set(key, .text(text)) }
        let layout = try writer.layout()
        let data = [UInt8](repeating: 0, count: Int(layout.fileByteCount) - layout.header.count)
        let folder = name.split(separator: "/").dropLast().joined(separator: "/")
        try FileManager.default.createDirectory(atPath: scratch.path(folder), withIntermediateDirectories: true)
        return try ModelFile(path: try scratch.write(layout.header + data, to: name))
    }

    @Test func `a file tells where it comes from`() throws {
        let said = try file(
            [
                ("general.name", "Some Model"), ("general.repo_url", "https://hub.example/Some/Model-GGUF"),
                ("general.source.url", "https://hub.example/Some/Model/tree/v1"),
                ("general.source.repo_url", "https://hub.example/someone"),
                ("general.source.huggingface.repository", "Some/Model"),
            ], at: "a.gguf")
        #expect(said.sources.map(\.description) == ["Some/Model-GGUF:Q4_K_M", "Some/Model@v1:Q4_K_M"])
        let cached = try file(
            [("general.repo_url", "https://hub.example/Some/Model-GGUF")],
            at: "models--Some--Model-GGUF/snapshots/0123abc/m.gguf")
        #expect(cached.sources.map(\.description) == ["Some/Model-GGUF@0123abc:Q4_K_M"])
        #expect(try file([("general.repo_url", "\u{0}")], at: "b.gguf").sources.isEmpty)
    }

    @Test func `a copy with another card has the same tensors, also in the file's own place`() throws {
        func tensors(_ path: String) throws -> [[UInt8]] {
            let (bytes, header) = (try Models.bytes(path), try ModelFile(path: path).header)
            return header.tensors.map { tensor in
                let start = Int(header.fileOffset(of: tensor))
                return Array(bytes[start..<start + Int(tensor.byteCount)])
            }
        }
        let (source, copy) = (try Models.synthetic(in: scratch), scratch.path("copy.gguf"))
        let original = try tensors(source)
        let tags = PlacementTags(required: ["llama-cuda"], preferred: ["wired"])
        try ModelRewriting.tag(source, tags, to: copy)
        #expect(PlacementTags(try ModelFile(path: copy).header) == tags)
        #expect(try tensors(copy) == original)
        try ModelRewriting.tag(copy, PlacementTags(), to: copy)
        #expect(try Models.bytes(copy) == Models.bytes(source))
        // What nobody could plan with is not written.
        let long = PlacementTags(required: [String](repeating: "a", count: PlacementTags.countMax + 1))
        #expect(throws: StoreError.self) { try ModelRewriting.tag(source, long, to: scratch.path("bad.gguf")) }
        #expect(scratch.names(in: ".") == ["copy.gguf", "synthetic.gguf"])
    }

    @Test func `what is no regular file cannot be read`() throws {
        for path in [scratch.path("gone.gguf"), scratch.folder] {
            guard case .unreadable(path, let reason) = refusal(path) else {
                Issue.record("not refused as unreadable: \(path)")
                continue
            }
            #expect(!reason.isEmpty)
        }
    }

    @Test func `what is no model is malformed`() throws {
        let whole = try Models.bytes(Models.builtin)
        let files: [(name: String, bytes: [UInt8])] = [
            ("empty", []), ("text", Array("# A model\n".utf8)), ("magic", Array("GGUF".utf8)),
            ("header", Array(whole.prefix(100_000))), ("data", Array(whole.dropLast(4096))),
        ]
        for (name, bytes) in files {
            let path = try scratch.write(bytes, to: name)
            guard case .malformed(path, _) = refusal(path) else {
                Issue.record("\(name) is not refused as malformed: \(String(describing: refusal(path)))")
                continue
            }
        }
    }

    @Test func `what the engine would not survive is unsound`() throws {
        var writer = GGUFWriter(metadata: [], tensors: [TensorPlan(name: "t", dimensions: [4], type: .f32)])
        writer.set("general.architecture", .text("qwen3"))
        writer.set("qwen3.block_count", .uint32(1))
        let layout = try writer.layout()
        let data = [UInt8](repeating: 0, count: Int(layout.fileByteCount) - layout.header.count)
        let path = try scratch.write(layout.header + data, to: "unsound.gguf")
        guard case .unsound(path, let finding) = refusal(path) else {
            Issue.record("not refused as unsound: \(String(describing: refusal(path)))")
            return
        }
        #expect(finding.hasPrefix("error "))
    }
}

@Suite struct `Synthetic models` {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    @Test func `a model of a shape is written, the same for the same seed`() throws {
        let shape = ModelShape(.qwen3)
        for (name, seed) in [("a", 7), ("b", 7), ("c", 8)] as [(String, UInt64)] {
            try ModelSynthesis.write(shape, seed: seed, to: scratch.path(name))
        }
        let file = try ModelFile(path: scratch.path("a"))
        #expect(file.header.architecture == "qwen3")
        #expect(file.header.layerCount == shape.layerCount)
        #expect(file.header.unsigned("qwen3.embedding_length") == UInt64(shape.width))
        #expect(try Models.bytes(scratch.path("a")) == Models.bytes(scratch.path("b")))
        #expect(try Models.bytes(scratch.path("a")) != Models.bytes(scratch.path("c")))
        #expect(try Facts(scratch.path("a")).byteCount == file.header.fileByteCount)
    }

    @Test func `a model is made deeper by repeating its layers`() throws {
        let path = scratch.path("deep.gguf")
        try ModelRewriting.deepen(Models.builtin, layers: 16, to: path)
        let deep = try ModelFile(path: path).header
        let original = try ModelFile(path: Models.builtin).header
        #expect(deep.layerCount == 16)
        let layered = original.tensors.count { $0.layerIndex != nil }
        #expect(deep.tensors.count == original.tensors.count + layered)
        let bytes = try Models.bytes(path)
        let source = try Models.bytes(Models.builtin)
        func data(_ name: String, _ file: GGUFFile, _ bytes: [UInt8]) throws -> ArraySlice<UInt8> {
            let tensor = try #require(file.tensor(named: name))
            let start = Int(file.fileOffset(of: tensor))
            return bytes[start..<start + Int(tensor.byteCount)]
        }
        let copies = try (0..<8).map { try data("blk.\($0).ffn_down.weight", original, source) }
        for layer in 0..<16 {
            let copy = try data("blk.\(layer).ffn_down.weight", deep, bytes)
            #expect(copies.contains(copy), "layer \(layer) is no layer of the model")
        }
        #expect(try data("token_embd.weight", deep, bytes) == data("token_embd.weight", original, source))
    }

    @Test func `a failure names the file and leaves nothing behind`() throws {
        let text = try scratch.write(Array("no model".utf8), to: "text")
        #expect {
            try ModelRewriting.deepen(text, layers: 16, to: scratch.path("deep.gguf"))
        } throws: { error in
            guard case .malformed(text, _) = error as? StoreError else { return false }
            return true
        }
        #expect {
            try ModelSynthesis.write(ModelShape(.qwen3), seed: 1, to: "\(text)/model.gguf")
        } throws: { error in
            guard case .unwritable("\(text)/model.gguf", _) = error as? StoreError else { return false }
            return true
        }
        #expect(scratch.names(in: "") == ["text"])
    }
}
