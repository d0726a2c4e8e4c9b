import Foundation
import LlamaEngine
import Serving
import Testing
import Vocabulary

extension `The engine` {
    @Suite struct `Its sampling` {
        private static let question =
            "<|im_start|>user\nTell me a short story about a cat.<|im_end|>\n<|im_start|>assistant\n"

        private static func answer(
            _ change: (inout LaneSampling) -> Void = { _ in }, temperature: Float = 0, seed: UInt64 = 0,
            count: Int = 24, endsEarly: Bool = false
        ) throws -> [Token] {
            let prompt = try BuiltinModel.tokens(question)
            var sampling = LaneSampling.plain(prompt, temperature: temperature, seed: seed)
            change(&sampling)
            return try EngineStage().answer(prompt, sampling, count: count, endsEarly: endsEarly)
        }

        /// An answer's first token: the logits that it is chosen from, and what is drawn of them.
        private struct Opening {
            private static let temperature: Float = 20
            private let prompt: [Token]
            private let stage: EngineStage
            let logits: [Float]
            /// All tokens, the most likely first.
            let ranked: [Token]

            init() throws {
                let (tokens, one) = (try BuiltinModel.tokens(question), try EngineStage(lanes: 1))
                try one.open(0, .plain(tokens))
                let row = try one.run(tokens)
                try one.apply(.free(lane: Lane(0)))
                (prompt, stage, logits) = (tokens, one, row)
                ranked = row.enumerated().sorted { $0.element > $1.element }.map { Token($0.offset) }
            }

            /// What forty seeds draw, so hot that a few tokens are all drawn and no token often. The draws lie less
            /// than 0.09 from each other, those of mirostat's own generator less than 0.12.
            func drawn(_ change: (inout SamplingParameters) -> Void) throws -> Set<Token> {
                var found: Set<Token> = []
                for seed in 0..<40 as Range<UInt64> {
                    var sampling = LaneSampling.plain(prompt, temperature: Self.temperature, seed: seed)
                    change(&sampling.parameters)
                    found.formUnion(try stage.answer(prompt, sampling, count: 1))
                }
                return found
            }

            /// The same when the tokens from 100 on have these chances, and all others together next to none. Answers
            /// which of the chances are drawn.
            func drawn(of chances: [Float], _ change: (inout SamplingParameters) -> Void) throws -> [Int] {
                let first = 100
                let best = logits.max() ?? 0
                let biases = chances.enumerated().map { index, chance in
                    let logit = best + 16 + log(chance)
                    return LogitBias(token: Token(first + index), bias: logit - logits[first + index])
                }
                let found = try drawn {
                    $0.logitBias = biases
                    change(&$0)
                }
                return found.map { Int($0) - first }.sorted()
            }

            /// Twice the target with which mirostat 1 begins with `count` tokens, at the temperature above.
            ///
            /// **Units:** bits. **Source:** `llama_sampler_mirostat_apply`, solved for its bound.
            func mirostatBound(leaving count: Int) -> Double {
                let chances = logits.map { $0 / Self.temperature }.logProbabilities
                // How chances fall with ranks, both as logarithms, among the first hundred.
                var (products, squares) = (0.0, 0.0)
                for rank in 1..<100 {
                    let step = log(Double(rank + 1) / Double(rank))
                    products += step * (chances[Int(ranked[rank - 1])] - chances[Int(ranked[rank])])
                    squares += step * step
                }
                let slope = products / squares
                let rest = 1 - pow(Double(logits.count), 1 - slope)
                // What it finds is rounded down to whole tokens.
                return log2(pow(Double(count) + 0.5, slope) * rest / (slope - 1))
            }
        }

        /// Their surprises are 0.69, 1.61, 1.90, 2.30 and 3.00, and 1.33 is to be expected.
        private static let chances: [Float] = [0.5, 0.2, 0.15, 0.1, 0.05]

        @Test func `greedy is the most likely token at every step`() throws {
            let prompt = try BuiltinModel.tokens(Self.question)
            let stage = try EngineStage()
            try stage.open(0, .plain(prompt))
            var logits = try stage.run(prompt)
            for step in 0..<16 {
                let sample = try #require(stage.output.samples.first)
                #expect(sample.token == logits.argmax)
                #expect(sample.logprob == nil)
                logits = try stage.run([sample.token], at: prompt.count + step)
            }
        }

