import ArgumentParser

/// `skein ps`.
struct Ps: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List what is loaded: every replica of deployments, and what the node that is asked serves by itself."
    )

    @OptionGroup var options: ReadOptions

    func run() async throws {
        try await options.show("/cluster/v1/deployments") { client in
            let cluster = try await client.state()
            return ClusterText.loaded(cluster) + ClusterText.own(try await client.ownModels(beside: cluster), cluster)
        }
    }
}
