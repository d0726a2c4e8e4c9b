import Testing
import Vocabulary

@testable import Serving

@Suite struct `Rounds of decoding lanes` {
    /// Two stages of one machine, each timed while the other one rested: one row in 15.6 ms, two in 33.
    private func pair() throws -> CostBatchPolicy {
        let stage = try Requests.costs([1: 15.6, 2: 33, 4: 55, 8: 66])
        return CostBatchPolicy([stage, stage])
    }

    /// What rounds of four lanes really take there, by the size of the groups. **Units:** milliseconds.
    private let together: [Int: Double] = [1: 82, 2: 70, 3: 95, 4: 110]

    /// Serves rounds of four lanes and returns the sizes of the groups, one for each time taken.
    private func serve(_ policy: inout CostBatchPolicy, times: Int, taking truth: (Int, Int) -> Double?) -> [Int] {
        (0..<times).map { time in
            let size = policy.groupSize(decoding: 4, hop: 0, rowLimit: 512, tries: true)
            policy.observe(
                Grouping(lanes: 4, size: size), nanoseconds: (truth(size, time) ?? .nan) * 1e6, hop: 0)
            return size
        }
    }

    @Test func `rounds are timed once the groups have formed, and by whole rounds`() throws {
        var watch = RoundWatch()
        var now = Instant(nanoseconds: 0)
        func land(_ grouping: Grouping?, after milliseconds: Int) -> Double? {
            now = now.advanced(by: .milliseconds(milliseconds))
            return watch.land(grouping, tokens: 2, now: now)
        }
        let pairs = Grouping(lanes: 4, size: 2)
        #expect(land(pairs, after: 500) == nil && land(pairs, after: 500) == nil)
        for _ in 0..<2 {
            for _ in 0..<7 { #expect(land(pairs, after: 30) == nil) }
            #expect(land(pairs, after: 50) == 65e6)
        }
        // A prompt came in between, or other lanes joined: nothing of it is taken for these lanes' time.
        for other in [nil, Grouping(lanes: 6, size: 2)] {
            for _ in 0..<5 { #expect(land(pairs, after: 30) == nil) }
            #expect(land(other, after: 900) == nil)
            for _ in 0..<9 { #expect(land(pairs, after: 30) == nil) }
            #expect(land(pairs, after: 30)?.rounded() == 60e6)
        }
    }

    @Test func `groups are as large as rounds prove best, not as steps timed alone foretell`() throws {
        var policy = try pair()
        #expect(policy.groupSize(decoding: 4, hop: 0, rowLimit: 512) == 1)
        let sizes = serve(&policy, times: 400) { size, _ in together[size] }
        #expect(sizes.count { $0 == 2 } > 360, "\(sizes)")
        #expect(!sizes.contains(4), "it promises less than what was found")
        // What rows cost beside another stage's is known of six lanes, too.
        #expect(policy.groupSize(decoding: 6, hop: 0, rowLimit: 512) == 2)
        // A lane that is alone competes with nobody.
        #expect(policy.groupSize(decoding: 1, hop: 0, rowLimit: 512) == 1)
    }

    @Test func `nothing is tried while rounds are not timed`() throws {
        var policy = try pair()
        for _ in 0..<2 { policy.observe(Grouping(lanes: 4, size: 1), nanoseconds: 190e6, hop: 0) }
        #expect(policy.groupSize(decoding: 4, hop: 0, rowLimit: 512, tries: true) == 2)
        #expect(policy.groupSize(decoding: 4, hop: 0, rowLimit: 512, tries: false) == 1)
    }

    @Test func `rounds that something disturbed change nothing`() throws {
        var policy = try pair()
        _ = serve(&policy, times: 10) { size, _ in together[size] }
        let sizes = serve(&policy, times: 40) { size, time in time % 7 == 0 ? 900 : together[size] }
        #expect(sizes.allSatisfy { $0 == 2 })
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `a machine that others use, too, for seconds at a time, is seen through`(seed: UInt64) throws {
        var policy = try pair()
        var random = SeededRandom(seed: seed)
        var (load, left) = (1.0, 0)
        let sizes = serve(&policy, times: 1000) { size, _ in
            if left == 0 { (load, left) = (random.below(3) == 0 ? 1.4 : 1, 1 + random.below(20)) }
            left -= 1
            return (together[size] ?? .nan) * load * (1 + Double(random.below(100)) / 1000)
        }
        #expect(sizes.count { $0 == 2 } > 780, "\(sizes.count { $0 == 2 })")
    }

    @Test func `when the machine has become another one it is found out`() throws {
        var policy = try pair()
        _ = serve(&policy, times: 50) { size, _ in together[size] }
        // The other program that took the memory's time has ended.
        let quiet: [Int: Double] = [1: 62.4, 2: 66, 3: 90, 4: 110]
        let sizes = serve(&policy, times: 400) { size, _ in quiet[size] }
        #expect(
            sizes.suffix(200).count { $0 == 1 } > 180, "two rows are tried now and then, for they take hardly longer")
    }

    @Test(arguments: [16, 64, 128])
    func `long answers, which make every round longer, are no reason to try everything`(lanes: Int) throws {
        let stage = try Requests.costs([1: 24, 2: 46, 4: 80, 8: 122, 16: 180, 32: 330, 64: 600, 128: 1150])
        var policy = CostBatchPolicy([stage, stage])
        func round(_ size: Int) -> Double {
            let (groups, rest) = lanes.quotientAndRemainder(dividingBy: size)
            let step = stage.boundNanoseconds(rows: size)
            return 2 * max(Double(groups) * step + (rest > 0 ? stage.boundNanoseconds(rows: rest) : 0), 2 * step)
        }
        let took = (0..<400).map { _ in
            let size = policy.groupSize(decoding: lanes, hop: 0, rowLimit: 512, tries: true)
            policy.observe(Grouping(lanes: lanes, size: size), nanoseconds: round(size), hop: 0)
            return round(size)
        }
        let best = 400 * ((1...lanes).map(round).min() ?? .nan)
        #expect(took.reduce(0, +) < 1.1 * best)
        #expect(took.suffix(200).reduce(0, +) < 1.03 * best / 2, "what was slower is tried ever more seldom")
    }

    @Test func `one stage has nothing to compete with`() throws {
        var policy = CostBatchPolicy([try Requests.costs([1: 10, 2: 22, 4: 44])])
        for _ in 0..<9 { policy.observe(Grouping(lanes: 4, size: 1), nanoseconds: 80e6, hop: 0) }
        #expect(policy.groupSize(decoding: 4, hop: 0, rowLimit: 512, tries: true) == 1)
    }

    @Test func `stages that share a processor are not kept busy at the same time for nothing`() throws {
        // Here one stage computes while the other one waits, and a step takes as long whatever its rows.
        let stage = try Requests.costs([1: 0.1, 16: 0.101])
        var took: [Double] = []
        for policy in [FixedCosts([stage, stage]), CostBatchPolicy([stage, stage])] as [any BatchPolicy] {
            var pipeline = LocalPipeline(.init(stageCount: 2, policy: policy))
            for id in 1...4 as ClosedRange<UInt64> {
                try pipeline.submit(Requests.text(id, "abc", limit: 100) { $0.sampling.ignoreEndOfGeneration = true })
            }
            pipeline.run()
            pipeline.checkQuiescence()
            #expect(pipeline.violation == nil)
            took.append(pipeline.now.since(Instant(nanoseconds: 0)).inSeconds)
        }
        #expect(took[1] < 0.7 * took[0], "\(took)")
    }
}
