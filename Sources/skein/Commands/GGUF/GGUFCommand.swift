import ArgumentParser

/// `skein gguf …`: model files.
struct GGUFCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gguf", abstract: "Look at, check and make GGUF model files.",
        subcommands: [GGUFInspect.self, GGUFValidate.self, GGUFSynth.self, GGUFCard.self])
}
