import Gateway
import Hummingbird
import Logging
import Synchronization
import Testing
import Vocabulary

@testable import Cluster
@testable import skein

/// A cluster that stands still and remembers what was asked of it.
final class FixedCluster: ClusterViewing {
    let life: UInt64 = 42
    /// Whether a machine that drains is left at once by its stages and by its vote.
    private let yields: Bool
    private let asked = Mutex<[Command.Action]>([])
    private let tokenCalls = Mutex<[String]>([])

    init(yields: Bool = false) { self.yields = yields }

    /// The commands so far.
    var actions: [Command.Action] { asked.withLock { $0 } }
    /// What was asked about tokens.
    var tokenRequests: [String] { tokenCalls.withLock { $0 } }

    private static func member(_ id: UInt64, _ name: String) -> MemberView {
        var reading = NodeReading(node: NodeID(id))
        // Beyond what a signed number holds.
        reading.totalBytes = .max
        reading.usableBytes = 1 << 33
        reading.weightBytesPerSecond = 12_500_000_000
        reading.prefillOperationsPerSecond = 90_000_000_000
        reading.weightRates = [WeightRate(type: "q4_K", bytesPerSecond: 8_000_000_000)]
        let member = Member(node: NodeID(id), name: name, addresses: ["10.0.0.\(id):7535"], tags: ["llama-cpu"])
        return MemberView(member: member, liveness: .alive, reading: id == 1 ? reading : nil)
    }

    func currentView() async -> ClusterView {
        var placed = PlacedReplica(
            epoch: Epoch(term: 3, number: 9), replica: ReplicaKey(deployment: "m", index: 0),
            stages: [
                StageAssignment(node: NodeID(1), layers: LayerRange(first: 0, end: 4), bytes: ByteCount(1024)),
                StageAssignment(node: NodeID(2), layers: LayerRange(first: 4, end: 8), bytes: ByteCount(2048)),
            ], contextTokens: 4096, lanes: 2)
        placed.phase = .active
        let isLeft = yields && actions.contains(.drain(NodeID(1), true))
        return ClusterView(
            node: NodeID(1), cluster: 0xBEEF, index: 12,
            leadership: LeadershipView(term: 3, leader: NodeID(1), isDegraded: true, voters: [NodeID(isLeft ? 2 : 1)]),
            members: [Self.member(1, "one"), Self.member(2, "two")],
            deployments: [
                DeploymentView(
                    deployment: Deployment(name: "m", model: "file"), state: .degraded, reason: "Slow.", progress: 7,
                    placements: isLeft ? [] : [placed])
            ], settings: [SettingView(name: "s", value: "v")], warnings: ["Beware."])
    }

    func apply(_ action: Command.Action) async throws -> CommandOutcome {
        asked.withLock { $0.append(action) }
        if case .undeploy("none") = action { return .refused(CommandRefusal(.notFound, "No deployment 'none'.")) }
        return .doneDegraded
    }

    func updates(after number: UInt64?) async -> (any AsyncSequence<ClusterUpdate, Never> & Sendable)? {
        let (stream, sink) = AsyncStream<ClusterUpdate>.makeStream()
        switch number {
        case nil: sink.yield(.snapshot(0, await currentView()))
        case 0: sink.yield(.changes(2, [.member(NodeID(2), nil), .warnings([])]))
        default: sink.yield(.changes(3, [.deployment("m", nil)]))
        }
        sink.finish()
        return stream
    }

    func completed(_ wish: Deployment) async -> Result<Deployment, CommandRefusal> { .success(wish) }

    func models() async -> [ClusterModel] { [] }

    func preview(_ deployment: Deployment) async -> PlanPreview {
        let one = PlanQuestion.PlanCandidate(
            member: Member(node: NodeID(1), name: "one"), reading: nil, promisedBytes: 5, creditedBytes: 0)
        let question = PlanQuestion(
            id: 1, deployment: deployment, replica: ReplicaKey(deployment: deployment.name, index: 0), width: 1,
            candidates: [one],
            excluded: [PlanQuestion.PlanExclusion(node: NodeID(2), code: "tags", reason: "It lacks tags.")])
        return PlanPreview(question: question, answer: .refused(reason: "Short by 7 GiB."))
    }

    func createToken(_ wish: TokenWish) async throws(TokenRefusal) -> CreatedToken {
        tokenCalls.withLock { $0.append("create \(wish.uses) \(wish.lifeSeconds) \(wish.isForWorkers)") }
        return CreatedToken(token: Self.token, line: "skein join skein1:x")
    }

    func tokens() async throws(TokenRefusal) -> [TokenView] { [Self.token] }

    func revokeToken(_ id: String) async throws(TokenRefusal) { tokenCalls.withLock { $0.append("revoke \(id)") } }

    private static let token = TokenView(
        id: "0a0b0c0d", state: .usedUp, uses: 2, usesLeft: 0, isForWorkers: true, created: 1, expires: 86_401)
}

/// A node that serves a model by itself, and lists others.
private struct ListingNode: Generating {
    func generate(_ request: GenerationRequest) async -> GenerationStream {
        GenerationStream(events: AsyncStream { $0.finish() })
    }

    func models() async -> [ServedModel] {
        var alias = Self.model("other", .ready)
        alias.aliasOf = "own"
        return [
            Self.model("m", .ready), Self.model("own", .starting(reason: "It is read.")), alias,
            Self.model("file", .available),
        ]
    }

    private static func model(_ name: String, _ state: ServedModel.State) -> ServedModel {
        let card = ModelCard(
            id: name, architecture: "qwen3", layerCount: 8, width: 256, trainedContext: 2048, servedContext: 1024,
            vocabularySize: 4096, parameterCount: 7_345_408, weightBytes: ByteCount(7_961_088),
            digest: String(repeating: "ab", count: 32))
        return ServedModel(card: card, state: state, created: 0)
    }

    func nextRequestID() -> Vocabulary.RequestID { Vocabulary.RequestID(1) }

    func metrics() async -> [MetricSample] { [] }
}

extension FixedCluster {
    /// Calls `body` with a client of a real gateway in front of this cluster.
    func serve(
        watching: Bool = false, _ body: (ClusterClient) async throws -> Void
    ) async throws {
        var logger = Logger(label: "tests") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .critical
        let gateway = GatewayServer(
            backend: ListingNode(), cluster: self, host: "127.0.0.1", port: 0, fingerprint: "skein-test",
            logger: logger)
        let (ports, ready) = AsyncStream.makeStream(of: Int.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { ready.finish() }
                try await gateway.application { ready.yield($0) }.run()
            }
            var opened: Int?
            for await port in ports {
                opened = port
                break
            }
            let port = try #require(opened, "the server ended before it listened")
            let settings = ClusterClient.Settings(
                address: try NodeAddress("http://127.0.0.1:\(port)"), isWatching: watching)
            try await ClusterClient.with(settings, body)
            group.cancelAll()
        }
    }
}
