/// Where a link goes: an address, and for another machine the name its certificate must have.
package struct LinkTarget: Hashable, Sendable, Codable, CustomStringConvertible {
    /// Where to connect.
    package var address: LinkAddress
    /// Name in the certificate that must answer; nil on this machine, where links are in the clear.
    package var serverName: String?

    /// Makes a target.
    package init(_ address: LinkAddress, serverName: String? = nil) {
        self.address = address
        self.serverName = serverName
    }

    /// The address.
    package var description: String { address.description }
}
