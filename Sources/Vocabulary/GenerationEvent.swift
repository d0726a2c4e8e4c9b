/// What happens to a request, in order. A stream is `preparing* queued* started output* (finished | failed)`: exactly
/// one of the two terminal events ends it. `preparing` may come again later, when the answer has to go on elsewhere.
package enum GenerationEvent: Hashable, Sendable, Codable {
    /// The model is being brought to where it runs; one phrase says how far it is. Nodes say this, runners never do.
    case preparing(String)
    /// The request waits: its place in the queue (1 is next) and the predicted wait in seconds, when one is known.
    case queued(position: Int, predictedWaitSeconds: Double?)
    /// The request has a lane; the prompt's tokens are counted, and how many came from the prefix cache.
    case started(promptTokens: Int, cachedTokens: Int)
    /// A piece of the answer.
    case output(OutputDelta)
    /// Terminal: the answer is complete.
    case finished(Completion)
    /// Terminal: the answer cannot be completed.
    case failed(GenerationError)

    /// Whether this event ends the stream.
    package var isTerminal: Bool {
        switch self {
        case .finished, .failed: true
        case .preparing, .queued, .started, .output: false
        }
    }
}

/// A piece of one choice's answer. Text is always whole Unicode scalars.
package struct OutputDelta: Hashable, Sendable, Codable {
    /// Which of the request's choices this belongs to, from 0.
    package var choice: Int
    /// New answer text.
    package var text: String
    /// New reasoning text.
    package var reasoning: String
    /// New parts of tool calls.
    package var toolCalls: [ToolCallDelta]
    /// Log-probabilities of the tokens this piece was made from, when asked for.
    package var logprobs: [TokenLogprob]
    /// Tokens since the last piece of this choice, for requests that keep a journal; replaying all of them gives the
    /// pieces so far.
    package var journal: [Token] = []
    /// The prompt's vector, for requests that want one; not yet of length 1. **Shape:** `[width]`.
    package var vector: [Float] = []
    /// The tokens an inspection asked for; all of them in one piece.
    package var tokens: [TokenText] = []

    /// Makes a piece; all parts are empty by default.
    package init(
        choice: Int = 0, text: String = "", reasoning: String = "", toolCalls: [ToolCallDelta] = [],
        logprobs: [TokenLogprob] = []
    ) {
        self.choice = choice
        self.text = text
        self.reasoning = reasoning
        self.toolCalls = toolCalls
        self.logprobs = logprobs
    }

    /// Whether the piece carries nothing.
    package var isEmpty: Bool {
        text.isEmpty && reasoning.isEmpty && toolCalls.isEmpty && logprobs.isEmpty && vector.isEmpty
            && tokens.isEmpty
    }
}

/// A part of a tool call: `id` and `name` come once, with the first part; arguments grow.
package struct ToolCallDelta: Hashable, Sendable, Codable {
    /// Position among the answer's tool calls, from 0.
    package var index: Int
    /// The call's identity, in its first part.
    package var id: String?
    /// The tool's name, in the call's first part.
    package var name: String?
    /// New text of the JSON arguments.
    package var arguments: String

    /// Makes a part.
    package init(index: Int, id: String? = nil, name: String? = nil, arguments: String = "") {
        self.index = index
        self.id = id
        self.name = name
        self.arguments = arguments
    }
}

/// A token with its log-probability and the most likely alternatives.
package struct TokenLogprob: Hashable, Sendable, Codable {
    /// A token and its natural log-probability before sampling.
    package struct Candidate: Hashable, Sendable, Codable {
        /// The token id.
        package var token: Token
        /// The token's bytes; not always whole UTF-8.
        package var bytes: [UInt8]
        /// Natural logarithm of the probability.
        package var logprob: Float

        /// Makes a candidate.
        package init(token: Token, bytes: [UInt8], logprob: Float) {
            self.token = token
            self.bytes = bytes
            self.logprob = logprob
        }
    }

    /// The token that was chosen.
    package var chosen: Candidate
    /// The most likely tokens, best first.
    package var top: [Candidate]

    /// Makes an entry.
    package init(chosen: Candidate, top: [Candidate]) {
        self.chosen = chosen
        self.top = top
    }
}

/// Why an answer ended.
package enum FinishReason: String, Hashable, Sendable, Codable {
    /// The model ended it, or a stop text was met.
    case stop
    /// The token limit or the context window was reached.
    case length
    /// The model called tools and waits for their results.
    case toolCalls
}

/// The end of a complete answer.
package struct Completion: Hashable, Sendable, Codable {
    /// Why each choice ended, by choice index.
    package var finishReasons: [FinishReason]
    /// The stop text each choice met, by choice index.
    package var stopTexts: [String?]
    /// Token counts of the request.
    package var usage: Usage
    /// Where the time went.
    package var timings: Timings

    /// Makes an end.
    package init(finishReasons: [FinishReason], stopTexts: [String?], usage: Usage, timings: Timings) {
        self.finishReasons = finishReasons
        self.stopTexts = stopTexts
        self.usage = usage
        self.timings = timings
    }
}

/// Token counts of a request.
package struct Usage: Hashable, Sendable, Codable {
    /// Tokens of the prompt, cached ones included.
    package var promptTokens: Int
    /// Prompt tokens taken from the prefix cache.
    package var cachedTokens: Int
    /// Tokens generated over all choices.
    package var outputTokens: Int
    /// Generated tokens that were reasoning.
    package var reasoningTokens: Int

    /// Makes counts.
    package init(promptTokens: Int, cachedTokens: Int = 0, outputTokens: Int, reasoningTokens: Int = 0) {
        self.promptTokens = promptTokens
        self.cachedTokens = cachedTokens
        self.outputTokens = outputTokens
        self.reasoningTokens = reasoningTokens
    }
}

/// Where a request's time went. **Units:** seconds.
package struct Timings: Hashable, Sendable, Codable {
    /// From arrival to a lane.
    package var queueSeconds: Double
    /// From the lane to the first token.
    package var prefillSeconds: Double
    /// From the first token to the last.
    package var decodeSeconds: Double

    /// Makes timings.
    package init(queueSeconds: Double, prefillSeconds: Double, decodeSeconds: Double) {
        self.queueSeconds = queueSeconds
        self.prefillSeconds = prefillSeconds
        self.decodeSeconds = decodeSeconds
    }
}
