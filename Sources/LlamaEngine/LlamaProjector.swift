import CLlama
import CLlamaExtras
package import Serving
import Synchronization
package import Vocabulary

/// A piece of a prompt with images.
package enum PromptPiece: Sendable {
    /// Text; control tokens written in it count as such.
    case text(String)
    /// An image file, and where the client put it.
    case image([UInt8], field: String)
}

/// A projector: the model that makes rows of a language model's input from images, run by llama.cpp's mtmd.
///
/// **Isolation:** any thread, one at a time; encoding an image takes as long as it takes.
package final class LlamaProjector: Sendable {
    private let state: Mutex<ProjectorState>

    /// Loads the projector of `model`. `identity` tells its rows from those of other projectors.
    ///
    /// **Throws:** `loadFailed` when the file is refused, when it does not fit the model, and when it sees nothing or
    /// needs what this engine does not do.
    package init(
        path: String, identity: [UInt8], model: SharedModel, threads: Int, usesGPU: Bool = false
    ) throws(EngineError) {
        state = Mutex(
            try ProjectorState(path: path, identity: identity, model: model, threads: threads, usesGPU: usesGPU))
    }

    /// The tokens of a prompt, and the rows of its images, which are encoded unless they were lately.
    ///
    /// **Throws:** `invalidField` for a file that is no image; `overloaded` when requests hold too many images;
    /// `engineFailed` when the library fails.
    package func prompt(_ pieces: [PromptPiece]) throws(GenerationError) -> (tokens: [Token], images: [ImageSpan]) {
        try state.withLock { (state) throws(GenerationError) in try state.prompt(pieces) }
    }

    /// Images encoded so far; those found again do not count.
    package var encodedCount: Int { state.withLock { $0.encodedCount } }
}

/// Owner of mtmd's context and of what was made of images.
@safe private struct ProjectorState: ~Copyable {
    private let handle: OpaquePointer
    private let model: SharedModel
    private let identity: [UInt8]
    private let width: Int
    private var shelf = ImageShelf()
    private(set) var encodedCount = 0

    init(path: String, identity: [UInt8], model: SharedModel, threads: Int, usesGPU: Bool) throws(EngineError) {
        LlamaLibrary.start()
        LlamaLibrary.clearLog()
        unsafe mtmd_helper_log_set({ level, text, _ in unsafe LlamaLibrary.record(level, text) }, nil)
        var parameters = unsafe mtmd_context_params_default()
        unsafe parameters.use_gpu = usesGPU
        unsafe parameters.print_timings = false
        unsafe parameters.n_threads = Int32(threads)
        guard let made = unsafe mtmd_init_from_file(path, model.model.handle, parameters) else {
            throw .loadFailed(path: path, reason: LlamaLibrary.reason(or: "the library gave no reason"))
        }
        if let reason = unsafe Self.refusal(made, model) {
            unsafe mtmd_free(made)
            throw .loadFailed(path: path, reason: reason)
        }
        unsafe handle = made
        self.model = model
        self.identity = identity
        width = model.model.width
    }

    deinit { unsafe mtmd_free(handle) }

    /// Why a projector that could be loaded cannot be used; nil when it can.
    private static func refusal(_ handle: OpaquePointer, _ model: SharedModel) -> String? {
        if unsafe !mtmd_support_vision(handle) { return "it is a projector for sound, not for images" }
        if unsafe mtmd_decode_use_mrope(handle) {
            return "the model counts an image's positions in three directions (M-RoPE), which stages do not do yet"
        }
        if unsafe mtmd_decode_use_non_causal(handle, nil) {
            return "an image's rows have to see each other in both directions, which stages do not do yet"
        }
        let (width, input) = (model.model.width, model.model.inputWidth)
        if width != input { return "it makes rows of \(input) floats, and stages take \(width)" }
        return nil
    }

    mutating func prompt(_ pieces: [PromptPiece]) throws(GenerationError) -> (tokens: [Token], images: [ImageSpan]) {
        let input = ProjectorInput()
        var digests: [[UInt8]] = []
        var fields: [String] = []
        for piece in pieces {
            switch piece {
            case .text(let text): if !text.isEmpty { input.add(text) }
            case .image(let file, let field):
                input.add(try Pixels(file, name: "\(digests.count)", field: field))
                digests.append(SecureDigest.of(file))
                fields.append(field)
            }
        }
        LlamaLibrary.clearLog()
        guard unsafe input.tokenize(handle) else {
            throw .engineFailed(
                reason: "an image could not be prepared (\(LlamaLibrary.reason(or: "no reason was logged")))")
        }
        var tokens: [Token] = []
        var images: [ImageSpan] = []
        var parts = [Int](repeating: 0, count: digests.count)
        for index in 0..<input.chunkCount {
            guard let chunk = unsafe input.chunk(index) else { continue }
            if unsafe mtmd_input_chunk_get_type(chunk) == MTMD_INPUT_CHUNK_TYPE_TEXT {
                var count = 0
                let start = unsafe mtmd_input_chunk_get_tokens_text(chunk, &count)
                unsafe tokens.append(contentsOf: UnsafeBufferPointer(start: start, count: count))
                continue
            }
            guard let name = unsafe mtmd_input_chunk_get_id(chunk), case let text = unsafe String(cString: name),
                let image = Int(text), digests.indices.contains(image)
            else { throw .engineFailed(reason: "the projector made rows of no image") }
            let key = ImageShelf.Key(image: digests[image], part: parts[image])
            parts[image] += 1
            let rows = try unsafe rows(of: chunk, key)
            images.append(ImageSpan(start: tokens.count, rows: rows))
            tokens += rows.ids
        }
        return (tokens, images)
    }

