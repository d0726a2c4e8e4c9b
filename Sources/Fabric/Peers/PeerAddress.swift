/// Where a node's cluster port is reached.
package struct PeerAddress: Hashable, Sendable, CustomStringConvertible {
    /// What kind of network an address is of, best first.
    package enum Reach: UInt8, Sendable, Comparable {
        /// An ordinary address of a network, or a name.
        case network = 0
        /// An address of an overlay network.
        case overlay = 1
        /// An address of containers on one machine.
        case container = 2
        /// An address that counts on one cable only.
        case linkLocal = 3
        /// This machine itself.
        case loopback = 4

        /// What the name of a device tells of the networks it leads to.
        package init(device: String) {
            let containers = ["docker", "br-", "veth", "cni", "flannel", "podman", "virbr", "lxc", "lxd", "vmnet"]
            let overlays = ["tun", "tap", "utun", "wg", "tailscale", "zt", "ppp", "ipsec", "nebula"]
            if containers.contains(where: { device.hasPrefix($0) }) {
                self = .container
            } else {
                self = overlays.contains { device.hasPrefix($0) } ? .overlay : .network
            }
        }

        /// Orders by preference.
        package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
    }

    /// Name or number of the host.
    package let host: String
    /// TCP port.
    package let port: Int

    /// Makes an address.
    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `HOST:PORT` or `[IPV6]:PORT`; nil when it is neither.
    package init?(_ text: String) {
        guard text.utf8.count <= 300, let colon = text.lastIndex(of: ":"),
            let port = Int(text[text.index(after: colon)...]), (1...65535).contains(port)
        else { return nil }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty else { return nil }
        self.init(host: host, port: port)
    }

    /// `HOST:PORT` or `[IPV6]:PORT`.
    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// What kind of network it is of, as far as the number tells.
    package var reach: Reach {
        if host == "localhost" { return .loopback }
        let numbers = host.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
        if numbers.count == 4, !numbers.contains(nil) {
            return Self.reach(numbers.reduce(0) { $0 << 8 | UInt32($1 ?? 0) })
        }
        guard host.contains(":") else { return .network }
        let text = host.lowercased()
        if text == "::1" { return .loopback }
        if ["fe8", "fe9", "fea", "feb"].contains(where: { text.hasPrefix($0) }) { return .linkLocal }
        return text.hasPrefix("fd7a:115c:a1e0:") ? .overlay : .network
    }

    private static func reach(_ value: UInt32) -> Reach {
        func isIn(_ first: UInt8, _ second: UInt8, _ bits: UInt32) -> Bool {
            let network = UInt32(first) << 24 | UInt32(second) << 16
            return value >> (32 - bits) == network >> (32 - bits)
        }
        if isIn(127, 0, 8) { return .loopback }
        if isIn(169, 254, 16) { return .linkLocal }
        // Shared address space, which overlay networks give their members.
        if isIn(100, 64, 10) { return .overlay }
        // What container engines use unless told otherwise: docker, podman, flannel.
        if isIn(172, 17, 16) || isIn(10, 88, 16) || isIn(10, 244, 16) { return .container }
        return .network
    }

    /// The readable ones of a member's addresses in the order they are tried: the one that worked last, then by reach,
    /// then the shortest measured round trip, then as the member gave them; at most `FabricLimits.addressesPerPeer`.
    /// **Units:** nanoseconds.
    package static func ranked(
        _ texts: [String], worked: PeerAddress?, measured: [PeerAddress: Int64] = [:]
    ) -> [PeerAddress] {
        var addresses: [PeerAddress] = []
        for text in texts {
            guard let address = PeerAddress(text), !addresses.contains(address) else { continue }
            addresses.append(address)
        }
        let order = addresses.enumerated().sorted { left, right in
            let (first, second) = (left.element == worked, right.element == worked)
            if first != second { return first }
            let (near, far) = (left.element.reach, right.element.reach)
            guard near == far else { return near < far }
            let (quick, slow) = (measured[left.element] ?? .max, measured[right.element] ?? .max)
            return quick == slow ? left.offset < right.offset : quick < slow
        }
        return order.prefix(FabricLimits.addressesPerPeer).map(\.element)
    }
}
