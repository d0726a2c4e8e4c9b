/// A request for the embeddings of texts, in the one form every dialect is translated into.
package struct EmbeddingRequest: Hashable, Sendable {
    /// What is to be embedded.
    package enum Input: Hashable, Sendable {
        /// A text, to be tokenised with the model's special tokens.
        case text(String)
        /// Tokens as they are.
        case tokens([Token])
    }

    /// The request's identity.
    package var id: RequestID
    /// The model's name.
    package var model: String
    /// What is to be embedded, one vector each.
    package var inputs: [Input]
    /// Shorten what is longer than the model's window instead of refusing it.
    package var truncates: Bool

    /// Makes a request.
    package init(id: RequestID, model: String, inputs: [Input], truncates: Bool = false) {
        self.id = id
        self.model = model
        self.inputs = inputs
        self.truncates = truncates
    }
}

/// The answer to an `EmbeddingRequest`.
package struct EmbeddingAnswer: Hashable, Sendable {
    /// One vector per input, each of length 1 (L2). **Shape:** `[inputs, model's width]`.
    package var vectors: [[Float]]
    /// Tokens of all inputs.
    package var promptTokens: Int

    /// Makes an answer. **Shape:** `vectors` is `[inputs, model's width]`.
    package init(vectors: [[Float]], promptTokens: Int) {
        self.vectors = vectors
        self.promptTokens = promptTokens
    }
}
