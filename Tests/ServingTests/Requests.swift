import Serving
import Testing
import Vocabulary

/// Requests for tests.
enum Requests {
    static func text(
        _ id: UInt64, _ prompt: String = "Tell me about geese.", limit: Int? = 12, temperature: Float = 1,
        seed: UInt64? = 7, change: (inout GenerationRequest) -> Void = { _ in }
    ) -> GenerationRequest {
        var request = GenerationRequest(id: RequestID(id), model: "reference", prompt: .text(prompt))
        request.maxOutputTokens = limit
        request.sampling.temperature = temperature
        request.sampling.seed = seed
        request.reusesPrefix = true
        change(&request)
        return request
    }

    /// Lets an answer consist of these letters almost alone, so that it repeats itself.
    static func restrict(_ request: inout GenerationRequest, to letters: String, strength: Float = 40) {
        request.sampling.logitBias += letters.utf8.map { LogitBias(token: Token($0), bias: strength) }
    }

    /// A request as a client might draw it.
    static func random(_ id: UInt64, _ random: inout SeededRandom, longestPrompt: Int = 30) -> GenerationRequest {
        let words = ["goose ", "lead ", "the ", "wind ", "é", "flock ", "north ", "🪿"]
        var prompt = "q"
        while prompt.utf8.count < longestPrompt, random.below(5) > 0 { prompt += words[random.below(words.count)] }
        let limit = 1 + random.below(20)
        let temperature: Float = random.below(3) == 0 ? 0 : 0.9
        return text(id, prompt, limit: limit, temperature: temperature, seed: random.next()) { request in
            request.caller = [nil, "a", "b"][Int(id % 3)]
            if random.below(5) == 0 { request.choiceCount = 1 + random.below(3) }
            if random.below(6) == 0 { request.topLogprobs = random.below(3) }
            if random.below(5) == 0 { request.stop = ["a", "zz"] }
            if random.below(6) == 0 { request.maxOutputTokens = nil }
        }
    }

    /// What steps cost by their rows. **Units:** milliseconds.
    static func costs(_ milliseconds: [Int: Double]) throws -> StepCosts {
        try #require(StepCosts(milliseconds.map { .init(rows: $0.key, nanoseconds: $0.value * 1e6) }))
    }

    /// Costs drawn for each stage: rising with the rows, at times by leaps.
    static func costPolicy(_ random: inout SeededRandom, stageCount: Int) -> CostBatchPolicy {
        CostBatchPolicy(
            (0..<stageCount).compactMap { _ in
                var cost = 1e6
                return StepCosts(
                    [1, 2, 4, 8, 16].map { rows in
                        defer { cost *= 1 + Double(random.below(400)) / 100 }
                        return StepCosts.Point(rows: rows, nanoseconds: cost)
                    })
            })
    }
}
