package import Discovery
import NIOCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

extension HostAddress {
    /// Reads a number as text; nil for a name.
    package init?(text: String) {
        guard let address = try? SocketAddress(ipAddress: text, port: 0) else { return nil }
        self.init(address)
    }

    /// The number of a socket's address; nil for other kinds of addresses.
    init?(_ address: SocketAddress) {
        switch address {
        case .v4(let address): self.init(bytes: withUnsafeBytes(of: address.address) { Array($0[4..<8]) })
        case .v6(let address): self.init(bytes: withUnsafeBytes(of: address.address) { Array($0[8..<24]) })
        default: return nil
        }
    }

    /// An IPv4 address as the system takes it for an option of a socket: its bytes in their order; nil for IPv6.
    var optionValue: in_addr? {
        guard !isVersion6 else { return nil }
        return withUnsafeBytes(of: (bytes[0], bytes[1], bytes[2], bytes[3])) { $0.loadUnaligned(as: in_addr.self) }
    }
}

extension SocketAddress {
    /// An address that counts on one link only says which. The number of the link stands behind family, port, flow and
    /// address.
    func scoped(to index: Int) -> SocketAddress {
        guard case .v6(let address) = self else { return self }
        var socket = address.address
        withUnsafeMutableBytes(of: &socket) { $0.storeBytes(of: UInt32(index), toByteOffset: 24, as: UInt32.self) }
        return SocketAddress(socket)
    }
}
