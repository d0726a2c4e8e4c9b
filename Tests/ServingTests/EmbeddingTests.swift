import ReferenceEngine
import Serving
import Testing
import Vocabulary

@Suite struct `Vectors of texts` {
    private func embed(
        _ id: UInt64, _ text: String, change: (inout GenerationRequest) -> Void = { _ in }
    ) -> GenerationRequest {
        var request = GenerationRequest(id: RequestID(id), model: "reference", prompt: .text(text))
        request.embedding = EmbeddingWish()
        change(&request)
        return request
    }

    private func vector(_ id: UInt64, _ pipeline: LocalPipeline) -> [Float]? {
        let deltas = (pipeline.events[RequestID(id)] ?? []).compactMap { event in
            if case .output(let delta) = event { delta } else { nil }
        }
        return deltas.count == 1 && deltas[0].text.isEmpty ? deltas[0].vector : nil
    }

    private static let texts = ["a", "Geese fly north.", String(repeating: "lead the flock ", count: 8), "é🪿"]

    @Test(arguments: 1...4)
    func `a vector is the same alone and in stages, in chunks, beside running answers`(stageCount: Int) throws {
        let expected = try Self.texts.map { text in
            var pipeline = LocalPipeline(.init(rowLimit: 256))
            try pipeline.submit(embed(1, text))
            pipeline.run()
            #expect(pipeline.violation == nil)
            return try #require(vector(1, pipeline))
        }
        #expect(Set(expected).count == 4 && expected.allSatisfy { $0.count == 4 && $0.allSatisfy(\.isFinite) })
        let story = Requests.text(100, "ab", limit: 40) { $0.sampling.ignoreEndOfGeneration = true }
        var alone = LocalPipeline(.init())
        try alone.submit(story)
        alone.run()
        for interleaving in 1...6 as ClosedRange<UInt64> {
            var options = LocalPipeline.Options(stageCount: stageCount, interleaving: interleaving)
            options.prefixReuse = .beginnings
            options.shelfCount = 2
            options.speculation = interleaving % 2 == 0 ? .auto : .off
            var pipeline = LocalPipeline(options)
            try pipeline.submit(story)
            for (index, text) in Self.texts.enumerated() { try pipeline.submit(embed(UInt64(index + 1), text)) }
            pipeline.run()
            for (index, text) in Self.texts.enumerated() {
                let id = UInt64(index + 1)
                #expect(vector(id, pipeline) == expected[index], "\(text)")
                let end = try #require(pipeline.completion(RequestID(id)))
                #expect(end.finishReasons == [.stop] && end.usage.outputTokens == 0)
                #expect(end.usage.promptTokens == text.utf8.count && end.usage.cachedTokens == 0)
            }
            #expect(pipeline.answer(story.id) == alone.answer(story.id))
            pipeline.checkQuiescence()
            #expect(pipeline.violation == nil)
        }
    }

