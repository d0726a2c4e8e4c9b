import ArgumentParser

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// `skein token list`.
struct TokenList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the join tokens, those that are good for nothing any more included.")

    @OptionGroup var options: ReadOptions

    func run() async throws {
        let now = Int64(time(nil))
        try await options.show("/cluster/v1/tokens") { client in
            let answer = try await client.get("/cluster/v1/tokens")
            let tokens = try client.reading { () throws(MissingField) in try SeenToken.list(answer.json) }
            return TokenText.list(tokens, now: now)
        }
    }
}