        @Test func `a seed decides the whole answer, whatever shares the batch`() throws {
            let first = try Self.answer(temperature: 1.2, seed: 7)
            #expect(try Self.answer(temperature: 1.2, seed: 7) == first)
            let others = try (8..<12).map { try Self.answer(temperature: 1.2, seed: UInt64($0)) }
            #expect(!others.contains(first))
            #expect(Set(others).count == 4)
            let prompt = try BuiltinModel.tokens(Self.question)
            let stage = try EngineStage()
            let sampling = LaneSampling.plain(prompt, temperature: 1.2, seed: 7)
            for lane in 0..<2 as Range<UInt16> {
                try stage.open(lane, sampling)
                try stage.run(prompt, lane: lane)
            }
            for step in 0..<23 {
                let rows = ([1, 0] as [UInt16]).map {
                    StageRow(lane: Lane($0), position: Int32(prompt.count + step), token: first[step], samples: true)
                }
                try stage.execute(rows)
                #expect(stage.output.samples.map(\.token) == [first[step + 1], first[step + 1]])
            }
        }

        @Test func `the only candidate of top-k is the most likely token`() throws {
            #expect(try Self.answer({ $0.parameters.topK = 1 }, temperature: 1.5, seed: 3) == Self.answer())
        }

        @Test func `candidates outside top-k and top-p are never drawn`() throws {
            let opening = try Opening()
            #expect(try opening.drawn { $0.topK = 3 } == Set(opening.ranked.prefix(3)))
            #expect(try opening.drawn { $0.topP = 1e-6 } == Set(opening.ranked.prefix(1)))
            #expect(try opening.drawn { _ in }.count > 10)
        }

        @Test(arguments: [(1, [0]), (0.35, [0, 1]), (0.25, [0, 1, 2]), (0.15, [0, 1, 2, 3])] as [(Float, [Int])])
        func `min-p keeps what is likely enough beside the most likely token`(share: Float, kept: [Int]) throws {
            #expect(try Opening().drawn(of: Self.chances) { $0.minP = share } == kept)
        }

        /// From the expected surprise on in both directions, so the most likely token is the third.
        @Test(arguments: [(0.1, [1]), (0.3, [1, 2]), (0.5, [0, 1, 2]), (0.9, [0, 1, 2, 3])] as [(Float, [Int])])
        func `typical-p keeps what surprises as expected`(mass: Float, kept: [Int]) throws {
            #expect(try Opening().drawn(of: Self.chances) { $0.typicalP = mass } == kept)
        }

        @Test(arguments: [1, 3])
        func `top-n-sigma keeps what lies so many standard deviations below the best logit`(count: Int) throws {
            let opening = try Opening()
            let ranked = opening.ranked.map { Double(opening.logits[Int($0)]) }
            let mean = ranked.reduce(0.0, +) / Double(ranked.count)
            let variance = ranked.reduce(0.0) { $0 + ($1 - mean) * ($1 - mean) } / Double(ranked.count)
            // To the middle between the last that is kept and the next.
            let depth = ranked[0] - (ranked[count - 1] + ranked[count]) / 2
            let kept = try opening.drawn { $0.topNSigma = Float(depth / variance.squareRoot()) }
            #expect(kept == Set(opening.ranked.prefix(count)))
        }

        @Test(arguments: [(0.18, 1), (0.12, 2), (0.07, 3)] as [(Float, Int)])
        func `XTC drops all of the likely tokens but the last when its coin says so`(
            threshold: Float, last: Int
        ) throws {
            let opening = try Opening()
            func drawn(_ probability: Float) throws -> [Int] {
                try opening.drawn(of: Self.chances) {
                    // So cold that the most likely of what is left is drawn.
                    $0.temperature = 1e-6
                    $0.xtcProbability = probability
                    $0.xtcThreshold = threshold
                }
            }
            #expect(try drawn(0) == [0])
            #expect(try drawn(1) == [last])
            // The coins of 19 of the seeds are below a half.
            #expect(try drawn(0.5) == [0, last])
        }

        @Test func `a dynamic temperature goes over its range with the entropy`() throws {
            let opening = try Opening()
            // The entropy is a sixth of what even chances have. To the thousandth power that is nothing, and the
            // temperature is the lower end of the range: 0.
            let cold = try opening.drawn(of: Self.chances) {
                $0.dynamicTemperatureRange = 20
                $0.dynamicTemperatureExponent = 1000
            }
            #expect(cold == [0])
            // To the power of zero it is one, and the temperature is the upper end.
            let hot = try opening.drawn(of: Self.chances) {
                $0.temperature = 1e-6
                $0.dynamicTemperatureRange = 20
                $0.dynamicTemperatureExponent = 0
            }
            #expect(hot.count > 10)
        }

