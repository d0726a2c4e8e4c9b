import Cluster
import Simulation
import Testing
import Vocabulary

@Suite struct `Simulated clusters` {
    @Test(arguments: 0..<4)
    func `keep every promise under all faults`(part: Int) {
        let seeds = Seeds.first(Seeds.usual)
        for index in seeds.indices where index % 4 == part {
            var world = World(Scenario(seed: seeds[index]))
            let outcome = world.run()
            #expect(outcome.violation == nil, "SEED=\(seeds[index]) nodes \(outcome.nodeCount)")
        }
    }

    /// A simulator in which nothing happens finds nothing.
    @Test func `have leaders, callers, parts without a majority and epochs that serve`() {
        let outcomes = Seeds.first(40).prefix(40).map { seed in
            var world = World(Scenario(seed: seed))
            return world.run()
        }
        #expect(outcomes.reduce(0) { $0 + $1.acknowledgedCount } > outcomes.count * 5)
        #expect(outcomes.reduce(0) { $0 + $1.termCount } > outcomes.count)
        #expect(outcomes.reduce(0) { $0 + $1.degradedCount } > 0)
        #expect(outcomes.reduce(0) { $0 + $1.servedCount } > outcomes.count)
    }

    @Test func `run the same way for the same seed`() {
        for seed in Seeds.first(6).prefix(6) {
            var first = World(Scenario(seed: seed))
            var second = World(Scenario(seed: seed))
            #expect(first.run() == second.run(), "SEED=\(seed)")
        }
    }

    /// Compared with a literal, because another process hashes in another order.
    @Test func `run the same way in every process`() {
        let digest = (1...12 as ClosedRange<UInt64>).reduce(0 as UInt64) { sum, seed in
            var world = World(Scenario(seed: seed))
            return sum &* 31 &+ world.run().digest
        }
        #expect(String(digest, radix: 16) == "c14ac649d5e587ea")
    }

    @Test(arguments: Mutation.allCases)
    func `catch a planted bug`(mutation: Mutation) {
        let caught = (1...200 as ClosedRange<UInt64>).contains { seed in
            var scenario = Scenario(seed: seed)
            scenario.mutation = mutation
            var world = World(scenario)
            return world.run().violation != nil
        }
        #expect(caught)
    }

    @Test func `a large cluster elects another leader within two seconds and agrees soon after`() {
        var world = World(Scenario(seed: 1, nodeCount: 100))
        world.countBytes()
        let outcome = world.run()
        #expect(outcome.violation == nil)
        #expect(outcome.electionTime.map { $0 < .seconds(2) } ?? false)
        #expect(outcome.convergenceTime.map { $0 < .seconds(15) } ?? false)
        #expect(outcome.bytesPerNodePerSecond < 20_000)
    }
}
