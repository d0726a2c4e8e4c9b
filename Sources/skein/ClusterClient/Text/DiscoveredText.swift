import Dialects
import Discovery
import Fabric
import Node
import Vocabulary

/// What was seen on this machine's networks, as lines for people and as JSON. All of it was said by anybody.
enum DiscoveredText {
    static let nothing = "No node was seen on this machine's networks."

    /// `own` is the cluster of the node that was asked; nil when none answered.
    static func nodes(_ seen: [Sighting], own: UInt64?) -> [String] {
        guard !seen.isEmpty else { return [nothing] }
        let rows = seen.map { sighting in
            let notice = sighting.notice
            return [
                Hexadecimal.text(of: notice.node), notice.name.isEmpty ? "-" : notice.name,
                Hexadecimal.text(of: notice.cluster), own.map { $0 == notice.cluster ? "yes" : "no" } ?? "?",
                notice.release.isEmpty ? "-" : notice.release,
                sighting.peerAddresses.map(\.description).joined(separator: ", "),
            ]
        }
        return TextTable(titles: ["ID", "NAME", "CLUSTER", "OURS", "RELEASE", "ADDRESSES"], rows: rows).lines
    }

    /// For a machine that is in no cluster: which there are, and what to type.
    static func invitation(_ seen: [Sighting]) -> [String] {
        guard !seen.isEmpty else { return [nothing] }
        var clusters: [UInt64: [Sighting]] = [:]
        for sighting in seen { clusters[sighting.notice.cluster, default: []].append(sighting) }
        let rows = clusters.keys.sorted().map { cluster in
            let nodes = clusters[cluster] ?? []
            return [
                Hexadecimal.text(of: cluster), "\(nodes.count)",
                nodes.map { $0.notice.name.isEmpty ? "-" : $0.notice.name }.joined(separator: ", "),
                nodes.first?.peerAddresses.first.map { "\($0)" } ?? "-",
            ]
        }
        return ["Clusters on this machine's networks:"]
            + TextTable(titles: ["CLUSTER", "NODES", "NAMES", "ADDRESS"], rows: rows, indent: 2).lines
            + [
                "To join one, run 'skein token create' on one of its machines, and the line it prints on this one:",
                "  skein join skein1:…",
            ]
    }

    static func json(_ seen: [Sighting], own: UInt64?) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("nodes")
        writer.beginArray()
        for sighting in seen {
            let notice = sighting.notice
            writer.beginObject()
            writer.key("id")
            writer.string(Hexadecimal.text(of: notice.node))
            writer.key("name")
            writer.string(notice.name)
            writer.key("cluster")
            writer.string(Hexadecimal.text(of: notice.cluster))
            writer.key("authority")
            writer.string(Hexadecimal.text(notice.authority))
            writer.key("release")
            writer.string(notice.release)
            if let own {
                writer.key("ours")
                writer.bool(own == notice.cluster)
            }
            writer.key("addresses")
            writer.beginArray()
            for address in sighting.peerAddresses { writer.string("\(address)") }
            writer.endArray()
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.text
    }
}
