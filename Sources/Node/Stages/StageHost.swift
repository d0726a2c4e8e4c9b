import Cluster
import Fabric
import HTTPTypes
import Identity
import Logging
import Runner
import Serving
import Transport
import Vocabulary

/// What stages of this node need of it.
struct StageHosting: Sendable {
    /// This program's own path, for its runners.
    var executable: String
    /// Folder of sockets.
    var folder: String
    /// Identity of the cluster, as runners check it.
    var cluster: String
    /// Address runners bind for other machines.
    var address: String
    /// Compute threads of a stage; nil takes all cores.
    var threads: Int?
    /// Devices stages may use; nil leaves it to the engine.
    var devices: [String]?
    /// Where stages keep sequences on disk; nil keeps none there.
    var archive: ArchiveSettings?
    /// What runners show other machines, and whom they believe.
    var pass: @Sendable () -> LinkPass
    /// The models.
    var library: ModelLibrary
    /// A deployment as the log has it.
    var deployment: @Sendable (String) async -> Deployment?
    /// Memory a stage could take now; nil when unknown. **Units:** bytes.
    var usableBytes: @Sendable () -> UInt64?
    var logger: Logger
}

/// Runs this node's stages for the cluster.
///
/// **Isolation:** an actor; `perform` may be called from anywhere and returns at once.
actor StageHost: StageTasks {
    /// A stage may need this much more than was free when it was planned and still be tried.
    static let memoryTolerance = 1.1
    /// Longest reason in a report. **Units:** characters.
    static let reasonLength = 400
    /// Tasks waiting to begin; the control plane gives out one per stage and phase.
    private static let orderLimit = 4096

    private struct Order: Sendable {
        var task: StageTask
        var report: @Sendable (StageReport) -> Void
    }

    let node: NodeID
    private let peers: PeerClient
    private var hosting: StageHosting?
    private let orders: AsyncStream<Order>
    private let ordered: AsyncStream<Order>.Continuation
    private var stages: [Epoch: HostedStage] = [:]

    /// Runs stages of `node`, once `run` is called.
    init(node: NodeID, peers: PeerClient) {
        self.node = node
        self.peers = peers
        (orders, ordered) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.orderLimit))
    }

    /// See `StageTasks`.
    nonisolated func perform(_ task: StageTask, report: @escaping @Sendable (StageReport) -> Void) {
        guard case .dropped = ordered.yield(Order(task: task, report: report)),
            case .load(let placement, _) = task
        else { return }
        report(StageReport(epoch: placement.epoch, status: .refused, reason: "the node has too many tasks waiting"))
    }

    /// Carries tasks out until the task is cancelled; then ends every runner.
    func run(_ hosting: StageHosting) async {
        self.hosting = hosting
        await withDiscardingTaskGroup { group in
            for await order in orders {
                switch order.task {
                case .load(let placement, let index):
                    let stage = HostedStage(placement, index: index, host: hosting, report: order.report)
                    stages[placement.epoch] = stage
                    group.addTask { await stage.run() }
                case .prove(let epoch):
                    guard let stage = stages[epoch] else { continue }
                    let chain = StageChain(node: node, placement: stage.placement, peers: peers)
                    group.addTask { await stage.prove(chain) }
                case .serve(let epoch):
                    guard let stage = stages[epoch] else { continue }
                    await stage.serve()
                    group.addTask { await stage.watchIdleTime() }
                case .drain(let epoch):
                    guard let stage = stages[epoch] else { continue }
                    group.addTask { await stage.drain() }
                case .stop(let epoch):
                    await stages.removeValue(forKey: epoch)?.halt()
                }
            }
            group.cancelAll()
        }
        stages = [:]
    }

    /// Tells the runners what changed of this node's certificate and trust.
    func renewTrust() async { for stage in stages.values { await stage.renewTrust() } }

    /// The stage of an epoch, for requests of this node.
    func stage(_ epoch: Epoch) -> HostedStage? { stages[epoch] }

    // MARK: For other members

    /// How the runner of an epoch is reached.
    ///
    /// **Throws:** `PeerRefusal` when there is none.
    func post(of epoch: Epoch) async throws -> StagePost { try await known(epoch).post() }

    /// Opens the links of a stage as its entry stage's node says.
    ///
    /// **Throws:** `PeerRefusal`, or why a link did not open.
    func connect(_ epoch: Epoch, _ wish: StageConnect) async throws {
        let stage = try known(epoch)
        let next = try await wish.next.asyncMap { try await peers.target(of: NodeID($0), epoch: epoch) }
        let entry = try await peers.target(of: NodeID(wish.entry), epoch: epoch)
        try await stage.connect(next: next, entry: entry)
    }

    private func known(_ epoch: Epoch) throws(PeerRefusal) -> HostedStage {
        guard let stage = stages[epoch] else {
            throw PeerRefusal(.notFound, "This node runs no stage of epoch \(epoch).")
        }
        return stage
    }
}

