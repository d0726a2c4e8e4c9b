import ReferenceEngine
import Serving
import Testing
import Vocabulary

@Suite struct `Kept prefixes` {
    private func pipeline(
        stages: Int = 2, lanes: Int = 2, shelf: Int = 2, cells: Int = 512, reuse: PrefixReuse = .beginnings
    ) -> LocalPipeline {
        var options = LocalPipeline.Options(stageCount: stages, laneCount: lanes, cellCount: cells)
        options.window = min(256, cells)
        (options.shelfCount, options.prefixReuse) = (shelf, reuse)
        options.sizes.isRecurrent = reuse == .whole
        return LocalPipeline(options)
    }

    private func cached(_ pipeline: LocalPipeline, _ id: UInt64) -> Int? {
        for case .started(_, let cached) in pipeline.events[RequestID(id)] ?? [] { return cached }
        return nil
    }

    /// The text of a finished answer.
    private func text(_ pipeline: LocalPipeline, _ id: UInt64) -> String {
        pipeline.answer(RequestID(id))?.texts.first ?? ""
    }

    @Test func `a tool loop computes only what is new`() throws {
        var kept = pipeline()
        var plain = pipeline(reuse: .off)
        var prompt = "You are a goose. Fly south when it gets cold, and tell the others."
        var lengths: [Int] = []
        for turn in 1...5 as ClosedRange<UInt64> {
            try kept.submit(Requests.text(turn, prompt, limit: 10))
            try plain.submit(Requests.text(turn, prompt, limit: 10))
            kept.run()
            plain.run()
            #expect(kept.answer(RequestID(turn)) == plain.answer(RequestID(turn)), "turn \(turn)")
            let count = try #require(cached(kept, turn))
            #expect(kept.completion(RequestID(turn))?.usage.cachedTokens == count)
            lengths.append(count)
            prompt += text(kept, turn) + " and then? "
        }
        #expect(lengths[0] == 0)
        // X, X + E1, X + E1 + E2 …: every turn takes over all that the last one computed.
        #expect(zip(lengths, lengths.dropFirst()).allSatisfy { $0.0 < $0.1 })
        #expect(lengths[4] > prompt.utf8.count * 3 / 5)
        kept.checkQuiescence()
        #expect(kept.violation == nil)
    }

