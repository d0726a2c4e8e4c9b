package import Vocabulary

/// Where the gathering of an answer stands.
package enum AggregateOutcome: Sendable {
    /// No terminal event yet.
    case pending
    /// The answer is complete; the response body.
    case complete(body: [UInt8])
    /// The answer cannot be completed.
    case failed(GenerationError)
}

extension GenerationError {
    /// An answer beyond what is gathered in memory.
    static var answerTooLarge: GenerationError {
        .unsupported(
            feature: "An answer of more than \(Limits.answerBytes) bytes in one piece",
            remedy: "set stream to true or lower max_tokens")
    }
}
