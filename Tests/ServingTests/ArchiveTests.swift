import ReferenceEngine
import Serving
import Testing
import Vocabulary

@Suite struct `Prefixes on disk` {
    private func options(
        stages: Int = 2, lanes: Int = 2, shelf: Int = 2, cells: Int = 512, reuse: PrefixReuse = .beginnings
    ) -> LocalPipeline.Options {
        var options = LocalPipeline.Options(stageCount: stages, laneCount: lanes, cellCount: cells)
        options.window = min(256, cells)
        (options.shelfCount, options.prefixReuse, options.archives) = (shelf, reuse, true)
        return options
    }

    private func cached(_ pipeline: LocalPipeline, _ id: UInt64) -> Int? {
        pipeline.completion(RequestID(id))?.usage.cachedTokens
    }

    /// Lets it be idle until nothing is left to be written.
    private func rest(_ pipeline: inout LocalPipeline) {
        for _ in 0..<20 {
            pipeline.wait(.seconds(2))
            pipeline.run()
        }
    }

    private let prompt = "You are a goose. Fly south when it gets cold, and tell the others where you rest."

    @Test(arguments: 1...3, [PrefixReuse.beginnings, .whole])
    func `a conversation goes on after a restart as if there had been none`(stages: Int, reuse: PrefixReuse) throws {
        var first = LocalPipeline(options(stages: stages, reuse: reuse))
        try first.submit(Requests.text(1, prompt, limit: 12) { $0.sampling.repeatPenalty = 1.3 })
        first.run()
        rest(&first)
        #expect(first.records.count == 1)
        // All of the first turn but its last token, which was never computed.
        let held = try #require(first.records.values.first).tokens
        #expect(held.count == prompt.utf8.count + (first.answer(RequestID(1))?.outputTokens ?? 0) - 1)
        let next = Requests.text(2, limit: 12) {
            $0.prompt = .tokens(held + " And then?".utf8.map { Token($0) })
            $0.sampling.repeatPenalty = 1.3
        }

        var restarted = first.restarted()
        try restarted.submit(next)
        restarted.run()
        var plain = LocalPipeline(options(stages: stages, reuse: .off))
        try plain.submit(next)
        plain.run()
        #expect(restarted.answer(RequestID(2)) == plain.answer(RequestID(2)))
        #expect(cached(restarted, 2) == held.count)
        rest(&restarted)
        restarted.checkQuiescence()
        #expect(restarted.violation == nil && first.violation == nil && plain.violation == nil)
        // The longer sequence contains the shorter one.
        #expect(restarted.records.count == (reuse == .beginnings ? 1 : 2))
        #expect(restarted.disks.allSatisfy { $0.parts.count == restarted.records.count && $0.fetched.isEmpty })
    }

