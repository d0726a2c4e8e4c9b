import Fabric

/// Looks at the addresses of this machine from time to time, and tells the cluster when they are others.
struct AddressWatch: Sendable {
    /// Time between looks. **Units:** seconds.
    private static let lookSeconds: Int64 = 15

    /// Port of the control channel.
    let port: Int
    /// Hosts by which others can reach this machine now.
    let hosts: @Sendable () -> [String]

    /// The addresses for the member's record; nil while the machine has no network, which is no news: whoever reads
    /// the record will look for it where it was.
    var addresses: [String]? {
        let hosts = hosts()
        let isAway = hosts.allSatisfy { PeerAddress(host: $0, port: port).reach == .loopback }
        return isAway ? nil : hosts.map { "\(PeerAddress(host: $0, port: port))" }
    }

    /// Looks until the task is cancelled.
    func run(_ service: ClusterService) async {
        while (try? await Task.sleep(for: .seconds(Self.lookSeconds))) != nil {
            if let addresses { await service.move(to: addresses) }
        }
    }
}
