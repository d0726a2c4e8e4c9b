import GGUF
import LlamaEngine
import Serving
import Vocabulary

/// The steps every chain runs: prefill in one chunk and in several, several sequences at once, then decoding all
/// lanes together, greedily.
struct VerificationScript: Sendable {
    /// Sequences at once.
    static let laneCount = 3

    private let prompts: [[Token]]
    private let tokenCount: Int

    init(_ spec: VerificationSpec, _ cutter: ModelCutter) {
        tokenCount = spec.tokenCount
        let vocabularySize =
            cutter.file.strings("tokenizer.ggml.tokens")?.count
            ?? cutter.file.unsigned("\(cutter.architecture).vocab_size").flatMap(Int.init(exactly:)) ?? 64
        var random = SeededRandom(seed: 20_261)
        prompts = (0..<Self.laneCount).map { lane in
            (0..<max(2, spec.promptLength - 11 * lane)).map { _ in Token(random.below(vocabularySize)) }
        }
    }

    /// Runs the script; with `isLayered` prompts go through the layers of the one stage there is one by one.
    func run(_ chain: consuming EngineChain, isLayered: Bool = false) throws -> VerificationTrace {
        var chain = chain
        var trace = VerificationTrace()
        var last: [Token] = []
        for lane in 0..<Self.laneCount {
            try chain.apply(.open(lane: Lane(UInt16(lane)), sampling: sampling(lane)))
            // Lane 0 takes its prompt in one chunk, lane 1 in three, lane 2 in chunks of 5 beside lane 1's last one.
            let chunk = [prompts[lane].count, prompts[lane].count / 3 + 1, 5][lane]
            let logits = try prefill(lane, chunk: chunk, isLayered: isLayered, &chain)
            last.append(trace.take(logits))
        }
        for step in 0..<tokenCount {
            let rows = (0..<Self.laneCount).map { lane in
                StageRow(
                    lane: Lane(UInt16(lane)), position: Int32(prompts[lane].count + step), token: last[lane],
                    samples: true)
            }
            last = try chain.execute(rows).map { trace.take($0) }
        }
        return trace
    }

    private func sampling(_ lane: Int) -> LaneSampling {
        var parameters = SamplingParameters()
        parameters.temperature = 0
        parameters.seed = 0
        return LaneSampling(parameters: parameters, promptLength: Int32(prompts[lane].count))
    }

    private func prefill(
        _ lane: Int, chunk: Int, isLayered: Bool, _ chain: inout EngineChain
    ) throws -> [Float] {
        let prompt = prompts[lane]
        var logits: [Float] = []
        var start = 0
        while start < prompt.count {
            let end = min(prompt.count, start + chunk)
            let rows = (start..<end).map { position in
                StageRow(
                    lane: Lane(UInt16(lane)), position: Int32(position), token: prompt[position],
                    samples: position + 1 == prompt.count)
            }
            logits = try chain.execute(rows, isLayered: isLayered).first ?? logits
            start = end
        }
        return logits
    }
}

/// What a run left behind: the chosen tokens and their logits, in order.
struct VerificationTrace: Sendable {
    private(set) var tokens: [Token] = []
    private var logits: [[Float]] = []

    /// Keeps the logits and answers the most likely token.
    mutating func take(_ values: [Float]) -> Token {
        var best = 0
        for index in values.indices where values[index] > values[best] { best = index }
        tokens.append(Token(best))
        logits.append(values)
        return Token(best)
    }

    /// Largest difference of a logit, and how many tokens were equal. Differences of not-a-number count as infinite
    /// unless both are the same bits.
    func compare(_ other: VerificationTrace) -> (maxAbsDiff: Double, tokensEqual: Int, tokens: Int) {
        var largest = 0.0
        for (left, right) in zip(logits, other.logits) {
            guard left.count == right.count, !left.isEmpty else { return (.infinity, 0, tokens.count) }
            for (a, b) in zip(left, right) where a.bitPattern != b.bitPattern && a != b {
                let difference = Double((a - b).magnitude)
                largest = max(largest, difference.isNaN ? .infinity : difference)
            }
        }
        let equal = zip(tokens, other.tokens).prefix { $0 == $1 }.count
        return (largest, equal, tokens.count)
    }
}
