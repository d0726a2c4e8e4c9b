/// One token's place in a microbatch.
///
/// The same rows travel with the activations through every stage, so each stage can drive its own KV cache and the
/// last one knows the token history for penalties and grammar.
package struct StageRow: Hashable, Sendable {
    /// The sequence the token belongs to.
    package var lane: Lane
    /// The token's position in its sequence, from 0.
    package var position: Int32
    /// The token's id; below 0 for a row of an image (`ImageRows`).
    package var token: Token
    /// Whether the last stage samples a next token from this row's logits.
    package var samples: Bool

    /// Makes a row.
    package init(lane: Lane, position: Int32, token: Token, samples: Bool) {
        self.lane = lane
        self.position = position
        self.token = token
        self.samples = samples
    }
}

/// A change of sequence state that every stage applies in the same order, between microbatches.
package enum SequenceOperation: Hashable, Sendable {
    /// A new request takes the lane. The lane MUST be empty. The last stage builds its sampler from `sampling`.
    case open(lane: Lane, sampling: LaneSampling)
    /// Forget all positions from `position` on.
    case trim(lane: Lane, from: Int32)
    /// Make `to` (which MUST be empty) share the first `length` positions of `from`.
    case copy(from: Lane, to: Lane, length: Int32)
    /// Forget the whole sequence; the lane is empty afterwards.
    case free(lane: Lane)
    /// What the model's own heads guess behind every token that is sampled for the lane from now on; nil lets them
    /// forget the lane. The last stage's; a lane that is opened or freed has no wish.
    case guess(lane: Lane, GuessWish?)
    /// Something about a sequence on disk; the runner's work, not the engine's.
    case archive(ArchiveOperation)
}

extension SequenceOperation {
    /// The lanes it is about.
    package var lanes: [Lane] {
        switch self {
        case .open(let lane, _), .trim(let lane, _), .free(let lane), .guess(let lane, _): [lane]
        case .copy(let from, let to, _): [from, to]
        case .archive(let archive): [archive.lane]
        }
    }
}

/// What shall be guessed behind a lane's newest token.
package struct GuessWish: Hashable, Sendable {
    /// Tokens, at most; with 0 the heads only read along.
    package var width: Int
    /// A guess after which the chance of all so far is less than this is the last one. 0 … 1.
    package var floor: Float

    /// Makes a wish.
    package init(width: Int, floor: Float) {
        self.width = width
        self.floor = floor
    }
}

/// A token that may follow.
package struct TokenGuess: Hashable, Sendable {
    /// The token.
    package var token: Token
    /// How likely it is to those who guessed it. 0 … 1.
    package var probability: Float

    /// Makes a guess.
    package init(token: Token, probability: Float) {
        self.token = token
        self.probability = probability
    }
}

/// What the last stage needs to sample for one lane.
package struct LaneSampling: Hashable, Sendable {
    /// The client's parameters; `seed` is always set here.
    package var parameters: SamplingParameters
    /// GBNF grammar that constrains the answer; nil for free text.
    package var grammar: LaneGrammar?
    /// Alternatives reported per token; nil reports no log-probabilities.
    package var topLogprobs: Int?
    /// How the answer thinks, when the client bounds it.
    package var thinking: LaneThinking?
    /// Number of prompt tokens: the answer's position 0 is the token sampled from row `promptLength - 1`.
    package var promptLength: Int32
    /// The lane's rows become one vector instead of a token; nil samples.
    package var pooling: Pooling?
    /// Images in the prompt, by position. For the entry stage alone: the others get rows like any, so this never
    /// travels.
    package var images: [ImageSpan] = []

    /// Makes the sampling state of a lane.
    package init(
        parameters: SamplingParameters, grammar: LaneGrammar? = nil, topLogprobs: Int? = nil,
        thinking: LaneThinking? = nil, promptLength: Int32
    ) {
        self.parameters = parameters
        self.grammar = grammar
        self.topLogprobs = topLogprobs
        self.thinking = thinking
        self.promptLength = promptLength
    }

    /// The state of a lane in which nobody samples: it keeps its history for those that copy the lane.
    package static func keeping(length: Int32) -> LaneSampling {
        var parameters = SamplingParameters()
        parameters.temperature = 0
        parameters.seed = 0
        return LaneSampling(parameters: parameters, promptLength: length)
    }
}

/// A grammar that constrains an answer.
package struct LaneGrammar: Hashable, Sendable, Codable {
    /// What makes a lazy grammar start.
    package enum Trigger: Hashable, Sendable, Codable {
        /// A regular expression over the whole answer so far; the grammar starts at its first group.
        case pattern(String)
        /// A single token.
        case token(Token)
    }

    /// GBNF text with a rule `root`.
    package var text: String
    /// Nil applies the grammar from the first token; otherwise it sleeps until one of these is met.
    package var triggers: [Trigger]?
    /// How many of the prompt's last tokens the grammar has to read before the answer: a template's output grammar
    /// begins with what the template itself puts in front of the answer.
    package var promptTail: Int32

    /// Makes a grammar.
    package init(text: String, triggers: [Trigger]? = nil, promptTail: Int32 = 0) {
        self.text = text
        self.triggers = triggers
        self.promptTail = promptTail
    }
}

/// A token chosen by the last stage.
package struct SampledToken: Hashable, Sendable {
    /// The sequence it continues.
    package var lane: Lane
    /// Its position in the sequence: one after the row it was sampled from.
    package var position: Int32
    /// The token.
    package var token: Token
    /// Its log-probability and the alternatives, when the lane asked for them (token bytes are filled in later by
    /// the entry stage's tokenizer).
    package var logprob: TokenLogprob?
    /// The vector of a lane that wants one, in place of a token, which is 0 then. **Shape:** `[width]`, else empty.
    package var vector: [Float] = []
    /// What the model's own heads expect to follow it, in order.
    package var guesses: [TokenGuess] = []

    /// Makes a sampled token.
    package init(lane: Lane, position: Int32, token: Token, logprob: TokenLogprob? = nil) {
        self.lane = lane
        self.position = position
        self.token = token
        self.logprob = logprob
    }
}
