import ReferenceEngine
import Serving
import Testing
import Vocabulary

@Suite struct `Cancellation` {
    @Test(arguments: 1...3)
    func `at any point ends the request once, disturbs nobody and gives its lane back`(stageCount: Int) throws {
        let options = LocalPipeline.Options(
            stageCount: stageCount, laneCount: 2, window: 64, rowLimit: 4, interleaving: 8)
        let requests = [
            Requests.text(1, "one", limit: 4), Requests.text(2, "second", limit: 4) { $0.choiceCount = 2 },
            Requests.text(3, "third", limit: 3),
        ]
        var undisturbed = LocalPipeline(options)
        for request in requests { try undisturbed.submit(request) }
        undisturbed.run()
        let expected = requests.map { undisturbed.answer($0.id) }
        for victim in requests.indices {
            for moment in 0..<undisturbed.actionCount {
                var pipeline = LocalPipeline(options)
                for request in requests { try pipeline.submit(request) }
                for _ in 0..<moment { _ = pipeline.step() }
                let wasOver = pipeline.events[requests[victim].id]?.last?.isTerminal == true
                pipeline.cancel(requests[victim].id)
                #expect(wasOver || pipeline.failure(requests[victim].id) == .cancelled)
                pipeline.run()
                pipeline.checkQuiescence()
                #expect(pipeline.violation == nil, "victim \(victim) moment \(moment)")
                for index in requests.indices where index != victim || wasOver {
                    #expect(pipeline.answer(requests[index].id) == expected[index])
                }
            }
        }
    }

    @Test func `frees the lane with the next microbatch`() throws {
        var pipeline = LocalPipeline(.init(laneCount: 1))
        try pipeline.submit(Requests.text(1, limit: 50) { $0.sampling.ignoreEndOfGeneration = true })
        for _ in 0..<12 { _ = pipeline.step() }
        let sent = pipeline.microbatches.count
        pipeline.cancel(RequestID(1))
        #expect(pipeline.core.ownedLaneCount == 0)
        pipeline.run()
        #expect(pipeline.microbatches.count == sent + 1)
        #expect(pipeline.microbatches.last?.operations == [.free(lane: Lane(0))])
        #expect(pipeline.microbatches.last?.rows == [])
    }

    @Test func `of unknown and ended requests does nothing`() throws {
        var pipeline = LocalPipeline()
        pipeline.cancel(RequestID(77))
        try pipeline.submit(Requests.text(1))
        pipeline.run()
        pipeline.cancel(RequestID(1))
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
        #expect(pipeline.events[RequestID(77)] == nil)
    }
}

@Suite struct `Failures` {
    private let requests = [
        Requests.text(1, "one", limit: 5), Requests.text(2, "second", limit: 4) { $0.choiceCount = 2 },
        Requests.text(3, "third", limit: 3), Requests.text(4, "fourth", limit: 3),
    ]

    @Test(arguments: 1...3)
    func `a lost stage ends every running request once and gives all lanes back`(stageCount: Int) throws {
        let options = LocalPipeline.Options(
            stageCount: stageCount, laneCount: 3, window: 64, rowLimit: 4, interleaving: 6)
        var undisturbed = LocalPipeline(options)
        for request in requests { try undisturbed.submit(request) }
        undisturbed.run()
        for moment in 0..<undisturbed.actionCount {
            for stage in 0..<stageCount {
                var pipeline = LocalPipeline(options)
                for request in requests { try pipeline.submit(request) }
                for _ in 0..<moment { _ = pipeline.step() }
                let waiting = pipeline.core.queuedCount
                pipeline.lose(stage: stage)
                #expect(pipeline.core.ownedLaneCount == 0 && pipeline.core.activeCount == 0)
                #expect(pipeline.core.queuedCount == waiting)
                let sent = pipeline.microbatches.count
                pipeline.run()
                #expect(pipeline.microbatches.count == sent)
                pipeline.stagesReady()
                try pipeline.submit(Requests.text(9, limit: 4, seed: 5))
                pipeline.run()
                pipeline.checkQuiescence()
                #expect(pipeline.violation == nil, "moment \(moment) stage \(stage)")
                #expect(pipeline.completion(RequestID(9)) != nil)
                for request in requests {
                    let isGood = pipeline.answer(request.id) == undisturbed.answer(request.id)
                    #expect(isGood || pipeline.failure(request.id) == .stageLost(stage: stage, reason: "killed"))
                }
            }
        }
    }

