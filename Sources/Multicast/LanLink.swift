import Discovery
import Logging
import NIOCore
import NIOPosix
import Vocabulary

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// One network: a brain and up to two sockets. Lives on one event loop.
final class LanLink {
    private let network: LanNetwork
    private let loop: any EventLoop
    private let logger: Logger
    private let changed: () -> Void
    private let failed: (String) -> Void
    private var brain: LinkBrain
    private var channels: [any Channel] = []
    private var wake: Scheduled<Void>?
    private var told: [HostAddress] = []
    private var machine: Set<HostAddress> = []
    private var isClosed = false

    init(
        _ network: LanNetwork, seed: UInt64, on loop: any EventLoop, logger: Logger,
        changed: @escaping () -> Void, failed: @escaping (String) -> Void
    ) {
        self.network = network
        self.loop = loop
        self.logger = logger
        self.changed = changed
        self.failed = failed
        brain = LinkBrain(seed: seed)
    }

    var sightings: [Sighting] { brain.sightings }

    /// Whether the sockets fit what the network has become.
    func serves(_ other: LanNetwork) -> Bool { network == other }

    /// Opens a socket for each kind of addresses the network has; the brain begins when one is open.
    func open(telling notice: ServiceNotice?, _ told: [HostAddress], machine: Set<HostAddress>) {
        (self.told, self.machine) = (told, machine)
        _ = brain.handle(.notice(notice), now: now)
        let kinds = Set(network.addresses.map(\.isVersion6)).sorted { !$0 && $1 }
        let link = NIOLoopBound(self, eventLoop: loop)
        let opening = kinds.map { isVersion6 in
            LanSocket.open(network, isVersion6: isVersion6, on: loop) { bytes, source in
                link.value.handle(.received(bytes, from: source))
            }
        }
        EventLoopFuture.whenAllComplete(opening, on: loop).whenSuccess { results in
            link.value.opened(results)
        }
    }

    private func opened(_ results: [Result<any Channel, any Error>]) {
        channels = results.compactMap { try? $0.get() }
        guard !isClosed else { return drop() }
        for case .failure(let error) in results {
            logger.debug("no multicasts", metadata: ["network": "\(network.name)", "why": "\(error)"])
            if channels.isEmpty { failed("\(network.name): \(error)") }
        }
        guard !channels.isEmpty else { return }
        logger.debug(
            "looking for other machines",
            metadata: ["network": "\(network.name)", "addresses": "\(told)", "sockets": "\(channels.count)"])
        handle(.network(told, machine: machine))
    }

    /// The machine has other addresses, or this link tells others.
    func follow(_ told: [HostAddress], machine: Set<HostAddress>) {
        guard told != self.told || machine != self.machine else { return }
        (self.told, self.machine) = (told, machine)
        if !channels.isEmpty { handle(.network(told, machine: machine)) }
    }

    func tell(_ notice: ServiceNotice?) { handle(.notice(notice)) }

    /// The network is gone.
    func drop() {
        isClosed = true
        wake?.cancel()
        for channel in channels { channel.close(promise: nil) }
        channels = []
    }

    /// Takes back what was told, then closes.
    func close() -> EventLoopFuture<Void> {
        wake?.cancel()
        let sent = send(brain.handle(.leave, now: now).send)
        isClosed = true
        let link = NIOLoopBound(self, eventLoop: loop)
        let limit = loop.scheduleTask(in: .milliseconds(MulticastLimits.goodbyeMilliseconds)) { link.value.drop() }
        return EventLoopFuture.andAllComplete(sent, on: loop).map {
            limit.cancel()
            link.value.drop()
        }
    }

    private var now: Instant { Instant(nanoseconds: Int64(NIODeadline.now().uptimeNanoseconds)) }

    private func handle(_ input: LinkBrain.Input) {
        guard !isClosed else { return }
        let effects = brain.handle(input, now: now)
        for sending in send(effects.send) {
            let link = NIOLoopBound(self, eventLoop: loop)
            sending.whenFailure { error in link.value.unsent(error) }
        }
        if let error = effects.malformed {
            logger.debug("a datagram was dropped", metadata: ["network": "\(network.name)", "why": "\(error)"])
        }
        if let name = effects.renamed {
            logger.info("another machine has this name", metadata: ["network": "\(network.name)", "now": "\(name)"])
        }
        wake?.cancel()
        wake = effects.wakeAt.map { due in
            let delay = max(0, due.since(now).inNanoseconds)
            return loop.assumeIsolated().scheduleTask(in: .nanoseconds(delay)) { [weak self] in self?.handle(.tick) }
        }
        if effects.hasNews { changed() }
    }

    private func unsent(_ error: any Error) {
        guard !isClosed else { return }
        logger.debug("a multicast was not sent", metadata: ["network": "\(network.name)", "why": "\(error)"])
        failed("\(network.name): \(error)")
    }

