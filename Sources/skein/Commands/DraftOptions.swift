import ArgumentParser
import FoundationEssentials
import Node

/// How tokens are guessed ahead.
struct DraftOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Guess tokens ahead: auto (by the draft model that is shipped with the model, and by what followed the same \
            tokens earlier; where it pays, requests with a seed left out), ngram (by what followed earlier, every \
            request), mtp (by the model's own head for several tokens, every request), the file of a draft model with \
            the same vocabulary (every request), or off.
            """,
            valueName: "auto|ngram|mtp|off|file"),
        transform: DraftOptions.read)
    var draft = DeploymentSpec.Drafting.auto

    /// What it takes beside a model.
    static let words = ["auto", "off", "ngram", "mtp"]

    /// Reads a word or a file's path.
    @Sendable static func read(_ text: String) throws -> DeploymentSpec.Drafting {
        switch text {
        case "auto": return .auto
        case "off": return .off
        case "ngram": return .ngram
        case "mtp": return .mtp
        default:
            guard FileManager.default.fileExists(atPath: text) else {
                throw ValidationError(
                    "--draft is '\(text)'; it takes auto, ngram, mtp, off or the file of a draft model.")
            }
            return .model(path: text)
        }
    }
}
