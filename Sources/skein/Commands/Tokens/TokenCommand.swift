import ArgumentParser

/// `skein token`: who may join the cluster.
struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Create, list and revoke tokens with which machines join.",
        subcommands: [TokenCreate.self, TokenList.self, TokenRevoke.self], aliases: ["tokens"])
}
