import Cluster
import NIOCore
import NIOPosix
import Vocabulary

/// Everything behind `ControlFabric`, confined to one event loop: the listener, the lines to peers, and the rule which
/// of two connections to one peer stays.
final class Switchboard {
    let settings: FabricSettings
    let loop: any EventLoop
    private let isolated: NIOIsolatedEventLoop
    private let events: @Sendable (FabricEvent) -> Void
    private(set) var cluster: UInt64
    var lines: [NodeID: PeerLine] = [:]
    var seeds: [SeedLine] = []
    /// Where members were seen last, by somebody's word.
    private var sightings: [NodeID: [PeerAddress]] = [:]
    private var removed: Set<NodeID> = []
    private var memberCount = 0
    private var listener: (any Channel)?
    /// Connections in all, and those whose hello is not through.
    private var live: [ObjectIdentifier: ControlConnection] = [:]
    /// Rounds by the try that is under way.
    var dialling: [ObjectIdentifier: DialRound] = [:]
    private var isClosed = false
    /// Neither dials nor accepts.
    private(set) var isIsolated = false
    private var random: SeededRandom
    private var calls: UInt64 = 0

    init(_ settings: FabricSettings, on loop: any EventLoop, events: @escaping @Sendable (FabricEvent) -> Void) {
        self.settings = settings
        self.loop = loop
        isolated = loop.assumeIsolated()
        self.events = events
        cluster = settings.cluster
        random = SeededRandom(seed: settings.seed)
    }

    var isActive: Bool { !isClosed && !isIsolated }

    func after(_ time: TimeAmount, _ body: @escaping () -> Void) -> Scheduled<Void> {
        isolated.scheduleTask(in: time, body)
    }

    func tell(_ event: FabricEvent) { events(event) }

    func hello(call: UInt64) -> ControlHello {
        ControlHello(
            cluster: cluster, node: settings.node, boot: settings.boot, call: call, nonce: UInt64.random(in: 0 ... .max)
        )
    }

    // MARK: Listening

    func listen(port: Int) -> EventLoopFuture<Int> {
        let board = NIOLoopBound(self, eventLoop: loop)
        let bound =
            if let security = settings.security {
                security.listen(settings.host, port, loop) { channel, node in
                    channel.eventLoop.makeCompletedFuture { try board.value.accept(channel, from: node) }
                }
            } else {
                ServerBootstrap(group: loop)
                    .serverChannelOption(.backlog, value: FabricLimits.backlog)
                    .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                    .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                    .childChannelInitializer { channel in
                        channel.eventLoop.makeCompletedFuture { try board.value.accept(channel, from: nil) }
                    }
                    .bind(host: settings.host, port: port)
            }
        return bound.map { channel in
            board.value.listener = channel
            return channel.localAddress?.port ?? port
        }
    }

    static var waterMark: ChannelOptions.Types.WriteBufferWaterMark {
        .init(low: FabricLimits.lowWaterBytes, high: FabricLimits.highWaterBytes)
    }

    /// Takes a connection; `node` is who dialled it, nil where nobody proves anything.
    private func accept(_ channel: any Channel, from node: NodeID?) throws {
        let pending = live.values.count { !$0.isEstablished }
        guard isActive, live.count < FabricLimits.connections, pending < FabricLimits.pendingConnections else {
            throw FabricClosure.refusedHere(FabricRefusal(.crowded, "\(live.count) connections are open already."))
        }
        let connection = ControlConnection(board: self, rules: .init(), address: "", call: nil)
        try configure(channel, connection, proven: node)
    }

    func configure(_ channel: any Channel, _ connection: ControlConnection, proven node: NodeID?) throws {
        try channel.syncOptions?.setOption(.writeBufferWaterMark, value: Self.waterMark)
        connection.proven = node
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(ByteToMessageHandler(ControlFrameDecoder(rules: connection.rules)))
        live[ObjectIdentifier(connection)] = connection
        try pipeline.addHandler(connection)
    }

    func nextCall() -> UInt64 {
        calls += 1
        return calls
    }

    // MARK: Connections