    @Test func `requests that begin alike take over the beginning, even from one that runs`() throws {
        var pipeline = pipeline(lanes: 3)
        let system = "A long instruction that many agents share. "
        try pipeline.submit(Requests.text(1, system + "one", limit: 40) { $0.sampling.ignoreEndOfGeneration = true })
        for _ in 0..<30 { _ = pipeline.step() }
        try pipeline.submit(Requests.text(2, system + "two", limit: 5))
        pipeline.run()
        try pipeline.submit(Requests.text(3, system + "three", limit: 5))
        pipeline.run()
        #expect(cached(pipeline, 2) == system.utf8.count)
        // "two" and "three" begin with the same letter.
        #expect(cached(pipeline, 3) == system.utf8.count + 1)
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `a model that cannot forget takes over whole sequences only`() throws {
        var pipeline = pipeline(reuse: .whole)
        let prompt = "The wind turns north, the flock turns south."
        try pipeline.submit(Requests.text(1, prompt, limit: 4) { $0.sampling.ignoreEndOfGeneration = true })
        pipeline.run()
        try pipeline.submit(Requests.text(2, prompt + "?", limit: 4))
        pipeline.run()
        #expect(cached(pipeline, 2) == 0)
        // The last token of an answer is never computed: of one token the prompt is what stays.
        try pipeline.submit(Requests.text(3, "Another question.", limit: 1))
        pipeline.run()
        try pipeline.submit(Requests.text(4, "Another question. Why, then?", limit: 4))
        pipeline.run()
        #expect(cached(pipeline, 4) == "Another question.".utf8.count)
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test(arguments: 1...3)
    func `a model that cannot forget goes on from the last prompt, however its answer is rendered`(stages: Int) throws {
        var kept = pipeline(stages: stages, reuse: .whole)
        var plain = pipeline(stages: stages, reuse: .off)
        var prompt = "You are a goose. Fly south when it gets cold."
        var lastLength = 0
        for turn in 1...5 as ClosedRange<UInt64> {
            let request = Requests.text(turn, prompt, limit: 10) { $0.sampling.ignoreEndOfGeneration = true }
            try kept.submit(request)
            try plain.submit(request)
            kept.run()
            plain.run()
            #expect(kept.answer(RequestID(turn)) == plain.answer(RequestID(turn)), "turn \(turn)")
            #expect(cached(kept, turn) == lastLength)
            lastLength = prompt.utf8.count
            // What was thought is left out, and the call is written anew.
            prompt += "{\"call\": \(turn)} done. "
        }
        kept.checkQuiescence()
        #expect(kept.violation == nil)
    }

    @Test func `a model that cannot forget goes on from a whole sequence where it is rendered as it was`() throws {
        var pipeline = pipeline(reuse: .whole)
        let prompt = "The wind turns north, the flock turns south."
        try pipeline.submit(Requests.text(1, prompt, limit: 6) { Requests.restrict(&$0, to: "abc", strength: 100) })
        pipeline.run()
        let answer = text(pipeline, 1)
        #expect(answer.utf8.count == 6)
        try pipeline.submit(Requests.text(2, prompt + answer + " And then?", limit: 6))
        pipeline.run()
        // The last token of an answer is never computed.
        #expect(cached(pipeline, 2) == prompt.utf8.count + 5)
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `sequences with answers make way before prompts, so two conversations fit into three lanes`() throws {
        var pipeline = pipeline(lanes: 1, shelf: 2, reuse: .whole)
        var prompts = ["The wind turns north.", "The river freezes over."]
        var lengths = [0, 0]
        for turn in 0..<4 {
            for index in prompts.indices {
                let id = UInt64(2 * turn + index + 1)
                try pipeline.submit(
                    Requests.text(id, prompts[index], limit: 6) { $0.sampling.ignoreEndOfGeneration = true })
                pipeline.run()
                #expect(cached(pipeline, id) == lengths[index], "turn \(turn)")
                lengths[index] = prompts[index].utf8.count
                prompts[index] += " (flies on) And then?"
            }
        }
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `kept sequences make way for requests, the longest unused first`() throws {
        var pipeline = pipeline(lanes: 2, shelf: 1, cells: 100)
        for id in 1...3 as ClosedRange<UInt64> {
            let prompt = String(repeating: String(id), count: 30)
            try pipeline.submit(Requests.text(id, prompt, limit: 5))
            pipeline.run()
        }
        #expect(pipeline.core.keptSequences >= 2)
        #expect(pipeline.core.usedCells <= 100)
        try pipeline.submit(Requests.text(4, String(repeating: "4", count: 80), limit: 10))
        pipeline.run()
        #expect(pipeline.completion(RequestID(4)) != nil)
        try pipeline.submit(Requests.text(5, String(repeating: "1", count: 30), limit: 5))
        pipeline.run()
        #expect(cached(pipeline, 5) == 0)
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `several choices share what was taken over, and a lost stage forgets everything`() throws {
        var pipeline = pipeline(lanes: 3)
        let prompt = "One flock, several ways."
        try pipeline.submit(Requests.text(1, prompt, limit: 6))
        pipeline.run()
        // The same prompt again: all but its last two tokens is taken over.
        try pipeline.submit(Requests.text(2, prompt, limit: 6) { $0.choiceCount = 3 })
        pipeline.run()
        #expect(cached(pipeline, 2) == prompt.utf8.count - 2)
        #expect(pipeline.completion(RequestID(2))?.finishReasons.count == 3)
        pipeline.lose(stage: 1)
        pipeline.stagesReady()
        try pipeline.submit(Requests.text(3, prompt, limit: 6))
        pipeline.run()
        #expect(cached(pipeline, 3) == 0)
        #expect(pipeline.answer(RequestID(3)) == pipeline.answer(RequestID(1)))
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `a seed asks for an answer that can be had again, so nothing is taken over unasked`() throws {
        var pipeline = pipeline()
        let prompt = "The same question again."
        let wishes: [(seed: UInt64?, reuse: Bool?, isReused: Bool)] = [
            (7, nil, false), (7, nil, false), (7, true, true), (nil, nil, true), (nil, false, false),
        ]
        for (index, wish) in wishes.enumerated() {
            let id = UInt64(index + 1)
            try pipeline.submit(Requests.text(id, prompt, limit: 3, seed: wish.seed) { $0.reusesPrefix = wish.reuse })
            pipeline.run()
            #expect((try #require(cached(pipeline, id)) > 0) == wish.isReused, "request \(id)")
        }
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }
}