    @Test func `a text may fill the window, and one more token is refused with the numbers`() throws {
        var pipeline = LocalPipeline(.init(cellCount: 300, window: 256))
        try pipeline.submit(embed(1, String(repeating: "w", count: 256)))
        try pipeline.submit(embed(2, String(repeating: "w", count: 257)))
        pipeline.run()
        #expect(vector(1, pipeline)?.count == 4)
        #expect(
            pipeline.failure(RequestID(2))
                == .contextLengthExceeded(promptTokens: 257, outputTokens: 0, window: 256))
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `a model that reads whole texts gets each in one microbatch, several together`() throws {
        var pipeline = LocalPipeline(.init(laneCount: 3, cellCount: 100, window: 100, rowLimit: 100)) { settings in
            settings.runsWholePrompts = true
        }
        var random = SeededRandom(seed: 11)
        let lengths = (0..<14).map { _ in 1 + random.below(60) }
        for (index, length) in lengths.enumerated() {
            try pipeline.submit(embed(UInt64(index + 1), String(repeating: "x", count: length)))
        }
        pipeline.run()
        for index in lengths.indices { #expect(vector(UInt64(index + 1), pipeline) != nil) }
        var seen: [Int] = []
        for microbatch in pipeline.microbatches {
            #expect(microbatch.rows.count <= 100)
            let lanes = Dictionary(grouping: microbatch.rows, by: \.lane)
            for rows in lanes.values {
                #expect(rows.map { Int($0.position) } == Array(rows.indices))
                #expect(rows.count(where: \.samples) == 1 && rows.last?.samples == true)
                seen.append(rows.count)
            }
        }
        #expect(seen.sorted() == lengths.sorted())
        #expect(pipeline.microbatches.count { !$0.rows.isEmpty } < lengths.count)
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `failed and lost steps are computed again or told, and nothing is left behind`() throws {
        var once = true
        var pipeline = LocalPipeline(.init(stageCount: 2))
        pipeline.fault = { stage, microbatch in
            guard stage == 1, once, !microbatch.rows.isEmpty else { return nil }
            once = false
            return .cancelled
        }
        try pipeline.submit(embed(1, "again and again"))
        pipeline.run()
        #expect(!once && vector(1, pipeline) != nil)

        pipeline.distort = { samples, _ in
            for index in samples.indices { samples[index].vector = [.nan, 1] }
        }
        try pipeline.submit(embed(2, "not a number"))
        pipeline.run()
        guard case .engineFailed(let reason)? = pipeline.failure(RequestID(2)) else {
            Issue.record("no failure")
            return
        }
        #expect(reason.contains("finite"))
        pipeline.distort = { samples, _ in for index in samples.indices { samples[index].vector = [] } }
        try pipeline.submit(embed(3, "nothing"))
        pipeline.run()
        #expect(pipeline.failure(RequestID(3)) != nil)
        try pipeline.submit(embed(4, "cancelled"))
        pipeline.cancel(RequestID(4))
        pipeline.run()
        #expect(pipeline.failure(RequestID(4)) == .cancelled)
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `a prompt takes nothing over from the same text while that is being read for a vector`() throws {
        let text = Self.texts[2]
        var alone = LocalPipeline(.init())
        try alone.submit(Requests.text(2, text, limit: 5))
        alone.run()
        #expect(alone.completion(RequestID(2)) != nil)
        for steps in 0..<24 {
            var pipeline = LocalPipeline(.init(shelfCount: 2, prefixReuse: .beginnings))
            try pipeline.submit(embed(1, text))
            for _ in 0..<steps { _ = pipeline.step() }
            try pipeline.submit(Requests.text(2, text, limit: 5))
            pipeline.run()
            #expect(vector(1, pipeline) != nil)
            #expect(pipeline.answer(RequestID(2)) == alone.answer(RequestID(2)), "\(steps) steps")
            #expect(pipeline.completion(RequestID(2))?.usage.cachedTokens == 0)
            pipeline.checkQuiescence()
            #expect(pipeline.violation == nil, "\(steps) steps")
        }
    }

    @Test func `what has vectors made waits in the same line as everybody`() throws {
        var pipeline = LocalPipeline(.init(laneCount: 1, queueLimit: 2))
        try pipeline.submit(Requests.text(1, "ab", limit: 5))
        try pipeline.submit(embed(2, "second"))
        try pipeline.submit(Requests.text(3, "cd", limit: 5))
        try pipeline.submit(embed(4, "too many"))
        pipeline.run()
        #expect(vector(2, pipeline) != nil && pipeline.completion(RequestID(3)) != nil)
        guard case .overloaded? = pipeline.failure(RequestID(4)) else {
            Issue.record("the line has no end")
            return
        }
        let ends = pipeline.microbatches.compactMap { $0.rows.first(where: \.samples) }
        #expect(!ends.isEmpty && pipeline.violation == nil)
    }

    @Test func `the mean is that of all rows whatever their chunks, first and last are single rows`() {
        let rows: [[Float]] = (0..<7).map { [Float($0), 1, Float($0 * $0)] }
        for (pooling, expected) in [(.first, [0, 1, 0]), (.last, [6, 1, 36]), (.mean, [3, 1, 13])]
            as [(Pooling, [Float])]
        {
            var pooler = LanePooler(pooling)
            #expect(pooler.vector.isEmpty)
            for row in rows { pooler.add(row.span) }
            #expect(pooler.vector == expected)
            #expect(pooler.needsAllRows == (pooling != .last))
        }
    }
}
