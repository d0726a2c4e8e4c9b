import Serving
import Testing
import Vocabulary

@Suite struct `Batches by cost` {
    /// As timed on two CPU cores with a 0.6B model in q8_0: two rows cost almost four times one.
    private func steep() throws -> StepCosts { try Requests.costs([1: 24, 2: 93, 4: 119, 8: 154, 16: 241]) }
    /// The same in q4_K_M: up to three rows share well, the fourth is dear.
    private func stepped() throws -> StepCosts { try Requests.costs([1: 23, 2: 36, 3: 48, 4: 83, 8: 108, 16: 173]) }
    /// As on a GPU.
    private func flat() throws -> StepCosts { try Requests.costs([1: 10, 64: 11]) }

    @Test func `between two measured counts the cost is on the line, beyond the last it grows by the row`() throws {
        let costs = try Requests.costs([2: 10, 4: 20, 8: 22])
        #expect([1, 2, 3, 4, 6, 8, 16].map { costs.nanoseconds(rows: $0) / 1e6 } == [10, 10, 15, 20, 21, 22, 44])
        // Kernels work on tiles: at most it is what the next timed count takes.
        #expect([1, 2, 3, 4, 6, 8, 16].map { costs.boundNanoseconds(rows: $0) / 1e6 } == [10, 10, 20, 20, 22, 22, 44])
    }

    @Test func `of the same count the shortest measurement counts, and nonsense is no measurement`() throws {
        let twice = try #require(StepCosts([.init(rows: 2, nanoseconds: 9), .init(rows: 2, nanoseconds: 7)]))
        #expect(twice.points == [.init(rows: 2, nanoseconds: 7)])
        #expect(StepCosts([]) == nil)
        #expect(StepCosts([.init(rows: 0, nanoseconds: 1)]) == nil)
        #expect(StepCosts([.init(rows: 1, nanoseconds: .infinity)]) == nil)
        #expect(StepCosts([.init(rows: 1, nanoseconds: 0)]) == nil)
    }

    @Test func `a shorter time that is seen counts, for fewer rows too`() throws {
        var costs = try Requests.costs([1: 24, 2: 93, 4: 119, 8: 154, 512: 6000])
        costs.see(rows: 4, took: 130e6)
        #expect(costs.points.map(\.nanoseconds) == [24e6, 93e6, 119e6, 154e6, 6000e6], "others made it longer")
        costs.see(rows: 4, took: 80e6)
        #expect(costs.points.map(\.nanoseconds) == [24e6, 80e6, 80e6, 154e6, 6000e6])
        costs.see(rows: 5, took: 90e6)
        #expect(costs.points.map(\.rows) == [1, 2, 4, 5, 8, 512] && costs.boundNanoseconds(rows: 5) == 90e6)
        costs.see(rows: 300, took: 100e6)
        #expect(costs.points.map(\.rows) == [1, 2, 4, 5, 8, 512], "no point for every length of a prompt")
        #expect(costs.nanoseconds(rows: 8) == 100e6)
        costs.see(rows: 1, took: 0)
        #expect(costs.nanoseconds(rows: 1) == 24e6)
    }

