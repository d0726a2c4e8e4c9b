import Testing

@testable import Fabric

@Suite struct `Addresses of a peer` {
    static func ranked(_ texts: [String], worked: String? = nil, measured: [String: Int64] = [:]) -> [String] {
        let times = measured.map { (PeerAddress($0.key), $0.value) }
        return PeerAddress.ranked(
            texts, worked: worked.flatMap { PeerAddress($0) },
            measured: times.reduce(into: [:]) { table, pair in pair.0.map { table[$0] = pair.1 } }
        ).map(\.description)
    }

    @Test func `networks come first, then overlays, containers, link-local and loopback`() {
        let worst = [
            "127.0.0.1:1", "[fe80::1]:1", "169.254.3.4:1", "172.17.0.2:1", "10.88.0.3:1", "10.244.1.1:1",
            "100.64.0.9:1",
            "[fd7a:115c:a1e0::1]:1", "192.168.1.4:1", "[2001:db8::1]:1", "box.example:1",
        ]
        #expect(
            Self.ranked(worst) == [
                "192.168.1.4:1", "[2001:db8::1]:1", "box.example:1", "100.64.0.9:1", "[fd7a:115c:a1e0::1]:1",
                "172.17.0.2:1", "10.88.0.3:1", "10.244.1.1:1", "[fe80::1]:1", "169.254.3.4:1", "127.0.0.1:1",
            ])
    }

    @Test func `what worked comes first, and of equal networks the quicker one`() {
        let all = ["10.0.0.1:1", "10.0.1.1:1", "10.0.2.1:1", "100.64.0.1:1"]
        let measured: [String: Int64] = ["10.0.1.1:1": 900, "10.0.2.1:1": 200, "100.64.0.1:1": 1]
        #expect(
            Self.ranked(all, measured: measured) == ["10.0.2.1:1", "10.0.1.1:1", "10.0.0.1:1", "100.64.0.1:1"])
        #expect(Self.ranked(all, worked: "100.64.0.1:1", measured: measured).first == "100.64.0.1:1")
    }

    @Test func `there are no more than are tried`() {
        #expect(Self.ranked((0..<99).map { "10.0.0.\($0):1" }).count == FabricLimits.addressesPerPeer)
        #expect(Self.ranked(["nonsense", "10.0.0.1:1", "10.0.0.1:1"]) == ["10.0.0.1:1"])
    }

    @Test(arguments: [
        ("eth0", PeerAddress.Reach.network), ("en0", .network), ("bond0", .network), ("docker0", .container),
        ("br-12ab", .container), ("virbr0", .container), ("wg0", .overlay), ("tailscale0", .overlay),
        ("utun3", .overlay), ("br0", .network),
    ])
    func `a device tells what its addresses are`(device: String, reach: PeerAddress.Reach) {
        #expect(PeerAddress.Reach(device: device) == reach)
    }
}
