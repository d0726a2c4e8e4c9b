import ReferenceEngine
import Testing
import Vocabulary

@testable import Serving

@Suite struct `What windows bring by the clock` {
    private func known(plain: Double) -> WindowGain {
        var gain = WindowGain()
        for _ in 0..<4 { gain.record(tokens: 1, nanoseconds: plain, isWindow: false) }
        return gain
    }

    @Test func `the first steps are the measure and go without`() {
        var gain = WindowGain()
        for _ in 0..<4 {
            #expect(!gain.allowsWindows)
            gain.record(tokens: 1, nanoseconds: 10, isWindow: false)
        }
        #expect(gain.allowsWindows)
    }

    @Test func `windows that bring tokens sooner go on`() {
        var gain = known(plain: 10)
        for _ in 0..<1000 {
            gain.record(tokens: 3, nanoseconds: 25, isWindow: true)
            #expect(gain.allowsWindows)
        }
    }

    @Test func `windows that bring them later pause, longer each time, and never for good`() {
        var gain = known(plain: 10)
        var pauses: [Int] = []
        for _ in 0..<8 {
            var sent = 0
            while gain.allowsWindows {
                gain.record(tokens: 1, nanoseconds: 11, isWindow: true)
                sent += 1
            }
            #expect(sent == 4)
            var pause = 0
            while !gain.allowsWindows {
                gain.record(tokens: 1, nanoseconds: 10, isWindow: false)
                pause += 1
            }
            pauses.append(pause)
        }
        #expect(pauses == [32, 64, 128, 256, 512, 1024, 1024, 1024])
    }

    @Test func `a stream that becomes slower on the whole finds its measure again`() {
        var gain = known(plain: 10)
        for _ in 0..<20 where gain.allowsWindows { gain.record(tokens: 3, nanoseconds: 15, isWindow: true) }
        // Everything takes four times as long from now on; windows still bring three tokens in 1.5 times a step.
        var steps = 0
        while gain.allowsWindows, steps < 100 {
            gain.record(tokens: 3, nanoseconds: 60, isWindow: true)
            steps += 1
        }
        while !gain.allowsWindows { gain.record(tokens: 1, nanoseconds: 40, isWindow: false) }
        for _ in 0..<200 {
            gain.record(tokens: 3, nanoseconds: 60, isWindow: true)
            #expect(gain.allowsWindows)
        }
    }

    private func drafted(_ speculation: Speculation, seed: UInt64?, costs: Bool) throws -> Int {
        var options = LocalPipeline.Options(cellCount: 1200)
        options.speculation = speculation
        if costs {
            let flat = try #require(
                StepCosts([.init(rows: 1, nanoseconds: 10e6), .init(rows: 64, nanoseconds: 11e6)]))
            options.policy = CostBatchPolicy([flat])
        }
        var pipeline = LocalPipeline(options)
        try pipeline.submit(
            Requests.text(1, "la la la la ", limit: 60, temperature: 0, seed: seed) {
                $0.sampling.ignoreEndOfGeneration = true
            })
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
        return pipeline.core.draftedTokens
    }

    @Test func `by default a request is guessed when it has no seed and costs are known`() throws {
        #expect(try drafted(.auto, seed: nil, costs: true) > 0)
        #expect(try drafted(.auto, seed: 7, costs: true) == 0)
        #expect(try drafted(.auto, seed: nil, costs: false) == 0)
        #expect(try drafted(.ngram, seed: 7, costs: false) > 0)
        #expect(try drafted(.off, seed: nil, costs: true) == 0)
    }
}
