import ArgumentParser
import Node

/// The command line. Exit codes: 0 done, 1 failed, 2 usage, 3 not reachable, 4 would not fit.
@main
enum Program {
    /// Parses and runs; usage errors end with 2, as scripts expect, instead of ArgumentParser's 64.
    static func main() async {
        do {
            var command = try Skein.parseAsRoot(CommandWords.read(Array(CommandLine.arguments.dropFirst())))
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            let code = Skein.exitCode(for: error).rawValue
            guard code == ExitCode.validationFailure.rawValue else { Skein.exit(withError: error) }
            Output.error(Skein.fullMessage(for: error))
            Output.exit(2)
        }
    }
}

struct Skein: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "skein",
        abstract: "Several ordinary machines pooled into one LLM server.",
        version: NodeService.version,
        subcommands: [
            Serve.self, Join.self, Nodes.self, Status.self, Deploy.self, Undeploy.self, Ps.self, Drain.self,
            Remove.self, Leave.self, TokenCommand.self, KeyCommand.self, PrefixCommand.self, Plan.self, Verify.self,
            Bench.self, Simulate.self, GGUFCommand.self, Devices.self, RunnerCommandLine.self,
        ])
}
