import ArgumentParser
import FoundationEssentials
import Simulation

extension Simulate {
    func validateScale() throws {
        guard scale else {
            if sizes != nil { throw ValidationError("--sizes is for --scale.") }
            return
        }
        guard nodes == nil, mutation == nil, !coordinated else {
            throw ValidationError("--scale is for healthy clusters of several sizes; leave --nodes and faults out.")
        }
        if let sizes, let wrong = sizes.numbers.first(where: { !(3...4096).contains($0) }) {
            throw ValidationError("--sizes has \(wrong); it takes numbers from 3 to 4096 with commas.")
        }
        guard (3...10_000).contains(runs) else { throw ValidationError("--runs is \(runs); it takes 3 … 10000.") }
    }

    func runScale() throws {
        var series = ScaleSeries(sizes: sizes?.numbers ?? ScaleSeries.usualSizes, runs: runs)
        series.run(seed: seed) { row in Output.error("\(row.nodeCount) nodes: \(row.bytes.count) runs") }
        if json { try printScaleJSON(series) } else { printScale(series) }
        for miss in series.misses { Output.error(miss) }
        if !series.misses.isEmpty { throw ExitCode(1) }
    }

    private func printScale(_ series: ScaleSeries) {
        func whole(_ fraction: Double, _ figures: [Double]) -> String {
            ScaleSeries.quantile(fraction, of: figures).map { "\(Int($0.rounded()))" } ?? "never"
        }
        let rows = series.rows.map { row in
            [
                "\(row.nodeCount)", "\(row.bytes.count)", whole(0.5, row.election), whole(0.99, row.election),
                whole(0.5, row.convergence), whole(0.99, row.convergence), whole(0.5, row.bytes),
                whole(0.5, row.idleBytes), whole(0.5, row.messages), whole(0.5, row.busiest),
            ]
        }
        let titles = [
            "NODES", "RUNS", "FAILOVER MS", "P99", "AGREED MS", "P99", "BYTES/NODE/S", "IDLE", "MESSAGES/NODE/S",
            "BUSIEST NODE",
        ]
        for line in TextTable(titles: titles, rows: rows).lines { Output.line(line) }
        if let bytes = series.bytesGrowth, let idle = series.idleBytesGrowth,
            let agreed = series.convergenceOverLogarithm
        {
            Output.line(
                "from the smallest to the largest: bytes × \(Self.rounded(bytes)), of idle nodes × "
                    + "\(Self.rounded(idle)), time to agree over log2 of the size "
                    + "× \(Self.rounded(agreed))")
        }
    }

    private func printScaleJSON(_ series: ScaleSeries) throws {
        struct Figure: Encodable {
            var p50: Double?
            var p99: Double?

            init(_ figures: [Double]) {
                p50 = ScaleSeries.quantile(0.5, of: figures)
                p99 = ScaleSeries.quantile(0.99, of: figures)
            }
        }
        struct Row: Encodable {
            var nodes: Int
            var runs: Int
            var election_ms: Figure
            var convergence_ms: Figure
            var bytes_per_node_per_s: Figure
            var idle_bytes_per_node_per_s: Figure
            var busiest_bytes_per_s: Figure
            var parts_bytes_per_node_per_s: [String: Double]
            var idle_parts_bytes_per_node_per_s: [String: Double]
            var messages_per_node_per_s: Figure
            var violations: [String]
        }
        struct Report: Encodable {
            var seed: UInt64
            var rows: [Row]
            var bytes_growth: Double?
            var idle_bytes_growth: Double?
            var convergence_over_log: Double?
            var misses: [String]
        }
        let rows = series.rows.map { row in
            Row(
                nodes: row.nodeCount, runs: row.bytes.count, election_ms: Figure(row.election),
                convergence_ms: Figure(row.convergence), bytes_per_node_per_s: Figure(row.bytes),
                idle_bytes_per_node_per_s: Figure(row.idleBytes), busiest_bytes_per_s: Figure(row.busiest),
                parts_bytes_per_node_per_s: row.parts.mapValues(Self.rounded),
                idle_parts_bytes_per_node_per_s: row.idleParts.mapValues(Self.rounded),
                messages_per_node_per_s: Figure(row.messages), violations: row.violations)
        }
        let report = Report(
            seed: seed, rows: rows, bytes_growth: series.bytesGrowth, idle_bytes_growth: series.idleBytesGrowth,
            convergence_over_log: series.convergenceOverLogarithm, misses: series.misses)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        Output.line(String(decoding: try encoder.encode(report), as: UTF8.self))
    }

    private static func rounded(_ value: Double) -> Double { (value * 100).rounded() / 100 }
}