    @Test func `requests wait for lost stages no longer than the wait limit`() throws {
        var pipeline = LocalPipeline(.init(stageCount: 2))
        pipeline.lose(stage: 1)
        try pipeline.submit(Requests.text(1))
        #expect(pipeline.events[RequestID(1)] == [.queued(position: 1, predictedWaitSeconds: nil)])
        pipeline.wait(.seconds(60))
        #expect(
            pipeline.failure(RequestID(1))
                == .modelNotReady(
                    name: "reference", reason: "stage 1 was lost (killed) and is not back yet", retryAfterSeconds: 60))
        pipeline.stagesReady()
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test(arguments: 1...3)
    func `a step that ran out of cells or was aborted is computed again`(stageCount: Int) throws {
        let options = LocalPipeline.Options(stageCount: stageCount, laneCount: 4, rowLimit: 6, interleaving: 3)
        var undisturbed = LocalPipeline(options)
        for request in requests { try undisturbed.submit(request) }
        undisturbed.run()
        let errors: [EngineError] = [.cancelled, .outOfCells(rows: 3, cellCount: 9)]
        for failing in 1...UInt64(undisturbed.microbatches.count) {
            for stage in 0..<stageCount {
                var pipeline = LocalPipeline(options)
                let error = errors[Int(failing) % 2]
                pipeline.fault = { $0 == stage && $1.id == StepID(failing) ? error : nil }
                for request in requests { try pipeline.submit(request) }
                pipeline.run()
                pipeline.checkQuiescence()
                #expect(pipeline.violation == nil, "step \(failing) stage \(stage)")
                for request in requests {
                    let isGood = pipeline.answer(request.id) == undisturbed.answer(request.id)
                    // After an engine ran out of cells the rest may be too little for a request.
                    if case .engineFailed? = pipeline.failure(request.id), error != .cancelled { continue }
                    #expect(isGood, "step \(failing) stage \(stage) request \(request.id)")
                }
            }
        }
    }

    /// The second one to fail was sent while the first one's cells were in use.
    @Test func `steps that run out of cells together take no more room away than one`() throws {
        let options = LocalPipeline.Options(stageCount: 2, laneCount: 2, window: 64)
        let prompts = (1...2 as ClosedRange<UInt64>).map {
            Requests.text($0, String(repeating: "ab", count: 10), limit: 4)
        }
        var undisturbed = LocalPipeline(options)
        for request in prompts { try undisturbed.submit(request) }
        undisturbed.run()
        var tried = 0
        for failing in 1..<UInt64(undisturbed.microbatches.count) {
            var pipeline = LocalPipeline(options)
            pipeline.fault = { stage, microbatch in
                let isMeant = microbatch.id == StepID(failing) || microbatch.id == StepID(failing + 1)
                return stage == 1 && isMeant ? .outOfCells(rows: 1, cellCount: 64) : nil
            }
            for request in prompts { try pipeline.submit(request) }
            pipeline.run()
            pipeline.checkQuiescence()
            // Both are answering: the limit is what both had together, less one, and enough for each.
            let steps = pipeline.microbatches.filter { [failing, failing + 1].map(StepID.init).contains($0.id) }
            guard steps.allSatisfy({ $0.rows.count == 1 }), Set(steps.map(\.rows[0].lane)).count == 2 else { continue }
            tried += 1
            for request in prompts {
                #expect(pipeline.failure(request.id) == nil, "steps \(failing) and \(failing + 1)")
            }
        }
        #expect(tried > 0)
    }

