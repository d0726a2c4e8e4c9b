import ReferenceEngine
import Serving
import Testing
import Vocabulary

@Suite struct `Equal answers` {
    private func requests() -> [GenerationRequest] {
        var random = SeededRandom(seed: 5)
        return (1...10).map { Requests.random($0, &random) }
    }

    /// Every request by itself on an uncut model with plenty of cells.
    private func alone(
        _ requests: [GenerationRequest], _ options: LocalPipeline.Options = .init()
    ) throws -> [LocalPipeline.Answer?] {
        try requests.map { request in
            var pipeline = LocalPipeline(options)
            try pipeline.submit(request)
            pipeline.run()
            #expect(pipeline.violation == nil)
            return pipeline.answer(request.id)
        }
    }

    private func together(
        _ requests: [GenerationRequest], _ options: LocalPipeline.Options
    ) throws -> [LocalPipeline.Answer?] {
        var pipeline = LocalPipeline(options)
        for request in requests { try pipeline.submit(request) }
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
        return requests.map { pipeline.answer($0.id) }
    }

    @Test(arguments: 1...4)
    func `split in stages and batched with strangers equals alone`(stageCount: Int) throws {
        let requests = requests()
        let options = LocalPipeline.Options(sizes: .init(layerCount: 5, width: 8, headCount: 2, hidden: 8))
        let expected = try alone(requests, options)
        #expect(expected.allSatisfy { $0 != nil })
        for interleaving in 1...2 as ClosedRange<UInt64> {
            var options = options
            options.stageCount = stageCount
            options.interleaving = interleaving
            #expect(try together(requests, options) == expected)
        }
    }

    @Test func `chunks of any size give the same answer`() throws {
        let requests = requests()
        let expected = try alone(requests)
        for rowLimit in [1, 2, 7] {
            #expect(try together(requests, .init(stageCount: 2, rowLimit: rowLimit, interleaving: 3)) == expected)
        }
    }

    @Test(arguments: 1...3)
    func `preempted equals undisturbed`(stageCount: Int) throws {
        let requests = (1...6 as ClosedRange<UInt64>).map { id in
            Requests.text(id, "prompt \(id)", limit: nil, seed: id) {
                $0.choiceCount = id == 4 ? 2 : 1
                $0.sampling.logitBias = [LogitBias(token: ReferenceTokenizer.end, bias: 1)]
            }
        }
        let expected = try requests.map { request in
            try together([request], .init(cellCount: 80, window: 40))[0]
        }
        var options = LocalPipeline.Options(stageCount: stageCount, cellCount: 80, window: 40, interleaving: 2)
        options.headroom = 2
        var pipeline = LocalPipeline(options)
        for request in requests { try pipeline.submit(request) }
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
        #expect(requests.map { pipeline.answer($0.id) } == expected)
        // More lanes were opened than choices exist, so requests were preempted and computed again.
        let opened = pipeline.microbatches.flatMap(\.operations).count { if case .open = $0 { true } else { false } }
        #expect(opened > 7)
    }

    @Test func `the same seed gives the same tokens, another seed others`() throws {
        let requests = [
            Requests.text(1, limit: 20, seed: 3), Requests.text(2, limit: 20, seed: 3),
            Requests.text(3, limit: 20, seed: 4),
        ]
        let answers = try together(requests, .init(stageCount: 2, interleaving: 1))
        #expect(answers[0] == answers[1])
        #expect(answers[0] != answers[2])
    }

    @Test func `choice c of seed s is the answer to seed s + c`() throws {
        for stageCount in 1...3 {
            let several = Requests.text(1, limit: 15, seed: 40) { $0.choiceCount = 3 }
            let answer = try together([several], .init(stageCount: stageCount, rowLimit: 8, interleaving: 9))[0]
            let singles = try alone((0..<3).map { Requests.text(2 + $0, limit: 15, seed: 40 + $0) })
            #expect(answer?.texts == singles.flatMap { $0?.texts ?? [] })
            #expect(answer?.finish == singles.flatMap { $0?.finish ?? [] })
            #expect(answer?.outputTokens == singles.reduce(0) { $0 + ($1?.outputTokens ?? 0) })
        }
    }

    @Test func `a prompt of one token can have several choices`() throws {
        let request = Requests.text(1, "x", limit: 6, seed: 1) { $0.choiceCount = 4 }
        let answer = try together([request], .init(stageCount: 2))[0]
        let single = try alone([Requests.text(2, "x", limit: 6, seed: 4)])[0]
        #expect(answer?.texts[3] == single?.texts[0])
    }

    @Test func `requests without a seed get seeds of their own`() throws {
        let requests = (1...2).map { Requests.text($0, limit: 20, seed: nil) }
        let answers = try together(requests, .init())
        #expect(answers[0] != answers[1])
        #expect(try together(requests, .init(stageCount: 3)) == answers)
    }

    /// One request by itself against the same one under everything at once: cut, batched with strangers, guessed ahead,
    /// short of cells, with a prefix from memory or from disk. Log-probabilities are part of an answer.
    @Test(arguments: 1...3, [0, 1, 4])
    func `everything at once equals alone`(stageCount: Int, width: Int) throws {
        var random = SeededRandom(seed: 77)
        let requests = (1...8 as ClosedRange<UInt64>).map { id in
            Requests.text(id, "prompt \(id % 3) of many", limit: nil, seed: random.next()) { request in
                request.topLogprobs = 3
                request.sampling.logitBias = [LogitBias(token: ReferenceTokenizer.end, bias: 1)]
                if id % 2 == 0 { Requests.restrict(&request, to: "gh") }
            }
        }
        let quiet = LocalPipeline.Options(cellCount: 80, window: 40)
        let expected = try requests.map { try together([$0], quiet)[0] }
        #expect(expected.allSatisfy { $0?.logprobs.first?.isEmpty == false })
        var options = LocalPipeline.Options(stageCount: stageCount, cellCount: 80, window: 40, interleaving: 11)
        (options.headroom, options.shelfCount, options.prefixReuse) = (2, 3, .beginnings)
        (options.archives, options.speculation) = (true, .ngram)
        options.policy = ForcedWindows(EvenBatchPolicy(), width: width)
        var pipeline = LocalPipeline(options)
        for request in requests { try pipeline.submit(request) }
        pipeline.run()
        #expect(requests.map { pipeline.answer($0.id) } == expected)
        for _ in 0..<6 {
            pipeline.wait(.seconds(2))
            pipeline.run()
        }
        #expect(!pipeline.records.isEmpty)
        let opened = pipeline.microbatches.flatMap(\.operations).count { if case .open = $0 { true } else { false } }
        #expect(opened > requests.count)
        // And once more after a restart, with what is on disk.
        var restarted = pipeline.restarted()
        for request in requests { try restarted.submit(request) }
        restarted.run()
        #expect(requests.map { restarted.answer($0.id) } == expected)
        restarted.checkQuiescence()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil && restarted.violation == nil)
        #expect(width == 0 || pipeline.core.acceptedTokens > 0)
    }
}
