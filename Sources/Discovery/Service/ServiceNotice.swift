import Vocabulary

/// What a node tells its network about itself. Nobody has to believe it: it leads to an address, and whoever dials
/// there asks for proof.
package struct ServiceNotice: Hashable, Sendable {
    /// Identity of the cluster.
    package var cluster: UInt64
    /// Hash of the cluster's certificate, as in a join ticket. **Shape:** 32 bytes.
    package var authority: [UInt8]
    /// Identity of the node.
    package var node: UInt64
    /// The name people gave the node.
    package var name: String
    /// Release of the program.
    package var release: String
    /// Version of the control channel.
    package var version: UInt16
    /// Port for joining and the control channel.
    package var port: UInt16
    /// Port where members ask for stages and models.
    package var dataPort: UInt16

    /// Makes a notice.
    package init(
        cluster: UInt64, authority: [UInt8], node: UInt64, name: String, release: String, version: UInt16,
        port: UInt16, dataPort: UInt16
    ) {
        self.cluster = cluster
        self.authority = authority
        self.node = node
        self.name = name
        self.release = release
        self.version = version
        self.port = port
        self.dataPort = dataPort
    }

    /// As keys and values. **Source:** RFC 6763 §6.
    package var texts: [[UInt8]] {
        let pairs = [
            ("txtvers", "1"), ("cluster", Hexadecimal.text(of: cluster)), ("ca", Hexadecimal.text(authority)),
            ("node", Hexadecimal.text(of: node)),
            ("name", String(decoding: DomainName.cut(name, to: DiscoveryLimits.labelBytes), as: UTF8.self)),
            ("release", String(decoding: DomainName.cut(release, to: DiscoveryLimits.labelBytes), as: UTF8.self)),
            ("proto", "\(version)"), ("port", "\(port)"), ("data", "\(dataPort)"),
        ]
        return pairs.map { Array("\($0)=\($1)".utf8) }
    }

    /// Reads the texts of a service at a port; nil when they are not those of a node. Keys a later version adds are
    /// passed over, and of a key that comes twice the first counts.
    package init?(texts: [[UInt8]], port: UInt16) {
        var values: [String: String] = [:]
        for text in texts {
            guard let equals = text.firstIndex(of: UInt8(ascii: "=")), equals > 0 else { continue }
            let key = String(decoding: text[..<equals], as: UTF8.self).lowercased()
            guard values[key] == nil else { continue }
            values[key] = String(decoding: text[(equals + 1)...], as: UTF8.self)
        }
        guard port > 0, values["txtvers"] == "1", let cluster = values["cluster"].flatMap(Hexadecimal.number),
            cluster != 0,
            let authority = values["ca"].flatMap({ Hexadecimal.bytes($0) }), authority.count == 32,
            let node = values["node"].flatMap(Hexadecimal.number)
        else { return nil }
        self.init(
            cluster: cluster, authority: authority, node: node, name: values["name"] ?? "",
            release: values["release"] ?? "", version: values["proto"].flatMap { UInt16($0) } ?? 0, port: port,
            dataPort: values["data"].flatMap { UInt16($0) } ?? 0)
    }
}

/// A node that was seen on a link.
package struct Sighting: Hashable, Sendable {
    /// What it tells about itself.
    package var notice: ServiceNotice
    /// Where it can be reached, those of IPv4 first.
    package var addresses: [HostAddress]

    /// Puts the two together.
    package init(notice: ServiceNotice, addresses: [HostAddress]) {
        self.notice = notice
        self.addresses = addresses
    }

    /// One entry for each node, whatever links it was seen on, ordered by cluster and node. Of addresses found on
    /// several links each counts once.
    package static func merged(_ links: [[Sighting]]) -> [Sighting] {
        var merged: [Sighting] = []
        var places: [[UInt64]: Int] = [:]
        for sighting in links.joined() {
            let notice = sighting.notice
            let key = [notice.cluster, notice.node, UInt64(notice.port)]
            guard let place = places[key] else {
                places[key] = merged.count
                merged.append(sighting)
                continue
            }
            for address in sighting.addresses where !merged[place].addresses.contains(address) {
                guard merged[place].addresses.count < DiscoveryLimits.addresses * 2 else { break }
                merged[place].addresses.append(address)
            }
        }
        return merged.sorted {
            ($0.notice.cluster, $0.notice.node, $0.notice.port) < ($1.notice.cluster, $1.notice.node, $1.notice.port)
        }
    }
}
