import ArgumentParser
import Node
import Runner
import Vocabulary

/// `skein prefixes`: what `--prefix-disk` keeps on this machine.
struct PrefixCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prefixes",
        abstract: "Show and delete the prefixes that are kept on this machine's disk.",
        discussion: """
            They hold what users wrote and were answered. Deleting is safe at any time: a node that runs finds them \
            missing and computes them anew. What it still has in memory it writes again.
            """,
        subcommands: [PrefixList.self, PrefixDelete.self])

    static var folder: ArchiveFolder { ArchiveFolder(path: NodeCaches.prefixFolder(of: Folders.cache)) }
}

/// `skein prefixes list`.
struct PrefixList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Say how many files there are and how much they take.")

    func run() async throws {
        let entries = PrefixCommand.folder.entries()
        let bytes = entries.reduce(UInt64(0)) { $0 + $1.byteCount }
        Output.line("\(entries.count) files, \(ByteCount(bytes)), in \(PrefixCommand.folder.path)")
    }
}

/// `skein prefixes delete`.
struct PrefixDelete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "delete", abstract: "Delete all of them.")

    func run() async throws {
        let (files, bytes) = PrefixCommand.folder.deleteAll()
        Output.line("deleted \(files) files, \(ByteCount(bytes))")
        let left = PrefixCommand.folder.entries().count
        guard left == 0 else {
            Output.error("\(left) files could not be deleted, or were written meanwhile: try again.")
            throw ExitCode(1)
        }
    }
}
