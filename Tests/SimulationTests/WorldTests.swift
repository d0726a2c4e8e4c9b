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

    @Test func `run the same way for the same seed`() {
        for seed in Seeds.first(6) {
            var first = World(Scenario(seed: seed))
            var second = World(Scenario(seed: seed))
            #expect(first.run() == second.run(), "SEED=\(seed)")
        }
    }

    /// Compared with a literal, because another process hashes in another order.
    @Test func `run the same way in every process`() {
        var world = World(Scenario(seed: 3))
        #expect(String(world.run().digest, radix: 16) == "11f34d8efcd75cb6")
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
