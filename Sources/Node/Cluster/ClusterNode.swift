import Cluster
import ClusterStore
import Discovery
import Etcd
import Fabric
import FoundationEssentials
import GGUF
import Identity
import LlamaEngine
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
    /// Links of this node to runners on other machines.
    let door: LinkDoor
    let stages: StageHost
    let library: ModelLibrary
    let catalogue: ModelCatalogue
    let peers: PeerClient
    let port: Int
    /// Whether first requests make deployments.
    let autoDeploys: Bool
    private let store: IdentityStore
    private let hosting: StageHosting
    private let office: CertificateOffice
    private let server: PeerServer
    private let trustChanges: AsyncStream<Void>
    private let founding: Founding
    private let discovery: ClusterDiscovery?
    /// Nil where the addresses were given by hand.
    private let addresses: AddressWatch?
    /// Nil where the user wants no measuring.
    private let survey: DeviceSurvey?
    private let logger: Logger

    /// What opening needs beside the settings.
    struct Surroundings: Sendable {
        var executable: String
        var socketFolder: String
        var cacheFolder: String
        var dataFolder: String
        var caches: NodeCaches
        /// What the engine may compute on.
        var devices: [EngineDevice] = []
        /// As the user chose them; nil leaves it to the engine.
        var chosenDevices: [String]?
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
        let known = founding.isUnderWay ? nil : store.identity.credentials?.node
        let seeds = try await Self.enter(settings, store, founding, hosts, around)
        guard let credentials = store.identity.credentials else { throw IdentityError.notMember }
        let security = try ClusterSecurity(credentials) { .current }
        let late = LateService()
        let door = LinkDoor(security: security, gate: Self.gate())
        let (trustChanges, trustChanged) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let peers = PeerClient(security: security) { await late.value?.member($0) }
        let stages = StageHost(node: credentials.node, peers: peers)
        let library = Self.library(around, peers, late)
        let reception = JoinReception(
            store: store, peers: peers, versions: JoinVersions(release: NodeService.version), service: late)
        let office = CertificateOffice(
            store: store, security: security, service: late, peers: peers, renewed: { trustChanged.yield(()) },
            logger: around.logger)
        let routes = PeerRoutes(
            joins: reception, renewals: office, leaving: LeaveOffice(service: late), stages: stages, library: library)

        var member = Self.member(settings, credentials, around.devices, isWorker: store.authority == nil)
        let dataPort = try await settings.freePort(.data)
        member.dataPort = UInt32(dataPort)
        let boot = try BootNumber.next(in: around.dataFolder)
        let fabric = try await Self.fabric(settings, security, reception, boot: boot, around.logger)
        member.addresses = hosts.map { "\(PeerAddress(host: $0, port: fabric.port))" }
        var told = ClusterServiceSettings(member: member, founds: founding.isUnderWay, fabric: fabric)
        told.foundedCluster = credentials.cluster.value
        (told.isReturning, told.seeds) = (known == credentials.node, seeds)
        let survey = Self.survey(credentials.node, settings, around)
        let shelf = HeldDigests()
        let measurement = NodeMeasurement(
            node: credentials.node, folder: around.cacheFolder, holds: { shelf.value }, figures: { survey?.figures })
        let planner = Self.planner(library)
        var ports = ClusterPorts(tasks: stages, clocks: .machine, plan: { await planner.plan($0) }) {
            var reading = measurement.reading()
            reading.tell(around.devices)
            return reading
        }
        ports.membersChanged = { members, removed in
            security.trust = PeerTrust(members, removed: removed)
            trustChanged.yield(())
        }
        try Self.coordinate(settings, &told, &ports, boot: boot)
        let service = try await ClusterService.open(
            told, store: try Self.memory(of: credentials, around), ports: ports, logger: around.logger)
        late.value = service
        await library.publish { shelf.value = $0 }
        let hosting = StageHosting(
            executable: around.executable, folder: around.socketFolder, cluster: "\(credentials.cluster)",
            address: settings.host, threads: settings.threads, devices: around.chosenDevices,
            archive: settings.archive, pass: { security.pass }, library: library,
            deployment: { await service.effectiveState.deployments[$0] },
            usableBytes: { measurement.reading().usableBytes }, logger: around.logger)
        let server = PeerServer(
            door: LinkDoor(security: security, gate: Self.gate()), routes: routes, host: settings.host, port: dataPort,
            logger: around.logger)
        let notice = ServiceNotice(credentials, member, port: service.fabric.port)
        let discovery =
            settings.discovers
            ? ClusterDiscovery(notice: notice, settings: settings, fabric: service.fabric, logger: around.logger) : nil
        return ClusterNode(
            service: service, security: security, door: door, stages: stages, library: library,
            catalogue: ModelCatalogue(library: library, peers: peers), peers: peers, port: service.fabric.port,
            autoDeploys: settings.autoDeploys, store: store, hosting: hosting, office: office, server: server,
            trustChanges: trustChanges, founding: founding, discovery: discovery,
            addresses: Self.watch(settings, service.fabric.port), survey: survey, logger: around.logger)
    }

    /// Measures the first device that layers are moved to, as a stage here would use it; the processor when there is
    /// none.
    private static func survey(
        _ node: NodeID, _ settings: ClusterSettings, _ around: Surroundings
    ) -> DeviceSurvey? {
        guard settings.measuresDevice else { return nil }
        let device = around.devices.first(where: \.isOffload)?.name
        let threads = settings.threads ?? MachineInventory.coreCount
        let executable = around.executable
        return DeviceSurvey(
            file: DeviceFigureFile(dataFolder: around.dataFolder),
            fingerprint: .thisMachine(devices: around.devices, device: device, threads: threads),
            logger: around.logger, delay: Double(node.value % 1024) / 1024,
            measure: { await DeviceProbe.survey(executable, device: device, threads: threads) })
    }

    private static func fabric(
        _ settings: ClusterSettings, _ security: ClusterSecurity, _ reception: JoinReception, boot: UInt64,
        _ logger: Logger
    ) async throws -> FabricSettings {
        let node = security.credentials.node
        var fabric = FabricSettings(node: node, boot: boot, seed: .random(in: .min ... .max))
        fabric.host = settings.host
        fabric.port = try await settings.freePort(.cluster)
        fabric.security = channelSecurity(security, reception, logger)
        return fabric
    }

    private static func library(_ around: Surroundings, _ peers: PeerClient, _ late: LateService) -> ModelLibrary {
        ModelLibrary(
            caches: around.caches, dataFolder: around.dataFolder, peers: peers, logger: around.logger
        ) { digest in
            guard let view = await late.value?.view else { return [] }
            return view.holders(of: digest)
        }
    }

    private static func watch(_ settings: ClusterSettings, _ port: Int) -> AddressWatch? {
        guard settings.advertised.isEmpty else { return nil }
        return AddressWatch(port: port) { ClusterSettings.hosts(boundTo: settings.host) }
    }

    private static func planner(_ library: ModelLibrary) -> ClusterPlanner {
        ClusterPlanner(
            model: { deployment in try await library.footprint(deployment.identity) },
            draft: { deployment in
                guard let digest = deployment.draftDigest else { return nil }
                return try await library.footprint(ModelIdentity(digest: digest))
            },
            projector: { try await library.projectorNeed($0) })
    }

    private static func member(
        _ settings: ClusterSettings, _ credentials: NodeCredentials, _ devices: [EngineDevice], isWorker: Bool
    ) -> Member {
        var member = Member(
            node: credentials.node, name: settings.name.isEmpty ? ClusterSettings.machineName : settings.name,
            tags: Set(settings.tags + DeviceProbe.tags(of: devices)).sorted(), role: isWorker ? .worker : .full)
        member.key = credentials.key.fingerprint.description
        return member
    }

    /// The memory of the control plane, without one that an earlier identity left.
    private static func memory(
        of credentials: NodeCredentials, _ around: Surroundings
    ) throws(StoreFailure) -> SQLiteEventStore {
        let owner = StoreOwner(cluster: credentials.cluster.value, node: credentials.node)
        let memory = try SQLiteEventStore(path: "\(around.dataFolder)/cluster.sqlite", owner: owner)
        if let foreigner = memory.foreigner {
            around.logger.warning(
                "the memory of another identity was set aside; this node begins without",
                metadata: ["of": "\(foreigner)", "to": "\(memory.setAside.last ?? "?")"])
        }
        return memory
    }

    private static func coordinate(
        _ settings: ClusterSettings, _ told: inout ClusterServiceSettings, _ ports: inout ClusterPorts, boot: UInt64
    ) throws(EtcdError) {
        guard let address = settings.coordinator else { return }
        var coordination = CoordinationSettings(name: address.description)
        coordination.seeds = settings.seedsCoordinator
        told.coordination = coordination
        ports.coordinator = try EtcdCoordinator(
            address, node: told.member.node, boot: boot, authority: settings.coordinatorAuthority,
            lease: told.timings.coordinatorLease)
    }

    /// Joins or founds, when the node is in no cluster yet; where to find the cluster.
    private static func enter(
        _ settings: ClusterSettings, _ store: IdentityStore, _ founding: Founding, _ hosts: [String],
        _ around: Surroundings
    ) async throws -> [PeerAddress] {
        guard let given = settings.ticket else {
            if store.identity.credentials == nil {
                guard settings.founds else { throw IdentityError.notMember }
                try founding.begin()
                _ = try store.found(ClusterID.draw(.system), now: .current)
            }
            return settings.seeds
        }
        if let own = store.identity.credentials, own.authority.fingerprint == given.authority,
            own.certificate.identity.notAfter > .current
        {
            // It has joined already: the ticket of a start command need not be valid for ever, nor anybody else be up.
            return settings.seeds + given.addresses.map { PeerAddress(host: $0.host, port: $0.port) }
        }
        let addresses = settings.port == 0 ? [] : hosts.map { PeerAddress(host: $0, port: settings.port).description }
        // Nothing is lost by leaving a cluster of one that does nothing; it is left when the other lets this node in.
        let identity =
            try Departure(dataFolder: around.dataFolder).isAlone(store, founding, joining: given)
            ? NodeIdentity.draw() : store.identity
        let joiner = Joiner(
            identity: identity, versions: JoinVersions(release: NodeService.version), part: settings.part,
            name: settings.name.isEmpty ? ClusterSettings.machineName : settings.name,
            addresses: addresses.compactMap { try? ClusterAddress($0) })
        let (answer, ticket) = try await Self.join(given, as: joiner, discovers: settings.discovers, around.logger)
        if let left = store.identity.credentials?.cluster, identity.credentials == nil {
            let kept = try store.leave(for: identity)
            founding.end()
            around.logger.warning(
                "this machine left the cluster of its own, which had no other member and no deployment",
                metadata: ["cluster": "\(left)", "kept": "\(kept)"])
        }
        if store.identity.credentials == nil {
            try store.adopt(answer.credentials, authority: answer.authority)
        } else {
            try store.replace(answer.credentials)
        }
        let told = answer.peers.flatMap(\.addresses) + ticket.addresses
        return settings.seeds + told.map { PeerAddress(host: $0.host, port: $0.port) }
    }

    private static func gate() -> ConnectionGate {
        ConnectionGate { Instant(nanoseconds: Int64(NIODeadline.now().uptimeNanoseconds)) }
    }

    /// Joins by the addresses of the ticket; where these lead nowhere, by those at which its cluster is seen here.
    private static func join(
        _ ticket: JoinTicket, as joiner: Joiner, discovers: Bool, _ logger: Logger
    ) async throws(JoinError) -> (JoinAnswer, JoinTicket) {
        let client = JoinClient { .current }
        do {
            return (try await client.join(ticket, as: joiner), ticket)
        } catch {
            guard discovers, error.mayBeElsewhere, let other = await ClusterSearch.ticket(like: ticket, logger) else {
                throw error
            }
            logger.notice(
                "no address of the ticket led to its cluster, which was seen elsewhere on this network",
                metadata: ["addresses": "\(other.addresses.map(\.description).joined(separator: ", "))"])
            return (try await client.join(other, as: joiner), other)
        }
    }

    private static func channelSecurity(
        _ security: ClusterSecurity, _ reception: JoinReception, _ logger: Logger
    ) -> ChannelSecurity {
        ChannelSecurity { host, port, loop, proven in
            let door = ClusterPort(
                security: security,
                gate: Self.gate(),
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

    /// Runs, beside `answerMembers`, until the task is cancelled: then stages end first, and the control channel says
    /// good-bye.
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.service.run() }
            group.addTask { await self.stages.run(self.hosting) }
            group.addTask { await self.office.run() }
            group.addTask { await self.settleFounding() }
            group.addTask { await self.passOnTrust() }
            if let discovery { group.addTask { await discovery.run() } }
            if let addresses { group.addTask { await addresses.run(self.service) } }
            if let survey { group.addTask { await survey.run() } }
        }
        await peers.close()
    }

    /// Answers members until the node shuts down: what is being answered then has a moment to end, or the server would
    /// complain of connections that were taken from it.
    func answerMembers() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await serve() }
            group.addTask {
                try? await gracefulShutdown()
                try? await Task.sleep(for: PeerLimits.farewell)
            }
            await group.next()
            group.cancelAll()
        }
    }

    private func serve() async {
        do {
            try await server.application().run()
        } catch is CancellationError {
        } catch {
            logger.error(
                "members cannot ask this node; choose another --data-port", metadata: ["why": "\(error)"])
        }
    }

    /// Links that were made before count for no more than new ones: those of removed nodes end, on every runner too.
    private func passOnTrust() async {
        for await _ in trustChanges {
            door.closeUntrusted()
            await stages.renewTrust()
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

extension NodeReading {
    /// Takes in what the engine may compute on.
    fileprivate mutating func tell(_ found: [EngineDevice]) {
        devices = found.map(DeviceReading.init)
        tilesWeights = found.first { $0.compute == "cpu" }?.tilesWeights
    }
}

extension DeviceReading {
    /// What others hear of a device.
    init(_ device: EngineDevice) {
        self.init(name: device.name, compute: device.compute, totalBytes: device.totalBytes)
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