        @Test(arguments: [1, 3])
        func `mirostat 1 begins with as many tokens as its target allows`(count: Int) throws {
            let opening = try Opening()
            let target = Float(opening.mirostatBound(leaving: count) / 2)
            let kept = try opening.drawn {
                $0.mirostat = 1
                $0.mirostatTau = target
            }
            #expect(kept == Set(opening.ranked.prefix(count)))
        }

        /// In bits the surprises are 1, 2.3, 2.7, 3.3 and 4.3, and twice the target is the first bound.
        @Test(arguments: [(0.75, [0]), (1.25, [0, 1]), (1.5, [0, 1, 2])] as [(Float, [Int])])
        func `mirostat 2 begins with the tokens whose surprise its target allows`(target: Float, kept: [Int]) throws {
            let drawn = try Opening().drawn(of: Self.chances) {
                $0.temperature = 1
                $0.mirostat = 2
                $0.mirostatTau = target
            }
            #expect(drawn == kept)
        }

        /// The bound stays below a tenth of a bit. By version 2 a second token would need nine tenths of the mass, and
        /// what version 1 finds is less than two whatever the slope.
        @Test(arguments: [1, 2] as [Int32])
        func `mirostat with next to no surprise in mind is greedy, token by token`(version: Int32) throws {
            let greedy = try Self.answer()
            for seed in 7..<10 as Range<UInt64> {
                let answer = try Self.answer(
                    { ($0.parameters.mirostat, $0.parameters.mirostatTau) = (version, 0.01) }, temperature: 1.2,
                    seed: seed)
                #expect(answer == greedy)
            }
        }

        @Test func `samplers are at work in the request's order, and no others`() throws {
            let opening = try Opening()
            func drawn(_ order: [Sampler]?) throws -> Set<Token> {
                try opening.drawn { ($0.topP, $0.samplers) = (0.5, order) }
            }
            // Half of the mass is a few tokens before the temperature flattens it, and many behind.
            let few = try drawn(nil)
            #expect(try drawn([.topP, .temperature]) == few)
            #expect(try drawn([.temperature, .topP]).count > few.count)
            #expect(try drawn([.temperature]).count > few.count)
            let greedy = try Self.answer()
            func penalised(_ order: [Sampler]?) throws -> [Token] {
                try Self.answer {
                    ($0.parameters.frequencyPenalty, $0.parameters.topK) = (50, 1)
                    $0.parameters.samplers = order
                }
            }
            #expect(try penalised(nil) != greedy)
            #expect(try penalised([.temperature, .penalties]) == greedy)
            #expect(try penalised([.topK, .penalties, .temperature]) == greedy)
        }

        @Test func `a bias of minus infinity bans a token and the next best is chosen`() throws {
            let prompt = try BuiltinModel.tokens(Self.question)
            let stage = try EngineStage()
            var sampling = LaneSampling.plain(prompt)
            try stage.open(0, sampling)
            var logits = try stage.run(prompt)
            try stage.apply(.free(lane: Lane(0)))
            for _ in 0..<4 {
                let banned = logits.argmax
                sampling.parameters.logitBias.append(LogitBias(token: banned, bias: -.infinity))
                logits[Int(banned)] = -.infinity
                #expect(try stage.answer(prompt, sampling, count: 1) == [logits.argmax])
            }
            let forced = LogitBias(token: 17, bias: 1000)
            sampling.parameters.logitBias = [forced]
            #expect(try stage.answer(prompt, sampling, count: 5) == [17, 17, 17, 17, 17])
        }

        @Test func `an answer that may not end does not end`() throws {
            let ending = try Self.answer(count: 400, endsEarly: true)
            #expect(ending.last == 4089)
            let endless = try Self.answer({ $0.parameters.ignoreEndOfGeneration = true }, count: ending.count + 20)
            #expect(endless.prefix(ending.count - 1) == ending.dropLast())
            #expect(!endless.contains(4089) && !endless.contains(4087))
        }

        @Test func `penalties are taken from the logits of tokens seen in the window`() throws {
            let answer = try Self.answer(count: 20)
            let prompt = try BuiltinModel.tokens(Self.question) + answer + answer + answer.prefix(10)
            let stage = try EngineStage()
            try stage.open(0, .plain(prompt))
            let logits = try stage.run(prompt)
            try stage.apply(.free(lane: Lane(0)))
            for window in [8, 30, 200] {
                var counts = [Float](repeating: 0, count: logits.count)
                for token in prompt.suffix(window) { counts[Int(token)] += 1 }
                let expected = zip(logits, counts).map { logit, count in
                    guard count > 0 else { return logit }
                    return (logit <= 0 ? logit * 1.3 : logit / 1.3) - count * 2 - 1.5
                }
                var sampling = LaneSampling.plain(prompt)
                sampling.parameters.repeatPenalty = 1.3
                sampling.parameters.frequencyPenalty = 2
                sampling.parameters.presencePenalty = 1.5
                sampling.parameters.penaltyWindow = Int32(window)
                #expect(try stage.answer(prompt, sampling, count: 1) == [expected.argmax])
                #expect(window < 30 || expected.argmax != logits.argmax)
            }
        }

