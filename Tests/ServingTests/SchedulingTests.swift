import ReferenceEngine
import Serving
import Testing
import Vocabulary

@Suite struct `Scheduling` {
    private func isDecode(_ microbatch: Microbatch) -> Bool {
        !microbatch.rows.isEmpty && microbatch.rows.allSatisfy(\.samples)
    }

    @Test func `with S stages S microbatches of disjoint lanes are in flight`() throws {
        for stageCount in 1...4 {
            var pipeline = LocalPipeline(.init(stageCount: stageCount, laneCount: 8))
            for id in 1...8 as ClosedRange<UInt64> {
                try pipeline.submit(Requests.text(id, "ab", limit: 30) { $0.sampling.ignoreEndOfGeneration = true })
            }
            var deepest = 0
            while pipeline.step() { deepest = max(deepest, pipeline.core.stepsInFlight) }
            #expect(deepest == stageCount)
            #expect(pipeline.violation == nil)
            let decodes = pipeline.microbatches.filter(isDecode)
            let even = 8 / stageCount...(8 + stageCount - 1) / stageCount
            #expect(decodes.allSatisfy { $0.rows.count <= even.upperBound })
            #expect(decodes.count { even.contains($0.rows.count) } > decodes.count * 9 / 10)
        }
    }

    @Test func `a long prompt goes in chunks and stops nobody's decode`() throws {
        var pipeline = LocalPipeline(
            .init(laneCount: 2, rowLimit: 16, policy: EvenBatchPolicy(prefillRowsBesideDecode: 4)))
        try pipeline.submit(Requests.text(1, "ab", limit: 60) { $0.sampling.ignoreEndOfGeneration = true })
        for _ in 0..<10 { _ = pipeline.step() }
        try pipeline.submit(Requests.text(2, String(repeating: "long ", count: 20), limit: 3))
        let before = pipeline.microbatches.count
        pipeline.run()
        // 100 prompt tokens in chunks of 4 beside a decoding lane: 25 microbatches, each with the other's row.
        let chunked = pipeline.microbatches[before...].filter { $0.rows.count == 5 }
        #expect(chunked.count == 25)
        #expect(chunked.allSatisfy { $0.rows[0].samples && $0.rows[0].lane == Lane(0) })
        #expect(pipeline.violation == nil)
    }

    @Test func `a prompt alone uses the whole row limit`() throws {
        var pipeline = LocalPipeline(.init(stageCount: 2, rowLimit: 16))
        try pipeline.submit(Requests.text(1, String(repeating: "x", count: 40), limit: 1))
        pipeline.run()
        #expect(pipeline.microbatches.map(\.rows.count) == [16, 16, 8, 0])
        #expect(pipeline.microbatches[2].rows.last?.samples == true)
        #expect(pipeline.microbatches[3].operations == [.free(lane: Lane(0))])
    }

    @Test func `a policy can be replaced, and one that gives nothing cannot stop the work`() throws {
        struct Lazy: BatchPolicy {
            func depth(stageCount: Int) -> Int { 0 }
            func quota(for load: BatchLoad) -> BatchQuota {
                BatchQuota(decodeLanes: -5, prefillLanes: 0, prefillRows: -1)
            }
        }
        struct Greedy: BatchPolicy {
            func depth(stageCount: Int) -> Int { 100 }
            func quota(for load: BatchLoad) -> BatchQuota {
                BatchQuota(decodeLanes: 1000, prefillLanes: 1000, prefillRows: 1000)
            }
        }
        let policies: [any BatchPolicy] = [Lazy(), Greedy()]
        var answers: [[LocalPipeline.Answer?]] = []
        for policy in policies {
            var pipeline = LocalPipeline(.init(stageCount: 3, policy: policy, interleaving: 5))
            for id in 1...5 as ClosedRange<UInt64> { try pipeline.submit(Requests.text(id, limit: 8, seed: id)) }
            pipeline.run()
            pipeline.checkQuiescence()
            #expect(pipeline.violation == nil)
            answers.append((1...5).map { pipeline.answer(RequestID($0)) })
        }
        #expect(answers[0] == answers[1])
    }

