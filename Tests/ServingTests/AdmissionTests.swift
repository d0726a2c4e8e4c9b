import ReferenceEngine
import Serving
import Testing
import Vocabulary

@Suite struct `Admission` {
    private func queuedPositions(_ pipeline: LocalPipeline, _ id: UInt64) -> [Int] {
        (pipeline.events[RequestID(id)] ?? []).compactMap {
            if case .queued(let position, _) = $0 { position } else { nil }
        }
    }

    @Test func `a free lane starts a request at once`() throws {
        var pipeline = LocalPipeline(.init(laneCount: 1))
        try pipeline.submit(Requests.text(1, "abc"))
        #expect(pipeline.events[RequestID(1)] == [.started(promptTokens: 3, cachedTokens: 0)])
    }

    @Test func `a request that generates nothing is counted at once, however busy and long`() throws {
        var pipeline = LocalPipeline(.init(laneCount: 1))
        try pipeline.submit(Requests.text(1))
        let long = String(repeating: "a", count: 1000)
        try pipeline.submit(Requests.text(2, long, limit: 0))
        #expect(pipeline.events[RequestID(2)]?.first == .started(promptTokens: 1000, cachedTokens: 0))
        let completion = try #require(pipeline.completion(RequestID(2)))
        #expect(completion.usage == Usage(promptTokens: 1000, outputTokens: 0))
        #expect(completion.finishReasons == [.length])
        #expect(pipeline.core.queuedCount == 0)
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `waiting requests learn their place and move up in order`() throws {
        var pipeline = LocalPipeline(.init(laneCount: 1))
        for id in 1...4 as ClosedRange<UInt64> { try pipeline.submit(Requests.text(id)) }
        pipeline.run()
        #expect(queuedPositions(pipeline, 1) == [])
        #expect(queuedPositions(pipeline, 2) == [1])
        #expect(queuedPositions(pipeline, 3) == [2, 1])
        #expect(queuedPositions(pipeline, 4) == [3, 2, 1])
        #expect(pipeline.violation == nil)
    }

    @Test func `a full waiting line refuses with the numbers`() throws {
        var pipeline = LocalPipeline(.init(laneCount: 2, queueLimit: 3))
        for id in 1...6 as ClosedRange<UInt64> { try pipeline.submit(Requests.text(id)) }
        #expect(pipeline.core.queuedCount == 3)
        #expect(pipeline.failure(RequestID(6)) == .overloaded(queued: 3, limit: 3, retryAfterSeconds: 1))
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
        #expect((1...5).allSatisfy { pipeline.completion(RequestID($0)) != nil })
    }

    @Test func `the default waiting line has eight places per lane, at least sixteen`() {
        #expect(LocalPipeline(.init(laneCount: 1)).core.settings.queueLimit == 16)
        #expect(LocalPipeline(.init(laneCount: 4)).core.settings.queueLimit == 32)
    }

    @Test func `nobody waits longer than the wait limit`() throws {
        var pipeline = LocalPipeline(.init(laneCount: 1))
        try pipeline.submit(Requests.text(1))
        pipeline.wait(.seconds(5))
        try pipeline.submit(Requests.text(2))
        #expect(pipeline.wakeAt == Instant(nanoseconds: 65_000_000_000))
        pipeline.wait(.milliseconds(59_999))
        #expect(pipeline.failure(RequestID(2)) == nil)
        pipeline.wait(.milliseconds(1))
        // Nothing has finished yet, so the age of the running request is the best guess at how long another takes.
        #expect(pipeline.failure(RequestID(2)) == .overloaded(queued: 0, limit: 16, retryAfterSeconds: 65))
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `a tick that comes too early asks again`() throws {
        var pipeline = LocalPipeline(.init(laneCount: 1))
        try pipeline.submit(Requests.text(1))
        try pipeline.submit(Requests.text(2))
        let deadline = Instant(nanoseconds: 60_000_000_000)
        #expect(pipeline.wakeCount == 1)
        pipeline.wait(.milliseconds(59_999))
        #expect(pipeline.wakeCount == 2)
        #expect(pipeline.wakeAt == deadline)
        try pipeline.submit(Requests.text(3))
        #expect(pipeline.wakeCount == 2)
    }

    @Test func `the wait is predicted from what finished requests took, and refused when too long`() throws {
        var pipeline = LocalPipeline(.init(laneCount: 1))
        func request(_ id: UInt64) -> GenerationRequest {
            Requests.text(id, "abcd", limit: 5) { $0.sampling.ignoreEndOfGeneration = true }
        }
        // One request with 4 s of prefill and 2 s per further token: 12 s.
        try pipeline.submit(request(1))
        while pipeline.core.activeCount > 0 {
            let isAnswer = pipeline.microbatches.last?.rows.isEmpty == false
            if isAnswer { pipeline.wait(.seconds(1)) }
            guard pipeline.step() else { break }
        }
        pipeline.run()
        let took = try #require(pipeline.completion(RequestID(1))).timings
        let each = took.prefillSeconds + took.decodeSeconds / 4 * 5
        try pipeline.submit(request(2))
        try pipeline.submit(request(3))
        guard case .queued(1, let wait?)? = pipeline.events[RequestID(3)]?.last else {
            Issue.record("no prediction: \(String(describing: pipeline.events[RequestID(3)]))")
            return
        }
        #expect(abs(wait - each) < 0.01)
        var accepted = 1
        var refused: GenerationError?
        for id in 4...20 as ClosedRange<UInt64> where refused == nil {
            try pipeline.submit(request(id))
            refused = pipeline.failure(RequestID(id))
            if refused == nil { accepted += 1 }
        }
        // `accepted` wait already; one more would wait longer than 60 s.
        #expect(Double(accepted) * each <= 60 + 0.1 && Double(accepted + 1) * each > 60 - 0.1)
        guard case .overloaded(accepted, 16, let retry)? = refused else {
            Issue.record("not refused: \(String(describing: refused))")
            return
        }
        #expect(Double(retry) >= Double(accepted + 1) * each - 60)
        #expect(Double(retry) <= Double(accepted + 1) * each - 60 + 1.1)
    }

    @Test func `a request that needs several lanes waits for all of them and lets nobody pass`() throws {
        var pipeline = LocalPipeline(.init(laneCount: 3))
        try pipeline.submit(Requests.text(1, limit: 30))
        try pipeline.submit(Requests.text(2, limit: 5) { $0.choiceCount = 3 })
        try pipeline.submit(Requests.text(3, limit: 5))
        #expect(pipeline.core.activeCount == 1)
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
        #expect(pipeline.answer(RequestID(2))?.texts.count == 3)
    }

    @Test func `a refused request leaves no trace`() throws {
        var pipeline = LocalPipeline()
        try pipeline.submit(Requests.text(1) { $0.choiceCount = 9 })
        #expect(pipeline.core.isQuiescent)
        #expect(pipeline.events[RequestID(1)]?.count == 1)
        #expect(pipeline.microbatches.isEmpty)
    }
}
