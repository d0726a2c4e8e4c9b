import ArgumentParser

/// `skein remove`.
struct Remove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Remove a machine from the cluster for good, without asking back.",
        discussion: """
            Its identity is refused from then on; to come back it joins anew. Drain it first when it still runs, so \
            that no request is interrupted.
            """)

    @Argument(help: "The node: an id, the beginning of one, or a name.")
    var node: String

    @OptionGroup var options: ReadOptions

    func run() async throws {
        try await options.node.ask { client in
            let cluster = try await client.state()
            let id = try ClusterClient.ids(of: [node], in: cluster)[0]
            let answer = try await client.command(.delete, "/cluster/v1/nodes/\(id)")
            guard !options.json else { return Output.line(answer.text) }
            let name = cluster.nodes.first { $0.id == id }?.name ?? ""
            Output.line("\(PrintableText.of(name.isEmpty ? id : "\(name) (\(id))")) is removed from the cluster")
        }
    }
}
