import Vocabulary

/// What changes with the size of a cluster: healthy worlds of several sizes, each with several seeds.
package struct ScaleSeries: Sendable {
    /// What was seen at one size.
    package struct Row: Sendable, Hashable {
        /// Members.
        package var nodeCount: Int
        /// From a leader's death to the next leader by majority, of every run. **Units:** milliseconds.
        package var election: [Double] = []
        /// From a leader's death until all others hold it for dead, everybody else for alive, and are up to date, of
        /// every run. **Units:** milliseconds.
        package var convergence: [Double] = []
        /// Bytes sent per node and second, of every run.
        package var bytes: [Double] = []
        /// The same where nobody wants anything and nobody dies.
        package var idleBytes: [Double] = []
        /// Bytes per second of the node that sent most, of every run.
        package var busiest: [Double] = []
        /// Bytes per node and second of each part of the messages, the mean of all runs.
        package var parts: [String: Double] = [:]
        /// The same where nothing happens.
        package var idleParts: [String: Double] = [:]
        /// Messages sent per node and second, of every run.
        package var messages: [Double] = []
        /// What must never happen and did, with its seed.
        package var violations: [String] = []

        /// A row without runs.
        package init(nodeCount: Int) { self.nodeCount = nodeCount }

        /// Takes a run.
        package mutating func add(_ outcome: Outcome) {
            func milliseconds(_ duration: Duration) -> Double { Double(duration.nanoseconds) / 1e6 }
            if let time = outcome.electionTime { election.append(milliseconds(time)) }
            if let time = outcome.convergenceTime { convergence.append(milliseconds(time)) }
            for (name, figure) in outcome.bytesOfParts {
                let runs = Double(bytes.count)
                parts[name] = ((parts[name] ?? 0) * runs + figure) / (runs + 1)
            }
            bytes.append(outcome.bytesPerNodePerSecond)
            busiest.append(outcome.bytesOfBusiest)
            messages.append(outcome.messagesPerNodePerSecond)
            if let violation = outcome.violation { violations.append("seed \(outcome.seed): \(violation)") }
        }
    }

    /// Sizes that are simulated unless others are asked for.
    package static let usualSizes = [10, 30, 100, 300, 1000]
    /// Virtual time of a world in which nothing happens: what ten members tell most seldom, their links, comes twice.
    private static let idleTime = Duration.seconds(95)
    /// Fewest runs of a size.
    private static let leastRuns = 3

    /// The longest failover that 99 of 100 runs may take, on links of 0.2 to 1.2 ms. **Units:** milliseconds.
    package static let electionBound = 2000.0
    /// How much more bytes per node and second the largest cluster may send than the smallest, as a factor.
    package static let bytesBound = 1.2
    /// How much faster than the logarithm of the size convergence may grow, as a factor from the smallest to the
    /// largest.
    package static let convergenceBound = 1.5

    /// The sizes, ascending.
    package private(set) var rows: [Row]
    /// Runs of the smallest size.
    private let runs: Int

    /// A series that has not run. The caller MUST name sizes of 2 to `Limits.memberCount`.
    ///
    /// **Units:** `runs` of ten members; of larger clusters as many fewer as they are dearer, but three.
    package init(sizes: [Int], runs: Int) {
        rows = Set(sizes).sorted().map { Row(nodeCount: $0) }
        self.runs = runs
    }

    /// A series that was measured elsewhere.
    package init(_ rows: [Row]) {
        self.rows = rows
        runs = 0
    }

    /// Runs of a size.
    package func runCount(_ size: Int) -> Int { max(Self.leastRuns, runs * 10 / max(10, size)) }

    /// Runs everything, seeds from `seed` on; `progress` hears of every size.
    package mutating func run(seed: UInt64, progress: (Row) -> Void) {
        for index in rows.indices {
            for run in 0..<runCount(rows[index].nodeCount) {
                var world = World(Scenario(seed: seed &+ UInt64(run), nodeCount: rows[index].nodeCount))
                world.countBytes()
                rows[index].add(world.run())
            }
            var idle = Scenario(seed: seed, nodeCount: rows[index].nodeCount)
            idle.isIdle = true
            idle.calmTime = Self.idleTime
            var world = World(idle)
            world.countBytes()
            let calm = world.run()
            rows[index].idleBytes.append(calm.bytesPerNodePerSecond)
            rows[index].idleParts = calm.bytesOfParts
            progress(rows[index])
        }
    }

    /// The value that `fraction` of the figures do not exceed, by rank; nil without figures.
    package static func quantile(_ fraction: Double, of figures: [Double]) -> Double? {
        guard !figures.isEmpty else { return nil }
        let rank = (fraction * Double(figures.count)).rounded(.up)
        return figures.sorted()[min(figures.count, max(1, Int(rank))) - 1]
    }

    /// How much more bytes the largest cluster sends per node than the smallest; nil with fewer than two sizes.
    package var bytesGrowth: Double? { growth(\.bytes) }

    /// The same where nothing happens.
    package var idleBytesGrowth: Double? { growth(\.idleBytes) }

    /// How much more than the logarithm of the size convergence grows; nil with fewer than two sizes.
    package var convergenceOverLogarithm: Double? {
        guard let growth = growth(\.convergence), let first = rows.first, let last = rows.last else { return nil }
        return growth * Double(Self.logarithm(first.nodeCount)) / Double(Self.logarithm(last.nodeCount))
    }

    private func growth(_ figure: KeyPath<Row, [Double]>) -> Double? {
        guard rows.count > 1, let first = rows.first, let last = rows.last,
            let low = Self.quantile(0.5, of: first[keyPath: figure]), low > 0,
            let high = Self.quantile(0.5, of: last[keyPath: figure])
        else { return nil }
        return high / low
    }

    /// The logarithm to base 2 in 1024ths, without a library of functions: squares tell one binary digit each.
    private static func logarithm(_ size: Int) -> Int {
        let whole = Int.bitWidth - 1 - max(1, size).leadingZeroBitCount
        var rest = Double(max(1, size)) / Double(1 << whole)
        var (parts, digit) = (whole * 1024, 512)
        while digit > 0 {
            rest *= rest
            if rest >= 2 {
                parts += digit
                rest /= 2
            }
            digit /= 2
        }
        return max(1, parts)
    }

    /// What is outside its bound, one sentence each; empty when all is well.
    package var misses: [String] {
        var misses = rows.flatMap { row in row.violations.map { "\(row.nodeCount) nodes, \($0)" } }
        for row in rows {
            let runs = row.bytes.count
            for (name, figures) in [("elected", row.election), ("agreed", row.convergence)] where figures.count < runs {
                misses.append("\(row.nodeCount) nodes never \(name) in \(runs - figures.count) of \(runs) runs.")
            }
            if let p99 = Self.quantile(0.99, of: row.election), p99 > Self.electionBound {
                misses.append("\(row.nodeCount) nodes need \(Int(p99)) ms for another leader, more than 2000.")
            }
        }
        if let growth = bytesGrowth, growth > Self.bytesBound {
            misses.append("Bytes per node and second grow by the factor \(Self.rounded(growth)), more than 1.2.")
        }
        if let growth = idleBytesGrowth, growth > Self.bytesBound {
            misses.append("Bytes of idle nodes grow by the factor \(Self.rounded(growth)), more than 1.2.")
        }
        if let growth = convergenceOverLogarithm, growth > Self.convergenceBound {
            misses.append("Convergence grows \(Self.rounded(growth)) times as fast as the logarithm of the size.")
        }
        return misses
    }

    private static func rounded(_ value: Double) -> Double { (value * 100).rounded() / 100 }
}