    /// What is for all goes out on every socket: who hears one only is reached, too.
    private func send(_ datagrams: [Datagram]) -> [EventLoopFuture<Void>] {
        datagrams.flatMap { datagram in
            channels.compactMap { channel -> EventLoopFuture<Void>? in
                let isVersion6 = channel.localAddress?.protocol == .inet6
                let target =
                    datagram.to.map { LanSocket.address(of: $0, on: network) }
                    ?? LanSocket.group(network, isVersion6: isVersion6)
                guard let target, (target.protocol == .inet6) == isVersion6 else { return nil }
                let data = channel.allocator.buffer(bytes: datagram.bytes)
                return channel.writeAndFlush(AddressedEnvelope(remoteAddress: target, data: data))
            }
        }
    }
}

/// Sockets of multicast DNS, beside those of other programs.
enum LanSocket {
    /// The group all on the link listen to. **Source:** RFC 6762 §3.
    static func group(_ network: LanNetwork, isVersion6: Bool) -> SocketAddress? {
        let port = Int(DatagramSource.multicastPort)
        guard isVersion6 else { return try? SocketAddress(ipAddress: "224.0.0.251", port: port) }
        return (try? SocketAddress(ipAddress: "ff02::fb", port: port))?.scoped(to: network.index)
    }

    /// Where a datagram came from, as the place to send one to.
    static func address(of source: DatagramSource, on network: LanNetwork) -> SocketAddress? {
        (try? SocketAddress(ipAddress: source.address.description, port: Int(source.port)))?.scoped(to: network.index)
    }

    /// Opens a socket of one network. It is bound to the group, so that it gets no datagram that is meant for another
    /// program of this port; every datagram that comes in on another network is dropped.
    static func open(
        _ network: LanNetwork, isVersion6: Bool, on loop: any EventLoop,
        received: @escaping @Sendable ([UInt8], DatagramSource) -> Void
    ) -> EventLoopFuture<any Channel> {
        guard let group = group(network, isVersion6: isVersion6),
            let member = isVersion6 ? network.device6 : network.device4
        else {
            return loop.makeFailedFuture(ChannelError.unknownLocalAddress)
        }
        let reuse = ChannelOptions.Types.SocketOption(level: .socket, name: .init(rawValue: SO_REUSEPORT))
        let index = network.index
        let device = NIOLoopBound(member, eventLoop: loop)
        return DatagramBootstrap(group: loop)
            .channelOption(.socketOption(.so_reuseaddr), value: 1)
            .channelOption(reuse, value: 1)
            .channelOption(.receivePacketInfo, value: true)
            .channelOption(
                .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: DiscoveryLimits.datagramBytes + 1)
            )
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(LanReceiver(index: index, received: received))
                }
            }
            .bind(to: group)
            .flatMap { channel in
                let joined = prepare(channel, device.value, index: index, isVersion6: isVersion6, group)
                joined.whenFailure { _ in channel.close(promise: nil) }
                return joined.map { channel }
            }
    }

    private static func prepare(
        _ channel: any Channel, _ device: NIONetworkDevice, index: Int, isVersion6: Bool, _ group: SocketAddress
    ) -> EventLoopFuture<Void> {
        guard let options = channel as? any SocketOptionProvider, let member = channel as? any MulticastChannel else {
            return channel.eventLoop.makeFailedFuture(ChannelError.operationUnsupported)
        }
        let promise = channel.eventLoop.makePromise(of: Void.self)
        if isVersion6 {
            let sending = options.setIPv6MulticastIF(CUnsignedInt(index))
                .and(options.setIPv6MulticastHops(255))
            member.joinGroup(group, device: device, promise: promise)
            return sending.and(promise.futureResult).map { _ in }
        }
        guard let own = device.address.flatMap({ HostAddress($0) })?.optionValue else {
            promise.fail(ChannelError.unknownLocalAddress)
            return promise.futureResult
        }
        let sending = options.setIPMulticastIF(own).and(options.setIPMulticastTTL(255))
        member.joinGroup(group, device: device, promise: promise)
        return sending.and(promise.futureResult).map { _ in }
    }
}

/// Hands on what came in on one network.
private final class LanReceiver: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private let index: Int
    private let received: @Sendable ([UInt8], DatagramSource) -> Void

    init(index: Int, received: @escaping @Sendable ([UInt8], DatagramSource) -> Void) {
        self.index = index
        self.received = received
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        guard envelope.metadata?.packetInfo.map({ $0.interfaceIndex == index }) ?? true,
            let address = HostAddress(envelope.remoteAddress),
            let port = envelope.remoteAddress.port.flatMap({ UInt16(exactly: $0) })
        else { return }
        received(Array(envelope.data.readableBytesView), DatagramSource(address: address, port: port))
    }

    /// A datagram that could not be sent is reported where it was sent.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}
