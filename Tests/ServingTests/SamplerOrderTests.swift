import Testing
import Vocabulary

/// Which samplers are at work, and in which order.
@Suite struct `The order of samplers` {
    /// The text of an answer in four letters.
    private func answer(
        stageCount: Int = 1, temperature: Float, penalty: Float = 0, order: [Sampler]? = nil
    ) throws -> String {
        var pipeline = LocalPipeline(.init(stageCount: stageCount))
        let request = Requests.text(1, "abcd", limit: 40, temperature: temperature) {
            Requests.restrict(&$0, to: "abcd", strength: 60)
            $0.sampling.ignoreEndOfGeneration = true
            $0.sampling.frequencyPenalty = penalty
            $0.sampling.samplers = order
        }
        try pipeline.submit(request)
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
        return try #require(pipeline.answer(RequestID(1))?.texts.first)
    }

    @Test func `all of them in their usual order are the default`() throws {
        let expected = try answer(temperature: 0.8, penalty: 0.5)
        #expect(try answer(temperature: 0.8, penalty: 0.5, order: Sampler.allCases) == expected)
    }

    @Test func `one that is not named is off`() throws {
        let plain = try answer(temperature: 1)
        #expect(try answer(temperature: 1, penalty: 1) != plain)
        #expect(try answer(temperature: 1, penalty: 1, order: [.temperature]) == plain)
        // Without its sampler a temperature of 0 is none, too.
        #expect(try answer(temperature: 0, order: [.penalties]) == plain)
        #expect(try answer(temperature: 0) != plain)
    }

    @Test(arguments: 1...3)
    func `penalties behind the temperature are not divided by it`(stageCount: Int) throws {
        let behind = try answer(
            stageCount: stageCount, temperature: 2, penalty: 1, order: [.temperature, .penalties])
        // Halves are exact, so the two ways have the same bits.
        #expect(try answer(temperature: 2, penalty: 2) == behind)
        #expect(try answer(temperature: 2, penalty: 1) != behind)
    }

    @Test func `the most likely token is that at the place of the temperature`() throws {
        let plain = try answer(temperature: 0)
        #expect(try answer(temperature: 0, penalty: 2) != plain)
        #expect(try answer(temperature: 0, penalty: 2, order: [.temperature, .penalties]) == plain)
    }
}
