/// How the next token is chosen from the logits. Every field is honoured by the last stage's sampler chain.
///
/// The defaults are those of an API request that names nothing. A token's randomness is counter-based, keyed by
/// (`seed`, position in the answer).
package struct SamplingParameters: Hashable, Sendable, Codable {
    /// Divides the logits; 0 means greedy. Range 0 … 100.
    package var temperature: Float = 1
    /// Keep the smallest set of tokens with at least this probability. Range 0 … 1; 1 is off.
    package var topP: Float = 1
    /// Keep this many most likely tokens; 0 is off.
    package var topK: Int32 = 0
    /// Drop tokens below this fraction of the most likely one. Range 0 … 1; 0 is off.
    package var minP: Float = 0
    /// Locally typical sampling mass. Range 0 … 1; 1 is off.
    package var typicalP: Float = 1
    /// Keep tokens within this many standard deviations of the best logit; negative is off.
    package var topNSigma: Float = -1
    /// Probability that XTC removes the top choices. Range 0 … 1; 0 is off.
    package var xtcProbability: Float = 0
    /// XTC threshold. Range 0 … 1.
    package var xtcThreshold: Float = 0.1
    /// Half-width of the entropy-dependent temperature; 0 is off.
    package var dynamicTemperatureRange: Float = 0
    /// Exponent of the entropy-dependent temperature.
    package var dynamicTemperatureExponent: Float = 1
    /// Divides the logits of tokens seen in the last `penaltyWindow`; 1 is off.
    package var repeatPenalty: Float = 1
    /// Subtracted per occurrence in the window. Range -2 … 2.
    package var frequencyPenalty: Float = 0
    /// Subtracted once per token seen in the window. Range -2 … 2.
    package var presencePenalty: Float = 0
    /// Tokens looked back by the penalties; 0 is off, -1 the whole context.
    package var penaltyWindow: Int32 = 64
    /// DRY strength; 0 is off.
    package var dryMultiplier: Float = 0
    /// DRY growth per repeated token.
    package var dryBase: Float = 1.75
    /// DRY: repeats up to this length are free.
    package var dryAllowedLength: Int32 = 2
    /// DRY: tokens looked back; -1 the whole context.
    package var dryWindow: Int32 = -1
    /// DRY: texts that end a repeat.
    package var dryBreakers: [String] = ["\n", ":", "\"", "*"]
    /// Mirostat version 0 (off), 1 or 2.
    package var mirostat: Int32 = 0
    /// Mirostat target entropy.
    package var mirostatTau: Float = 5
    /// Mirostat learning rate.
    package var mirostatEta: Float = 0.1
    /// Added to the logits of single tokens; -infinity bans one.
    package var logitBias: [LogitBias] = []
    /// Never end the answer by an end-of-generation token.
    package var ignoreEndOfGeneration: Bool = false
    /// The samplers at work, in their order, none twice; those left out are off. Nil is all in their usual order.
    package var samplers: [Sampler]?
    /// Key of the counter-based generator; nil lets the node draw one.
    package var seed: UInt64?

    /// The defaults above.
    package init() {}

    /// Whether the choice is the most likely token, without randomness.
    package var isGreedy: Bool { temperature <= 0 && samplers?.contains(.temperature) != false }

    /// The samplers that have a say, in their order; whether each is switched on is for its own parameters to tell.
    ///
    /// Mirostat takes the place of those that drop candidates. Where the temperature is 0 it leaves one candidate, so
    /// what follows is left out, and so is what drops candidates with no penalty behind it to choose anew.
    package var effectiveSamplers: [Sampler] {
        let order = (samplers ?? Sampler.allCases).filter { mirostat == 0 || !$0.truncates }
        guard isGreedy else { return order }
        let before = order.prefix { $0 != .temperature }
        return before.lastIndex { !$0.truncates }.map { Array(before[...$0]) } ?? []
    }
}

/// A correction of one token's logit.
package struct LogitBias: Hashable, Sendable, Codable {
    /// The token.
    package var token: Token
    /// Added to its logit.
    package var bias: Float

    /// Makes a correction.
    package init(token: Token, bias: Float) {
        self.token = token
        self.bias = bias
    }
}
