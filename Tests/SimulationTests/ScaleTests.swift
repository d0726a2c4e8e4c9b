import Simulation
import Testing

@Suite struct `Sizes of clusters` {
    private func row(
        _ nodes: Int, election: [Double], convergence: [Double], bytes: [Double], idle: Double = 500
    ) -> ScaleSeries.Row {
        var row = ScaleSeries.Row(nodeCount: nodes)
        (row.election, row.convergence, row.bytes) = (election, convergence, bytes)
        row.messages = bytes.map { _ in 16 }
        row.idleBytes = [idle]
        return row
    }

    @Test func `quantiles are figures that were seen, by rank`() {
        let figures = (1...200).map(Double.init).reversed()
        #expect(ScaleSeries.quantile(0.5, of: Array(figures)) == 100)
        #expect(ScaleSeries.quantile(0.99, of: Array(figures)) == 198)
        #expect(ScaleSeries.quantile(0.99, of: [7]) == 7)
        #expect(ScaleSeries.quantile(0, of: [3, 1]) == 1)
        #expect(ScaleSeries.quantile(0.5, of: []) == nil)
    }

    @Test func `flat bytes and a logarithm are within the bounds`() throws {
        let series = ScaleSeries([
            row(10, election: [900, 1000], convergence: [2000, 2000], bytes: [1000, 1000]),
            row(1000, election: [900, 1900], convergence: [6000, 6000], bytes: [1200, 1200]),
        ])
        #expect(series.misses.isEmpty)
        #expect(series.bytesGrowth == 1.2)
        // Three times as long for three times the logarithm.
        #expect(abs(try #require(series.convergenceOverLogarithm) - 1) < 0.01)
    }

    @Test func `every bound can be missed`() {
        func misses(
            election: Double = 900, convergence: Double = 4000, bytes: Double = 1000, idle: Double = 500, runs: Int = 2
        ) -> [String] {
            ScaleSeries([
                row(10, election: [900, 900], convergence: [2000, 2000], bytes: [1000, 1000]),
                row(
                    100, election: Array(repeating: election, count: runs),
                    convergence: Array(repeating: convergence, count: 2), bytes: [bytes, bytes], idle: idle),
            ]).misses
        }
        #expect(misses().isEmpty)
        #expect(misses(election: 2001).first?.contains("another leader") == true)
        #expect(misses(bytes: 1201).first?.hasPrefix("Bytes") == true)
        #expect(misses(idle: 601).first?.hasPrefix("Bytes of idle nodes") == true)
        #expect(misses(convergence: 6100).first?.hasPrefix("Convergence") == true)
        #expect(misses(runs: 1).first?.contains("never elected in 1 of 2 runs") == true)
    }

    @Test func `a violation is told with its size and seed`() {
        var row = row(10, election: [1], convergence: [1], bytes: [1])
        row.violations = ["seed 7: two leaders"]
        #expect(ScaleSeries([row]).misses == ["10 nodes, seed 7: two leaders"])
    }

    @Test func `larger clusters are run less often, but three times`() {
        let series = ScaleSeries(sizes: [1000, 10, 30, 10], runs: 60)
        #expect(series.rows.map(\.nodeCount) == [10, 30, 1000])
        #expect(series.rows.map { series.runCount($0.nodeCount) } == [60, 20, 3])
    }

    @Test func `a series of small clusters runs the same way for the same seed`() {
        var first = ScaleSeries(sizes: [4, 8], runs: 3)
        var second = first
        first.run(seed: 5) { _ in }
        second.run(seed: 5) { _ in }
        #expect(first.rows == second.rows)
        #expect(first.rows.allSatisfy { $0.violations.isEmpty })
        #expect(first.rows.allSatisfy { $0.idleBytes.count == 1 && $0.parts["probes"] ?? 0 > 10 })
        #expect(first.rows.allSatisfy { $0.election.count == 3 && $0.convergence.count == 3 })
    }

    /// Not the whole series, which is `skein simulate --scale`, but what a mistake in the gossip would show at once.
    @Test func `a node of a larger cluster sends little more than one of a smaller one`() {
        func bytes(_ nodes: Int, isIdle: Bool) -> Double {
            var scenario = Scenario(seed: 2, nodeCount: nodes)
            scenario.isIdle = isIdle
            var world = World(scenario)
            world.countBytes()
            let outcome = world.run()
            #expect(outcome.violation == nil)
            #expect(outcome.bytesOfBusiest > outcome.bytesPerNodePerSecond)
            #expect(abs(outcome.bytesOfParts.values.reduce(0, +) / outcome.bytesPerNodePerSecond - 1) < 0.01)
            return outcome.bytesPerNodePerSecond
        }
        let large = Seeds.isDebug ? 40 : 100
        // With nothing to do, a node of a larger cluster hears of more members; measured 1.35.
        #expect(bytes(large, isIdle: true) < 1.5 * bytes(16, isIdle: true))
        #expect(bytes(large, isIdle: false) < 1.25 * bytes(16, isIdle: false))
    }
}
