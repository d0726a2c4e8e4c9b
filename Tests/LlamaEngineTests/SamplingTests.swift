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
            let prompt = try BuiltinModel.tokens(Self.question)
            let stage = try EngineStage(lanes: 1)
            try stage.open(0, .plain(prompt))
            let ranked = try stage.run(prompt).enumerated().sorted { $0.element > $1.element }.map { Token($0.offset) }
            try stage.apply(.free(lane: Lane(0)))
            func drawn(_ change: (inout SamplingParameters) -> Void) throws -> Set<Token> {
                var found: Set<Token> = []
                for seed in 0..<40 as Range<UInt64> {
                    var sampling = LaneSampling.plain(prompt, temperature: 20, seed: seed)
                    change(&sampling.parameters)
                    found.formUnion(try stage.answer(prompt, sampling, count: 1))
                }
                return found
            }
            #expect(try drawn { $0.topK = 3 } == Set(ranked.prefix(3)))
            #expect(try drawn { $0.topP = 1e-6 } == Set(ranked.prefix(1)))
            #expect(try drawn { _ in }.count > 10)
        }

        @Test func `samplers are at work in the request's order, and no others`() throws {
            let prompt = try BuiltinModel.tokens(Self.question)
            let stage = try EngineStage(lanes: 1)
            func drawn(_ order: [Sampler]?) throws -> Set<Token> {
                var found: Set<Token> = []
                for seed in 0..<40 as Range<UInt64> {
                    var sampling = LaneSampling.plain(prompt, temperature: 20, seed: seed)
                    (sampling.parameters.topP, sampling.parameters.samplers) = (0.5, order)
                    found.formUnion(try stage.answer(prompt, sampling, count: 1))
                }
                return found
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
