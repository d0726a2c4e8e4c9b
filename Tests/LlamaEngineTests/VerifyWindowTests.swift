import CLlama
import CLlamaExtras
import LlamaEngine
import Serving
import Testing
import Vocabulary

extension `The engine` {
    @Suite struct `Its verify windows` {
        private static let question = "<|im_start|>user\nTell me a story.<|im_end|>\n<|im_start|>assistant\n"

        /// Follows the sampler with windows, or row by row when their width is 0. The guesses are `truth`, save every
        /// `spoilt`-th token of it.
        private static func answer(
            _ prompt: [Token], _ sampling: LaneSampling, guessing truth: [Token], width: Int, spoilt: Int
        ) throws -> [SampledToken] {
            let stage = try EngineStage()
            try stage.open(0, sampling)
            try stage.run(prompt)
            var answer = stage.output.samples
            while answer.count < truth.count {
                let known = answer.count
                let guesses = (known..<min(known + width, truth.count - 1)).map { index in
                    index % spoilt == 0 ? (truth[index] + 1) % 4000 : truth[index]
                }
                let start = prompt.count + known - 1
                let rows = ([answer[known - 1].token] + guesses).enumerated().map { offset, token in
                    StageRow(lane: Lane(0), position: Int32(start + offset), token: token, samples: true)
                }
                try stage.execute(rows)
                let samples = stage.output.samples
                #expect(samples.map(\.position) == samples.indices.map { Int32(start + 1 + $0) })
                let right = zip(guesses, truth[known...]).prefix { $0 == $1 }.count
                #expect(samples.count == right + 1)
                answer += samples
                if samples.count < rows.count {
                    try stage.apply(.trim(lane: Lane(0), from: Int32(start + samples.count)))
                }
            }
            return answer
        }

        private static func check(_ change: (inout LaneSampling) -> Void, temperature: Float = 0) throws {
            let prompt = try BuiltinModel.tokens(question)
            var sampling = LaneSampling.plain(prompt, temperature: temperature, seed: 5)
            sampling.parameters.ignoreEndOfGeneration = true
            sampling.topLogprobs = 2
            change(&sampling)
            let truth = try EngineStage().answer(prompt, sampling, count: 30)
            let plain = try answer(prompt, sampling, guessing: truth, width: 0, spoilt: 1)
            #expect(plain.map(\.token) == truth)
            #expect(plain.allSatisfy { $0.logprob?.chosen.token == $0.token && $0.logprob?.top.count == 2 })
            let goesByStrips = extras_multiplies_by_strips(GGML_TYPE_Q8_0.rawValue) && !WeightPacking.usesTiles
            for (width, spoilt) in [(1, 2), (4, 3), (7, 100)] {
                let windowed = try answer(prompt, sampling, guessing: truth, width: width, spoilt: spoilt)
                #expect(windowed.map(\.token) == truth)
                // Where weights are not multiplied by strips, rows of steps of more than seven have other bits than
                // single ones, and eight-bit activations make more of that.
                guard goesByStrips || width < 7 else { continue }
                #expect(windowed.map(\.logprob) == plain.map(\.logprob))
            }
        }

        @Test(arguments: [0, 1.1] as [Float])
        func `answer what one row after the other would`(temperature: Float) throws {
            try Self.check({ _ in }, temperature: temperature)
        }

        @Test func `let the sampler see accepted tokens only`() throws {
            try Self.check({ $0.parameters.frequencyPenalty = 1.5 }, temperature: 0.8)
            try Self.check({ ($0.parameters.dryMultiplier, $0.parameters.repeatPenalty) = (1, 1.3) })
            try Self.check({ $0.grammar = LaneGrammar(text: #"root ::= ("goose " | "gander " | [0-9] ",")+"#) })
        }

        @Test func `do not take a prompt's tokens for guesses`() throws {
            let prompt = try BuiltinModel.tokens(Self.question)
            let stage = try EngineStage()
            try stage.open(0, .plain(prompt))
            let rows = prompt.enumerated().map {
                StageRow(lane: Lane(0), position: Int32($0.offset), token: $0.element, samples: true)
            }
            try stage.execute(rows)
            #expect(stage.output.samples.count == prompt.count)
            let last = try #require(stage.output.samples.last)
            #expect(try EngineStage().answer(prompt, .plain(prompt), count: 1) == [last.token])
        }
    }
}
