/// What is known about a model that can be served.
package struct ModelCard: Hashable, Sendable, Codable {
    /// The name clients use.
    package var id: String
    /// GGUF architecture, `qwen3`.
    package var architecture: String
    /// Number of transformer layers that can be placed.
    package var layerCount: Int
    /// Width of the residual stream: floats per token between stages.
    package var width: Int
    /// Tokens of context the model was trained for.
    package var trainedContext: Int
    /// Tokens of context it is served with.
    package var servedContext: Int
    /// Number of tokens in the vocabulary.
    package var vocabularySize: Int
    /// Number of parameters.
    package var parameterCount: UInt64
    /// Size of the weights.
    package var weightBytes: ByteCount
    /// Content digest of the model file, lower-case hexadecimal SHA-256.
    package var digest: String

    /// Makes a card.
    package init(
        id: String, architecture: String, layerCount: Int, width: Int, trainedContext: Int, servedContext: Int,
        vocabularySize: Int, parameterCount: UInt64, weightBytes: ByteCount, digest: String
    ) {
        self.id = id
        self.architecture = architecture
        self.layerCount = layerCount
        self.width = width
        self.trainedContext = trainedContext
        self.servedContext = servedContext
        self.vocabularySize = vocabularySize
        self.parameterCount = parameterCount
        self.weightBytes = weightBytes
        self.digest = digest
    }
}
