import ArgumentParser
import Identity
import Node

/// `skein leave`.
struct Leave: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take this machine out of its cluster, so that it can join another one.",
        discussion: """
            Its stages move elsewhere, the cluster removes it, its node is ended, and its identity is set aside. \
            Run it on the machine that leaves, while its node runs. API keys, kept responses and the list of models \
            stay.
            """)

    @Flag(help: "Tell nobody and forget the cluster here; then remove the machine on another one with 'skein remove'.")
    var force = false

    @Option(help: "Seconds its stages may take to move elsewhere.")
    var wait = 120

    @OptionGroup var options: NodeOptions

    /// How long the node's process may take to end. **Units:** seconds.
    private static let endSeconds = 20
    /// Time between looks at the cluster. **Units:** milliseconds.
    private static let lookMilliseconds = 250

    func validate() throws {
        guard (1...86_400).contains(wait) else { throw ValidationError("--wait is \(wait); it takes 1 … 86400.") }
    }

    func run() async throws {
        let departure = Departure()
        do {
            guard let own = try departure.membership() else {
                Output.error("This machine is in no cluster; there is nothing to leave.")
                throw ExitCode(1)
            }
            if !force { try await tell("\(own.node)") }
            guard await departure.endProcess(seconds: Self.endSeconds) else {
                Output.error(
                    "The node's process did not end within \(Self.endSeconds) s; stop it, then run "
                        + "'skein leave --force'.")
                throw ExitCode(1)
            }
            let kept = try departure.forget()
            Output.line("this machine has left cluster \(own.cluster); who it was there is kept in \(kept)")
            Output.line("'skein join TICKET' joins another cluster, 'skein serve' founds one")
        } catch let error as IdentityError {
            Output.error("\(error)")
            throw ExitCode(1)
        }
    }

    /// Has the cluster go on without this machine.
    private func tell(_ own: String) async throws {
        do {
            try await options.ask { client in try await Self.leave(own, client, seconds: wait) }
        } catch {
            if let obstacle = error as? LeaveObstacle { Output.error("\(obstacle)") }
            Output.error(
                "This machine is still in its cluster. When nobody can be told, run 'skein leave --force' here and "
                    + "'skein remove \(own)' on another machine.")
            throw error as? ExitCode ?? ExitCode(1)
        }
    }

    static func leave(_ own: String, _ client: ClusterClient, seconds: Int) async throws {
        var cluster = try await client.state()
        guard cluster.node == own else {
            throw LeaveObstacle(
                "The node that answers is \(PrintableText.of(cluster.node)), this machine's is \(own); say which with "
                    + "--node, or with SKEIN_HOME where its data is.")
        }
        // Alone there is nobody to tell, and removed already there is nothing to say.
        guard cluster.nodes.contains(where: { $0.id != own }), cluster.nodes.contains(where: { $0.id == own }) else {
            return
        }
        _ = try await client.command(
            .post, "/cluster/v1/nodes/\(own)/drain", body: Array(#"{"drain":true}"#.utf8))
        for _ in 0..<(seconds * 1000 / lookMilliseconds) {
            guard obstacle(own, cluster) != nil else { break }
            try await Task.sleep(for: .milliseconds(lookMilliseconds))
            cluster = try await client.state()
        }
        if let obstacle = obstacle(own, cluster) {
            throw LeaveObstacle(
                "\(obstacle) after \(seconds) s. It drains and can be left waiting longer with --wait; "
                    + "'skein drain \(own) --off' takes that back.")
        }
        _ = try await client.command(.delete, "/cluster/v1/nodes/\(own)")
    }

    /// What speaks against removing the machine now; nil when nothing does.
    private static func obstacle(_ own: String, _ cluster: SeenCluster) -> String? {
        let kept = cluster.deployments.filter { deployment in
            deployment.placements.contains { $0.stages.contains { $0.node == own } }
        }
        if !kept.isEmpty {
            let names = kept.prefix(4).map { PrintableText.of($0.name) }.joined(separator: ", ")
            return "Stages of \(names) are still on this machine; they find no place elsewhere"
        }
        if cluster.leadership.voters == [own] { return "No other machine votes in this cluster" }
        return nil
    }
}

/// Why a machine cannot leave now, in a sentence.
struct LeaveObstacle: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