    @Test func `a step that always fails is given up after three repeats`() throws {
        var pipeline = LocalPipeline(.init(stageCount: 2))
        pipeline.fault = { stage, microbatch in stage == 1 && !microbatch.rows.isEmpty ? .cancelled : nil }
        try pipeline.submit(Requests.text(1))
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
        #expect(pipeline.failure(RequestID(1)) == .engineFailed(reason: "stage 1: The step was aborted."))
        #expect(pipeline.microbatches.count { $0.rows.first?.position == 0 } == 4)
    }

    @Test func `an engine failure ends the requests of the step and no others`() throws {
        var pipeline = LocalPipeline(.init(stageCount: 2, laneCount: 2))
        let error = EngineError.failed(operation: "decode", code: -3, reason: "broken")
        pipeline.fault = { stage, microbatch in
            stage == 0 && microbatch.rows.contains { $0.lane == Lane(0) } && microbatch.id > StepID(6) ? error : nil
        }
        try pipeline.submit(Requests.text(1, limit: 30) { $0.sampling.ignoreEndOfGeneration = true })
        try pipeline.submit(Requests.text(2, limit: 30) { $0.sampling.ignoreEndOfGeneration = true })
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
        #expect(pipeline.failure(RequestID(1)) == .engineFailed(reason: "stage 0: \(error)"))
        #expect(pipeline.completion(RequestID(2)) != nil)
    }

    @Test(arguments: LaneFailure.allCases)
    func `a lane without a token ends its request with the reason, and no other`(failure: LaneFailure) throws {
        for stageCount in 1...2 {
            let options = LocalPipeline.Options(stageCount: stageCount, laneCount: 2)
            let requests = (1...2 as ClosedRange<UInt64>).map { id in
                Requests.text(id, limit: 30) { $0.sampling.ignoreEndOfGeneration = true }
            }
            var undisturbed = LocalPipeline(options)
            var pipeline = LocalPipeline(options)
            pipeline.distort = { samples, _ in
                for index in samples.indices where samples[index].lane == Lane(0) && samples[index].position > 25 {
                    samples[index].token = failure.rawValue
                }
            }
            for request in requests {
                try undisturbed.submit(request)
                try pipeline.submit(request)
            }
            undisturbed.run()
            pipeline.run()
            #expect(pipeline.failure(RequestID(1)) == failure.error)
            #expect(pipeline.answer(RequestID(2)) == undisturbed.answer(RequestID(2)))
            #expect(pipeline.completion(RequestID(2)) != nil)
            pipeline.checkQuiescence()
            #expect(pipeline.violation == nil)
        }
    }

    @Test func `answers that cannot be true end the request, not the brain`() throws {
        let answers: [(Microbatch) -> [SampledToken]] = [
            { _ in [] },
            { $0.rows.map { SampledToken(lane: $0.lane, position: $0.position + 1, token: 9999) } },
            { $0.rows.map { SampledToken(lane: $0.lane, position: $0.position + 1, token: -1) } },
            { $0.rows.map { SampledToken(lane: Lane(77), position: $0.position, token: 65) } },
            { $0.rows.map { SampledToken(lane: $0.lane, position: $0.position + 2, token: 65) } },
        ]
        for answer in answers {
            var pipeline = LocalPipeline()
            try pipeline.submit(Requests.text(1, "x"))
            let microbatch = try #require(pipeline.microbatches.last)
            pipeline.handle(.sampled(microbatch.id, answer(microbatch)))
            pipeline.run()
            pipeline.checkQuiescence()
            #expect(pipeline.violation == nil)
            guard case .engineFailed? = pipeline.failure(RequestID(1)) else {
                Issue.record("not failed: \(String(describing: pipeline.events[RequestID(1)]))")
                continue
            }
        }
    }

    @Test func `reports of unknown steps are ignored`() throws {
        var pipeline = LocalPipeline(.init(stageCount: 2))
        try pipeline.submit(Requests.text(1))
        let events = pipeline.events
        pipeline.handle(.stepCompleted(StepID(99)))
        pipeline.handle(.sampled(StepID(99), [SampledToken(lane: Lane(0), position: 3, token: 65)]))
        pipeline.handle(.stepFailed(StepID(99), stage: 1, .cancelled))
        pipeline.handle(.stagesReady)
        #expect(pipeline.events == events)
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }
}
