import ArgumentParser
import FoundationEssentials
import Simulation
import Vocabulary

/// `skein simulate`: the control planes of many nodes in one thread.
struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Simulate a cluster under a virtual clock and network.",
        discussion: """
            With --nodes, a healthy cluster of that size loses its leader; printed is how long the others need to \
            elect another one and to agree, and what they send. Without, the seed draws a small cluster and every \
            kind of fault. The same seed gives the same run. With --scale, healthy clusters of several sizes and \
            seeds are held against each other: bytes per node must stay the same, agreeing may grow with the logarithm \
            of the size, and a leader must be followed by another within two seconds. Exits with 1 when something \
            happened that must never happen, or a bound is missed.
            """)

    @Option(help: "Number of nodes of a healthy cluster, 1 … 4096.")
    var nodes: Int?

    @Option(help: "What the run is drawn from.")
    var seed: UInt64 = 1

    @Option(help: "Plant a bug that has to be caught: \(Mutation.allCases.map(\.rawValue).joined(separator: ", ")).")
    var mutation: String?

    @Flag(help: "Let a coordinator outside give the leadership and hold the log.")
    var coordinated = false

    @Flag(help: "Compare healthy clusters of 10, 30, 100, 300 and 1000 nodes.")
    var scale = false

    @Option(help: "With --scale: other numbers of nodes, a,b,…")
    var sizes: NumberList?

    @Option(help: "With --scale: runs with 10 nodes, 3 … 10000; of larger clusters as many fewer as they are larger.")
    var runs = 100

    @Flag(help: "Print as JSON.")
    var json = false

    func validate() throws {
        try validateScale()
        if let nodes, !(1...4096).contains(nodes) {
            throw ValidationError("--nodes is \(nodes); it takes 1 … 4096.")
        }
        if let mutation, Mutation(rawValue: mutation) == nil {
            let known = Mutation.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--mutation is '\(mutation)'; it takes \(known).")
        }
    }

    func run() throws {
        if scale { return try runScale() }
        var scenario = nodes.map { Scenario(seed: seed, nodeCount: $0) } ?? Scenario(seed: seed)
        scenario.mutation = mutation.flatMap(Mutation.init)
        scenario.isCoordinated = coordinated || scenario.mutation == .unfencedCoordinator
        var world = World(scenario)
        world.countBytes()
        let outcome = world.run()
        json ? try printJSON(outcome) : printText(outcome)
        if outcome.violation != nil { throw ExitCode(1) }
    }

    private func printText(_ outcome: Outcome) {
        func milliseconds(_ duration: Duration?) -> String {
            duration.map { "\(Int($0.inMilliseconds.rounded())) ms" } ?? "never"
        }
        Output.line(
            "seed \(outcome.seed), \(outcome.nodeCount) nodes, \(Int(outcome.virtualTime.inSeconds)) s of theirs")
        Output.line("election \(milliseconds(outcome.electionTime)), agreed \(milliseconds(outcome.convergenceTime))")
        Output.line(
            "per node and second: \(Int(outcome.bytesPerNodePerSecond)) bytes, "
                + "\(Int(outcome.messagesPerNodePerSecond)) messages")
        if let violation = outcome.violation { Output.error(violation) }
    }

    private func printJSON(_ outcome: Outcome) throws {
        struct Report: Encodable {
            var seed: UInt64
            var nodes: Int
            var virtual_seconds: Double
            var election_ms: Double?
            var convergence_ms: Double?
            var bytes_per_node_per_s: Double
            var messages_per_node_per_s: Double
            var digest: String
            var violations: [String]
        }
        let report = Report(
            seed: outcome.seed, nodes: outcome.nodeCount, virtual_seconds: outcome.virtualTime.inSeconds,
            election_ms: outcome.electionTime?.inMilliseconds,
            convergence_ms: outcome.convergenceTime?.inMilliseconds,
            bytes_per_node_per_s: outcome.bytesPerNodePerSecond,
            messages_per_node_per_s: outcome.messagesPerNodePerSecond,
            digest: String(outcome.digest, radix: 16), violations: outcome.violation.map { [$0] } ?? [])
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        Output.line(String(decoding: try encoder.encode(report), as: UTF8.self))
    }
}
