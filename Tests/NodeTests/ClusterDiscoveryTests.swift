import Fabric
import Testing

@testable import Node

@Suite struct `Addresses of this machine` {
    @Test func `those of overlays and containers come last, also where the number does not tell`() {
        let ranked = ClusterSettings.ranked([
            (host: "127.0.0.1", device: "lo"), (host: "10.9.0.2", device: "wg0"),
            (host: "172.18.0.1", device: "br-1a2b"),
            (host: "169.254.8.8", device: "eth1"), (host: "192.168.1.5", device: "eth0"),
            (host: "100.101.0.1", device: "eth2"),
        ])
        #expect(ranked == ["192.168.1.5", "10.9.0.2", "100.101.0.1", "172.18.0.1", "169.254.8.8"])
    }
}
