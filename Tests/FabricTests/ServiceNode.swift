import ClusterStore
import Fabric
import Foundation
import Logging
import NIOCore
import Synchronization
import Testing
import Vocabulary

@testable import Cluster

/// A node of a test: its service on loopback with a memory on disk.
struct ServiceNode {
    let service: ClusterService
    let stages: RecordingStages
    private let life: Task<Void, Never>

    struct Options {
        var number: UInt64
        var boot: UInt64 = 1
        var port = 0
        var founds = false
        var seeds: [PeerAddress] = []
        var planner: any PlacementPlanning = OneEach()
        var coordinator: (any Coordinating)?
        var cluster: UInt64 = 0
        var wall = JumpingClock()
        var timings: Cluster.Timings = {
            var timings = Cluster.Timings()
            timings.probePeriod = .milliseconds(200)
            timings.degradedAfter = .milliseconds(1500)
            timings.leaderGrace = .milliseconds(300)
            return timings
        }()
    }

    init(_ options: Options, folder: String) async throws {
        let store = try SQLiteEventStore(path: "\(folder)/\(options.number)/cluster.sqlite")
        self = try await ServiceNode(options, store: store)
    }

    init(_ options: Options, store: any EventStore & Sendable) async throws {
        let node = NodeID(options.number)
        var fabric = FabricSettings(node: node, boot: options.boot, seed: options.number &* 7919 &+ options.boot)
        fabric.host = "127.0.0.1"
        fabric.port = options.port
        var settings = ClusterServiceSettings(
            member: Member(node: node, name: "n\(options.number)"), founds: options.founds, fabric: fabric)
        settings.seeds = options.seeds
        settings.timings = options.timings
        let stages = RecordingStages()
        settings.foundedCluster = options.cluster
        settings.coordination = CoordinationSettings(name: "etcd://test")
        settings.coordination?.entriesBeforeSnapshot = 8
        var ports = ClusterPorts(
            tasks: stages,
            clocks: ServiceClocks(
                uptimeNanoseconds: { Int64(NIODeadline.now().uptimeNanoseconds) },
                unixMilliseconds: { options.wall.milliseconds }),
            plan: { options.planner.plan($0) }
        ) {
            var reading = NodeReading(node: node)
            reading.usableBytes = 1 << 30
            return reading
        }
        ports.coordinator = options.coordinator
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let service = try await ClusterService.open(settings, store: store, ports: ports, logger: logger)
        self.service = service
        self.stages = stages
        life = Task { await service.run() }
    }

    var id: NodeID { service.node }
    var address: PeerAddress { PeerAddress(host: "127.0.0.1", port: service.fabric.port) }

    func stop() async {
        life.cancel()
        await life.value
    }

    /// Waits until this node's view is as wanted.
    @discardableResult
    func sees(
        _ what: String, seconds: Int = 30, _ isSo: @escaping @Sendable (ClusterView) -> Bool
    ) async throws -> ClusterView {
        let watch = try #require(service.watch())
        let service = service
        return try await within(seconds, "node \(id): \(what)") {
            for await _ in watch {
                let view = await service.view
                if isSo(view) { return view }
            }
            throw Overdue(description: "\(what): the service stopped")
        }
    }
}

/// A wall clock that is set to another time while a node runs.
final class JumpingClock: Sendable {
    private let offset = Mutex<Int64>(1_700_000_000_000)

    var milliseconds: Int64 { offset.withLock { $0 } + Int64(NIODeadline.now().uptimeNanoseconds / 1_000_000) }

    func jump(hours: Int64) { offset.withLock { $0 += hours * 3_600_000 } }
}

/// Stages that are loaded, proven, served and drained at once.
final class RecordingStages: StageTasks {
    private let tasks = Mutex<[StageTask]>([])

    var all: [StageTask] { tasks.withLock { $0 } }

    func perform(_ task: StageTask, report: @escaping @Sendable (StageReport) -> Void) {
        tasks.withLock { $0.append(task) }
        switch task {
        case .load(let placement, _): report(StageReport(epoch: placement.epoch, status: .loaded))
        case .prove(let epoch): report(StageReport(epoch: epoch, status: .proven))
        case .serve(let epoch): report(StageReport(epoch: epoch, status: .serving))
        case .drain(let epoch): report(StageReport(epoch: epoch, status: .drained))
        case .stop: break
        }
    }
}

/// Places one of two layers on each of the first two candidates.
struct OneEach: PlacementPlanning {
    func plan(_ question: PlanQuestion) -> PlanAnswer {
        guard question.candidates.count >= 2 else {
            return .refused(reason: "Two nodes are needed, there are \(question.candidates.count).")
        }
        let stages = question.candidates.prefix(2).enumerated().map { place, candidate in
            StageAssignment(
                node: candidate.member.node, layers: LayerRange(first: place, end: place + 1), bytes: ByteCount(100))
        }
        return .placed(stages, contextTokens: 512, lanes: 2)
    }
}

/// A memory in this process that can be full.
final class FaultyDisk: Sendable {
    private let held = Mutex((stored: StoredCluster(), isFull: false))

    func fill(_ isFull: Bool) { held.withLock { $0.isFull = isFull } }
    var stored: StoredCluster { held.withLock { $0.stored } }

    func write(_ records: [StoredRecord]) -> Bool {
        held.withLock { held in
            guard !held.isFull else { return false }
            for record in records { held.stored.apply(record) }
            return true
        }
    }
}

struct FaultyStore: EventStore, Sendable {
    let disk: FaultyDisk

    mutating func load() throws(StoreFailure) -> StoredCluster { disk.stored }

    mutating func write(_ records: [StoredRecord]) throws(StoreFailure) {
        guard records.isEmpty || disk.write(records) else { throw .full(neededBytes: 4096, freeBytes: 0) }
    }
}
