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
    /// Numbers of each vector the client wants; nil for all. A model with fewer refuses the request before it has
    /// computed all of it.
    package var dimensions: Int?
    /// What it may do to how long its model is loaded; nil for nothing.
    package var residency: Residency?
    /// Whose request it is; see `GenerationRequest.caller`.
    package var caller: String?
    /// Time it may take until its end; see `GenerationRequest.timeoutSeconds`. **Units:** seconds.
    package var timeoutSeconds: Double?

    /// Makes a request.
    package init(
        id: RequestID, model: String, inputs: [Input], truncates: Bool = false, dimensions: Int? = nil
    ) {
        self.id = id
        self.model = model
        self.inputs = inputs
        self.truncates = truncates
        self.dimensions = dimensions
    }
}

/// How the rows of a text become one vector.
package enum Pooling: String, Hashable, Sendable, Codable, CaseIterable {
    /// The first row (CLS).
    case first
    /// The last row: in a causal model the only one that has seen the whole text.
    case last
    /// The mean of all rows.
    case mean
}

/// Families that read a whole text at once, in both directions, and make vectors of it; they generate nothing.
package enum EncoderFamilies {
    /// Their names in GGUF files. Files of other families belong to them when they say `attention.causal = false`.
    package static let names: Set<String> = [
        "bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2", "jina-bert-v3", "eurobert",
        "gemma-embedding", "llama-embed", "t5encoder",
    ]
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
