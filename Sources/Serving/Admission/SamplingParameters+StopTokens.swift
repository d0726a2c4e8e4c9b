import Vocabulary

extension SamplingParameters {
    /// The same, where ends of generation are banned, without the ban of those that the request itself names as ends:
    /// it has to be possible to choose them.
    func allowing(_ stopTokens: [Token], tokenizer: any Tokenizer) -> SamplingParameters {
        guard ignoreEndOfGeneration, stopTokens.contains(where: { tokenizer.endsGeneration($0) }) else { return self }
        var allowing = self
        allowing.ignoreEndOfGeneration = false
        for token in 0..<Token(clamping: tokenizer.vocabularySize)
        where tokenizer.endsGeneration(token) && !stopTokens.contains(token) {
            allowing.logitBias.append(LogitBias(token: token, bias: -.infinity))
        }
        return allowing
    }
}
