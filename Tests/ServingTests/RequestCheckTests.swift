import Serving
import Testing
import Vocabulary

@Suite struct `Refusing what can never be served` {
    private let check = RequestCheck(window: 100, cellCount: 120, laneCount: 4, vocabularySize: 258)

    private func refusal(
        promptCount: Int = 10, token: Token = 65, change: (inout GenerationRequest) -> Void = { _ in }
    ) -> GenerationError? {
        let request = Requests.text(1, limit: nil, change: change)
        return check.refusal(of: request, PreparedPrompt(tokens: Array(repeating: token, count: promptCount)))
    }

    @Test func `a prompt with room for one token is served, one more is refused with the numbers`() {
        #expect(refusal(promptCount: 99) == nil)
        #expect(
            refusal(promptCount: 100) == .contextLengthExceeded(promptTokens: 100, outputTokens: 0, window: 100))
        #expect(
            refusal(promptCount: 1000) { $0.maxOutputTokens = 5 }
                == .contextLengthExceeded(promptTokens: 1000, outputTokens: 5, window: 100))
    }

    @Test func `an output limit beyond the window is clamped, not refused`() {
        #expect(refusal { $0.maxOutputTokens = 1_000_000 } == nil)
        #expect(check.outputRoom(promptCount: 10, choiceCount: 1) == 90)
    }

    @Test func `all choices share the prompt and must fit the cells`() {
        #expect(check.outputRoom(promptCount: 21, choiceCount: 4) == 25)
        #expect(refusal(promptCount: 99) { $0.choiceCount = 4 } == nil)
        let tight = RequestCheck(window: 120, cellCount: 120, laneCount: 4, vocabularySize: 258)
        let request = Requests.text(1, limit: nil) { $0.choiceCount = 4 }
        let prompt = PreparedPrompt(tokens: Array(repeating: 65, count: 118))
        #expect(
            tight.refusal(of: request, prompt)
                == .contextLengthExceeded(promptTokens: 118, outputTokens: 0, window: 120))
    }

    @Test(arguments: [-1, 0, 5, 1_000_000])
    func `a number of choices beyond the lanes names the limit`(count: Int) {
        #expect(
            refusal { $0.choiceCount = count }
                == .invalidField(name: "n", value: "\(count)", limit: "this placement answers 1 to 4 choices at once"))
    }

    @Test func `an empty prompt, foreign tokens and empty limits are refused`() {
        #expect(refusal(promptCount: 0)?.description.hasPrefix("prompt is empty") == true)
        #expect(refusal(token: 258)?.description.hasPrefix("prompt[0] is 258") == true)
        #expect(refusal(token: -1)?.description.hasPrefix("prompt[0] is -1") == true)
        #expect(refusal { $0.maxOutputTokens = 0 }?.description.hasPrefix("max_tokens is 0") == true)
        #expect(refusal { $0.topLogprobs = 21 }?.description.hasPrefix("top_logprobs is 21") == true)
    }

    @Test func `stop texts are bounded in number and size`() {
        #expect(refusal { $0.stop = Array(repeating: "x", count: Limits.stopTexts) } == nil)
        #expect(refusal { $0.stop = Array(repeating: "x", count: 1000) }?.description.hasPrefix("stop is 1000") == true)
        #expect(refusal { $0.stop = ["a", ""] }?.description.hasPrefix("stop[1] is 0 bytes") == true)
        let long = String(repeating: "x", count: Limits.stopTextBytes + 1)
        #expect(refusal { $0.stop = [long] }?.description.hasPrefix("stop[0] is 1025 bytes") == true)
    }

    @Test func `stop tokens are bounded in number and in the vocabulary`() {
        #expect(refusal { $0.stopTokens = Array(repeating: 257, count: Limits.stopTokens) } == nil)
        for (tokens, value) in [
            (Array(repeating: 1, count: Limits.stopTokens + 1), "65 tokens"), ([5, 258], "token 258"),
            ([-1], "token -1"),
        ] as [([Token], String)] {
            #expect(
                refusal { $0.stopTokens = tokens }?.description.hasPrefix("stop_token_ids is \(value)") == true,
                "\(value)")
        }
    }

    @Test func `sampling parameters out of range are refused by name`() {
        let cases: [(String, (inout SamplingParameters) -> Void)] = [
            ("temperature", { $0.temperature = .nan }), ("temperature", { $0.temperature = -1 }),
            ("temperature", { $0.temperature = .infinity }), ("top_p", { $0.topP = 1.01 }),
            ("min_p", { $0.minP = -0.1 }), ("typical_p", { $0.typicalP = 2 }), ("top_k", { $0.topK = -1 }),
            ("repeat_penalty", { $0.repeatPenalty = 0 }), ("presence_penalty", { $0.presencePenalty = 2.5 }),
            ("frequency_penalty", { $0.frequencyPenalty = -.infinity }), ("mirostat", { $0.mirostat = 3 }),
            ("repeat_last_n", { $0.penaltyWindow = -2 }),
            ("logit_bias", { $0.logitBias = [LogitBias(token: 999, bias: 1)] }),
            ("logit_bias", { $0.logitBias = [LogitBias(token: 9, bias: .nan)] }),
            ("logit_bias", { $0.logitBias = Array(repeating: LogitBias(token: 9, bias: 1), count: 2000) }),
            ("samplers", { $0.samplers = [.topK, .dry, .topK] }),
            ("dry_sequence_breakers", { $0.dryBreakers = Array(repeating: "x", count: 100) }),
        ]
        for (name, change) in cases {
            let refusal = refusal { change(&$0.sampling) }
            guard case .invalidField(name, _, _)? = refusal else {
                Issue.record("\(name): \(String(describing: refusal))")
                continue
            }
        }
        #expect(refusal { $0.sampling.logitBias = [LogitBias(token: 9, bias: -.infinity)] } == nil)
    }
}
