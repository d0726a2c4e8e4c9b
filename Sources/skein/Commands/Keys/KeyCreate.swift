import ArgumentParser
import Dialects
import Gateway
import Node

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// `skein key create`.
struct KeyCreate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Create a key. It is shown once; only its digest is kept.")

    @Option(help: "What the key is called, to tell it from others.")
    var name: String

    @Option(
        name: .customLong("scope"), parsing: .singleValue,
        help: "What it may be used for: inference, operate, admin. May be given more than once.")
    var scopes: [KeyScope] = [.inference]

    @Option(help: "How long it is valid: a number and s, m, h or d, as in 30d. Default: until it is revoked.")
    var expires: TimeSpan?

    @Option(help: "Most requests per minute. Default: no bound.")
    var requestsPerMinute: Int?

    @Option(help: "Most tokens per minute, prompts and answers together. Default: no bound.")
    var tokensPerMinute: Int?

    @Flag(help: "Print JSON.")
    var json = false

    func run() async throws {
        let now = Int64(time(nil))
        var generator = SystemRandomNumberGenerator()
        let secret = KeySecret.make(using: &generator)
        let key = APIKey(
            name: name, digest: KeySecret.digest(of: secret), scopes: Set(scopes), created: now,
            expires: expires.map { now + $0.seconds }, requestsPerMinute: requestsPerMinute,
            tokensPerMinute: tokensPerMinute)
        try KeyCommand.withFile { file throws(KeyBookError) in
            try file.change { book throws(KeyBookError) in try book.add(key) }
        }
        guard !json else {
            var writer = JSONWriter()
            writer.beginObject()
            writer.key("key")
            writer.string(secret)
            writer.key("record")
            KeyBook.write(key, showingDigest: false, to: &writer)
            writer.endObject()
            Output.line(writer.text)
            return
        }
        Output.line(secret)
        Output.error("this is \(key.id), '\(name)'; it is not shown again")
    }
}

extension KeyScope: ExpressibleByArgument {}