    @Test func `lanes that seem too dear together are tried together, twice`() throws {
        // Timed while something else kept the machine busy: two rows do not take four times one.
        var policy = CostBatchPolicy([try steep()])
        var two = load { ($0.decodingLanes, $0.readyDecodes) = (2, 2) }
        #expect(policy.groupSize(decoding: 2, hop: 0, rowLimit: 512) == 1)
        #expect(policy.quota(for: two).decodeLanes == 2)
        policy.observe(rows: 2, nanoseconds: 40e6)
        policy.observe(rows: 2, nanoseconds: 41e6)
        #expect(policy.groupSize(decoding: 2, hop: 0, rowLimit: 512) == 2 && policy.quota(for: two).decodeLanes == 2)
        // Where it was true, two steps showed it, until it is time to look again.
        var dear = CostBatchPolicy([try steep()])
        for _ in 0..<2 { dear.observe(rows: 2, nanoseconds: 93e6) }
        #expect(dear.quota(for: two).decodeLanes == 1)
        for _ in 0..<4094 { dear.observe(rows: 1, nanoseconds: 24e6) }
        #expect(dear.quota(for: two).decodeLanes == 2)
        // Not beside a prompt, whose rows would be timed with them, nor behind another step.
        two.prefillRowsLeft = 10
        #expect(CostBatchPolicy([try steep()]).quota(for: two).decodeLanes == 1)
        (two.prefillRowsLeft, two.inFlight) = (0, 1)
        #expect(CostBatchPolicy([try steep()]).quota(for: two).decodeLanes == 1)
    }

    @Test func `all stages together take no longer than the way through them`() throws {
        // While it was timed, somebody else kept the machine busy for three seconds.
        var pair = CostBatchPolicy([
            try Requests.costs([1: 20, 2: 3000, 4: 3100]), try Requests.costs([1: 20, 2: 24, 4: 40]),
        ])
        #expect(pair.groupSize(decoding: 8, hop: 0, rowLimit: 512) == 1)
        pair.observe(rows: 4, nanoseconds: 70e6)
        #expect(pair.expectedNanoseconds(rows: 4) == 70e6 && pair.expectedNanoseconds(rows: 2) == 59e6)
        #expect(pair.groupSize(decoding: 8, hop: 0, rowLimit: 512) == 4)
        pair.observe(rows: 4, nanoseconds: 50e6)
        #expect(pair.expectedNanoseconds(rows: 4) == 50e6, "a bound for both")
        pair.observe(rows: 4, nanoseconds: 60e6)
        #expect(pair.expectedNanoseconds(rows: 4) == 50e6, "no longer than the shortest way")
    }

    /// Both were timed at once on one machine, and disturbed each other; two groups at once are slow there, too. Seen
    /// live: two pairs of four streams had two thirds of the rate that all four had together.
    @Test func `lanes of stages that were timed too long go together when that is quickest`() throws {
        let lies = try Requests.costs([1: 13, 2: 13, 4: 24])
        var pair = CostBatchPolicy([lies, lies])
        for _ in 0..<2 { pair.observe(rows: 4, nanoseconds: 27e6) }
        for _ in 0..<8 { pair.observe(Grouping(lanes: 4, size: 2), nanoseconds: 40e6, hop: 0) }
        #expect(pair.groupSize(decoding: 4, hop: 0, rowLimit: 512, tries: true) == 4)
    }

    @Test func `a server that was timed while it was busy finds out`() throws {
        // Every step of the virtual stage takes the same, whatever its rows.
        let lies = try Requests.costs([1: 1, 2: 4, 3: 6, 4: 8, 16: 30])
        var pipeline = LocalPipeline(.init(policy: CostBatchPolicy([lies])))
        for id in 1...4 as ClosedRange<UInt64> {
            try pipeline.submit(Requests.text(id, "abc", limit: 40) { $0.sampling.ignoreEndOfGeneration = true })
        }
        pipeline.run()
        let sizes = pipeline.microbatches.filter { $0.rows.allSatisfy(\.samples) }.map(\.rows.count)
        #expect(sizes.count { $0 == 4 } >= 30, "\(sizes)")
    }

