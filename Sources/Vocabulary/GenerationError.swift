/// Why a request was refused or could not be completed. Each case carries the numbers a client or operator needs.
package enum GenerationError: Error, Hashable, Sendable, Codable, CustomStringConvertible {
    /// A field's value is outside its limits; `limit` says what is allowed.
    case invalidField(name: String, value: String, limit: String)
    /// A field or combination this server does not support.
    case unsupported(feature: String, remedy: String)
    /// The prompt (with the requested output) can never fit the context window.
    case contextLengthExceeded(promptTokens: Int, outputTokens: Int, window: Int)
    /// No model of this name is served here.
    case modelNotFound(name: String, available: [String])
    /// Several models are called so; the candidates are names that mean one each.
    case modelAmbiguous(name: String, candidates: [String])
    /// The model is known but cannot answer now.
    case modelNotReady(name: String, reason: String, retryAfterSeconds: Int)
    /// The waiting line is full, or the predicted wait is beyond the limit.
    case overloaded(queued: Int, limit: Int, retryAfterSeconds: Int)
    /// A stage of the placement died or was cut off while the answer was being made.
    case stageLost(stage: Int, reason: String)
    /// The request's deadline passed.
    case deadlineExceeded(seconds: Double)
    /// The client went away or asked to stop.
    case cancelled
    /// The client read so slowly that more of the answer waited for it than is kept. **Units:** bytes. Nodes say this,
    /// runners never do.
    case clientTooSlow(limit: Int)
    /// The engine refused or failed a step.
    case engineFailed(reason: String)

    /// One sentence for people, with the numbers and the next step.
    package var description: String {
        switch self {
        case .invalidField(let name, let value, let limit):
            "\(name) is \(value); \(limit)."
        case .unsupported(let feature, let remedy):
            "\(feature) is not supported; \(remedy)."
        case .contextLengthExceeded(let prompt, _, let window):
            // The limit of an answer is no reason: an answer just ends at the end of the window.
            prompt < window
                ? "The prompt has \(prompt) tokens and leaves no room for the answers in the context window of "
                    + "\(window) tokens; shorten it, ask for fewer choices, or serve the model with a larger --ctx."
                : "The prompt has \(prompt) tokens, but the context window is \(window) tokens, which the answer "
                    + "shares; shorten the prompt or serve the model with a larger --ctx."
        case .modelNotFound(let name, let available):
            "Model '\(name)' is not served here; available: \(available.joined(separator: ", "))."
        case .modelAmbiguous(let name, let candidates):
            "Model '\(name)' may mean several; name one of: \(candidates.joined(separator: ", "))."
        case .modelNotReady(let name, let reason, let seconds):
            "Model '\(name)' is not ready: \(reason); try again in \(seconds) s."
        case .overloaded(let queued, let limit, let seconds):
            "The server is busy: \(queued) of \(limit) places in the queue are taken; try again in \(seconds) s."
        case .stageLost(let stage, let reason):
            "Stage \(stage) of the model was lost while answering (\(reason)); send the request again."
        case .deadlineExceeded(let seconds):
            "The request was not finished within \(seconds) s; raise its timeout or ask for fewer tokens."
        case .cancelled:
            "The request was cancelled."
        case .clientTooSlow(let limit):
            "The client read too slowly: more than \(limit) bytes of the answer waited for it; read the stream as it "
                + "comes, or ask for less."
        case .engineFailed(let reason):
            "The engine failed: \(reason); send the request again."
        }
    }
}
