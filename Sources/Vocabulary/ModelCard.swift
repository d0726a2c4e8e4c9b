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
    /// How the weights are stored, `Q4_K_M`; `unknown` when nobody says.
    package var quantization: String
    /// The chat template's text; empty when the file has none.
    package var chatTemplate: String
    /// The licence as the file states it; empty when it does not.
    package var license: String
    /// Whether it is served with a projector and reads images; nil is no.
    package var sees: Bool?

    /// Makes a card.
    package init(
        id: String, architecture: String, layerCount: Int, width: Int, trainedContext: Int, servedContext: Int,
        vocabularySize: Int, parameterCount: UInt64, weightBytes: ByteCount, digest: String,
        quantization: String = "unknown", chatTemplate: String = "", license: String = ""
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
        self.quantization = quantization
        self.chatTemplate = chatTemplate
        self.license = license
    }
}
