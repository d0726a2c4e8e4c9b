import Cluster
package import Fabric
package import Identity
import NIOCore
package import Runner
import Vocabulary

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What a node is told about its cluster.
package struct ClusterSettings: Sendable {
    /// Address the cluster's ports bind.
    package var host = "0.0.0.0"
    /// Port for joining and the control channel; 0 lets the system choose.
    package var port = Self.defaultPort
    /// Port where members ask for stages and models; 0 lets the system choose.
    package var dataPort = Self.defaultPort + 1
    /// Whether another port is taken when one of the two is in use already.
    package var mayMove = true
    /// What lets this node into a cluster.
    package var ticket: JoinTicket?
    /// Whether a node that is in no cluster and has no ticket founds its own.
    package var founds = true
    /// Members to find the cluster by, beside those it remembers.
    package var seeds: [PeerAddress] = []
    /// The name people gave this node; the machine's own when empty.
    package var name = ""
    /// Addresses others should use; those of the machine's networks when empty.
    package var advertised: [String] = []
    /// What the node asks to become when it joins.
    package var part = JoinPart.member
    /// Compute threads of a stage that runs here for the cluster; nil takes all cores.
    package var threads: Int?
    /// Where stages that run here for the cluster keep sequences on disk; nil keeps none there.
    package var archive: ArchiveSettings?
    /// Tags of what it can do.
    package var tags: [String] = []

    /// Port for joining and the control channel unless told otherwise.
    package static let defaultPort = 7535

    /// The defaults.
    package init() {}

    /// The machine's name up to the first dot.
    static var machineName: String {
        var bytes = [CChar](repeating: 0, count: 256)
        guard gethostname(&bytes, bytes.count - 1) == 0 else { return "node" }
        let name = String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return name.split(separator: ".").first.map(String.init) ?? "node"
    }

    /// Hosts by which others can reach what is bound to `host`, ordinary networks first; loopback only when there is
    /// nothing else.
    static func hosts(boundTo host: String) -> [String] {
        guard host == "0.0.0.0" || host == "::" else { return [host] }
        let devices = (try? System.enumerateDevices()) ?? []
        let hosts = devices.compactMap { $0.address?.ipAddress }.map { $0.split(separator: "%")[0] }.map(String.init)
        let reachable = Set(hosts).map { PeerAddress(host: $0, port: 1) }.filter { $0.reach != .loopback }
            .filter { host == "::" || !$0.host.contains(":") }
            .sorted { ($0.reach, $0.host) < ($1.reach, $1.host) }
        return reachable.isEmpty ? ["127.0.0.1"] : reachable.prefix(Identity.Limits.ticketAddresses).map(\.host)
    }
}
