import ArgumentParser

/// `skein undeploy`.
struct Undeploy: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Have the cluster serve a model no longer; requests under way are answered to their end.")

    @Argument(help: "Name of the deployment.")
    var name: String

    @OptionGroup var options: ReadOptions

    func run() async throws {
        try await options.node.ask { client in
            let answer = try await client.command(.delete, "/cluster/v1/deployments/\(PathPart.of(name))")
            Output.line(options.json ? answer.text : "\(PrintableText.of(name)) is served no longer")
        }
    }
}
