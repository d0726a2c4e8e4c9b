import ArgumentParser
import Dialects

/// `skein status`.
struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show who decides, what is wrong and how far every deployment is.",
        discussion: """
            With --watch, changes are printed as they come, until the program is interrupted; when the connection is \
            lost, it goes on where it was. With --json, each is a line {"event":…,"id":…,"data":…}.
            """)

    @OptionGroup var options: ReadOptions

    @Flag(help: "Go on with what changes.")
    var watch = false

    func run() async throws {
        guard watch else {
            return try await options.show("/cluster/v1/state") { client in
                let cluster = try await client.state()
                let own = try await client.ownModels(beside: cluster)
                return ClusterText.status(cluster) + ClusterText.own(own, cluster)
            }
        }
        try await options.node.ask(watching: true) { client in
            var screen = WatchText(isJSON: options.json)
            try await ClusterWatch(client: client).run { error in
                Output.error("\(error) Asking again.")
            } _: { event throws(ClusterClientError) in
                let lines = try client.reading { () throws(MissingField) in try screen.lines(event) }
                for line in lines { Output.line(line) }
            }
        }
    }
}
