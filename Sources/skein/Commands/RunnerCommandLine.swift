import ArgumentParser
import Runner

/// `skein runner`: one stage, started by a node; not for people.
struct RunnerCommandLine: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "runner", abstract: "Run one stage (started by a node).", shouldDisplay: false)

    func run() async throws {
        throw ExitCode(await RunnerMain.run())
    }
}
