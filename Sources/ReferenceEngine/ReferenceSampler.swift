import Serving
import Vocabulary

/// Chooses a token from logits: greedy or by temperature, with logit bias, penalties and the end-of-generation switch.
/// Of the samplers it has, those at work and their order are the request's.
enum ReferenceSampler {
    /// `history` holds the lane's tokens up to the row's.
    static func sample(
        _ logits: [Float], row: StageRow, history: [Token], sampling: LaneSampling
    ) -> SampledToken {
        let parameters = sampling.parameters
        var meter = sampling.thinking.map { ThinkingMeter($0) }
        let tokenizer = ReferenceTokenizer()
        for token in history.dropFirst(Int(sampling.promptLength)) {
            meter?.push(token, bytes: tokenizer.bytes(of: token))
        }
        var adjusted = logits
        for bias in parameters.logitBias where logits.indices.contains(Int(bias.token)) {
            adjusted[Int(bias.token)] += bias.bias
        }
        let divisor = shape(&adjusted, history, parameters)
        if parameters.ignoreEndOfGeneration { adjusted[Int(ReferenceTokenizer.end)] = -.infinity }
        let best = indexOfLargest(adjusted)
        let answer = Int64(row.position) + 1 - Int64(sampling.promptLength)
        let chosen =
            parameters.isGreedy
            ? best
            : draw(
                adjusted, largest: adjusted[best], temperature: divisor,
                uniform: SeededRandom.uniform(seed: parameters.seed ?? 0, position: UInt64(bitPattern: answer)))
        let candidate = Token(chosen)
        let token = Int(meter?.correction(of: candidate, bytes: tokenizer.bytes(of: candidate)) ?? candidate)
        let logprob = sampling.topLogprobs.map { logprobs(logits, chosen: token, count: $0) }
        return SampledToken(lane: row.lane, position: row.position + 1, token: Token(token), logprob: logprob)
    }

    /// Lets the samplers change the logits; answers what is left to divide them by.
    private static func shape(
        _ logits: inout [Float], _ history: [Token], _ parameters: SamplingParameters
    ) -> Float {
        var divisor: Float = 1
        for sampler in parameters.effectiveSamplers {
            switch sampler {
            case .penalties:
                if divisor != 1 { for index in logits.indices { logits[index] /= divisor } }
                divisor = 1
                penalise(&logits, history, parameters)
            case .temperature: divisor = parameters.temperature
            case .dry, .topNSigma, .topK, .typicalP, .topP, .minP, .xtc: break
            }
        }
        return divisor
    }

    /// Takes the penalties from the logits of tokens in the window, as llama.cpp's sampler does.
    private static func penalise(_ logits: inout [Float], _ history: [Token], _ parameters: SamplingParameters) {
        let p = parameters
        guard p.penaltyWindow != 0, p.repeatPenalty != 1 || p.frequencyPenalty != 0 || p.presencePenalty != 0 else {
            return
        }
        var counts: [Token: Float] = [:]
        for token in history.suffix(p.penaltyWindow < 0 ? history.count : Int(p.penaltyWindow)) where token >= 0 {
            counts[token, default: 0] += 1
        }
        for (token, count) in counts {
            let logit = logits[Int(token)]
            let scaled = logit <= 0 ? logit * p.repeatPenalty : logit / p.repeatPenalty
            logits[Int(token)] = scaled - count * p.frequencyPenalty - p.presencePenalty
        }
    }

    private static func indexOfLargest(_ logits: [Float]) -> Int {
        let span = logits.span
        var best = 0
        var index = 1
        while index < span.count {
            if span[index] > span[best] { best = index }
            index &+= 1
        }
        return best
    }

    /// Inverse transform sampling over the tokens in order of their ids.
    private static func draw(_ logits: [Float], largest: Float, temperature: Float, uniform: Double) -> Int {
        var weights = logits
        let total = exponentiate(&weights, largest: largest, divisor: temperature)
        let target = Float(uniform) * total
        var sum: Float = 0
        var likely = 0
        var index = 0
        while index < weights.count {
            let weight = weights[index]
            if weight > 0 { likely = index }
            sum += weight
            if target < sum { return index }
            index &+= 1
        }
        // Rounding left the target at the very end: the last token that can be drawn at all.
        return likely
    }

    /// Replaces every logit by e to the power of its distance to the largest one; returns their sum.
    private static func exponentiate(_ logits: inout [Float], largest: Float, divisor: Float) -> Float {
        var total: Float = 0
        var index = 0
        while index < logits.count {
            let weight = ExactMath.exp((logits[index] - largest) / divisor)
            logits[index] = weight
            total += weight
            index &+= 1
        }
        return total
    }

    private static func logprobs(_ logits: [Float], chosen: Int, count: Int) -> TokenLogprob {
        let largest = logits[indexOfLargest(logits)]
        var weights = logits
        let norm = largest + ExactMath.log(exponentiate(&weights, largest: largest, divisor: 1))
        func candidate(_ index: Int) -> TokenLogprob.Candidate {
            TokenLogprob.Candidate(token: Token(index), bytes: [], logprob: logits[index] - norm)
        }
        var rest = logits
        let top = (0..<count).map { _ in
            let best = indexOfLargest(rest)
            rest[best] = -.infinity
            return candidate(best)
        }
        return TokenLogprob(chosen: candidate(chosen), top: top)
    }
}
