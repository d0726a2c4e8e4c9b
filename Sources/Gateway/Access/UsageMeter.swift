import Vocabulary

/// Counts what an answer costs, also one that has no end because its client left.
struct UsageMeter: Sendable {
    private var prompt = 0
    private var pieces = 0
    private var usage: Usage?

    /// Takes an event in.
    mutating func absorb(_ event: GenerationEvent) {
        switch event {
        case .started(let promptTokens, _): prompt = promptTokens
        // A piece is at least one token.
        case .output: pieces += 1
        case .finished(let completion): usage = completion.usage
        case .preparing, .queued, .failed: break
        }
    }

    /// Tokens of prompt and answer.
    var tokens: Int { usage.map { $0.promptTokens + $0.outputTokens } ?? (prompt + pieces) }
}
