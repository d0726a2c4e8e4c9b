import ArgumentParser

/// `skein ps`.
struct Ps: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List what is loaded: every replica with its stages and nodes.")

    @OptionGroup var options: ReadOptions

    func run() async throws {
        try await options.show("/cluster/v1/deployments") { client in ClusterText.loaded(try await client.state()) }
    }
}
