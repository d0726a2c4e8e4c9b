import ArgumentParser
import Dialects
import Gateway
import Node

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// `skein key list`.
struct KeyList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the keys, those that were taken back included.")

    @Flag(help: "Print JSON.")
    var json = false

    func run() async throws {
        try KeyCommand.withFile { file throws(KeyBookError) in
            let keys = try file.current().keys
            if json { Self.printJSON(keys) } else { Self.printTable(keys) }
        }
    }

    private static func printJSON(_ keys: [APIKey]) {
        var writer = JSONWriter()
        writer.beginArray()
        for key in keys { KeyBook.write(key, showingDigest: false, to: &writer) }
        writer.endArray()
        Output.line(writer.text)
    }

    private static func printTable(_ keys: [APIKey]) {
        guard !keys.isEmpty else {
            Output.line("There are no keys; make one with 'skein key create --name NAME'.")
            return
        }
        let now = Int64(time(nil))
        let rows = keys.map { key in
            [
                key.id, key.name, state(of: key, now), key.scopes.map(\.rawValue).joined(separator: ","),
                key.requestsPerMinute.map(String.init) ?? "-", key.tokensPerMinute.map(String.init) ?? "-",
            ]
        }
        let table = TextTable(
            titles: ["ID", "NAME", "STATE", "SCOPES", "REQUESTS/MIN", "TOKENS/MIN"], rows: rows)
        for line in table.lines { Output.line(line) }
    }

    private static func state(of key: APIKey, _ now: Int64) -> String {
        let standing = key.standing(at: now)
        guard standing == .valid, let expires = key.expires else { return standing.rawValue }
        return "\((expires - now + 3599) / 3600) h left"
    }
}