    @Test func `lanes go together only as far as a token becomes cheaper`() throws {
        let (steep, stepped, flat) = (try steep(), try stepped(), try flat())
        // Alone: one row in 24 ms beats two in 93, but sixteen in 241 beat both.
        #expect(CostBatchPolicy([steep]).groupSize(decoding: 2, hop: 0, rowLimit: 512) == 1)
        #expect(CostBatchPolicy([steep]).groupSize(decoding: 4, hop: 0, rowLimit: 512) == 1)
        #expect(CostBatchPolicy([steep]).groupSize(decoding: 16, hop: 0, rowLimit: 512) == 16)
        // Fifteen would take as long as sixteen, for all that is known.
        #expect(CostBatchPolicy([steep]).groupSize(decoding: 15, hop: 0, rowLimit: 512) == 15)
        #expect(CostBatchPolicy([steep]).groupSize(decoding: 9, hop: 0, rowLimit: 512) == 8)
        #expect(CostBatchPolicy([stepped]).groupSize(decoding: 3, hop: 0, rowLimit: 512) == 3)
        #expect(CostBatchPolicy([flat]).groupSize(decoding: 40, hop: 0, rowLimit: 512) == 40)
        #expect(CostBatchPolicy([flat]).groupSize(decoding: 40, hop: 0, rowLimit: 8) == 8)
        #expect(CostBatchPolicy([flat]).groupSize(decoding: 0, hop: 0, rowLimit: 8) == 1)
    }

    @Test func `several stages share the lanes, and a slow link wants larger groups`() throws {
        let flat = try flat()
        let pair = CostBatchPolicy([flat, flat])
        // Half of them on each stage; on the way lie 20 ms more, then two halves do not fill the pipe.
        #expect(pair.groupSize(decoding: 8, hop: 0, rowLimit: 512) == 4)
        #expect(pair.groupSize(decoding: 8, hop: 40e6, rowLimit: 512) < 4)
        let steep = try steep()
        #expect(CostBatchPolicy([steep, steep]).groupSize(decoding: 4, hop: 0, rowLimit: 512) == 1)
    }

    @Test func `lanes left over count, for fewer rows may cost more`() throws {
        // Two stages on one busy machine: of sixteen lanes ten would be cheap, but not the six that are left.
        let first = try Requests.costs([1: 15, 2: 70, 4: 108, 6: 143, 8: 111, 12: 121, 16: 150])
        let second = try Requests.costs([1: 10, 2: 51, 4: 70, 6: 87, 8: 69, 12: 85, 16: 104])
        #expect(CostBatchPolicy([first, second]).groupSize(decoding: 16, hop: 0, rowLimit: 512) == 8)
    }

    private func load(_ change: (inout BatchLoad) -> Void) -> BatchLoad {
        var load = BatchLoad(
            stageCount: 1, rowLimit: 512, seatedLanes: 4, decodingLanes: 0, readyDecodes: 0, readyPrefills: 0,
            inFlight: 0)
        change(&load)
        return load
    }

    /// Seen live: a lane that was on its way by itself stayed so for ever, and what the others took with it counted as
    /// what all together take.
    @Test func `groups become one when all lanes go together`() throws {
        let costs = try Requests.costs([1: 13, 4: 13])
        var policy = CostBatchPolicy([costs, costs])
        for _ in 0..<8 { policy.observe(Grouping(lanes: 4, size: 2), nanoseconds: 40e6, hop: 0) }
        var load = load {
            ($0.stageCount, $0.decodingLanes, $0.readyDecodes, $0.inFlight, $0.isTimed) = (2, 4, 3, 1, true)
        }
        #expect(policy.quota(for: load).decodeLanes == 0)
        (load.inFlight, load.readyDecodes) = (0, 4)
        #expect(policy.quota(for: load).decodeLanes == 4)
        // What is on its way may be a long chunk of a prompt.
        (load.inFlight, load.readyDecodes, load.isTimed) = (1, 3, false)
        #expect(policy.quota(for: load).decodeLanes > 0)
    }

    @Test func `a group waits to be whole while the stages have work`() throws {
        let policy = CostBatchPolicy([try flat(), try flat()])
        var waiting = load {
            ($0.stageCount, $0.decodingLanes, $0.readyDecodes, $0.inFlight) = (2, 8, 1, 2)
        }
        #expect(policy.quota(for: waiting).decodeLanes == 0)
        waiting.inFlight = 1
        #expect(policy.quota(for: waiting).decodeLanes == 1)
        (waiting.inFlight, waiting.readyDecodes) = (2, 7)
        #expect(policy.quota(for: waiting).decodeLanes == 4)
    }