        @Test func `DRY keeps an answer from going round in circles`() throws {
            func variety(_ multiplier: Float) throws -> Int {
                let answer = try Self.answer {
                    // Only a bias makes the model say one thing for ever.
                    $0.parameters.logitBias = [LogitBias(token: 17, bias: 12)]
                    $0.parameters.dryMultiplier = multiplier
                }
                return Set(answer).count
            }
            #expect(try variety(2) > variety(0))
        }

        @Test func `a window of minus one is the whole context`() throws {
            let changes: [(inout SamplingParameters) -> Void] = [
                { $0.frequencyPenalty = 2 }, { $0.dryMultiplier = 2 },
            ]
            for change in changes {
                func answer(_ window: Int32) throws -> [Token] {
                    try Self.answer {
                        $0.parameters.logitBias = [LogitBias(token: 17, bias: 12)]
                        $0.parameters.penaltyWindow = window
                        $0.parameters.dryWindow = window
                        change(&$0.parameters)
                    }
                }
                #expect(try answer(-1) == answer(1024))
            }
        }

        @Test func `log-probabilities are those of the raw logits, best first`() throws {
            let prompt = try BuiltinModel.tokens(Self.question)
            var sampling = LaneSampling.plain(prompt, temperature: 1.5, seed: 5)
            sampling.topLogprobs = 5
            let stage = try EngineStage()
            try stage.open(0, sampling)
            var logits = try stage.run(prompt)
            for step in 0..<8 {
                let sample = try #require(stage.output.samples.first)
                let logprob = try #require(sample.logprob)
                let expected = logits.logProbabilities
                #expect(logprob.chosen.token == sample.token)
                #expect(logprob.top.count == 5)
                #expect(logprob.top.first?.token == logits.argmax)
                #expect(logprob.top.map(\.logprob) == logprob.top.map(\.logprob).sorted(by: >))
                for candidate in logprob.top + [logprob.chosen] {
                    #expect(abs(Double(candidate.logprob) - expected[Int(candidate.token)]) < 1e-4)
                }
                logits = try stage.run([sample.token], at: prompt.count + step)
            }
            try stage.apply(.free(lane: Lane(0)))
            sampling.topLogprobs = 4096
            try stage.open(0, sampling)
            try stage.run(prompt)
            let all = try #require(stage.output.samples.first?.logprob?.top)
            #expect(Set(all.map(\.token)).count == 4096)
            #expect(abs(all.reduce(0.0) { $0 + exp(Double($1.logprob)) } - 1) < 1e-3)
        }

        @Test func `mirostat, typical, min-p, sigma, XTC and DRY run and keep to their seed`() throws {
            let changes: [(inout SamplingParameters) -> Void] = [
                { $0.mirostat = 1 }, { $0.mirostat = 2 }, { $0.typicalP = 0.5 }, { $0.minP = 0.2 },
                { $0.topNSigma = 1 }, { $0.xtcProbability = 0.5 }, { $0.dryMultiplier = 0.8 },
                { $0.dynamicTemperatureRange = 0.5 },
            ]
            for change in changes {
                let first = try Self.answer({ change(&$0.parameters) }, temperature: 0.9, seed: 11, count: 12)
                let second = try Self.answer({ change(&$0.parameters) }, temperature: 0.9, seed: 11, count: 12)
                #expect(first == second)
            }
        }

        @Test func `a lane that was never opened has no tokens, and those beside it have theirs`() throws {
            let prompt = try BuiltinModel.tokens(Self.question)
            let stage = try EngineStage()
            try stage.open(0, .plain(prompt))
            try stage.execute(EngineStage.rows([1, 2, 3], lane: 3) + EngineStage.rows(prompt))
            let samples = stage.output.samples
            #expect(samples.map(\.lane) == [Lane(3), Lane(0)] && samples.map(\.position) == [3, Int32(prompt.count)])
            #expect(samples[0].token == LaneFailure.noSampler.rawValue)
            #expect(samples[1].token >= 0)
        }
    }
}
