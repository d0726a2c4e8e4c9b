import Gateway
import LlamaEngine
package import Logging
import ModelStore
import NIOCore
import NIOPosix
import ResponseStore
import ServiceLifecycle
import UnixSignals
import Vocabulary

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What one node is told to do.
package struct NodeConfiguration: Sendable {
    /// What to serve.
    package var deployments: [DeploymentSpec]
    /// Where the API listens.
    package var host = "127.0.0.1"
    /// Port of the API; 0 lets the system choose.
    package var port = 7534
    /// Folder of caches.
    package var cacheFolder = Folders.cache
    /// Folder of what must not be lost: stored responses.
    package var dataFolder = Folders.data
    /// Who may use the API, and from where.
    package var exposure = Exposure()
    /// The node's part in a cluster; nil serves alone.
    package var cluster: ClusterSettings?
    /// Whether the node ends when its part in the cluster cannot be opened; else it serves alone and says so.
    package var needsCluster = false
    /// Devices the engine may use, by its names; nil leaves it to the engine.
    package var devices: [String]?

    /// A node that serves these deployments.
    package init(deployments: [DeploymentSpec]) { self.deployments = deployments }
}

/// Standard folders of this machine.
package enum Folders {
    /// `$XDG_CACHE_HOME/skein`, or `~/.cache/skein`.
    package static var cache: String {
        if let folder = environment("XDG_CACHE_HOME") { return "\(folder)/skein" }
        return "\(environment("HOME") ?? "/tmp")/.cache/skein"
    }

    /// `$SKEIN_HOME`; else the system's place for data: `$XDG_DATA_HOME/skein` or `~/.local/share/skein`, on macOS
    /// `~/Library/Application Support/Skein`.
    package static var data: String {
        if let folder = environment("SKEIN_HOME") { return folder }
        let home = environment("HOME") ?? "/tmp"
        #if os(macOS)
            return "\(home)/Library/Application Support/Skein"
        #else
            return "\(environment("XDG_DATA_HOME") ?? "\(home)/.local/share")/skein"
        #endif
    }

    private static func environment(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }
}

