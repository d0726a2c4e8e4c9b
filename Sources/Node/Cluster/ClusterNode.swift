import Cluster
import ClusterStore
import Fabric
import FoundationEssentials
import GGUF
import Identity
import Logging
import NIOCore
import NIOPosix
import Placement
import ServiceLifecycle
import Synchronization
import SystemPackage
import Transport
import Vocabulary

/// This node's part in its cluster, opened: identity, ports, control plane, stages and models. `run` brings it to life.
struct ClusterNode: Sendable {
    let service: ClusterService
    let security: ClusterSecurity
    let stages: StageHost
    let library: ModelLibrary
    let peers: PeerClient
    let port: Int
    private let store: IdentityStore
    private let hosting: StageHosting
    private let office: CertificateOffice
    private let server: PeerServer
    private let founding: Founding
    private let logger: Logger

    /// What opening needs beside the settings.
    struct Surroundings: Sendable {
        var executable: String
        var socketFolder: String
        var cacheFolder: String
        var dataFolder: String
        var caches: NodeCaches
        var logger: Logger
    }

    /// Opens everything: joins or founds where the node is in no cluster yet.
    ///
    /// **Throws:** `JoinError` when the cluster does not let it in, `IdentityError` when its identity cannot be used,
    /// `StoreFailure` when its memory cannot, `FabricError` when a port is taken.
    static func open(_ settings: ClusterSettings, _ around: Surroundings) async throws -> ClusterNode {
        let store = try IdentityStore(dataDirectory: FilePath(around.dataFolder))
        let founding = Founding(folder: around.dataFolder)
        let hosts = settings.advertised.isEmpty ? ClusterSettings.hosts(boundTo: settings.host) : settings.advertised
        let seeds = try await Self.enter(settings, store, founding, hosts)
        guard let credentials = store.identity.credentials else { throw IdentityError.notMember }
        let security = try ClusterSecurity(credentials) { .current }
        let late = LateService()
        let peers = PeerClient(security: security) { await late.value?.member($0) }
        let stages = StageHost(node: credentials.node, peers: peers)
        let library = ModelLibrary(
            caches: around.caches, cacheFolder: around.cacheFolder, dataFolder: around.dataFolder, peers: peers,
            logger: around.logger
        ) { digest in
            guard let view = await late.value?.view else { return [] }
            return view.holders(of: digest)
        }
        let reception = JoinReception(
            store: store, peers: peers, versions: JoinVersions(release: NodeService.version), service: late)
        let office = CertificateOffice(
            store: store, security: security, service: late, peers: peers, logger: around.logger)
        let routes = PeerRoutes(joins: reception, renewals: office, stages: stages, library: library)

        var member = Member(
            node: credentials.node, name: settings.name.isEmpty ? ClusterSettings.machineName : settings.name,
            tags: settings.tags, role: store.authority == nil ? .worker : .full)
        member.key = credentials.key.fingerprint.description
        let dataPort = try await FreePort.choose(settings.dataPort, host: settings.host, mayMove: settings.mayMove)
        member.dataPort = UInt32(dataPort)
        let boot = try BootNumber.next(in: around.dataFolder)
        var fabric = FabricSettings(node: credentials.node, boot: boot, seed: .random(in: .min ... .max))
        fabric.host = settings.host
        fabric.port = try await FreePort.choose(settings.port, host: settings.host, mayMove: settings.mayMove)
        fabric.security = Self.channelSecurity(security, reception, around.logger)
        member.addresses = hosts.map { "\(PeerAddress(host: $0, port: fabric.port))" }
        var told = ClusterServiceSettings(member: member, founds: founding.isUnderWay, fabric: fabric)
        told.foundedCluster = credentials.cluster.value
        told.seeds = seeds
        let measurement = NodeMeasurement(node: credentials.node, folder: around.cacheFolder)
        let planner = ClusterPlanner(
            model: { deployment in try await library.footprint(deployment.digest) },
            draft: { deployment in
                guard let digest = deployment.draftDigest else { return nil }
                return try await library.footprint(digest)
            })
        let shelf = HeldDigests()
        var ports = ClusterPorts(tasks: stages, clocks: .machine, plan: { await planner.plan($0) }) {
            var reading = measurement.reading()
            reading.holds = shelf.value
            return reading
        }
        ports.membersChanged = { members, removed in security.trust = PeerTrust(members, removed: removed) }
        let service = try await ClusterService.open(
            told, store: try SQLiteEventStore(path: "\(around.dataFolder)/cluster.sqlite"), ports: ports,
            logger: around.logger)
        late.value = service
        await library.publish { shelf.value = $0 }
        let hosting = StageHosting(
            executable: around.executable, folder: around.socketFolder, cluster: "\(credentials.cluster)",
            address: settings.host, threads: settings.threads, credentials: { LinkCredentials(security.credentials) },
            library: library,
            deployment: { await service.effectiveState.deployments[$0] },
            usableBytes: { measurement.reading().usableBytes }, logger: around.logger)
        let server = PeerServer(
            security: security, routes: routes, host: settings.host, port: dataPort, logger: around.logger)
        return ClusterNode(
            service: service, security: security, stages: stages, library: library, peers: peers,
            port: service.fabric.port, store: store, hosting: hosting, office: office, server: server,
            founding: founding, logger: around.logger)
    }