    @Test func `cells are promised before a request starts`() throws {
        var pipeline = LocalPipeline(.init(laneCount: 4, cellCount: 100, window: 100))
        // Prompt 20 and limit 30 take 49 cells each: the last token is never computed.
        for id in 1...3 as ClosedRange<UInt64> {
            try pipeline.submit(Requests.text(id, String(repeating: "x", count: 20), limit: 30))
        }
        #expect(pipeline.core.activeCount == 2)
        #expect(pipeline.core.queuedCount == 1)
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `a generous limit is promised in part and granted as it is used`() throws {
        var pipeline = LocalPipeline(.init(laneCount: 4, cellCount: 120, window: 120, headroom: 10, reservation: 30))
        for id in 1...2 as ClosedRange<UInt64> {
            try pipeline.submit(
                Requests.text(id, String(repeating: "x", count: 20), limit: 1000) {
                    $0.sampling.ignoreEndOfGeneration = true
                })
        }
        #expect(pipeline.core.activeCount == 2)
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
        #expect((1...2).allSatisfy { pipeline.completion(RequestID($0))?.usage.outputTokens == 100 })
    }

    @Test func `a request that fills the window exactly ends by length`() throws {
        var pipeline = LocalPipeline(.init(cellCount: 40, window: 40))
        let prompt = String(repeating: "x", count: 30)
        try pipeline.submit(Requests.text(1, prompt, limit: nil) { $0.sampling.ignoreEndOfGeneration = true })
        pipeline.run()
        #expect(pipeline.completion(RequestID(1))?.usage.outputTokens == 10)
        #expect(pipeline.completion(RequestID(1))?.finishReasons == [.length])
        try pipeline.submit(Requests.text(2, String(repeating: "x", count: 39), limit: 500))
        try pipeline.submit(Requests.text(3, String(repeating: "x", count: 40), limit: 500))
        pipeline.run()
        #expect(pipeline.completion(RequestID(2))?.usage.outputTokens == 1)
        #expect(
            pipeline.failure(RequestID(3)) == .contextLengthExceeded(promptTokens: 40, outputTokens: 500, window: 40))
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `stop texts end the answer wherever the tokens cut them`() throws {
        var free = LocalPipeline()
        let request = Requests.text(1, limit: 40, temperature: 0.8) { request in
            request.sampling.logitBias = (128...257).map { LogitBias(token: $0, bias: -.infinity) }
        }
        try free.submit(request)
        free.run()
        let text = Array(free.answer(RequestID(1))?.texts[0].utf8 ?? "".utf8)
        try #require(text.count == 40)
        for start in [0, 5, 30] {
            let stop = String(decoding: text[start..<(start + 4)], as: UTF8.self)
            var pipeline = LocalPipeline(.init(stageCount: 2))
            var stopped = request
            stopped.stop = ["not there", stop]
            try pipeline.submit(stopped)
            pipeline.run()
            pipeline.checkQuiescence()
            #expect(pipeline.violation == nil)
            #expect(pipeline.answer(RequestID(1)).map { Array($0.texts[0].utf8) } == Array(text[..<start]))
            #expect(pipeline.completion(RequestID(1))?.finishReasons == [.stop])
            #expect(pipeline.completion(RequestID(1))?.stopTexts == [stop])
        }
    }

    @Test func `the template's stop texts count too`() throws {
        var pipeline = LocalPipeline()
        let request = Requests.text(1, limit: 40) { request in
            request.sampling.logitBias = [LogitBias(token: 65, bias: 1000)]
        }
        try pipeline.submit(request, stop: ["AAA"])
        pipeline.run()
        #expect(pipeline.completion(RequestID(1))?.stopTexts == ["AAA"])
        #expect(pipeline.answer(RequestID(1))?.texts == [""])
    }

    @Test func `an echoed prompt opens every choice`() throws {
        var pipeline = LocalPipeline()
        try pipeline.submit(Requests.text(1, "Héllo ", limit: 3) { ($0.echo, $0.choiceCount) = (true, 2) })
        try pipeline.submit(
            Requests.text(2, "", limit: 3) {
                $0.prompt = .tokens([72, 105]); $0.echo = true
            })
        pipeline.run()
        #expect(pipeline.answer(RequestID(1))?.texts.allSatisfy { $0.hasPrefix("Héllo ") } == true)
        #expect(pipeline.answer(RequestID(2))?.texts[0].hasPrefix("Hi") == true)
    }

    @Test func `logprobs come with bytes and the alternatives asked for`() throws {
        var pipeline = LocalPipeline(.init(stageCount: 2))
        try pipeline.submit(
            Requests.text(1, limit: 10, temperature: 0) { request in
                request.topLogprobs = 3
                request.sampling.logitBias = [LogitBias(token: ReferenceTokenizer.end, bias: -.infinity)]
            })
        pipeline.run()
        let answer = try #require(pipeline.answer(RequestID(1)))
        #expect(answer.logprobs[0].count == 10)
        for entry in answer.logprobs[0] {
            #expect(entry.top.count == 3)
            #expect(entry.chosen == entry.top[0])
            #expect(entry.chosen.bytes == [UInt8(entry.chosen.token)])
            #expect(entry.chosen.logprob < 0)
        }
    }

    @Test func `usage and timings add up`() throws {
        var pipeline = LocalPipeline(.init(laneCount: 1))
        try pipeline.submit(Requests.text(1, "abc", limit: 5) { $0.sampling.ignoreEndOfGeneration = true })
        try pipeline.submit(Requests.text(2, "abc", limit: 5) { $0.sampling.ignoreEndOfGeneration = true })
        pipeline.run()
        for id in 1...2 as ClosedRange<UInt64> {
            let completion = try #require(pipeline.completion(RequestID(id)))
            #expect(completion.usage == Usage(promptTokens: 3, outputTokens: 5))
            #expect(completion.timings.prefillSeconds > 0 && completion.timings.decodeSeconds > 0)
            #expect((completion.timings.queueSeconds > 0) == (id == 2))
        }
    }
}
