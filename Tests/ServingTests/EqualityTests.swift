import ReferenceEngine
import Serving
import Testing
import Vocabulary

@Suite struct `Equal answers` {
    private func requests() -> [GenerationRequest] {
        var random = SeededRandom(seed: 5)
        return (1...10).map { Requests.random($0, &random) }
    }

    /// Every request by itself on an uncut model.
    private func alone(_ requests: [GenerationRequest]) throws -> [LocalPipeline.Answer?] {
        try requests.map { request in
            var pipeline = LocalPipeline()
            try pipeline.submit(request)
            pipeline.run()
            #expect(pipeline.violation == nil)
            return pipeline.answer(request.id)
        }
    }

    @Test(arguments: 1...4)
    func `split in stages and batched with strangers equals alone`(stageCount: Int) throws {
        let requests = requests()
        let expected = try alone(requests)
        for interleaving in 1...3 as ClosedRange<UInt64> {
            var pipeline = LocalPipeline(.init(stageCount: stageCount, interleaving: interleaving))
            for request in requests { try pipeline.submit(request) }
            pipeline.run()
            pipeline.checkQuiescence()
            #expect(pipeline.violation == nil)
            #expect(requests.map { pipeline.answer($0.id) } == expected)
        }
    }
}
