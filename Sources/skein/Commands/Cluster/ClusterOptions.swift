import ArgumentParser
import Fabric
import FoundationEssentials
import Node

/// Where and as what a node takes part in its cluster.
struct ClusterOptions: ParsableArguments {
    @Option(
        help: """
            Where other nodes join and talk to this one, HOST:PORT. Default: all networks, port 7535, or any when that \
            is taken.
            """)
    var clusterListen: String?

    @Option(help: "Port where other nodes ask for stages and models. Default: 7536, or any when that is taken.")
    var dataPort: Int?

    @Option(help: "Name of this node for people. Default: the machine's.")
    var nodeName: String?

    @Option(
        name: .customLong("advertise"), parsing: .singleValue,
        help: "Address by which other nodes reach this one, without a port. May be repeated.")
    var advertised: [String] = []

    @Option(
        name: .customLong("peer"), parsing: .singleValue,
        help: "A member to find the cluster by, HOST:PORT, beside those it remembers. May be repeated.")
    var peers: [String] = []

    @Option(name: .customLong("tag"), parsing: .singleValue, help: "A tag deployments can ask for. May be repeated.")
    var tags: [String] = []

    @OptionGroup var coordinator: CoordinatorOptions

    @Option(help: "Whether the first request for a model that the cluster has and does not serve deploys it.")
    var autoDeploy = Switch.on

    /// Something that is on or off.
    enum Switch: String, ExpressibleByArgument, CaseIterable {
        case on
        case off
    }

    @Flag(
        help: """
            Do not tell this machine's networks about this node, and look for no other there. Also by \
            SKEIN_NO_DISCOVERY=1.
            """)
    var noDiscovery = false

    @Flag(
        help: """
            Do not measure how fast this machine computes, which takes a second once per machine; plans of the cluster \
            then know no speed of it.
            """)
    var noBenchmark = false

    /// Whether networks are told and listened to, by the flag and the environment.
    static func discovers(flag: Bool, environment: [String: String]) -> Bool {
        !flag && ["", "0", "false"].contains(environment["SKEIN_NO_DISCOVERY"] ?? "")
    }

    /// The options that say something about ports and people of a cluster, where they were given.
    var given: [String] {
        [
            clusterListen.map { _ in "--cluster-listen" }, dataPort.map { _ in "--data-port" },
            nodeName.map { _ in "--node-name" }, advertised.first.map { _ in "--advertise" },
            peers.first.map { _ in "--peer" }, tags.first.map { _ in "--tag" },
        ].compactMap(\.self)
    }

    var settings: ClusterSettings {
        get throws {
            var settings = ClusterSettings()
            if let clusterListen {
                (settings.host, settings.port) = try Serve.address(clusterListen, of: "--cluster-listen")
                settings.mayMove = false
                if settings.port == 0 { settings.dataPort = 0 }
            }
            if let dataPort {
                guard (0...65535).contains(dataPort) else {
                    throw ValidationError("--data-port is \(dataPort); it takes 0 … 65535.")
                }
                settings.dataPort = dataPort
            } else if settings.port > 0, !settings.mayMove {
                settings.dataPort = min(settings.port + 1, 65535)
            }
            settings.name = nodeName ?? ""
            settings.advertised = advertised
            settings.discovers = Self.discovers(
                flag: noDiscovery, environment: ProcessInfo.processInfo.environment)
            settings.measuresDevice = !noBenchmark
            settings.tags = tags.sorted()
            settings.autoDeploys = autoDeploy == .on
            settings.seeds = try peers.map { text in
                guard let address = PeerAddress(text) else {
                    throw ValidationError("--peer is '\(text)'; it takes HOST:PORT.")
                }
                return address
            }
            try coordinator.apply(to: &settings, environment: ProcessInfo.processInfo.environment)
            return settings
        }
    }
}
