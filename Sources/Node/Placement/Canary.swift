import Vocabulary

extension GenerationRequest {
    /// The smallest request that proves that the whole chain of a placement answers: one token, or one vector of a
    /// model that makes no text.
    static func canary(of name: String, isEncoder: Bool) -> GenerationRequest {
        var canary = GenerationRequest(id: RequestID(0), model: name, prompt: .tokens([0]))
        canary.maxOutputTokens = 1
        canary.sampling.temperature = 0
        if isEncoder { canary.embedding = EmbeddingWish() }
        return canary
    }
}
