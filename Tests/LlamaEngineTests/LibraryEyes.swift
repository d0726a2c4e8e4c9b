import CLlama
import LlamaEngine
import Testing
import Vocabulary

/// What the C library itself computes for a prompt with images, over the uncut model: the yardstick.
enum LibraryEyes {
    /// Tokens and logits behind a prompt that holds mtmd's own marker once per picture.
    static func logits(
        _ model: String, _ projector: String, _ prompt: String, _ pictures: [Picture]
    ) throws -> (rows: Int, logits: [Float]) {
        LlamaLibrary.start()
        let loaded = try #require(llama_model_load_from_file(model, llama_model_default_params()))
        defer { llama_model_free(loaded) }
        var parameters = llama_context_default_params()
        parameters.n_ctx = 1024
        parameters.n_batch = 128
        parameters.n_ubatch = 128
        parameters.n_seq_max = 4
        parameters.kv_unified = true
        parameters.n_threads = 1
        parameters.n_threads_batch = 1
        let context = try #require(llama_init_from_model(loaded, parameters))
        defer { llama_free(context) }
        var eyes = mtmd_context_params_default()
        eyes.use_gpu = false
        eyes.print_timings = false
        eyes.n_threads = 1
        let seeing = try #require(mtmd_init_from_file(projector, loaded, eyes))
        defer { mtmd_free(seeing) }
        var bitmaps: [OpaquePointer?] = pictures.map { picture in
            var pixels: [UInt8] = []
            for y in 0..<picture.height {
                for x in 0..<picture.width {
                    let (red, green, blue) = picture.color(x, y)
                    pixels += [red, green, blue]
                }
            }
            return mtmd_bitmap_init(UInt32(picture.width), UInt32(picture.height), pixels)
        }
        defer { for bitmap in bitmaps { mtmd_bitmap_free(bitmap) } }
        let chunks = try #require(mtmd_input_chunks_init())
        defer { mtmd_input_chunks_free(chunks) }
        let count = bitmaps.count
        let length = prompt.utf8.count
        let code = prompt.withCString { text in
            var input = mtmd_input_text(text: text, text_len: length, add_special: true, parse_special: true)
            return mtmd_tokenize(seeing, chunks, &input, &bitmaps, count)
        }
        try #require(code == 0)
        var past: llama_pos = 0
        try #require(mtmd_helper_eval_chunks(seeing, context, chunks, 0, 0, 128, true, &past) == 0)
        let start = try #require(llama_get_logits_ith(context, -1))
        let size = Int(llama_vocab_n_tokens(llama_model_get_vocab(loaded)))
        return (mtmd_helper_get_n_tokens(chunks), Array(UnsafeBufferPointer(start: start, count: size)))
    }
}
