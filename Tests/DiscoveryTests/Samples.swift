import Vocabulary

@testable import Discovery

enum Samples {
    static func notice(_ name: String, node: UInt64, port: UInt16 = 7535) -> ServiceNotice {
        ServiceNotice(
            cluster: 0xC1, authority: [UInt8](repeating: 0xAB, count: 32), node: node, name: name, release: "0.1.0",
            version: 1, port: port, dataPort: 7536)
    }

    static func address(_ last: UInt64) -> HostAddress? { HostAddress(bytes: [10, 0, 0, UInt8(last)]) }

    static func own(_ name: String, node: UInt64) -> OwnRecords {
        OwnRecords(notice(name, node: node), [address(node)].compactMap { $0 }, instanceNumber: 1, hostNumber: 1)
    }
}

/// Hosts on one link, under a clock that only they move. Everybody hears what is sent to all, its sender too.
struct VirtualLink {
    struct Host {
        var brain: LinkBrain
        var wakeAt: Instant?
        var source: DatagramSource
        var isUp = true
    }

    struct Sent {
        let at: Instant
        let by: Int
        let to: DatagramSource?
        let message: DNSMessage
    }

    var hosts: [Host] = []
    var now = Instant(nanoseconds: 1)
    var log: [Sent] = []
    var random: SeededRandom
    /// Of a thousand datagrams to one host, how many are lost.
    var loss = 0

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    /// A host; nil as its notice only listens.
    @discardableResult
    mutating func add(_ notice: ServiceNotice?, address: HostAddress?) -> Int {
        let index = hosts.count
        let own = address ?? HostAddress(bytes: [10, 0, 1, UInt8(index)]) ?? hosts[0].source.address
        hosts.append(
            Host(
                brain: LinkBrain(seed: random.next()), wakeAt: nil,
                source: DatagramSource(address: own, port: DatagramSource.multicastPort)))
        give(.notice(notice), to: index)
        give(.network(address.map { [$0] } ?? [], machine: [own]), to: index)
        return index
    }

    mutating func give(_ input: LinkBrain.Input, to index: Int) {
        guard hosts[index].isUp else { return }
        let effects = hosts[index].brain.handle(input, now: now)
        hosts[index].wakeAt = effects.wakeAt
        for datagram in effects.send {
            guard let message = try? DNSMessage(bytes: datagram.bytes) else { continue }
            log.append(Sent(at: now, by: index, to: datagram.to, message: message))
            for other in hosts.indices where datagram.to == nil || datagram.to == hosts[other].source {
                guard other == index || random.below(1000) >= loss else { continue }
                give(.received(datagram.bytes, from: hosts[index].source), to: other)
            }
        }
    }

    /// Goes on until that much time has passed.
    mutating func run(_ duration: Duration) {
        let end = now.advanced(by: duration)
        while let index = hosts.indices.filter({ hosts[$0].isUp && hosts[$0].wakeAt != nil }).min(by: {
            (hosts[$0].wakeAt ?? end, $0) < (hosts[$1].wakeAt ?? end, $1)
        }), let due = hosts[index].wakeAt, due <= end {
            now = max(now, due)
            give(.tick, to: index)
        }
        now = end
    }

    func names(seenBy index: Int) -> [String] { hosts[index].brain.sightings.map(\.notice.name).sorted() }

    func sent(by index: Int, since: Instant = Instant(nanoseconds: 0)) -> [Sent] {
        log.filter { $0.by == index && $0.at >= since }
    }

    /// Datagrams from outside.
    mutating func inject(_ message: DNSMessage, port: UInt16 = 5353, to index: Int = 0) {
        let stranger = DatagramSource(
            address: HostAddress(bytes: [10, 0, 0, 250]) ?? hosts[0].source.address, port: port)
        give(.received(message.bytes, from: stranger), to: index)
    }
}
