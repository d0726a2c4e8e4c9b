import ArgumentParser
import FoundationEssentials
import Logging
import Node
import Vocabulary

/// `skein nodes`.
struct Nodes: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the machines of the cluster, or those seen on this machine's networks.",
        discussion: """
            The memory is what stages may take of what there is, the speed how fast a token reads weights in 8 bits; \
            what is not known shows as '?'.
            """)

    @Flag(help: "List the nodes this machine sees on its networks, of any cluster; no node need run here.")
    var discovered = false

    @OptionGroup var options: ReadOptions

    func run() async throws {
        guard discovered else {
            return try await options.show("/cluster/v1/nodes") { client in ClusterText.nodes(try await client.state()) }
        }
        let seen = await ClusterSearch.nodes(Logger(label: "skein"))
        let own = await ownCluster()
        if options.json {
            Output.line(DiscoveredText.json(seen, own: own))
        } else {
            for line in DiscoveredText.nodes(seen, own: own) { Output.line(line) }
        }
    }

    /// The cluster of the node that would be asked; nil when none answers, which is no failure here.
    private func ownCluster() async -> UInt64? {
        let environment = ProcessInfo.processInfo.environment
        guard let settings = try? options.node.settings(environment: environment) else { return nil }
        var cluster: String?
        try? await ClusterClient.with(settings) { client in cluster = try await client.state().cluster }
        return cluster.flatMap { Hexadecimal.number($0) }
    }
}
