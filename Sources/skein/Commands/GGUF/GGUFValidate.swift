import ArgumentParser
import GGUF
import ModelStore

/// `skein gguf validate`: is a file safe to hand to the engine?
struct GGUFValidate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate",
        abstract: "Check a model file before an engine sees it; exits with 1 when it is refused.")

    @Argument(help: "Model files (GGUF).")
    var files: [String]

    func run() throws {
        var refused = 0
        for file in files {
            do {
                let header = try GGUFFile.parse(try FileByteSource(path: file))
                let findings = header.validate()
                for finding in findings { Output.line("\(file): \(finding)") }
                let errors = findings.count { $0.severity == .error }
                refused += errors > 0 ? 1 : 0
                Output.line("\(file): \(errors > 0 ? "refused" : "sound")")
            } catch {
                refused += 1
                Output.line("\(file): \(error)")
            }
        }
        if refused > 0 { throw ExitCode(1) }
    }
}
