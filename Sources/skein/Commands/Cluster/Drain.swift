import ArgumentParser

/// `skein drain`.
struct Drain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Move the stages of a machine elsewhere and give it no new ones.",
        discussion: "The machine stays in the cluster. 'skein ps' shows when nothing is loaded there any more.")

    @Argument(help: "The node: an id, the beginning of one, or a name.")
    var node: String

    @Flag(help: "End draining: the machine may run stages again.")
    var off = false

    @OptionGroup var options: ReadOptions

    func run() async throws {
        try await options.node.ask { client in
            let cluster = try await client.state()
            let id = try ClusterClient.ids(of: [node], in: cluster)[0]
            let answer = try await client.command(
                .post, "/cluster/v1/nodes/\(id)/drain", body: Array(#"{"drain":\#(!off)}"#.utf8))
            guard !options.json else { return Output.line(answer.text) }
            let name = PrintableText.of(cluster.name(of: id))
            Output.line(off ? "\(name) may run stages again" : "\(name) drains: its stages move elsewhere")
        }
    }
}
