import ArgumentParser

/// `skein token revoke`.
struct TokenRevoke: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke", abstract: "Take a join token back; machines that joined with it stay.")

    @Argument(help: "The token's id.")
    var id: String

    @OptionGroup var options: ReadOptions

    func run() async throws {
        try await options.node.ask { client in
            let answer = try await client.command(.delete, "/cluster/v1/tokens/\(PathPart.of(id))")
            Output.line(options.json ? answer.text : "\(PrintableText.of(id)) is revoked")
        }
    }
}
