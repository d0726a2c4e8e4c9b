import Cluster
import Fabric
import NIOCore
import NIOPosix
import Synchronization
import Testing

/// What waits too long in a test.
struct Overdue: Error, CustomStringConvertible {
    let description: String
}

/// Waits for `body` at most `seconds`.
func within<Value: Sendable>(
    _ seconds: Int = 20, _ what: String, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    let loop = MultiThreadedEventLoopGroup.singleton.next()
    let (bell, ringer) = AsyncStream<Void>.makeStream()
    let timer = loop.scheduleTask(in: .seconds(Int64(seconds))) { ringer.finish() }
    defer { timer.cancel() }
    return try await withThrowingTaskGroup(of: Value?.self) { group in
        group.addTask { try await body() }
        group.addTask {
            for await _ in bell {}
            return nil
        }
        defer { group.cancelAll() }
        guard let first = try await group.next(), let value = first else {
            throw Overdue(description: "\(what): nothing within \(seconds) s")
        }
        return value
    }
}

/// The events of one fabric, to be waited for.
final class FabricProbe: Sendable {
    let events: AsyncStream<FabricEvent>
    private let sink: AsyncStream<FabricEvent>.Continuation
    private let log = Mutex<[FabricEvent]>([])

    init() { (events, sink) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(100_000)) }

    func take(_ event: FabricEvent) {
        log.withLock { $0.append(event) }
        sink.yield(event)
    }

    var all: [FabricEvent] { log.withLock { $0 } }

    /// The first event from here on for which `choose` gives a value; those before it are passed over.
    func next<Value: Sendable>(
        _ what: String, seconds: Int = 20, _ choose: @escaping @Sendable (FabricEvent) -> Value?
    ) async throws -> Value {
        try await within(seconds, what) { [events] in
            for await event in events {
                if let value = choose(event) { return value }
            }
            throw Overdue(description: "\(what): the events ended")
        }
    }

    func connected(_ node: NodeID? = nil) async throws -> NodeID {
        try await next("connected to \(node.map { "\($0)" } ?? "anybody")") {
            if case .connected(let peer, _, _) = $0, node == nil || peer == node { peer } else { nil }
        }
    }

    func message() async throws -> (ClusterMessage, NodeID) {
        try await next("a message") {
            if case .received(let message, let peer) = $0 { (message, peer) } else { nil }
        }
    }

    func failure() async throws -> FabricClosure {
        try await next("a failure") { if case .failed(_, _, let closure) = $0 { closure } else { nil } }
    }

    func loss() async throws -> FabricClosure {
        try await next("a loss") { if case .lost(_, let closure) = $0 { closure } else { nil } }
    }
}

/// A fabric on loopback with its events.
struct TestFabric {
    let fabric: ControlFabric
    let probe: FabricProbe
    let node: NodeID

    init(
        _ number: UInt64, boot: UInt64 = 1, port: Int = 0, _ change: (inout FabricSettings) -> Void = { _ in }
    ) async throws {
        node = NodeID(number)
        var settings = FabricSettings(node: node, boot: boot, seed: number)
        settings.host = "127.0.0.1"
        settings.port = port
        settings.cluster = 7
        change(&settings)
        let probe = FabricProbe()
        self.probe = probe
        fabric = try await ControlFabric.open(settings) { probe.take($0) }
    }

    var address: PeerAddress { PeerAddress(host: "127.0.0.1", port: fabric.port) }

    static func roster(_ fabrics: TestFabric...) -> FabricRoster {
        FabricRoster(
            cluster: 7, peers: Dictionary(uniqueKeysWithValues: fabrics.map { ($0.node, ["\($0.address)"]) }))
    }
}

/// A stranger with a raw socket.
final class RawPeer: Sendable {
    /// What came, and whether the connection ended.
    private let bytes = Mutex<[UInt8]>([])
    private let channel: any Channel
    let ended: EventLoopFuture<Void>

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let take: @Sendable ([UInt8]) -> Void
        init(_ take: @escaping @Sendable ([UInt8]) -> Void) { self.take = take }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            take(Array(unwrapInboundIn(data).readableBytesView))
        }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    private init(_ channel: any Channel) {
        self.channel = channel
        ended = channel.closeFuture
    }

    static func connect(_ address: PeerAddress) async throws -> RawPeer {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: address.host, port: address.port).get()
        let peer = RawPeer(channel)
        try await channel.eventLoop.submit {
            try channel.pipeline.syncOperations.addHandler(
                Collector { [weak peer] in peer?.add($0) })
        }.get()
        return peer
    }

    private func add(_ new: [UInt8]) { bytes.withLock { $0 += new } }

    func send(_ new: [UInt8]) async throws { try await channel.writeAndFlush(ByteBuffer(bytes: new)).get() }

    /// Says no more, but listens on: what was sent arrives before the end.
    func finish() async throws { try await channel.close(mode: .output).get() }

    func waitForEnd() async throws {
        try await within(20, "the end of a raw connection") { [ended] in try await ended.get() }
    }

    static func frame(
        _ kind: ControlFrameKind, _ body: [UInt8], sequence: UInt64 = 0
    ) -> [UInt8] {
        var buffer = ByteBuffer()
        ControlFrame.write(kind, version: 1, sequence: sequence, body: body, into: &buffer)
        return Array(buffer.readableBytesView)
    }

    static func hello(_ number: UInt64, boot: UInt64 = 1, cluster: UInt64 = 7, call: UInt64 = 1) -> [UInt8] {
        frame(.hello, ControlHello(cluster: cluster, node: NodeID(number), boot: boot, call: call, nonce: 1).body)
    }
}