    /// Joins or founds, when the node is in no cluster yet; where to find the cluster.
    private static func enter(
        _ settings: ClusterSettings, _ store: IdentityStore, _ founding: Founding, _ hosts: [String]
    ) async throws -> [PeerAddress] {
        guard let ticket = settings.ticket else {
            if store.identity.credentials == nil {
                guard settings.founds else { throw IdentityError.notMember }
                try founding.begin()
                _ = try store.found(ClusterID.draw(.system), now: .current)
            }
            return settings.seeds
        }
        if let own = store.identity.credentials, own.authority.fingerprint == ticket.authority,
            own.certificate.identity.notAfter > .current
        {
            // It has joined already: the ticket of a start command need not be valid for ever, nor anybody else be up.
            return settings.seeds + ticket.addresses.map { PeerAddress(host: $0.host, port: $0.port) }
        }
        let addresses = settings.port == 0 ? [] : hosts.map { PeerAddress(host: $0, port: settings.port).description }
        let joiner = Joiner(
            identity: store.identity, versions: JoinVersions(release: NodeService.version), part: settings.part,
            name: settings.name.isEmpty ? ClusterSettings.machineName : settings.name,
            addresses: addresses.compactMap { try? ClusterAddress($0) })
        let answer = try await JoinClient { .current }.join(ticket, as: joiner)
        if store.identity.credentials == nil {
            try store.adopt(answer.credentials, authority: answer.authority)
        } else {
            try store.replace(answer.credentials)
        }
        let told = answer.peers.flatMap(\.addresses) + ticket.addresses
        return settings.seeds + told.map { PeerAddress(host: $0.host, port: $0.port) }
    }

    private static func channelSecurity(
        _ security: ClusterSecurity, _ reception: JoinReception, _ logger: Logger
    ) -> ChannelSecurity {
        ChannelSecurity { host, port, loop, proven in
            let door = ClusterPort(
                security: security,
                gate: ConnectionGate { Instant(nanoseconds: Int64(NIODeadline.now().uptimeNanoseconds)) },
                versions: JoinVersions(release: NodeService.version),
                joins: reception,
                refused: { address, refusal in
                    logger.info(
                        "a connection was refused",
                        metadata: ["from": "\(address.map { "\($0)" } ?? "?")", "why": "\(refusal)"])
                }, control: { channel, peer in proven(channel, peer.node) })
            return loop.makeFutureWithTask { try await door.listen(host: host, port: port, on: loop) }
        } dial: { channel, node, failed, proven in
            try security.configureControlClient(channel, expecting: node) {
                failed("\($0)")
            } ready: { channel, peer in
                proven(channel, peer.node)
            }
        }
    }

    /// Runs until the task is cancelled: then stages end first, and the control channel says good-bye.
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.service.run() }
            group.addTask { await self.stages.run(self.hosting) }
            group.addTask { await self.office.run() }
            group.addTask { await self.settleFounding() }
            group.addTask { await self.serve() }
        }
        await peers.close()
    }

    private func serve() async {
        do {
            try await server.application { _ in }.run()
        } catch is CancellationError {
        } catch {
            logger.error(
                "members cannot ask this node; choose another --data-port", metadata: ["why": "\(error)"])
        }
    }

    /// Once the log has begun, an empty memory does not mean a new cluster any more.
    private func settleFounding() async {
        guard founding.isUnderWay, let watch = service.watch() else { return }
        for await _ in watch {
            guard await service.view.cluster != 0 else { continue }
            founding.end()
            return
        }
    }
}

extension ClusterView {
    /// Members that answer and have a model's file, without the one that asks; those with the shortest way first.
    func holders(of digest: String) -> [NodeID] {
        let own = members.first { $0.member.node == node }?.reading
        let ways = Dictionary((own?.links ?? []).map { ($0.peer, $0.roundTripMicroseconds ?? .max) }) { $1 }
        return members.filter { view in
            view.member.node != node && view.liveness == .alive && view.reading?.holds.contains(digest) == true
        }.map(\.member.node).sorted { (ways[$0] ?? .max, $0) < (ways[$1] ?? .max, $1) }
    }
}

extension PeerTrust {
    /// What the log says of members.
    init(_ book: [Member], removed gone: Set<NodeID>) {
        self.init()
        for member in book { members[member.node] = .some(Fingerprint(hexadecimal: member.key)) }
        removed = gone
        refusesStrangers = !book.isEmpty
    }
}

extension LinkCredentials {
    /// What a node's runners show.
    init(_ credentials: NodeCredentials) {
        self.init(
            chain: [credentials.certificate.der, credentials.authority.der], key: credentials.key.der,
            authority: credentials.authority.der)
    }
}

extension ServiceClocks {
    /// The machine's clocks.
    static let machine = ServiceClocks(
        uptimeNanoseconds: { Int64(NIODeadline.now().uptimeNanoseconds) },
        unixMilliseconds: { WallTime.current.milliseconds })
}

/// Digests of the models this node has, for its telemetry.
final class HeldDigests: Sendable {
    private let held = Mutex<[String]>([])

    var value: [String] {
        get { held.withLock { $0 } }
        set { held.withLock { $0 = newValue } }
    }
}