    @Test func `what had to make way in memory is read from disk`() throws {
        var pipeline = LocalPipeline(options(shelf: 1))
        for id in 1...4 as ClosedRange<UInt64> {
            try pipeline.submit(Requests.text(id, "\(id): \(prompt)", limit: 4))
            pipeline.run()
            rest(&pipeline)
        }
        #expect(pipeline.records.count == 4)
        #expect(pipeline.core.keptSequences < 4)
        try pipeline.submit(Requests.text(9, "1: \(prompt)", limit: 4))
        pipeline.run()
        #expect(cached(pipeline, 9) == "1: \(prompt)".utf8.count - 2)
        #expect(pipeline.answer(RequestID(9)) == pipeline.answer(RequestID(1)))
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `nothing is written while requests run`() throws {
        var pipeline = LocalPipeline(options(stages: 1))
        try pipeline.submit(Requests.text(1, prompt, limit: 2))
        pipeline.run()
        try pipeline.submit(Requests.text(2, "Another one that takes its time to answer.", limit: 60))
        for _ in 0..<20 {
            _ = pipeline.step()
            pipeline.wait(.seconds(2))
        }
        #expect(pipeline.core.activeCount == 1)
        #expect(pipeline.disks[0].parts.isEmpty)
        pipeline.run()
        #expect(pipeline.disks[0].parts.isEmpty)
        rest(&pipeline)
        #expect(pipeline.disks[0].parts.count == 2)
        #expect(pipeline.violation == nil)
    }

    @Test func `at the end everything is written without waiting, and its end is told once`() throws {
        var pipeline = LocalPipeline(options())
        for id in 1...2 as ClosedRange<UInt64> { try pipeline.submit(Requests.text(id, "\(id) \(prompt)", limit: 5)) }
        pipeline.handle(.archiveAll)
        #expect(!pipeline.hasArchived)
        pipeline.run()
        #expect(pipeline.hasArchived)
        #expect(pipeline.records.count == 2)
        #expect(pipeline.violation == nil)
        var without = LocalPipeline(LocalPipeline.Options())
        without.handle(.archiveAll)
        #expect(without.hasArchived)
    }

    @Test(arguments: 0..<3)
    func `a sequence one stage could not write is on no disk`(stage: Int) throws {
        var pipeline = LocalPipeline(options(stages: 3))
        pipeline.disks[stage].isFull = true
        try pipeline.submit(Requests.text(1, prompt, limit: 5))
        pipeline.run()
        rest(&pipeline)
        #expect(pipeline.records.isEmpty)
        #expect(pipeline.disks.allSatisfy { $0.parts.isEmpty })
        // It stays in memory.
        try pipeline.submit(Requests.text(2, prompt, limit: 5))
        pipeline.run()
        #expect(cached(pipeline, 2) == prompt.utf8.count - 2)
        #expect(pipeline.violation == nil)
    }

    @Test func `a full disk is left alone for a while and used again then`() throws {
        var pipeline = LocalPipeline(options(stages: 1, shelf: 8))
        pipeline.disks[0].isFull = true
        for id in 1...8 as ClosedRange<UInt64> {
            try pipeline.submit(Requests.text(id, "\(id) is a short prompt.", limit: 2))
            pipeline.run()
            rest(&pipeline)
        }
        func saves(_ pipeline: LocalPipeline) -> Int {
            pipeline.microbatches.flatMap(\.operations).count {
                if case .archive(let operation) = $0 { operation.action == .save } else { false }
            }
        }
        #expect(saves(pipeline) == Limits.archiveFailures)
        pipeline.disks[0].isFull = false
        pipeline.wait(Limits.archivePause)
        rest(&pipeline)
        #expect(pipeline.records.count == 8 - Limits.archiveFailures)
        #expect(pipeline.violation == nil)
    }

    @Test(arguments: 0..<2, [true, false])
    func `a part that is missing costs time, not the answer`(stage: Int, whenFetching: Bool) throws {
        var first = LocalPipeline(options())
        try first.submit(Requests.text(1, prompt, limit: 5))
        first.run()
        rest(&first)
        var pipeline = first.restarted()
        for key in pipeline.disks[stage].parts.keys {
            // Missing altogether, or no state of this stage although its file is whole.
            pipeline.disks[stage].parts[key] = whenFetching ? nil : [1, 2, 3]
        }
        try pipeline.submit(Requests.text(2, prompt, limit: 5))
        pipeline.run()
        #expect(cached(pipeline, 2) == 0)
        #expect(pipeline.answer(RequestID(2)) == first.answer(RequestID(1)))
        #expect(pipeline.records.isEmpty && pipeline.disks.allSatisfy { $0.parts.isEmpty })
        rest(&pipeline)
        #expect(pipeline.records.count == 1)
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `a disk that does not answer is waited for a few seconds only`() throws {
        var first = LocalPipeline(options())
        try first.submit(Requests.text(1, prompt, limit: 5))
        first.run()
        rest(&first)
        var pipeline = first.restarted()
        pipeline.disks[1].isStuck = true
        try pipeline.submit(Requests.text(2, prompt, limit: 5))
        pipeline.run()
        #expect(pipeline.completion(RequestID(2)) == nil)
        #expect(pipeline.wakeAt == Limits.fetchPatience.after(pipeline, submitted: RequestID(2)))
        pipeline.wait(Limits.fetchPatience)
        pipeline.run()
        #expect(cached(pipeline, 2) == 0)
        #expect(pipeline.disks.allSatisfy { $0.fetched.isEmpty })
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `who leaves while a sequence is read leaves nothing behind`() throws {
        var first = LocalPipeline(options())
        try first.submit(Requests.text(1, prompt, limit: 5))
        first.run()
        rest(&first)
        for steps in 0..<12 {
            var pipeline = first.restarted()
            try pipeline.submit(Requests.text(2, prompt, limit: 5))
            for _ in 0..<steps { _ = pipeline.step() }
            pipeline.cancel(RequestID(2))
            try pipeline.submit(Requests.text(3, prompt, limit: 5))
            pipeline.run()
            #expect(pipeline.answer(RequestID(3)) == first.answer(RequestID(1)))
            #expect(pipeline.disks.allSatisfy { $0.fetched.isEmpty }, "\(steps) steps")
            pipeline.checkQuiescence()
            #expect(pipeline.violation == nil, "\(steps) steps")
        }
    }

    @Test func `a seed asks for a whole computation, so nothing is read for it`() throws {
        var first = LocalPipeline(options())
        try first.submit(Requests.text(1, prompt, limit: 5))
        first.run()
        rest(&first)
        var pipeline = first.restarted()
        try pipeline.submit(Requests.text(2, prompt, limit: 5, seed: 3) { $0.reusesPrefix = nil })
        pipeline.run()
        #expect(cached(pipeline, 2) == 0)
        #expect(pipeline.violation == nil)
    }
}

extension Duration {
    /// This long after a request came.
    fileprivate func after(_ pipeline: LocalPipeline, submitted id: RequestID) -> Instant? {
        pipeline.submissions[id].map { $0.advanced(by: self) }
    }
}
