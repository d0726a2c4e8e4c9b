import ReferenceEngine
import Serving
import Testing
import Vocabulary

@Suite struct `Deadlines` {
    private func request(_ id: UInt64, seconds: Double?, elapsed: Double? = nil, limit: Int = 40) -> GenerationRequest {
        Requests.text(id, limit: limit) {
            $0.timeoutSeconds = seconds
            $0.elapsedSeconds = elapsed
            $0.sampling.ignoreEndOfGeneration = true
        }
    }

    @Test func `a running request ends when its time is up, and others go on`() throws {
        var pipeline = LocalPipeline(.init(laneCount: 2))
        try pipeline.submit(request(1, seconds: 3))
        try pipeline.submit(request(2, seconds: nil))
        for _ in 0..<6 { _ = pipeline.step() }
        #expect(pipeline.wakeAt == Instant(nanoseconds: 3_000_000_000))
        pipeline.wait(.milliseconds(2999))
        #expect(pipeline.failure(RequestID(1)) == nil)
        pipeline.wait(.milliseconds(1))
        #expect(pipeline.failure(RequestID(1)) == .deadlineExceeded(seconds: 3))
        #expect(pipeline.core.ownedLaneCount == 1)
        pipeline.run()
        #expect(pipeline.completion(RequestID(2)) != nil)
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `a waiting request ends when its time is up`() throws {
        var pipeline = LocalPipeline(.init(laneCount: 1))
        try pipeline.submit(request(1, seconds: nil))
        try pipeline.submit(request(2, seconds: 5))
        try pipeline.submit(request(3, seconds: nil))
        pipeline.wait(.seconds(5))
        #expect(pipeline.failure(RequestID(2)) == .deadlineExceeded(seconds: 5))
        #expect(pipeline.core.queuedCount == 1)
        pipeline.run()
        #expect(pipeline.completion(RequestID(3)) != nil)
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `what passed on the way counts, and more than all of it ends a request at once`() throws {
        var pipeline = LocalPipeline(.init(laneCount: 2))
        try pipeline.submit(request(1, seconds: 3, elapsed: 2))
        pipeline.wait(.seconds(1))
        #expect(pipeline.failure(RequestID(1)) == .deadlineExceeded(seconds: 3))
        try pipeline.submit(request(2, seconds: 3, elapsed: 4))
        #expect(pipeline.failure(RequestID(2)) == .deadlineExceeded(seconds: 3))
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `an answer that is there in time has no deadline any more`() throws {
        var pipeline = LocalPipeline(.init(laneCount: 1))
        try pipeline.submit(request(1, seconds: 3, limit: 2))
        pipeline.run()
        #expect(pipeline.completion(RequestID(1)) != nil)
        pipeline.wait(.seconds(5))
        #expect(pipeline.events[RequestID(1)]?.count { if case .failed = $0 { true } else { false } } == 0)
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }
}
