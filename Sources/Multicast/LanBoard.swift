import Discovery
import Logging
import NIOCore
import NIOPosix

/// The links of this machine, as they come and go. Lives on one event loop, and its state is entered nowhere else.
final class LanBoard: Sendable {
    private let loop: any EventLoop
    private let logger: Logger
    private let changed: @Sendable ([Sighting]) -> Void
    private let state: NIOLoopBoundBox<State>

    private struct State {
        var settings: LanSettings
        var links: [Int: LanLink] = [:]
        var seen: [Sighting] = []
        var next: Scheduled<Void>?
        var isClosed = false
        var hasWarned = false
    }

    init(
        _ settings: LanSettings, on loop: any EventLoop, logger: Logger,
        changed: @escaping @Sendable ([Sighting]) -> Void
    ) {
        self.loop = loop
        self.logger = logger
        self.changed = changed
        state = .makeBoxSendingValue(State(settings: settings), eventLoop: loop)
    }

    /// Follows the machine's networks, now and every few seconds.
    func scan() {
        guard !state.value.isClosed else { return }
        let networks = LanNetwork.all()
        if networks.isEmpty { warn("no network of this machine takes multicasts") }
        for index in state.value.links.keys where !networks.contains(where: { $0.index == index }) {
            state.value.links.removeValue(forKey: index)?.drop()
        }
        let machine = Set(networks.flatMap(\.addresses))
        for network in networks {
            let told = state.value.settings.told(on: network.addresses)
            if let link = state.value.links[network.index], link.serves(network) {
                link.follow(told, machine: machine)
                continue
            }
            state.value.links.removeValue(forKey: network.index)?.drop()
            let settings = state.value.settings
            let link = LanLink(
                network, seed: settings.seed &+ UInt64(network.index), on: loop, logger: logger,
                changed: { [weak self] in self?.gather() }, failed: { [weak self] in self?.warn($0) })
            state.value.links[network.index] = link
            link.open(telling: settings.notice, told, machine: machine)
        }
        gather()
        state.value.next = loop.assumeIsolated().scheduleTask(in: .seconds(MulticastLimits.scanSeconds)) {
            [weak self] in self?.scan()
        }
    }

    func tell(_ notice: ServiceNotice?) {
        state.value.settings.notice = notice
        for link in state.value.links.values { link.tell(notice) }
    }

    func close() -> EventLoopFuture<Void> {
        state.value.isClosed = true
        state.value.next?.cancel()
        let links = Array(state.value.links.values)
        state.value.links = [:]
        return EventLoopFuture.andAllComplete(links.map { $0.close() }, on: loop)
    }

    private func gather() {
        let links = state.value.links
        let seen = Sighting.merged(links.keys.sorted().compactMap { links[$0]?.sightings })
        guard seen != state.value.seen else { return }
        state.value.seen = seen
        changed(seen)
    }

    private func warn(_ reason: String) {
        guard !state.value.hasWarned, !state.value.isClosed else { return }
        state.value.hasWarned = true
        logger.warning(
            "other machines may not be discovered; everything else works as before", metadata: ["why": "\(reason)"])
    }
}

/// A network of this machine that takes multicasts.
struct LanNetwork: Equatable {
    let index: Int
    let name: String
    /// Those others on it can dial, IPv4 first.
    var addresses: [HostAddress]
    /// The device with an address of each kind, as joining a group asks for.
    var device4: NIONetworkDevice?
    var device6: NIONetworkDevice?

    static func == (left: Self, right: Self) -> Bool {
        (left.index, left.name, left.addresses) == (right.index, right.name, right.addresses)
    }

    /// The networks, by their numbers; those where every packet reaches one peer only are left out.
    static func all() -> [LanNetwork] {
        var networks: [Int: LanNetwork] = [:]
        for device in (try? System.enumerateDevices()) ?? [] {
            guard device.multicastSupported, device.pointToPointDestinationAddress == nil, device.interfaceIndex > 0,
                let address = device.address.flatMap({ HostAddress($0) }), address.isDialable
            else { continue }
            var network =
                networks[device.interfaceIndex]
                ?? LanNetwork(index: device.interfaceIndex, name: device.name, addresses: [])
            if !network.addresses.contains(address) { network.addresses.append(address) }
            if address.isVersion6 {
                network.device6 = network.device6 ?? device
            } else {
                network.device4 = network.device4 ?? device
            }
            network.addresses.sort()
            networks[device.interfaceIndex] = network
        }
        return networks.keys.sorted().prefix(MulticastLimits.links).compactMap { networks[$0] }
    }
}
