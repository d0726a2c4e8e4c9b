import Foundation
import GGUF
import Testing

/// The repository's root, found from this file.
let repositoryRoot = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

/// The bytes of a file of the repository.
func repositoryFile(_ path: String) throws -> ByteArraySource {
    ByteArraySource(Array(try Data(contentsOf: repositoryRoot.appending(path: path))))
}

@Suite struct `Real model files` {
    @Test func `the built-in model parses`() throws {
        let file = try GGUFFile.parse(try repositoryFile("Models/skein-tiny-q8_0.gguf"))
        #expect(file.version == 3)
        #expect(file.architecture == "qwen3")
        #expect(file.layerCount == 8)
        #expect(file.metadata.count == 35)
        #expect(file.tensors.count == 90)
        #expect(file.headerByteCount == 134_932)
        #expect(file.dataOffset == 134_944)
        #expect(file.unsigned("qwen3.embedding_length") == 256)
        #expect(file.strings("tokenizer.ggml.tokens")?.count == 4096)
        #expect(file.strings("tokenizer.ggml.tokens")?.text(1) == "\"")
        #expect(file.bool("tokenizer.ggml.add_bos_token") == false)
        let query = try #require(file.tensor(named: "blk.0.attn_q.weight"))
        #expect(query.dimensions == [256, 256])
        #expect(query.type == .q8_0)
        #expect(query.offset == 1_115_136)
        #expect(query.byteCount == 256 * 256 / 32 * 34)
        #expect(query.layerIndex == 0)
        #expect(query.roleName == "attn_q.weight")
        #expect(file.parameterCount == 7_345_408)
    }

    @Test func `the draft model parses`() throws {
        let file = try GGUFFile.parse(try repositoryFile("Models/skein-tiny-draft-q8_0.gguf"))
        #expect(file.layerCount == 2)
        #expect(file.tensors.count == 24)
    }
}
