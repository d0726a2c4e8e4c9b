import ArgumentParser
import Dialects

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// `skein token create`.
struct TokenCreate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Print one line that makes another machine join.",
        discussion: "The line is shown once; the cluster keeps only a digest of its secret.")

    @Option(help: "How many machines may join with it.")
    var uses: Int32 = 1

    @Option(
        help: ArgumentHelp(
            "How long it is valid: a number and s, m, h or d.", valueName: "time"))
    var ttl = TimeSpan.day

    @Flag(help: "For workers: they run stages, never vote and get no copy of the cluster's key.")
    var worker = false

    @OptionGroup var options: ReadOptions

    func validate() throws {
        guard uses >= 1 else { throw ValidationError("--uses is \(uses); it takes 1 or more.") }
    }

    func run() async throws {
        let now = Int64(time(nil))
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("uses")
        writer.integer(uses)
        writer.key("ttl_seconds")
        writer.integer(ttl.seconds)
        writer.key("worker")
        writer.bool(worker)
        writer.endObject()
        let body = writer.bytes
        try await options.node.ask { client in
            let answer = try await client.command(.post, "/cluster/v1/tokens", body: body)
            guard !options.json else { return Output.line(answer.text) }
            guard let line = answer.json["line"]?.string, let id = answer.json["id"]?.string else {
                throw ClusterClientError.unreadable(client.settings.address.description, field: "line")
            }
            // The line alone on standard output, so that a script can hand it on.
            Output.line(PrintableText.of(line))
            Output.error(
                TokenText.created(
                    id: id, uses: UInt64(uses), isForWorkers: worker, expires: now + ttl.seconds, now: now))
        }
    }
}
