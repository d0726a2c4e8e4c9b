import Cluster
package import Etcd
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
    /// Tags of what it can do, beside those of its devices.
    package var tags: [String] = []
    /// Whether the first request for a model that the cluster has and does not serve deploys it.
    package var autoDeploys = true

    /// Whether this node measures how fast its device is, when that is not known from an earlier start.
    package var measuresDevice = true

    /// An etcd that gives the leadership and holds the log; nil leaves that to the nodes.
    package var coordinator: EtcdAddress?
    /// A PEM file with the authorities that may have signed the etcd's certificate; nil trusts the system's.
    package var coordinatorAuthority: String?
    /// Whether this node's copy of the cluster is put into an etcd that holds none.
    package var seedsCoordinator = false

    /// Whether this node tells its networks that it is there, and looks for others.
    package var discovers = true

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
        let found = devices.compactMap { device in
            device.address?.ipAddress.map { (host: String($0.split(separator: "%")[0]), device: device.name) }
        }
        let reachable = ranked(found).filter { host == "::" || !$0.contains(":") }
        return reachable.isEmpty ? ["127.0.0.1"] : Array(reachable.prefix(Identity.Limits.ticketAddresses))
    }

    /// The addresses of this machine that others may reach, best first: by the number and by the device it belongs to,
    /// as an address alone does not tell that it is of an overlay or of containers.
    static func ranked(_ found: [(host: String, device: String)]) -> [String] {
        var best: [String: PeerAddress.Reach] = [:]
        for (host, device) in found {
            let reach = max(PeerAddress(host: host, port: 1).reach, PeerAddress.Reach(device: device))
            best[host] = min(best[host] ?? reach, reach)
        }
        return best.filter { $0.value != .loopback }.sorted { ($0.value, $0.key) < ($1.value, $1.key) }.map(\.key)
    }
}
