import Serving
import Vocabulary

/// Chooses a token from logits: greedy or by temperature, with logit bias and the end-of-generation switch.
enum ReferenceSampler {
    static func sample(_ logits: [Float], row: StageRow, sampling: LaneSampling) -> SampledToken {
        let parameters = sampling.parameters
        var adjusted = logits
        for bias in parameters.logitBias where logits.indices.contains(Int(bias.token)) {
            adjusted[Int(bias.token)] += bias.bias
        }
        if parameters.ignoreEndOfGeneration { adjusted[Int(ReferenceTokenizer.end)] = -.infinity }
        let best = indexOfLargest(adjusted)
        let answer = Int64(row.position) + 1 - Int64(sampling.promptLength)
        let token =
            parameters.isGreedy
            ? best
            : draw(
                adjusted, largest: adjusted[best], temperature: parameters.temperature,
                uniform: SeededRandom.uniform(seed: parameters.seed ?? 0, position: UInt64(bitPattern: answer)))
        let logprob = sampling.topLogprobs.map { logprobs(logits, chosen: token, count: $0) }
        return SampledToken(lane: row.lane, position: row.position + 1, token: Token(token), logprob: logprob)
    }

    private static func indexOfLargest(_ logits: [Float]) -> Int {
        var best = 0
        for index in logits.indices where logits[index] > logits[best] { best = index }
        return best
    }

    /// Inverse transform sampling over the tokens in order of their ids.
    private static func draw(_ logits: [Float], largest: Float, temperature: Float, uniform: Double) -> Int {
        let weights = logits.map { ExactMath.exp(($0 - largest) / temperature) }
        var total: Float = 0
        for weight in weights { total += weight }
        let target = Float(uniform) * total
        var sum: Float = 0
        for index in weights.indices {
            sum += weights[index]
            if target < sum { return index }
        }
        return weights.lastIndex { $0 > 0 } ?? 0
    }

    private static func logprobs(_ logits: [Float], chosen: Int, count: Int) -> TokenLogprob {
        let largest = logits[indexOfLargest(logits)]
        var total: Float = 0
        for logit in logits { total += ExactMath.exp(logit - largest) }
        let norm = largest + ExactMath.log(total)
        func candidate(_ index: Int) -> TokenLogprob.Candidate {
            TokenLogprob.Candidate(token: Token(index), bytes: [], logprob: logits[index] - norm)
        }
        let order = logits.indices.sorted { (logits[$0], $1) > (logits[$1], $0) }
        return TokenLogprob(chosen: candidate(chosen), top: order.prefix(count).map(candidate))
    }
}