    @Test func `a prompt beside decoding lanes gets what a round may take longer`() throws {
        let costs = try Requests.costs([1: 140, 2: 150, 4: 170, 16: 290, 512: 6000])
        let policy = CostBatchPolicy([costs])
        var mixed = load {
            ($0.seatedLanes, $0.decodingLanes, $0.readyDecodes, $0.readyPrefills) = (3, 2, 2, 1)
            ($0.prefillRowsLeft, $0.decodedSincePrefill) = (400, 2)
        }
        let rows = policy.quota(for: mixed).prefillRows
        // The round of two lanes takes 150 ms; what comes on top stays below 1.1 rounds.
        #expect((12...18).contains(rows))
        #expect(costs.nanoseconds(rows: 2 + rows) - costs.nanoseconds(rows: 2) <= 1.1 * 150e6)
        mixed.decodedSincePrefill = 0
        #expect(policy.quota(for: mixed).prefillRows == 0, "one chunk per round")
        let quick = CostBatchPolicy([try Requests.costs([1: 100, 2: 101, 512: 500])])
        mixed.decodedSincePrefill = 2
        #expect((quick.quota(for: mixed).prefillRows + 2) % 64 == 0, "whole tiles with the decoding rows")
        for (rows, expected) in [(64, 190), (190, 190), (300, 190)] {
            mixed.firstPromptRows = rows
            #expect(quick.quota(for: mixed).prefillRows == expected, "a prompt that can end with the chunk does")
        }
        mixed.prefillRowsLeft = 70
        #expect(quick.quota(for: mixed).prefillRows == 70, "the rest of a prompt goes whole")
        mixed.prefillRowsLeft = 400
        (mixed.decodingLanes, mixed.readyDecodes) = (0, 0)
        #expect(policy.quota(for: mixed).prefillRows == 400, "alone it takes all")
    }

    @Test func `deep in a prompt chunks are whole tiles of attention, where a tile is not much too long`() throws {
        func rows(_ tile: Double, depth: Int) throws -> Int {
            let policy = CostBatchPolicy([try Requests.costs([1: 20, 4: 50, 64: tile, 512: 8 * tile])])
            return policy.quota(
                for: load {
                    ($0.seatedLanes, $0.decodingLanes, $0.readyDecodes, $0.readyPrefills) = (5, 4, 4, 1)
                    ($0.prefillRowsLeft, $0.firstPromptRows, $0.firstPromptDepth) = (1000, 1000, depth)
                    $0.decodedSincePrefill = 4
                }
            ).prefillRows
        }
        let shallow = try rows(400, depth: 511)
        #expect((1..<40).contains(shallow))
        #expect(try rows(400, depth: 512) == 60, "with the four lanes' rows they fill a tile")
        #expect(try rows(4000, depth: 512) < 10, "nobody waits for a tile of four seconds")
    }

    @Test func `the more prompts wait, the longer a round of decoding may take for them`() throws {
        let costs = try Requests.costs([1: 100, 2: 110, 512: 5210])
        let policy = CostBatchPolicy([costs])
        let added = [1, 2, 4, 6].map { waiting in
            let rows = policy.quota(
                for: load {
                    ($0.seatedLanes, $0.decodingLanes, $0.readyDecodes) = (2 + waiting, 2, 2)
                    ($0.readyPrefills, $0.prefillRowsLeft, $0.decodedSincePrefill) = (waiting, 1000, 2)
                }
            ).prefillRows
            return costs.nanoseconds(rows: 2 + rows) - costs.nanoseconds(rows: 2)
        }
        for (added, waiting) in zip(added, [1.0, 2, 4, 6]) {
            // Ten milliseconds per row: what is cut off to whole tiles is below that of 64 rows.
            #expect(added <= 250e6 * waiting)
            #expect(added > 250e6 * waiting - 110e6 - 640e6)
        }
    }

