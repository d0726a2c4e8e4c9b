package import Discovery
import Fabric
import Identity
package import Logging
import Multicast

/// Looks around on this machine's networks, once.
package enum ClusterSearch {
    /// How long is looked for everything there is. **Units:** milliseconds.
    package static let milliseconds: Int64 = 2500
    /// How long is looked for one cluster. **Units:** milliseconds.
    package static let clusterMilliseconds: Int64 = 4000

    /// The nodes that answer within a moment, of any cluster.
    package static func nodes(_ logger: Logger) async -> [Sighting] {
        await LanDiscovery.look(milliseconds: milliseconds, logger: logger)
    }

    /// A ticket with the addresses at which nodes say to be of its cluster; whether they are is found out before the
    /// secret is told. Nil when there is none.
    static func ticket(like ticket: JoinTicket, _ logger: Logger) async -> JoinTicket? {
        let wanted = ticket.authority.bytes
        let seen = await LanDiscovery.look(milliseconds: clusterMilliseconds, logger: logger) { seen in
            seen.contains { $0.notice.authority == wanted }
        }
        return self.ticket(like: ticket, seen: seen)
    }

    /// As above, with what was seen.
    static func ticket(like ticket: JoinTicket, seen: [Sighting]) -> JoinTicket? {
        let nodes = seen.filter { $0.notice.authority == ticket.authority.bytes }.map(\.peerAddresses)
        // The best address of each node first, then the second of each, and so on.
        let longest = nodes.map(\.count).max() ?? 0
        let ranked = (0..<longest).flatMap { place in nodes.compactMap { $0.count > place ? $0[place] : nil } }
        let addresses = ranked.compactMap { try? ClusterAddress(host: $0.host, port: $0.port) }
        return try? JoinTicket(
            addresses: Array(addresses.prefix(Identity.Limits.ticketAddresses)), authority: ticket.authority,
            secret: ticket.secret)
    }
}

extension JoinError {
    /// Whether the cluster may answer at other addresses than those that were tried.
    var mayBeElsewhere: Bool {
        switch self {
        case .unreachable, .otherAuthority, .timedOut, .violation, .untrusted: true
        case .ticket, .identity, .refused: false
        }
    }
}
