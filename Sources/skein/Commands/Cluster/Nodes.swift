import ArgumentParser

/// `skein nodes`.
struct Nodes: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the machines of the cluster.",
        discussion: "The memory is what stages may take of what there is; what is not known shows as '?'.")

    @OptionGroup var options: ReadOptions

    func run() async throws {
        try await options.show("/cluster/v1/nodes") { client in ClusterText.nodes(try await client.state()) }
    }
}
