import ArgumentParser
import Identity
import Logging
import Node

/// `skein join`: a node that joins a cluster and serves what the cluster serves.
struct Join: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Join a cluster with the line that 'skein token create' printed, and serve.",
        discussion: """
            Once it has joined, the node remembers its cluster: 'skein join' without a ticket, or 'skein serve', \
            starts it again. On a machine that is in no cluster it lists those on this network, and what to type.
            """)

    @Argument(help: "The ticket, skein1:HOST:PORT,…:SHA256:SECRET. Not needed once the node has joined.")
    var ticket: String?

    @Option(help: "Where the API listens, HOST:PORT.")
    var listen = "127.0.0.1:7534"

    @Flag(help: "Run stages, but hold no copy of the cluster's key and never vote.")
    var worker = false

    @Option(help: "Compute threads of a stage. Default: all cores.")
    var threads: Int?

    @OptionGroup var devices: DeviceOptions
    @OptionGroup var disk: PrefixDiskOptions
    @OptionGroup var exposure: ExposureOptions
    @OptionGroup var cluster: ClusterOptions
    @OptionGroup var logging: LoggingOptions

    func validate() throws { _ = try Serve.address(listen) }

    func run() async throws {
        var configuration = NodeConfiguration(deployments: [])
        let (host, port) = try Serve.address(listen)
        (configuration.host, configuration.port) = (host, port)
        configuration.exposure = exposure.exposure
        configuration.devices = devices.names
        var settings = try cluster.settings
        settings.threads = try EngineOptions.checked(threads: threads)
        settings.archive = disk.settings
        settings.part = worker ? .worker : .member
        if let ticket {
            do throws(JoinTicketError) {
                settings.ticket = try JoinTicket(ticket)
            } catch {
                Output.error("\(error)")
                throw ExitCode(2)
            }
        }
        // Whoever means to join must not become a cluster of its own for want of a ticket.
        settings.founds = false
        configuration.cluster = settings
        configuration.needsCluster = true
        let logger = try logging.logger
        let node = NodeService(configuration, executable: try ThisProgram.path, logger: logger)
        let looks = ticket == nil && settings.discovers
        try await NodeEnding.reported(listen: listen) {
            do {
                try await node.run { port in Output.line("skein serves its cluster at http://\(host):\(port)/v1") }
            } catch IdentityError.notMember where looks {
                let seen = await ClusterSearch.nodes(logger)
                for line in DiscoveredText.invitation(seen) { Output.line(line) }
                throw IdentityError.notMember
            }
        }
    }
}