    /// Why a peer that said hello is not talked to; nil when it is. Decides which of two connections stays.
    func refusal(of connection: ControlConnection, _ hello: ControlHello) -> FabricRefusal? {
        if let refusal = self.hello(call: 0).refusal(of: hello) { return refusal }
        if removed.contains(hello.node) {
            return FabricRefusal(
                .removed, "Node \(hello.node) was removed from the cluster; it joins again with an empty data folder.")
        }
        guard lines[hello.node] != nil || lines.count < FabricLimits.lines else {
            return FabricRefusal(.crowded, "\(lines.count) peers are known already.")
        }
        guard let current = lines[hello.node]?.connection, let known = current.peer else { return nil }
        guard hello.boot >= known.boot else {
            return FabricRefusal(
                .clonedIdentity,
                "A later start of node \(hello.node) is connected; two machines may use one data folder.")
        }
        if hello.boot == known.boot, !isBetter(connection, hello, than: current, known) {
            current.challenge()
            return FabricRefusal(.duplicate, "There is a connection between the two nodes already.")
        }
        return nil
    }

    /// Both sides see the same two connections, maybe in another order, and keep the same one: that which the node
    /// with the lower id dialled; of two that one node dialled, the later.
    private func isBetter(
        _ new: ControlConnection, _ hello: ControlHello, than old: ControlConnection, _ known: ControlHello
    ) -> Bool {
        func isDialledByLower(_ connection: ControlConnection) -> Bool {
            (connection.call != nil) == (settings.node < hello.node)
        }
        let (first, second) = (isDialledByLower(new), isDialledByLower(old))
        if first != second { return first }
        return (new.call ?? hello.call) > (old.call ?? known.call)
    }

    func established(_ connection: ControlConnection, _ hello: ControlHello) {
        let line = line(of: hello.node)
        let before = line.connection
        line.connection = connection
        line.retry?.cancel()
        line.retry = nil
        (line.failures, line.isInDoubt) = (0, false)
        before?.refuse(FabricRefusal(.duplicate, "There is a newer connection between the two nodes."), .closedHere)
        dialled(connection, .success(hello.node))
        tell(.connected(hello.node, cluster: hello.cluster, address: connection.address))
        pump(hello.node)
    }

    func closed(_ connection: ControlConnection, _ reason: FabricClosure) {
        guard live.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
        if !connection.isEstablished {
            tell(.failed(address: connection.address, connection.peer?.node, reason))
            dialled(connection, .failure(reason))
            return
        }
        guard let peer = connection.peer, let line = lines[peer.node], line.connection === connection else { return }
        line.connection = nil
        measured(connection, of: line)
        tell(.lost(peer.node, reason))
        forgetStranger(line)
        for seed in seeds where seed.node == peer.node { dial(seed) }
        guard line.isMember, isActive else { return }
        switch reason {
        case .idle: return
        case .refused(let refusal) where refusal.code == .idle: return
        case .refused(let refusal) where refusal.code == .leaving: break
        case .refused, .refusedHere:
            line.failures += 1
            return later(line)
        default: break
        }
        // The fastest way to learn whether its process ended is to knock.
        line.isInDoubt = true
        line.retry?.cancel()
        line.retry = nil
        line.notBefore = .now()
        dial(line)
    }

    /// A try did not even connect.
    func failed(_ connection: ControlConnection, _ reason: FabricClosure) {
        live[ObjectIdentifier(connection)] = nil
        tell(.failed(address: connection.address, nil, reason))
        dialled(connection, .failure(reason))
    }

    func received(_ message: ClusterMessage, from node: NodeID) { tell(.received(message, from: node)) }

    // MARK: Lines

    private func line(of node: NodeID) -> PeerLine {
        if let line = lines[node] { return line }
        let line = PeerLine(node: node)
        line.sighted = sightings[node] ?? []
        lines[node] = line
        return line
    }

    private func forgetStranger(_ line: PeerLine) {
        guard !line.isMember, line.connection == nil else { return }
        lines[line.node] = nil
    }

    func send(_ message: ClusterMessage, to node: NodeID) {
        guard isActive, let line = lines[node] else { return }
        line.queue.add(message)
        guard line.connection == nil else { return pump(node) }
        if NIODeadline.now() < line.notBefore, !line.isDialling { return line.queue.clear() }
        dial(line)
    }

    /// Hands waiting messages to the socket as long as it takes them.
    func pump(_ node: NodeID) {
        guard let line = lines[node], let connection = line.connection else { return }
        while !line.queue.isEmpty, connection.isWritable {
            connection.send(line.queue.take(room: FabricLimits.highWaterBytes))
        }
    }

    /// Whether a connection is kept although nothing is to be said.
    func isEager(_ node: NodeID) -> Bool {
        if seeds.contains(where: { $0.node == node }) { return true }
        return memberCount <= FabricLimits.eagerPeers && lines[node]?.isMember == true
    }

