import ArgumentParser
import GGUF
import ModelStore

/// `skein gguf card`: what a model asks of the machines that run it.
struct GGUFCard: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "card",
        abstract: "Write a copy of a model that asks for machines with tags wherever it is deployed.",
        discussion: """
            The tags stand in the file's metadata (\(PlacementTags.requiredKey), \
            \(PlacementTags.preferredKey)), so they go with it to every machine. They add to the tags of a \
            deployment. Without any, the copy asks for none.
            """)

    @Option(
        name: .customLong("tag"), parsing: .singleValue,
        help: "Run it only on machines with this tag, like llama-cuda. May be repeated.")
    var tags: [String] = []

    @Option(
        name: .customLong("prefer-tag"), parsing: .singleValue,
        help: "Run it on machines with this tag as long as it fits there. May be repeated.")
    var preferredTags: [String] = []

    @Argument(help: "Model file (GGUF).")
    var file: String

    @Argument(help: "File to write.")
    var output: String

    func run() throws {
        do {
            try ModelRewriting.tag(file, PlacementTags(required: tags, preferred: preferredTags), to: output)
        } catch {
            Output.error("\(error)")
            throw ExitCode(1)
        }
        Output.line("wrote \(output)")
    }
}