/// Links the stages of one epoch: every runner to the next one, and the last to the first.
struct StageChain: Sendable {
    let node: NodeID
    let placement: PlacedReplica
    let peers: PeerClient

    /// Opens all links.
    ///
    /// **Throws:** which stage could not be linked, and why.
    func link(_ entry: HostedStage) async throws {
        let epoch = placement.epoch
        let others = placement.stages.dropFirst().map(\.node)
        let posts = try await withThrowingTaskGroup(of: (Int, StagePost).self) { group in
            for (index, other) in others.enumerated() {
                group.addTask { (index, try await self.peers.post(of: other, epoch: epoch)) }
            }
            var posts: [Int: StagePost] = [:]
            for try await (index, post) in group { posts[index] = post }
            return posts
        }
        let own = try await entry.post()
        let known = [own] + others.indices.map { posts[$0] }
        // A release that does not know an operation or a kind of step never gets to see one.
        let passesWishes = known.dropFirst().allSatisfy { $0?.passesWishes == true }
        let chain = ChainFacts(
            costs: known.map { $0?.costs }, archives: known.map { $0?.archives },
            heads: passesWishes ? known.last??.heads : nil, pauses: known.map { $0?.pauses })
        let next = try await posts[0].asyncMap { try await peers.target(of: others[0], $0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await entry.connect(next: next, entry: nil, chain: chain)
            }
            for (index, other) in others.enumerated() {
                let wish = StageConnect(
                    next: index + 1 < others.count ? others[index + 1].value : nil, entry: node.value,
                    costs: chain.costs)
                group.addTask { try await self.peers.post("stages/\(epoch.pathText)/connect", wish, to: other) }
            }
            try await group.waitForAll()
        }
    }
}

extension PeerClient {
    /// How a stage on another node is reached.
    ///
    /// **Throws:** `PeerError`.
    func post(of node: NodeID, epoch: Epoch) async throws(PeerError) -> StagePost {
        try await get("stages/\(epoch.pathText)", of: node, as: StagePost.self)
    }

    /// Where the runner of a stage on another node accepts links.
    ///
    /// **Throws:** `PeerError`.
    func target(of node: NodeID, epoch: Epoch) async throws(PeerError) -> LinkTarget {
        try target(of: node, try await post(of: node, epoch: epoch))
    }

    /// Where the runner that a node has just described accepts links.
    ///
    /// **Throws:** `PeerError.unknown` when nothing was asked of the node before.
    func target(of node: NodeID, _ post: StagePost) throws(PeerError) -> LinkTarget {
        guard let host = lastHost(of: node) else { throw .unknown(node) }
        return LinkTarget(.tcp(host: host, port: post.port), serverName: serverName(of: node))
    }
}

extension Optional {
    /// `map` with a body that waits.
    func asyncMap<Value, Failure: Error>(
        _ body: (Wrapped) async throws(Failure) -> Value
    ) async throws(Failure) -> Value? {
        guard let self else { return nil }
        return try await body(self)
    }
}
