import ReferenceEngine
import Serving
import Testing
import Vocabulary

@Suite struct `Fair turns` {
    private func request(_ id: UInt64, of caller: String?, limit: Int = 6, lanes: Int = 1) -> GenerationRequest {
        Requests.text(id, limit: limit) {
            $0.caller = caller
            $0.choiceCount = lanes
        }
    }

    private func starts(_ pipeline: inout LocalPipeline, _ ids: ClosedRange<UInt64>) -> [UInt64] {
        var order: [UInt64] = []
        func look() {
            for id in ids where !order.contains(id) {
                let hasStarted = (pipeline.events[RequestID(id)] ?? []).contains {
                    if case .started = $0 { true } else { false }
                }
                if hasStarted { order.append(id) }
            }
        }
        look()
        while pipeline.step() { look() }
        return order
    }

    private func place(_ pipeline: LocalPipeline, _ id: UInt64) -> Int? {
        for case .queued(let position, _) in (pipeline.events[RequestID(id)] ?? []).reversed() { return position }
        return nil
    }

    @Test func `one request of somebody else passes a hundred of one caller`() throws {
        var pipeline = LocalPipeline(.init(laneCount: 2))
        for id in 1...8 as ClosedRange<UInt64> { try pipeline.submit(request(id, of: "busy")) }
        try pipeline.submit(request(9, of: "other"))
        #expect(place(pipeline, 9) == 1 && place(pipeline, 3) == 2 && place(pipeline, 8) == 7)
        let order = starts(&pipeline, 1...9)
        #expect(order.count == 9)
        #expect(order.prefix(3) == [1, 2, 9])
        #expect(order.filter { $0 != 9 } == Array(1...8))
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `callers with equally many requests take turns`() throws {
        var pipeline = LocalPipeline(.init(laneCount: 1))
        for id in 1...3 as ClosedRange<UInt64> { try pipeline.submit(request(id, of: "a")) }
        for id in 4...6 as ClosedRange<UInt64> { try pipeline.submit(request(id, of: "b")) }
        // With one lane nobody else has any when it is free, so the oldest goes; the places say so.
        #expect([2, 3, 4, 5, 6].map { place(pipeline, $0) } == [2, 4, 1, 3, 5])
        _ = starts(&pipeline, 1...6)
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `answers to one prompt count as lanes`() throws {
        var pipeline = LocalPipeline(.init(laneCount: 4))
        try pipeline.submit(request(1, of: "a", limit: 30, lanes: 2))
        try pipeline.submit(request(2, of: "b", limit: 30))
        try pipeline.submit(request(3, of: "c", limit: 2))
        for id in 4...5 as ClosedRange<UInt64> { try pipeline.submit(request(id, of: "a")) }
        try pipeline.submit(request(6, of: "b"))
        #expect(place(pipeline, 6) == 1 && place(pipeline, 4) == 2 && place(pipeline, 5) == 3)
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `those without a name are one caller among others`() throws {
        var pipeline = LocalPipeline(.init(laneCount: 1))
        try pipeline.submit(request(1, of: nil))
        for id in 2...4 as ClosedRange<UInt64> { try pipeline.submit(request(id, of: nil)) }
        try pipeline.submit(request(5, of: "a"))
        #expect(pipeline.core.queuedCount == 4)
        #expect([2, 3, 4, 5].map { place(pipeline, $0) } == [2, 3, 4, 1])
        #expect(Set(starts(&pipeline, 1...5)) == Set(1...5))
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `whoever cannot be told apart is served as they come`() throws {
        var pipeline = LocalPipeline(.init(laneCount: 1))
        for id in 1...5 as ClosedRange<UInt64> { try pipeline.submit(request(id, of: nil)) }
        #expect(starts(&pipeline, 1...5) == [1, 2, 3, 4, 5])
    }

    @Test func `one caller leaves places to others`() throws {
        var pipeline = LocalPipeline(.init(laneCount: 1))
        for id in 1...14 as ClosedRange<UInt64> { try pipeline.submit(request(id, of: "busy")) }
        #expect(pipeline.core.queuedCount == 12)
        #expect(pipeline.failure(RequestID(14)) == .overloaded(queued: 12, limit: 12, retryAfterSeconds: 1))
        for id in 20...23 as ClosedRange<UInt64> { try pipeline.submit(request(id, of: "caller \(id)")) }
        #expect(pipeline.core.queuedCount == 16)
        try pipeline.submit(request(30, of: "late"))
        #expect(pipeline.failure(RequestID(30)) == .overloaded(queued: 16, limit: 16, retryAfterSeconds: 1))
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }
}
