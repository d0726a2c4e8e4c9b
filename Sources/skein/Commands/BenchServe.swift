import ArgumentParser
import Node
import Vocabulary

/// `skein bench serve`.
struct BenchServe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "A served model under load, against llama-server with the same lanes, room and threads.",
        discussion: """
            Starts 'skein serve' and, with --peer, llama-server as child processes and streams completions from both, \
            in turns. With --long-prompt it measures what running streams notice of a long prompt instead; with \
            --kept-tokens, what they notice of other conversations in the cache, against a server that has none.
            """)

    @OptionGroup var options: BenchOptions

    @Option(help: "Requests at once, one or more counts separated by commas.")
    var streams = NumberList([1, 2, 4, 16])

    @Option(help: "Compute threads of each server. Default: all cores.")
    var threads: Int?

    @Option(help: "Stages of Skein's model, which share its threads.")
    var stages = 1

    @Option(help: "Tokens of each prompt.")
    var promptTokens = 64

    @Option(help: "Tokens of each answer.")
    var decode = 64

    @Option(help: "Type of the K and V cache of both servers.")
    var kv = CacheFormat.f16

    @Option(help: "Tokens of a prompt that arrives while the streams answer.")
    var longPrompt: Int?

    @Option(help: "Tokens of ended conversations that are kept beside the streams.")
    var keptTokens: Int?

    func run() async throws {
        var settings = ServeSettings()
        settings.streams = streams.numbers
        settings.threads = threads
        settings.stages = stages
        settings.promptTokens = promptTokens
        settings.decodeTokens = decode
        settings.cacheType = kv
        settings.longPrompt = longPrompt
        settings.keptTokens = keptTokens
        do { try settings.check() } catch { throw ValidationError("\(error)") }
        try await options.run { [settings] model, environment in
            try await Benchmarks.serve(model: model, settings, environment)
        }
    }
}

/// `skein bench gateway`.
struct BenchGateway: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway",
        abstract: "What each dialect costs per request and per token, against an echo of the same HTTP server.")

    @Option(help: "Runs per figure, at least 5.")
    var runs = 5

    @Flag(help: "Print the report as JSON.")
    var json = false

    func run() async throws {
        var options = BenchOptions()
        options.runs = runs
        options.json = json
        try options.validate()
        try await options.report { [runs] in try await Benchmarks.gateway(runs: runs) }
    }
}
