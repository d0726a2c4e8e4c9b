import Cluster
package import Discovery
package import Fabric
import Identity
import Logging
import Multicast

/// Tells this machine's networks where this node of its cluster is, and the control channel where the others are.
struct ClusterDiscovery: Sendable {
    private let settings: LanSettings
    private let notice: ServiceNotice
    private let fabric: ControlFabric
    private let logger: Logger

    init(notice: ServiceNotice, settings: ClusterSettings, fabric: ControlFabric, logger: Logger) {
        var told = LanSettings(seed: .random(in: .min ... .max))
        told.notice = notice
        (told.bound, told.advertised) = (settings.host, settings.advertised)
        self.settings = told
        self.notice = notice
        self.fabric = fabric
        self.logger = logger
    }

    /// Runs until the task is cancelled.
    func run() async {
        let (stream, sink) = AsyncStream.makeStream(of: [Sighting].self, bufferingPolicy: .bufferingNewest(1))
        let lan = LanDiscovery.open(settings, logger: logger) { sink.yield($0) }
        for await seen in stream {
            let members = Self.members(seen, of: notice)
            logger.debug("members seen on this machine's networks", metadata: ["count": "\(members.count)"])
            fabric.sighted(members)
        }
        await lan.close()
    }

    /// Where the other nodes of a node's cluster were seen.
    static func members(_ seen: [Sighting], of own: ServiceNotice) -> [NodeID: [PeerAddress]] {
        var members: [NodeID: [PeerAddress]] = [:]
        for sighting in seen {
            let notice = sighting.notice
            guard notice.cluster == own.cluster, notice.authority == own.authority, notice.node != own.node else {
                continue
            }
            members[NodeID(notice.node), default: []] += sighting.peerAddresses
        }
        return members
    }
}

extension ServiceNotice {
    /// What a node tells about itself.
    init(_ credentials: NodeCredentials, _ member: Member, port: Int) {
        self.init(
            cluster: credentials.cluster.value, authority: credentials.authority.fingerprint.bytes,
            node: member.node.value, name: member.name, release: NodeService.version,
            version: FabricLimits.versions.upperBound, port: UInt16(clamping: port),
            dataPort: UInt16(clamping: member.dataPort))
    }
}

extension Sighting {
    /// Where it can be dialled, best first.
    package var peerAddresses: [PeerAddress] {
        let all = addresses.map { PeerAddress(host: $0.description, port: Int(notice.port)) }
        return PeerAddress.ranked(all.map(\.description), worked: nil)
    }
}
