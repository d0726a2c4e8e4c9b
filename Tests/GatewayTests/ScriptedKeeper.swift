import Dialects
import Gateway
import NIOCore
import Synchronization
import Vocabulary

/// Keeps uploads in memory, remembers what it was asked, and refuses by a script.
final class ScriptedKeeper: ModelKeeping {
    private struct State {
        var blobs: Set<String> = []
        var asked: [String] = []
        var pieces: [Int] = []
        var abandoned = 0
    }

    private let state = Mutex(State())
    private let refusal: Ollama.ModelError?

    init(refusal: Ollama.ModelError? = nil) { self.refusal = refusal }

    /// What was asked, in order.
    var asked: [String] { state.withLock { $0.asked } }
    /// Sizes of the pieces uploads came in.
    var pieces: [Int] { state.withLock { $0.pieces } }
    /// Uploads that came to nothing.
    var abandoned: Int { state.withLock { $0.abandoned } }

    private func note(_ what: String) throws(Ollama.ModelError) {
        state.withLock { $0.asked.append(what) }
        if let refusal { throw refusal }
    }

    func holdsBlob(_ digest: String) async -> Bool { state.withLock { $0.blobs.contains(digest) } }

    func receiveBlob(_ digest: String, byteCount: UInt64?) async throws(Ollama.ModelError) -> any BlobReceiving {
        try note("blob \(byteCount.map(String.init) ?? "?")")
        return Arriving(keeper: self, digest: digest)
    }

    func create(_ wish: Ollama.CreateRequest) async throws(Ollama.ModelError) {
        try note("create \(wish.name) \(wish.source)")
    }

    func copy(_ source: String, to destination: String) async throws(Ollama.ModelError) {
        try note("copy \(source) \(destination)")
    }

    func delete(_ name: String) async throws(Ollama.ModelError) { try note("delete \(name)") }

    private final class Arriving: BlobReceiving {
        private let keeper: ScriptedKeeper
        private let digest: String
        /// The beginning of what came; digests of more are not made here.
        private let bytes = Mutex<[UInt8]>([])
        private static let limit = 4 << 20

        init(keeper: ScriptedKeeper, digest: String) {
            self.keeper = keeper
            self.digest = digest
        }

        func append(_ bytes: ByteBuffer) async throws(Ollama.ModelError) {
            keeper.state.withLock { $0.pieces.append(bytes.readableBytes) }
            self.bytes.withLock { if $0.count <= Self.limit { $0 += bytes.readableBytesView } }
        }

        func finish() async throws(Ollama.ModelError) {
            let actual = Hexadecimal.text(SecureDigest.of(bytes.withLock { $0 }))
            guard actual == digest else { throw .wrongDigest(expected: digest, actual: actual) }
            keeper.state.withLock { _ = $0.blobs.insert(digest) }
        }

        func abandon() async { keeper.state.withLock { $0.abandoned += 1 } }
    }
}