    /// The rows of a chunk, encoded or found again.
    private mutating func rows(of chunk: OpaquePointer, _ key: ImageShelf.Key) throws(GenerationError) -> ImageRows {
        if let rows = shelf.take(key) { return rows }
        let count = unsafe mtmd_input_chunk_get_n_tokens(chunk)
        guard count > 0, unsafe Int(mtmd_input_chunk_get_n_pos(chunk)) == count else {
            throw .engineFailed(reason: "the projector made \(count) rows with other positions than text has")
        }
        guard shelf.makeRoom(for: count * width * MemoryLayout<Float>.size) else {
            throw .overloaded(queued: shelf.heldCount, limit: shelf.heldCount, retryAfterSeconds: 5)
        }
        LlamaLibrary.clearLog()
        guard unsafe mtmd_encode_chunk(handle, chunk) == 0, let start = unsafe mtmd_get_output_embd(handle) else {
            throw .engineFailed(
                reason: "an image could not be encoded (\(LlamaLibrary.reason(or: "no reason was logged")))")
        }
        encodedCount += 1
        let values = unsafe Array(UnsafeBufferPointer(start: start, count: count * width))
        let rows = ImageRows(
            image: key.image, part: key.part, projector: identity, width: width, values: values)
        shelf.put(key, rows)
        return rows
    }
}

/// What mtmd is given of a prompt, and the chunks it makes of that; frees both.
@safe private final class ProjectorInput {
    @safe private enum Piece {
        case text(UnsafeMutableBufferPointer<CChar>)
        case image(OpaquePointer)
    }

    private var pieces: [Piece] = []
    private let chunks: OpaquePointer?

    init() { unsafe chunks = mtmd_input_chunks_init() }

    deinit {
        for piece in pieces {
            switch piece {
            case .text(let buffer): unsafe buffer.deallocate()
            case .image(let bitmap): unsafe mtmd_bitmap_free(bitmap)
            }
        }
        unsafe mtmd_input_chunks_free(chunks)
    }

    func add(_ text: String) {
        let bytes = Array(text.utf8)
        let buffer = UnsafeMutableBufferPointer<CChar>.allocate(capacity: bytes.count + 1)
        _ = unsafe buffer.initialize(fromContentsOf: bytes.map { CChar(bitPattern: $0) } + [0])
        unsafe pieces.append(.text(buffer))
    }

    func add(_ pixels: consuming Pixels) { unsafe pieces.append(.image(pixels.release())) }

    /// Cuts the pieces into chunks; false when the library refuses them.
    func tokenize(_ projector: OpaquePointer) -> Bool {
        guard let chunks = unsafe chunks else { return false }
        let count = pieces.count
        let texts = UnsafeMutablePointer<mtmd_input_text>.allocate(capacity: count)
        let parts = UnsafeMutablePointer<mtmd_input_part>.allocate(capacity: count)
        let list = UnsafeMutablePointer<UnsafePointer<mtmd_input_part>?>.allocate(capacity: count)
        defer {
            unsafe texts.deallocate()
            unsafe parts.deallocate()
            unsafe list.deallocate()
        }
        for index in 0..<count {
            switch pieces[index] {
            case .text(let buffer):
                unsafe (texts + index).initialize(
                    to: mtmd_input_text(
                        text: buffer.baseAddress, text_len: buffer.count - 1, add_special: false, parse_special: true))
                unsafe (parts + index).initialize(to: mtmd_input_part(text: texts + index, bitmap: nil))
            case .image(let bitmap):
                unsafe (parts + index).initialize(to: mtmd_input_part(text: nil, bitmap: bitmap))
            }
            unsafe (list + index).initialize(to: UnsafePointer(parts + index))
        }
        return unsafe mtmd_tokenize_from_parts(projector, chunks, list, count, true) == 0
    }

    var chunkCount: Int { unsafe mtmd_input_chunks_size(chunks) }

    func chunk(_ index: Int) -> OpaquePointer? { unsafe mtmd_input_chunks_get(chunks, index) }
}
