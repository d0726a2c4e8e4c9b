import CLlama
import LlamaEngine
import Testing
import Vocabulary

/// What the C library itself answers when it is asked for vectors, with its own pooling: the yardstick.
final class LibraryVectors {
    private let model: OpaquePointer
    private let context: OpaquePointer

    /// `pooling` of the model itself when nil.
    init(_ path: String, pooling: llama_pooling_type? = nil, cells: UInt32 = 512) throws {
        LlamaLibrary.start()
        model = try #require(llama_model_load_from_file(path, llama_model_default_params()))
        var parameters = llama_context_default_params()
        parameters.n_ctx = cells
        parameters.n_batch = cells
        parameters.n_ubatch = cells
        parameters.n_threads = 1
        parameters.n_threads_batch = 1
        parameters.embeddings = true
        if let pooling { parameters.pooling_type = pooling }
        context = try #require(llama_init_from_model(model, parameters))
    }

    deinit {
        llama_free(context)
        llama_model_free(model)
    }

    /// The library's vector of one text by itself.
    func vector(_ tokens: [Token]) throws -> [Float] {
        llama_memory_clear(llama_get_memory(context), true)
        var batch = llama_batch_init(Int32(tokens.count), 0, 1)
        defer { llama_batch_free(batch) }
        batch.n_tokens = Int32(tokens.count)
        for (index, token) in tokens.enumerated() {
            batch.token[index] = token
            batch.pos[index] = Int32(index)
            batch.n_seq_id[index] = 1
            batch.seq_id[index]?[0] = 0
            batch.logits[index] = 1
        }
        #expect((llama_model_has_decoder(model) ? llama_decode(context, batch) : llama_encode(context, batch)) == 0)
        let start = try #require(llama_get_embeddings_seq(context, 0))
        return Array(UnsafeBufferPointer(start: start, count: Int(llama_model_n_embd_out(model))))
    }
}

extension [Float] {
    /// The cosine of the angle to another vector.
    func cosine(to other: [Float]) -> Double {
        func dot(_ left: [Float], _ right: [Float]) -> Double {
            zip(left, right).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        }
        return count == other.count
            ? dot(self, other) / (dot(self, self) * dot(other, other)).squareRoot() : -.infinity
    }
}