    @Test func `prompts that can all end with a chunk do, when that takes little longer`() throws {
        let policy = CostBatchPolicy([try Requests.costs([1: 20, 16: 100, 512: 2300])])
        func rows(_ waiting: Int, left: Int) -> Int {
            policy.quota(
                for: load {
                    ($0.seatedLanes, $0.decodingLanes, $0.readyDecodes) = (9 + waiting, 9, 9)
                    ($0.readyPrefills, $0.prefillRowsLeft, $0.decodedSincePrefill) = (waiting, left, 9)
                }
            ).prefillRows
        }
        #expect(rows(7, left: 448) == 448)
        #expect(rows(7, left: 600) < 448, "not when they cannot")
        #expect(rows(2, left: 448) < 200, "not when it takes much longer")
    }

    @Test func `a prompt alone is cut so that all stages work`() throws {
        let even = try Requests.costs([1: 5, 512: 512])
        #expect(CostBatchPolicy([even]).chunk(of: 2000, limit: 512) == 512)
        let pair = CostBatchPolicy([even, even])
        let size = pair.chunk(of: 2000, limit: 512)
        // Two stages: all chunks one after the other, and one more step for the second stage.
        let chunks = (2000 + size - 1) / size
        #expect(Double(chunks + 1) * even.nanoseconds(rows: size) < 1.15 * even.nanoseconds(rows: 2000))
        #expect(pair.chunk(of: 1, limit: 512) == 1)
    }

    @Test func `chunks of a prompt are whole tiles of attention but for the last`() throws {
        let even = try Requests.costs([1: 5, 8: 8, 32: 32])
        for stages in 2...4 {
            let policy = CostBatchPolicy(Array(repeating: even, count: stages))
            for (rows, limit) in [(63, 512), (64, 512), (129, 512), (1000, 512), (4000, 512), (4000, 500), (90, 16)] {
                var (left, sizes) = (rows, [Int]())
                while left > 0 {
                    sizes.append(policy.chunk(of: left, limit: limit))
                    left -= sizes[sizes.count - 1]
                }
                #expect(left == 0 && sizes.allSatisfy { $0 <= limit })
                #expect(sizes.dropLast().allSatisfy { $0 % min(64, limit) == 0 }, "\(rows) rows: \(sizes)")
                if rows == 1000 { #expect(sizes.count >= 10) }
            }
        }
    }

    @Test func `chunks of one prompt follow each other down the chain`() throws {
        var random = SeededRandom(seed: 1)
        var pipeline = LocalPipeline(
            .init(stageCount: 3, rowLimit: 4, policy: Requests.costPolicy(&random, stageCount: 3)))
        try pipeline.submit(Requests.text(1, String(repeating: "x", count: 60), limit: 2))
        var deepest = 0
        while pipeline.step() { deepest = max(deepest, pipeline.core.stepsInFlight) }
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
        #expect(deepest >= 3)
    }

    @Test func `a spoiled lane is refused until it is freed, other lanes are not`() throws {
        var spoiled = SpoiledLanes()
        func row(_ lane: UInt16) -> StageRow { StageRow(lane: Lane(lane), position: 4, token: 0, samples: false) }
        try spoiled.admit([row(0), row(1)])
        spoiled.failed([row(1)])
        try spoiled.admit([row(0)])
        #expect(throws: EngineError.cancelled) { try spoiled.admit([row(0), row(1)]) }
        spoiled.follow(.free(lane: Lane(0)))
        #expect(throws: EngineError.cancelled) { try spoiled.admit([row(1)]) }
        spoiled.follow(.free(lane: Lane(1)))
        try spoiled.admit([row(1)])
    }
}
