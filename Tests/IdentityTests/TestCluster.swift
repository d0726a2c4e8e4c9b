import Cluster
import Foundation
import Identity
import NIOCore
import NIOPosix
import Synchronization
import Testing
import Vocabulary

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A clock that shows what a test says.
final class ManualClock: Sendable {
    private let time: Mutex<WallTime>

    init(_ time: WallTime = WallTime(milliseconds: 1_795_000_000_000)) { self.time = Mutex(time) }

    var now: WallTime { time.withLock { $0 } }

    func advance(by duration: Duration) { time.withLock { $0 = $0.advanced(by: duration) } }
}

/// The same random bytes each run.
enum Draws {
    static func entropy(seed: UInt64) -> Entropy {
        let source = Source(seed: seed)
        return Entropy { source.bytes($0) }
    }

    private final class Source: Sendable {
        private let random: Mutex<SeededRandom>

        init(seed: UInt64) { random = Mutex(SeededRandom(seed: seed)) }

        func bytes(_ count: Int) -> [UInt8] {
            random.withLock { random in (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) } }
        }
    }
}

/// Waits until something is so; a test whose time is over ends instead of waiting on.
func until(_ isSo: () -> Bool) async throws {
    while !isSo() {
        try Task.checkCancellation()
        await Task.yield()
    }
}

/// A folder that is gone when the test ends.
enum TemporaryFolder {
    static func with<Value>(_ body: (String) async throws -> Value) async throws -> Value {
        let folder = FileManager.default.temporaryDirectory.appending(path: "skein-identity-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        return try await body(folder.path)
    }
}

/// Stands for the leader: decides requests one after another, and keeps what was decided.
actor TestLeader: JoinAuthorizing {
    let desk: JoinDesk
    let clock: ManualClock
    var tokens = JoinTokens()
    var standings: [NodeID: JoinerStanding] = [:]
    private(set) var requests: [JoinRequest] = []

    init(desk: JoinDesk, clock: ManualClock) {
        self.desk = desk
        self.clock = clock
    }

    func answer(_ request: JoinRequest) -> JoinDecision {
        requests.append(request)
        let ruling = desk.decide(
            request, tokens: &tokens, standing: standings[request.node] ?? .unknown,
            peers: [JoinPeer(node: NodeID(1), addresses: request.addresses)], now: clock.now)
        if let key = ruling.key { standings[request.node] = .member(key) }
        return ruling.decision
    }

    func token(life: Duration = .seconds(3600), uses: Int = 1, part: JoinPart = .member) throws -> (
        token: JoinToken, secret: JoinSecret
    ) {
        try tokens.create(life: life, uses: uses, part: part, now: clock.now)
    }

    func revoke(_ id: JoinTokenID) throws { _ = try tokens.revoke(id) }

    func set(_ standing: JoinerStanding, of node: NodeID) { standings[node] = standing }
}

/// A cluster of one node with its port open on loopback.
struct TestCluster {
    static let versions = JoinVersions(release: "1.0.0")

    let clock: ManualClock
    let authority: ClusterAuthority
    let security: ClusterSecurity
    let leader: TestLeader
    let gate: ConnectionGate
    let port: Int
    let refusals: Refusals

    final class Refusals: Sendable {
        private let list = Mutex<[ConnectionRefusal]>([])

        func append(_ refusal: ConnectionRefusal) { list.withLock { $0.append(refusal) } }

        var all: [ConnectionRefusal] { list.withLock { $0 } }
    }

    static func authority(_ cluster: UInt64 = 0xC1, now: WallTime) throws -> ClusterAuthority {
        try ClusterAuthority.found(try #require(ClusterID(cluster)), now: now)
    }

    static func credentials(
        _ authority: ClusterAuthority, node: NodeID, key: NodeKey = NodeKey(), now: WallTime
    ) throws -> NodeCredentials {
        let certificate = try authority.issue(try key.signingRequest(for: node), for: node, now: now)
        return try NodeCredentials(key: key, certificate: certificate, authority: authority.certificate)
    }

    static func with(
        cluster: UInt64 = 0xC1, clock: ManualClock = ManualClock(), milliseconds: Int64 = 5000,
        limits: GateLimits = GateLimits(), issues: Bool = true, serverNow: WallTime? = nil,
        _ body: (TestCluster) async throws -> Void
    ) async throws {
        let authority = try authority(cluster, now: clock.now)
        let security = try ClusterSecurity(
            try credentials(authority, node: NodeID(1), now: clock.now), now: { serverNow ?? clock.now })
        let desk = JoinDesk(
            authority: issues ? authority : nil, cluster: authority.certificate.cluster, versions: versions)
        let leader = TestLeader(desk: desk, clock: clock)
        let gate = ConnectionGate(limits: limits) { Instant(nanoseconds: clock.now.milliseconds * 1_000_000) }
        let refusals = Refusals()
        let port = ClusterPort(
            security: security, gate: gate, versions: versions, joins: leader, milliseconds: milliseconds,
            refused: { refusals.append($1) },
            control: { channel, _ in channel.eventLoop.makeCompletedFuture { try Echo.add(to: channel) } })
        let listener = try await port.listen(
            host: "127.0.0.1", port: 0, on: MultiThreadedEventLoopGroup.singleton)
        let number = try #require(listener.localAddress?.port)
        do {
            try await body(
                TestCluster(
                    clock: clock, authority: authority, security: security, leader: leader, gate: gate, port: number,
                    refusals: refusals))
        } catch {
            try await listener.close().get()
            throw error
        }
        try await listener.close().get()
    }

    /// The refusals of the port once there are `count`: the other side may see an alert of TLS a moment earlier.
    func refusals(_ count: Int) async throws -> [ConnectionRefusal] {
        try await until { refusals.all.count >= count }
        return refusals.all
    }

    /// Waits until the port has noticed that all strangers are gone.
    func emptied() async throws { try await until { gate.openCount == 0 } }

    func address() throws -> ClusterAddress { try ClusterAddress(host: "127.0.0.1", port: port) }

    func ticket(secret: JoinSecret, authority other: Fingerprint? = nil) throws -> JoinTicket {
        try JoinTicket(
            addresses: [try address()], authority: other ?? authority.certificate.fingerprint, secret: secret)
    }

    func join(
        _ ticket: JoinTicket, as identity: NodeIdentity = NodeIdentity.draw(), now: WallTime? = nil,
        versions: JoinVersions = TestCluster.versions, part: JoinPart = .member, milliseconds: Int64 = 5000
    ) async throws(JoinError) -> JoinAnswer {
        let time = now ?? clock.now
        return try await JoinClient(milliseconds: milliseconds, now: { time }).join(
            ticket, as: Joiner(identity: identity, versions: versions, part: part, name: "second"))
    }

    /// What a join ends with that should not succeed.
    func refusal(
        _ ticket: JoinTicket, as identity: NodeIdentity = NodeIdentity.draw(), now: WallTime? = nil,
        versions: JoinVersions = TestCluster.versions
    ) async -> JoinError? {
        do throws(JoinError) {
            _ = try await join(ticket, as: identity, now: now, versions: versions)
            return nil
        } catch { return error }
    }
}

/// The control channel of these tests: every byte comes back.
final class Echo: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    static func add(to channel: any Channel) throws { try channel.pipeline.syncOperations.addHandler(Echo()) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.writeAndFlush(data, promise: nil) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
