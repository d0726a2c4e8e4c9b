package import Dialects
package import NIOCore

/// What the gateway needs to let clients make, name, upload and remove models of this node.
///
/// Who may do that is decided before.
package protocol ModelKeeping: Sendable {
    /// Whether the file with a digest was uploaded; lower-case hexadecimal SHA-256.
    func holdsBlob(_ digest: String) async -> Bool

    /// Begins to take a file in; `byteCount` is its length when that is known before.
    ///
    /// **Throws:** why it is not taken.
    func receiveBlob(
        _ digest: String, byteCount: UInt64?
    ) async throws(Ollama.ModelError) -> any BlobReceiving

    /// Makes a model of another one, or of an uploaded file.
    ///
    /// **Throws:** why that cannot be.
    func create(_ wish: Ollama.CreateRequest) async throws(Ollama.ModelError)

    /// Gives a model another name; `destination` is one that was checked.
    ///
    /// **Throws:** why that cannot be.
    func copy(_ source: String, to destination: String) async throws(Ollama.ModelError)

    /// Removes a model that was made here, or a deployment of the cluster.
    ///
    /// **Throws:** why that cannot be.
    func delete(_ name: String) async throws(Ollama.ModelError)
}

/// A file that arrives. One of `finish` and `abandon` comes last.
package protocol BlobReceiving: Sendable {
    /// Takes the next bytes.
    ///
    /// **Throws:** when they cannot be kept.
    func append(_ bytes: ByteBuffer) async throws(Ollama.ModelError)

    /// Ends the upload: the file is there when its content is right.
    ///
    /// **Throws:** when it is not.
    func finish() async throws(Ollama.ModelError)

    /// Forgets what came.
    func abandon() async
}
