package import Discovery

/// What discovery on this machine's networks is told.
package struct LanSettings: Sendable {
    /// What to tell about this node; nil only listens.
    package var notice: ServiceNotice?
    /// Address the node's ports bind: it is told only where that is reached.
    package var bound = "0.0.0.0"
    /// Addresses others should use in place of those of each network; names are left out.
    package var advertised: [String] = []
    /// Seed of the times chosen by chance.
    package var seed: UInt64

    /// Only listens, until a notice is set.
    package init(seed: UInt64) { self.seed = seed }

    /// The addresses to tell on a network that has these.
    package func told(on addresses: [HostAddress]) -> [HostAddress] {
        guard advertised.isEmpty else { return advertised.compactMap { HostAddress(text: $0) }.filter(\.isDialable) }
        switch bound {
        case "0.0.0.0": return addresses.filter { !$0.isVersion6 }
        case "::": return addresses
        default: return addresses.filter { $0 == HostAddress(text: bound) }
        }
    }
}

/// Bounds of the sockets of discovery.
package enum MulticastLimits {
    /// Networks discovery takes part in.
    package static let links = 16
    /// Time between looks at the machine's networks, which come and go. **Units:** seconds.
    static let scanSeconds: Int64 = 5
    /// How long the last words may take. **Units:** milliseconds.
    static let goodbyeMilliseconds: Int64 = 500
}