/// A node: supervisors of its deployments and the API in front of them.
package struct NodeService: Sendable {
    /// The release, as `--version` and the API name it.
    package static let version = "0.1.0"
    /// How long answers under way may take to end after a signal. **Units:** seconds.
    static let drainSeconds = 5
    /// How long writing kept sequences to disk may take then. **Units:** seconds.
    static let archiveSeconds = 10
    /// How long a shutdown may take before what is left is cancelled. **Units:** seconds.
    static let shutdownSeconds = 8

    private let configuration: NodeConfiguration
    private let executable: String
    private let logger: Logger

    /// Makes a node; `executable` is this program's own path, for its runners.
    package init(_ configuration: NodeConfiguration, executable: String, logger: Logger) {
        self.configuration = configuration
        self.executable = executable
        self.logger = logger
    }

    /// Runs until SIGINT or SIGTERM. `listening` gets the API's port; `changed` gets a line for people when something
    /// worth telling happens.
    ///
    /// **Throws:** `ExposureError` when others could reach the API without a key, `KeyBookError` when the keys cannot
    /// be read, `DeploymentError` when a deployment cannot be planned, what `ClusterNode.open` throws when the node
    /// needs its cluster, or what the HTTP server throws when its port is taken.
    package func run(listening: @escaping @Sendable (Int) async -> Void) async throws {
        try await SocketFolder.with { folder in try await run(in: folder, listening: listening) }
    }

    private func run(in folder: String, listening: @escaping @Sendable (Int) async -> Void) async throws {
        let connections = ConnectionLimits()
        // Half as many again for files, runners and what the libraries open.
        let files = OpenFiles.allow(UInt64(connections.connections + connections.refusedConnections) * 3 / 2)
        if files < UInt64(connections.connections) {
            logger.warning("few files may be open; connections are refused early", metadata: ["limit": "\(files)"])
        }
        let keys = KeyFile(dataFolder: configuration.dataFolder)
        let access = try configuration.exposure.policy(
            host: configuration.host, hasValidKey: try keys.current().hasValidKey(at: Int64(time(nil))))
        let devices = try await probedDevices()
        let caches = NodeCaches(folder: configuration.cacheFolder)
        let supervisors = try configuration.deployments.map { spec in
            var spec = spec
            spec.devices = configuration.devices
            return PlacementSupervisor(
                plan: try DeploymentPlan(spec, caches: caches), executable: executable, folder: folder,
                eventLoop: MultiThreadedEventLoopGroup.singleton.next(), logger: logger)
        }
        let cluster = try await openCluster(folder, caches, devices, supervisors.map(\.plan))
        let router = cluster.map { ClusterRouter($0, logger: logger) }
        let variants = ModelVariants(dataFolder: configuration.dataFolder, logger: logger)
        let named = configuration.cluster?.name ?? ""
        let backend = NodeBackend(
            supervisors, router: router, variants: variants, owner: named.isEmpty ? ClusterSettings.machineName : named,
            isOnGPU: devices.isEmpty ? nil : devices.contains { $0.compute != "cpu" })
        let workshop = ModelWorkshop(
            variants: variants, blobs: BlobStore(folder: "\(configuration.dataFolder)/blobs"), digests: caches.digests,
            premises: NodePremises(backend: backend, supervisors: supervisors, cluster: cluster), logger: logger)
        await workshop.open()
        let gateway = GatewayServer(
            backend: backend, store: openResponseStore(), embedder: NodeEmbedder(backend: backend),
            cluster: cluster.map { ClusterGate($0, own: supervisors.map(\.plan.named), variants: variants) },
            keeper: workshop,
            host: configuration.host, port: configuration.port,
            fingerprint: "skein-\(NodeService.version)-llama-\(LlamaLibrary.version)", access: access, keys: keys,
            connections: connections, logger: logger)
        // Order is dependency order: on shutdown the answers under way drain first, then the API, the runners last.
        let services: [any Service] =
            supervisors.map(SupervisorService.init)
            + (cluster.map { [PeerPortService(node: $0), ClusterPartService(node: $0)] } ?? [])
            + (router.map { [RouterService(router: $0)] } ?? [])
            + [gateway.application(ready: listening), DrainService(backend: backend)]
        var group = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        let archives = configuration.deployments.contains { $0.archive != nil }
        group.maximumGracefulShutdownDuration = .seconds(Self.shutdownSeconds + (archives ? Self.archiveSeconds : 0))
        try await ServiceGroup(configuration: group).run()
    }

    /// What the engine may compute on here; nothing while that is not known, or of no interest.
    ///
    /// **Throws:** `DeploymentError.setting` for a device that is not here.
    private func probedDevices() async throws(DeploymentError) -> [EngineDevice] {
        guard configuration.cluster != nil || configuration.devices != nil else { return [] }
        let devices = await DeviceProbe.devices(executable, logger: logger)
        guard let names = configuration.devices else { return devices ?? [] }
        if let devices, let objection = EngineDevices.objection(to: names, among: devices) {
            throw .setting(name: "device", value: names.joined(separator: ","), limit: objection)
        }
        return EngineDevices.chosen(names, among: devices ?? [])
    }

    /// The node's part in its cluster. Where it cannot be opened the node serves alone, unless it was started for it.
    private func openCluster(
        _ folder: String, _ caches: NodeCaches, _ devices: [EngineDevice], _ plans: [DeploymentPlan]
    ) async throws -> ClusterNode? {
        guard let settings = configuration.cluster else { return nil }
        do {
            try StoreFiles.makeFolders(configuration.dataFolder)
            let node = try await ClusterNode.open(
                settings,
                ClusterNode.Surroundings(
                    executable: executable, socketFolder: folder, cacheFolder: configuration.cacheFolder,
                    dataFolder: configuration.dataFolder, caches: caches, devices: devices,
                    chosenDevices: configuration.devices, logger: logger))
            let builtin = try Self.builtinModelPath(cacheFolder: configuration.cacheFolder)
            try await node.library.add(path: builtin, name: Self.builtinModelName)
            for spec in configuration.deployments where spec.path != builtin {
                try await node.library.add(path: spec.path, sources: spec.sources)
            }
            for plan in plans { await share(plan, node.library) }
            return node
        } catch {
            if configuration.needsCluster { throw error }
            logger.error("this node serves alone, without a cluster", metadata: ["why": "\(error)"])
            return nil
        }
    }

    /// Lets members have the projector with which this node serves a model; without it the model is shared all the
    /// same.
    private func share(_ plan: DeploymentPlan, _ library: ModelLibrary) async {
        guard let path = plan.spec.projector else { return }
        do throws(LibraryError) {
            let book = try await library.add(path: path)
            await library.note(projector: book.digest, of: plan.card.digest)
        } catch {
            logger.warning(
                "other nodes cannot have this projector", metadata: ["path": "\(path)", "why": "\(error)"])
        }
    }

    /// The store of responses; without one the node serves all the same, and says of every response that it is not
    /// kept.
    private func openResponseStore() -> (any ResponseStoring)? {
        do {
            let path = "\(configuration.dataFolder)/responses.sqlite"
            let store = try SQLiteResponseStore(path: path) { Int64(time(nil)) }
            if let aside = store.setAside {
                logger.error("the response store was damaged and starts empty", metadata: ["set.aside": "\(aside)"])
            }
            return store
        } catch {
            logger.error("responses are not stored", metadata: ["error": "\(error)"])
            return nil
        }
    }
}

/// On shutdown: refuses new requests, gives answers under way a moment to end, then ends each with one typed error.
private struct DrainService: Service {
    let backend: NodeBackend

    func run() async throws {
        try? await gracefulShutdown()
        await backend.drain(seconds: NodeService.drainSeconds)
        await backend.archive(seconds: NodeService.archiveSeconds)
    }
}

/// Runs the node's part in its cluster inside the service group.
private struct ClusterPartService: Service {
    let node: ClusterNode

    func run() async throws { await cancelWhenGracefulShutdown { await node.run() } }
}

/// Answers other members inside the service group.
private struct PeerPortService: Service {
    let node: ClusterNode

    func run() async throws {
        await node.answerMembers()
        // The node goes on without the port, which has been said.
        try? await gracefulShutdown()
    }
}

/// Runs the router inside the service group.
private struct RouterService: Service {
    let router: ClusterRouter

    func run() async throws { await cancelWhenGracefulShutdown { await router.run() } }
}

/// Runs a supervisor inside the service group.
private struct SupervisorService: Service {
    let supervisor: PlacementSupervisor

    init(_ supervisor: PlacementSupervisor) { self.supervisor = supervisor }

    func run() async throws {
        await cancelWhenGracefulShutdown { await supervisor.run() }
        // A deployment that gave up stays listed with its reason; the node goes on serving the others.
        try? await gracefulShutdown()
    }
}