    func follow(_ roster: FabricRoster) {
        cluster = roster.cluster
        removed = roster.removed
        memberCount = roster.peers.count
        for (node, addresses) in roster.peers where node != settings.node && !removed.contains(node) {
            let line = line(of: node)
            if line.addresses != addresses {
                line.addresses = addresses
                line.notBefore = .now()
            }
            line.isMember = true
        }
        for line in Array(lines.values) {
            if removed.contains(line.node) {
                line.connection?.refuse(
                    FabricRefusal(.removed, "Node \(line.node) was removed from the cluster."), .closedHere)
            }
            guard roster.peers[line.node] == nil else { continue }
            line.isMember = false
            line.addresses = []
            line.retry?.cancel()
            line.retry = nil
            forgetStranger(line)
        }
        for node in lines.keys.sorted() {
            guard let line = lines[node], line.isMember, line.connection == nil, line.retry == nil else { continue }
            // Either could dial; one of them is enough, and the other does when it has something to say.
            if isEager(node), settings.node < node { dial(line) }
        }
    }

    /// Members were seen at addresses, by the word of anybody: these are tried besides those they gave. A node that
    /// knows no member yet calls there.
    func sighted(_ sightings: [NodeID: [PeerAddress]]) {
        // Kept for members that the log tells of later: what is seen may stay the same for good.
        self.sightings = sightings.mapValues { Array($0.prefix(FabricLimits.sightedAddresses)) }
        for line in lines.values { line.sighted = self.sightings[line.node] ?? [] }
        guard memberCount == 0 else { return }
        for node in sightings.keys.sorted() where node != settings.node && !removed.contains(node) {
            call(self.sightings[node] ?? [])
        }
    }

    /// Keeps how long the way was, as far as the addresses still matter.
    private func measured(_ connection: ControlConnection, of line: PeerLine) {
        guard connection.call != nil, let address = PeerAddress(connection.address),
            let time = connection.roundTrip.smoothed
        else { return }
        let known = Set(line.addresses.compactMap { PeerAddress($0) } + line.sighted + [address])
        line.measured = line.measured.filter { known.contains($0.key) }
        line.measured[address] = time
    }

    func call(_ addresses: [PeerAddress]) {
        for address in addresses where !seeds.contains(where: { $0.address == address }) {
            guard seeds.count < FabricLimits.seeds else { return }
            let seed = SeedLine(address: address)
            seeds.append(seed)
            dial(seed)
        }
    }

    /// Time before the next try: doubles up to a bound, and half of it is left to chance.
    func backoff(_ failures: Int) -> TimeAmount {
        let least = settings.timings.backoff.nanoseconds
        let most = settings.timings.backoffMost.nanoseconds
        let whole = min(most, least << Int64(min(max(0, failures - 1), 16)))
        return .nanoseconds(whole / 2 + Int64(random.below(Int(max(1, whole / 2)))))
    }

    var statuses: [PeerStatus] {
        lines.values.sorted { $0.node < $1.node }.map { line in
            PeerStatus(
                node: line.node, address: line.connection?.address, boot: line.connection?.peer?.boot,
                roundTrip: line.connection?.roundTrip ?? RoundTrip(), sentBytes: line.connection?.sentBytes ?? 0,
                receivedBytes: line.connection?.receivedBytes ?? 0, waiting: line.queue.count,
                dropped: line.queue.dropped)
        }
    }

    // MARK: Ending

    func isolate() -> EventLoopFuture<Void> {
        isIsolated = true
        return shut(.closedHere)
    }

    func rejoin(port: Int) -> EventLoopFuture<Int> {
        isIsolated = false
        for seed in seeds { dial(seed) }
        for line in lines.values {
            (line.failures, line.notBefore) = (0, .now())
            if line.isMember { dial(line) }
        }
        return listen(port: port)
    }

    func close() -> EventLoopFuture<Void> {
        isClosed = true
        // Who hears good-bye knocks at once, and must find nobody.
        let closing = shut(.closedHere)
        for connection in live.values where connection.isEstablished {
            connection.refuse(FabricRefusal(.leaving, "Node \(settings.node) stops."), .closedHere)
        }
        return closing
    }

    private func shut(_ closure: FabricClosure) -> EventLoopFuture<Void> {
        for line in lines.values {
            line.retry?.cancel()
            line.retry = nil
        }
        for seed in seeds {
            seed.retry?.cancel()
            seed.retry = nil
        }
        let closing = listener.map { $0.close() } ?? loop.makeSucceededVoidFuture()
        listener = nil
        if !isClosed { for connection in live.values { connection.end(closure) } }
        return closing.flatMapErrorThrowing { _ in }
    }
}
