import Discovery
import Logging
import NIOCore
import NIOPosix
import Testing

@testable import Multicast

@Suite(.serialized) struct `Discovery on this machine's networks` {
    static func notice(_ node: UInt64, cluster: UInt64) -> ServiceNotice {
        ServiceNotice(
            cluster: cluster, authority: [UInt8](repeating: 3, count: 32), node: node, name: "test-\(node)",
            release: "0.1.0", version: 1, port: 7535, dataPort: 7536)
    }

    static var logger: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }

    @Test func `a node is told where it is bound only`() throws {
        let addresses = ["10.0.0.1", "2001:db8::1"].compactMap { HostAddress(text: $0) }
        var settings = LanSettings(seed: 1)
        #expect(settings.told(on: addresses).map(\.description) == ["10.0.0.1"])
        settings.bound = "::"
        #expect(settings.told(on: addresses) == addresses)
        settings.bound = "10.0.0.1"
        #expect(settings.told(on: addresses).map(\.description) == ["10.0.0.1"])
        settings.bound = "10.0.0.2"
        #expect(settings.told(on: addresses).isEmpty)
        settings.advertised = ["192.0.2.7", "a.name", "127.0.0.1"]
        #expect(settings.told(on: addresses).map(\.description) == ["192.0.2.7"])
    }

    @Test func `a machine without multicasts sees nothing, and nothing fails`() async {
        let seen = await LanDiscovery.look(milliseconds: 1, logger: Self.logger)
        #expect(seen.isEmpty)
    }

    @Test func `two nodes on one machine find each other over its own sockets, and part`() async {
        guard !LanNetwork.all().isEmpty else {
            return print("SKIPPED: no network of this machine takes multicasts")
        }
        let cluster = UInt64.random(in: 1 ... .max)
        var first = LanSettings(seed: 1)
        first.notice = Self.notice(1, cluster: cluster)
        let one = LanDiscovery.open(first, logger: Self.logger) { _ in }
        let seen = await LanDiscovery.look(milliseconds: 5000, logger: Self.logger) { seen in
            seen.contains { $0.notice.cluster == cluster }
        }
        await one.close()
        guard let found = seen.first(where: { $0.notice.cluster == cluster }) else {
            return print("SKIPPED: multicasts of this machine do not come back to it")
        }
        #expect(found.notice == first.notice)
        #expect(!found.addresses.isEmpty)
        let after = await LanDiscovery.look(milliseconds: 1500, logger: Self.logger)
        #expect(!after.contains { $0.notice.cluster == cluster })
    }
}
