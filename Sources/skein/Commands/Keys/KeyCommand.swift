import ArgumentParser
import Gateway
import Node

/// `skein key`: who may use the API.
struct KeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Create, list and revoke API keys.",
        discussion: "A node that runs notices every change with the next request.",
        subcommands: [KeyCreate.self, KeyList.self, KeyRevoke.self], aliases: ["keys"])

    /// Calls `body` with this machine's key file; what is wrong with it is said and ends the program.
    static func withFile(_ body: (KeyFile) throws(KeyBookError) -> Void) throws {
        do throws(KeyBookError) {
            try body(KeyFile(dataFolder: Folders.data))
        } catch {
            Output.error("\(error)")
            throw ExitCode(1)
        }
    }
}
