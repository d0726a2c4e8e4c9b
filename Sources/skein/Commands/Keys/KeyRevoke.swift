import ArgumentParser
import Gateway
import Node

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// `skein key revoke`.
struct KeyRevoke: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke", abstract: "Take a key back: a node refuses it from the next request on.")

    @Argument(help: "The key's id or name.")
    var key: String

    func run() async throws {
        let now = Int64(time(nil))
        try KeyCommand.withFile { file throws(KeyBookError) in
            let revoked = try file.change { book throws(KeyBookError) in try book.revoke(key, at: now) }
            Output.line("\(revoked.id) '\(revoked.name)' is revoked")
        }
    }
}
