import Cluster
import Fabric
import GGUF
import Gateway
import Identity
import Logging
import ModelStore
import NIOCore
import NIOPosix
import Runner
import Transport
import Vocabulary

/// Takes requests to the entry stage of a placement, on whatever node that runs: the prompt goes straight there.
///
/// **Isolation:** an actor; the events of a request do not pass through it.
actor ClusterRouter {
    /// How often one request asks the cluster to wake or make its deployment.
    private static let demandLimit = 8
    /// How long a deployment made by a first request stays loaded without another one. **Units:** milliseconds.
    private static let automaticMilliseconds: UInt64 = 300_000
    /// Wishes about how long deployments stay loaded that wait to be said.
    private static let keepLimit = 1024
    /// Requests that may wait for deployments.
    private static let waiterLimit = 1024

    /// A way to the entry runner of one epoch.
    private struct Way {
        var link: ControlLink
        /// Where the entry runner is.
        var entry: NodeID
    }

    /// What a request asks the cluster for: a model by its name, and by its content where that is known.
    private struct Demand: Hashable, Sendable {
        let name: String
        let digest: String?
    }

    private struct RouteFailure: Error {
        let reason: String
    }

    /// Time for which a placement that could not be reached is not tried again. **Units:** milliseconds.
    private static let backoffMilliseconds = 1000

    private let service: ClusterService
    private let stages: StageHost
    private let peers: PeerClient
    private let library: ModelLibrary
    private let door: LinkDoor
    private let logger: Logger
    private var ways: [Epoch: Way] = [:]
    /// Ways that are being opened.
    private let openings = SharedWork<Epoch, Result<ControlLink, RouteFailure>>()
    /// Placements that could not be reached lately, and until when they are passed over.
    private var unreachable: [Epoch: ContinuousClock.Instant] = [:]
    private var waiting = 0
    /// What the cluster is asked for; a hundred requests at once ask once.
    private let demands = SharedWork<Demand, CommandOutcome>()
    private let catalogue: ModelCatalogue
    /// Whether first requests make deployments.
    private let deploys: Bool
    private let (keeps, keep) = AsyncStream.makeStream(
        of: (String, KeepAlive).self, bufferingPolicy: .bufferingNewest(keepLimit))
    private let (losses, lost) = AsyncStream.makeStream(of: (Epoch, LinkClosure).self)
    private var isDraining = false

    init(_ node: ClusterNode, logger: Logger) {
        service = node.service
        stages = node.stages
        peers = node.peers
        library = node.library
        door = node.door
        catalogue = node.catalogue
        deploys = node.autoDeploys
        self.logger = logger
    }

    /// Does what requests wait for, and notices ways that broke and those whose end nobody tells because a machine
    /// vanished, until it is cancelled.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await (epoch, closure) in self.losses { await self.drop(epoch, "\(closure)") } }
            group.addTask {
                guard let watch = self.service.watch() else { return }
                for await _ in watch { await self.follow(await self.service.view) }
            }
            group.addTask { for await (name, time) in self.keeps { await self.apply(time, to: name) } }
            group.addTask { await self.openings.run() }
            group.addTask { await self.demands.run() }
        }
        // Nobody does any more what others would wait for.
        isDraining = true
    }

    private func drop(_ epoch: Epoch, _ reason: String) async {
        guard let way = ways.removeValue(forKey: epoch) else { return }
        logger.warning("the way to a placement broke", metadata: ["epoch": "\(epoch)", "why": "\(reason)"])
        await way.link.fail(.stageLost(stage: 0, reason: reason))
    }

    private func follow(_ view: ClusterView) async {
        let placed = Set(view.deployments.flatMap(\.placements).map(\.epoch))
        let dead = Set(view.members.filter { $0.liveness >= .dead }.map(\.member.node))
        for (epoch, way) in ways where !placed.contains(epoch) || dead.contains(way.entry) {
            await drop(epoch, placed.contains(epoch) ? "node \(way.entry) does not answer" : "the placement ended")
        }
        unreachable = unreachable.filter { placed.contains($0.key) }
    }

    /// Lets nobody wait any more.
    func beginDrain() { isDraining = true }

    /// Ends every way, each request with the same error.
    func close(_ error: GenerationError) async {
        isDraining = true
        let links = ways.values.map(\.link)
        ways = [:]
        for link in links { await link.fail(error) }
    }

    /// The links in use, for a drain.
    var links: [ControlLink] { ways.values.map(\.link) }

    // MARK: Routing

    /// The next step of a request on its way; waits while its deployment is on its way, wakes it when it sleeps, and
    /// makes it where the request may. No wait goes on behind the end of the request's time.
    ///
    /// **Throws:** `modelNotFound`, `modelNotReady` with the reason the cluster gives, `overloaded`, `cancelled` when
    /// it is not wanted any more.
    func step(
        _ journey: inout Journey, isWanted: @Sendable () -> Bool
    ) async throws(GenerationError) -> RouteStep {
        let name = journey.name
        search: while !isDraining {
            guard isWanted(), !Task.isCancelled else { throw .cancelled }
            let view = await service.view
            let found = view.deployments.first { $0.deployment.name == name }
            if let found { journey.wasDeployed = !found.deployment.isAutomatic }
            guard let deployment = found, deployment.state != .sleeping else {
                try await demand(found?.deployment, &journey, view)
                continue
            }
            for placement in await byLoad(deployment.placements.filter { $0.phase == .active }) {
                do throws(RouteFailure) {
                    // The next look finds that the time is up.
                    guard let way = try await link(to: placement, until: journey.end) else { continue search }
                    return .arrived(way)
                } catch {
                    journey.failure = error.reason
                    unreachable[placement.epoch] = .now + .milliseconds(Self.backoffMilliseconds)
                }
            }
            // Nobody waits for a person to add memory to what only a request asked for.
            if deployment.state == .failed || deployment.doesNotFit && deployment.deployment.isAutomatic {
                throw .modelNotReady(name: name, reason: deployment.reason, retryAfterSeconds: 60)
            }
            if let news = journey.news(view.progress(of: deployment)) { return .preparing(news) }
            let reason = journey.failure.isEmpty ? deployment.reason : journey.failure
            try await pause(journey, reason: reason, until: journey.deadline(deployment.state), view)
        }
        throw .modelNotReady(name: name, reason: "the node is stopping", retryAfterSeconds: 10)
    }

    // MARK: Waking and making

    /// Has the cluster wake a deployment, or make it when there is none and the request may.
    private func demand(
        _ known: Deployment?, _ journey: inout Journey, _ view: ClusterView
    ) async throws(GenerationError) {
        let name = journey.name
        let available = journey.ownNames + view.deployments.map(\.deployment.name)
        guard known != nil || mayMake(journey) else { throw .modelNotFound(name: name, available: available) }
        if journey.demands > 0 {
            try await pause(journey, reason: "it is unloaded again and again", until: journey.deadline(nil), view)
        }
        guard journey.demands < Self.demandLimit else {
            throw .modelNotReady(name: name, reason: "it is unloaded again and again", retryAfterSeconds: 10)
        }
        journey.demands += 1
        let asked = journey
        let outcome = await demands.outcome(for: Demand(name: name, digest: asked.digest), until: asked.end) {
            await self.demanded(known, asked, view)
        }
        guard case .refused(let refusal)? = outcome else { return }
        switch refusal.code {
        case .notFound: throw .modelNotFound(name: name, available: available)
        default: throw .modelNotReady(name: name, reason: refusal.description, retryAfterSeconds: 5)
        }
    }

    /// Whether a request may have its deployment made.
    private func mayMake(_ journey: Journey) -> Bool {
        deploys && !journey.wasDeployed && journey.residency?.mayDeploy == true
    }

    private func wish(_ known: Deployment?, _ journey: Journey, _ view: ClusterView) async -> Deployment? {
        if let known { return known }
        guard let entry = await catalogue.find(journey.name, digest: journey.digest, view) else { return nil }
        var wish = Deployment(name: journey.name, model: entry.name)
        wish.digest = entry.digest
        wish.sources = entry.named.fullSources.map(\.description)
        wish.quantization = entry.named.quantization
        wish.blocks = await library.root(ofBlocksOf: entry.digest)
        if let projector = await library.projector(of: entry.digest) {
            wish.projector = projector
            wish.projectorBlocks = await library.root(ofBlocksOf: projector)
        }
        wish.keepAliveMilliseconds =
            switch journey.residency?.keepAlive {
            case .milliseconds(let time): time
            case .forever: nil
            case .unload, nil: Self.automaticMilliseconds
            }
        return wish
    }

    private func demanded(_ known: Deployment?, _ journey: Journey, _ view: ClusterView) async -> CommandOutcome {
        guard let wish = await wish(known, journey, view) else {
            return .refused(CommandRefusal(.notFound, "No machine has the model '\(journey.name)'."))
        }
        let stopping = CommandRefusal(.unanswered, "This node is stopping.")
        return (try? await service.apply(.demand(wish))) ?? .refused(stopping)
    }

    /// Notes how long a deployment shall stay loaded from now on; the cluster is told by and by.
    nonisolated func note(_ time: KeepAlive, for name: String) { keep.yield((name, time)) }

    @discardableResult
    private func apply(_ time: KeepAlive, to name: String) async -> CommandRefusal? {
        let view = await service.view
        guard let known = view.deployments.first(where: { $0.deployment.name == name }) else { return nil }
        let milliseconds: UInt64? =
            switch time {
            case .unload: 0
            case .milliseconds(let time): max(time, Cluster.Limits.leastKeepAliveMilliseconds)
            case .forever: nil
            }
        if milliseconds != 0, known.deployment.keepAliveMilliseconds == milliseconds { return nil }
        guard case .refused(let refusal)? = try? await service.apply(.keep(name, milliseconds)) else { return nil }
        return refusal.code == .notFound ? nil : refusal
    }

    /// Unloads a deployment; what is not loaded stays so.
    ///
    /// **Throws:** `modelNotFound`, or `modelNotReady` when the cluster cannot decide it now.
    func unload(_ name: String) async throws(GenerationError) {
        let view = await service.view
        let isDeployed = view.deployments.contains { $0.deployment.name == name }
        var isKnown = isDeployed
        if !isKnown { isKnown = await catalogue.find(name, digest: nil, view) != nil }
        guard isKnown else {
            throw .modelNotFound(name: name, available: view.deployments.map(\.deployment.name))
        }
        if let refusal = await apply(.unload, to: name) {
            throw .modelNotReady(name: name, reason: refusal.description, retryAfterSeconds: 5)
        }
    }

    // MARK: Ways

    /// The replica with the fewest requests of this node first; those that could not be reached just now are left out.
    private func byLoad(_ placements: [PlacedReplica]) async -> [PlacedReplica] {
        var loads: [(load: Int, placement: PlacedReplica)] = []
        for placement in placements {
            if let until = unreachable[placement.epoch], ContinuousClock.now < until { continue }
            loads.append((await ways[placement.epoch]?.link.load ?? 0, placement))
        }
        return loads.sorted { ($0.load, $0.placement.epoch) < ($1.load, $1.placement.epoch) }.map(\.placement)
    }

    /// Waits for something to change, for a second at most and never behind the end of the request's time.
    private func pause(
        _ journey: Journey, reason: String, until deadline: ContinuousClock.Instant, _ seen: ClusterView
    ) async throws(GenerationError) {
        guard ContinuousClock.now < deadline, !Task.isCancelled else {
            throw .modelNotReady(name: journey.name, reason: reason, retryAfterSeconds: 10)
        }
        guard waiting < Self.waiterLimit else {
            throw .overloaded(queued: waiting, limit: Self.waiterLimit, retryAfterSeconds: 5)
        }
        waiting += 1
        defer { waiting -= 1 }
        let service = service
        let latest = ContinuousClock.now + .seconds(1)
        let end = journey.end.map { min($0, latest) } ?? latest
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                guard let watch = service.watch() else {
                    try? await Task.sleep(for: .milliseconds(200))
                    return
                }
                for await update in watch {
                    // The first one is what is there already.
                    if case .snapshot(_, let view) = update, view.deployments == seen.deployments { continue }
                    return
                }
            }
            group.addTask { try? await Task.sleep(until: end, clock: .continuous) }
            await group.next()
            group.cancelAll()
        }
    }

    /// The way to a placement; nil when the request has no time to wait for its opening any more.
    private func link(
        to placement: PlacedReplica, until end: ContinuousClock.Instant?
    ) async throws(RouteFailure) -> ControlLink? {
        let epoch = placement.epoch
        if let link = ways[epoch]?.link {
            if await link.isConnected { return link }
            if ways[epoch]?.link === link { ways[epoch] = nil }
        }
        guard let entry = placement.stages.first?.node else { throw RouteFailure(reason: "it has no stages") }
        let outcome = await openings.outcome(for: epoch, until: end) { await self.reach(epoch, on: entry) }
        guard let outcome else { return nil }
        return try outcome.get()
    }

    /// Opens the way to a placement.
    private func reach(_ epoch: Epoch, on entry: NodeID) async -> Result<ControlLink, RouteFailure> {
        do {
            let link = try await open(epoch, on: entry)
            // It may have broken before anybody looked at it.
            guard await link.isConnected else { throw LinkClosure.closedByPeer }
            ways[epoch] = Way(link: link, entry: entry)
            return .success(link)
        } catch {
            return .failure(RouteFailure(reason: "the entry stage on node \(entry) cannot be reached: \(error)"))
        }
    }

    private func open(_ epoch: Epoch, on entry: NodeID) async throws -> ControlLink {
        let post: StagePost
        let target: LinkTarget
        if let stage = await stages.stage(epoch), entry == service.node {
            post = try await stage.post()
            target = await stage.target
        } else {
            post = try await peers.post(of: entry, epoch: epoch)
            target = try await peers.target(of: entry, post)
        }
        guard let hello = post.hello else {
            throw PeerError.unreadable(entry, reason: "the description of its stage is damaged")
        }
        let lost = lost
        let link = ControlLink(hello: hello, eventLoop: MultiThreadedEventLoopGroup.singleton.next()) { closure in
            lost.yield((epoch, closure))
        }
        try await link.open(target, through: door)
        return link
    }

    // MARK: What is served

    /// The deployment that is asked when a request leaves it open: one that serves, else any.
    var preferredName: String? {
        get async {
            let deployments = await service.view.deployments
            return (deployments.first { $0.state == .ready } ?? deployments.first)?.deployment.name
        }
    }

    /// The cluster's deployments as clients see them.
    func models() async -> [ServedModel] {
        var models: [ServedModel] = []
        let cluster = await service.view
        for view in cluster.deployments {
            let state: ServedModel.State =
                switch view.state {
                case .ready, .degraded: .ready
                case .failed: .failed(reason: view.reason)
                case .sleeping: .sleeping(reason: view.reason)
                case .pending, .fetching, .loading: .starting(reason: view.reason)
                }
            var model = ServedModel(
                card: await card(of: view.deployment, view.placements), state: state,
                created: view.deployment.wish.milliseconds / 1000)
            model.unloadsInMilliseconds = cluster.timeLeft(of: view)
            model.isOnGPU = cluster.isOnGPU(view)
            model.aliases = view.deployment.aliases
            model.sources = view.deployment.named.sources
            models.append(model)
        }
        return models + (await availableModels())
    }

    /// What the cluster has and nobody deployed, where a first request would.
    private func availableModels() async -> [ServedModel] {
        let view = await service.view
        var seen = Set(view.deployments.map(\.deployment.name))
        var models: [ServedModel] = []
        for entry in await available(view) where seen.insert(entry.name).inserted {
            var deployment = Deployment(name: entry.name, model: entry.name)
            deployment.digest = entry.digest
            var model = ServedModel(card: await card(of: deployment, []), state: .available, created: 0)
            model.sources = entry.sources
            model.standing = entry.named.standing
            models.append(model)
        }
        return models
    }

    /// What a first request may deploy.
    private func available(_ view: ClusterView) async -> [ModelCatalogue.Entry] {
        let isOff = view.settings.contains { $0.name == ClusterState.autoDeploySetting && $0.value == "off" }
        return deploys && !isOff ? await catalogue.entries(view) : []
    }

    // MARK: Names

    /// Whether a deployment has this very name.
    func isDeployed(_ name: String) async -> Bool {
        await service.view.deployments.contains { $0.deployment.name == name }
    }

    /// The cluster's deployments as names find them, and behind them what a request that may deploy can make of files.
    func named(mayDeploy: Bool) async -> [NamedModel] {
        let view = await service.view
        return view.deployments.map(\.deployment.named) + (mayDeploy ? await available(view).map(\.named) : [])
    }

    /// What is known of a deployment's model; little while its header cannot be read.
    private func card(of deployment: Deployment, _ placements: [PlacedReplica]) async -> ModelCard {
        let placed = placements.last { $0.phase == .active } ?? placements.last
        let window = placed.map { Int(clamping: $0.contextTokens) } ?? 0
        if let model = await library.knownHeader(deployment.identity), let cutter = try? model.cutter() {
            var card = model.card(
                id: deployment.name, digest: deployment.digest, layerCount: cutter.layerCount,
                servedContext: window > 0 ? window : model.unaskedWindow)
            if !deployment.projector.isEmpty { card.sees = true }
            return card
        }
        return ModelCard(
            id: deployment.name, architecture: "unknown", layerCount: placed?.stages.last?.layers.end ?? 0, width: 0,
            trainedContext: window, servedContext: window, vocabularySize: 0, parameterCount: 0,
            weightBytes: ByteCount(0), digest: deployment.digest, quantization: "", chatTemplate: "", license: "")
    }

    /// What the entry runners this node uses say of themselves.
    func reports() async -> [EntryReport] {
        var reports: [EntryReport] = []
        for link in links { if let report = await link.report() { reports.append(report) } }
        return reports
    }
}
