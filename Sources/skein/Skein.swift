import ArgumentParser

/// The command line. Exit codes: 0 done, 1 failed, 2 usage, 3 not reachable, 4 would not fit.
@main
struct Skein: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "skein",
        abstract: "Several ordinary machines pooled into one LLM server.",
        version: "0.1.0",
        subcommands: [Serve.self, Verify.self, Bench.self, GGUFCommand.self, RunnerCommandLine.self])
}
