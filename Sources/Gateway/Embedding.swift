package import Vocabulary

/// What the gateway needs from the rest of the node to answer requests for embeddings.
package protocol Embedding: Sendable {
    /// The vectors of a request's inputs, in their order, each of length 1.
    ///
    /// **Throws:** `GenerationError` when the model does not make embeddings, an input is longer than its window and
    /// may not be shortened, or the engine fails.
    func embed(_ request: EmbeddingRequest) async throws(GenerationError) -> EmbeddingAnswer
}
