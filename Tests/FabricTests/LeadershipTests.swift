import ClusterStore
import Etcd
import Fabric
import Foundation
import Synchronization
import Testing
import Vocabulary

@testable import Cluster

/// A way to a coordinator that a test can cut.
final class CuttableCoordinator: Coordinating {
    private let inner: any Coordinating
    private let cut = Mutex(false)

    init(_ inner: any Coordinating) { self.inner = inner }

    func cut(_ isCut: Bool) { cut.withLock { $0 = isCut } }

    func answer(_ request: CoordinatorRequest) async -> CoordinatorAnswer {
        guard !cut.withLock({ $0 }) else { return .unreachable("cut") }
        return await inner.answer(request)
    }

    func close() async { await inner.close() }
}

/// What gives the leadership in a test.
enum Leadership: String, CaseIterable, Sendable {
    case embedded
    case etcd

    static var possible: [Leadership] { EtcdProcess.isThere ? allCases : [.embedded] }
}

/// A cluster of real services, grown by joining.
final class LedCluster {
    struct Node {
        var service: ServiceNode
        var coordinator: CuttableCoordinator?
        var boot: UInt64
    }

    let etcd: EtcdProcess?
    private let folder: String
    var nodes: [UInt64: Node] = [:]

    init(_ leadership: Leadership, count: UInt64) async throws {
        etcd = leadership == .etcd ? try await EtcdProcess() : nil
        folder = FileManager.default.temporaryDirectory.appending(path: "skein-led-\(UUID())").path()
        try await start(1, founds: true)
        try await nodes[1]?.service.sees("itself lead") { $0.leadership.leader == NodeID(1) }
        for number in 2...max(2, count) where number <= count {
            try await start(number)
            try await nodes[number]?.service.sees("itself a member") { view in
                view.members.contains { $0.member.node == NodeID(number) }
            }
        }
        for node in all { try await node.service.sees("all members") { $0.members.count == Int(count) } }
        // Two have one who votes, and three have three.
        try await nodes[1]?.service.sees("the voters") { $0.leadership.voters.count == (count < 3 ? 1 : 3) }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    var all: [Node] { nodes.keys.sorted().compactMap { nodes[$0] } }

    /// Starts a node, again on the same port and memory when it ran before.
    func start(_ number: UInt64, founds: Bool = false) async throws {
        let known = nodes[number]
        var options = ServiceNode.Options(number: number, founds: founds)
        options.boot = (known?.boot ?? 0) + 1
        options.port = known?.service.address.port ?? 0
        if number > 1, known == nil, let first = nodes[1] { options.seeds = [first.service.address] }
        var coordinator: CuttableCoordinator?
        if let etcd {
            coordinator = CuttableCoordinator(
                try EtcdCoordinator(try etcd.at(), node: NodeID(number), boot: options.boot))
            options.coordinator = coordinator
        }
        let service = try await ServiceNode(options, folder: folder)
        nodes[number] = Node(service: service, coordinator: coordinator, boot: options.boot)
    }

    /// The node that leads, by what any node knows.
    func leader() async throws -> Node {
        let first = try #require(all.first)
        let view = try await first.service.sees("a leader") { $0.leadership.leader != nil }
        let leader = try #require(view.leadership.leader)
        return try #require(nodes[leader.value])
    }

    /// Cuts a node off from everything, at once and without a word.
    func cutOff(_ node: Node) async {
        node.coordinator?.cut(true)
        await node.service.service.fabric.isolate()
    }

    func bringBack(_ node: Node) async throws {
        node.coordinator?.cut(false)
        try await node.service.service.fabric.rejoin()
    }

    func stop() async { for node in all { await node.service.stop() } }
}

extension ServiceNode {
    func done(_ name: String, _ value: String = "yes") async throws {
        let outcome = try await service.apply(.configure(name, value))
        guard case .done = outcome else {
            Issue.record("'\(name)' is not done: \(outcome)")
            return
        }
    }
}

/// The promises of leadership, the same whoever gives it.
@Suite(.serialized, .timeLimit(.minutes(3))) struct `Leadership of a cluster` {
    @Test(arguments: Leadership.possible)
    func `is one node's, and what any node is told reaches all`(_ kind: Leadership) async throws {
        let cluster = try await LedCluster(kind, count: 3)
        for node in cluster.all { try await node.service.done("from-\(node.service.id)") }
        for node in cluster.all {
            // A slow disk may have moved the leadership meanwhile.
            let view = try await node.service.sees("all settings, and a leader without a warning") { view in
                view.settings.count { $0.name.hasPrefix("from-") } == 3 && view.leadership.leader != nil
                    && !view.leadership.isDegraded && view.warnings.isEmpty
            }
            #expect(view.leadership.coordinator == (kind == .etcd ? "etcd://test" : "embedded"))
        }
        await cluster.stop()
    }

    @Test(arguments: Leadership.possible)
    func `is handed over by a leader that stops`(_ kind: Leadership) async throws {
        let cluster = try await LedCluster(kind, count: 3)
        let leader = try await cluster.leader().service.id
        let clock = ContinuousClock()
        let start = clock.now
        let removed = cluster.nodes.removeValue(forKey: leader.value)
        let fallen = try #require(removed)
        await fallen.service.stop()
        for node in cluster.all {
            try await node.service.sees("another leader") {
                $0.leadership.leader != nil && $0.leadership.leader != leader
            }
        }
        print("\(kind): handed over in \(clock.now - start)")
        try await cluster.leader().service.done("after")
        await cluster.stop()
    }

    @Test(arguments: Leadership.possible)
    func `goes to another when the leader is gone, and nothing acknowledged is lost`(_ kind: Leadership) async throws {
        let cluster = try await LedCluster(kind, count: 3)
        let old = try await cluster.leader()
        let other = try #require(cluster.all.first { $0.service.id != old.service.id }).service
        async let acknowledged = withTaskGroup(of: String?.self) { group in
            for number in 0..<40 {
                group.addTask {
                    let outcome = try? await other.service.apply(.configure("k\(number)", "v"))
                    guard case .done? = outcome else { return nil }
                    return "k\(number)"
                }
            }
            var names: [String] = []
            for await name in group { if let name { names.append(name) } }
            return names
        }
        await cluster.cutOff(old)
        let clock = ContinuousClock()
        let start = clock.now
        let former = old.service.id
        try await other.sees("another leader") { $0.leadership.leader != nil && $0.leadership.leader != former }
        print("\(kind): another leader \(clock.now - start) after the old one was cut off")
        let names = await acknowledged
        #expect(!names.isEmpty)
        for name in names { #expect(await other.service.state.settings[name]?.value == "v", "\(name)") }
        // The old one no longer decides, whatever it believed.
        async let late = old.service.service.apply(.configure("late", "yes"))
        try await other.done("meanwhile")
        try await cluster.bringBack(old)
        try await old.service.sees("what was decided without it") { view in
            view.settings.contains { $0.name == "meanwhile" } && !view.leadership.isDegraded
        }
        _ = try await late
        for node in cluster.all {
            try await node.service.sees("everybody alive") { $0.members.allSatisfy { $0.liveness == .alive } }
        }
        await cluster.stop()
    }

    @Test(arguments: Leadership.possible)
    func `and all that was decided come back after a restart of everything`(_ kind: Leadership) async throws {
        let cluster = try await LedCluster(kind, count: 3)
        // Enough for a snapshot in the coordinator.
        for number in 0..<20 { try await cluster.leader().service.done("n\(number)") }
        await cluster.stop()
        for number in 1...3 as ClosedRange<UInt64> { try await cluster.start(number) }
        for node in cluster.all {
            try await node.service.sees("a leader") { $0.leadership.leader != nil && !$0.leadership.isDegraded }
        }
        try await cluster.leader().service.done("again")
        for node in cluster.all {
            try await node.service.sees("all settings") { view in
                (0..<20).allSatisfy { number in view.settings.contains { $0.name == "n\(number)" } }
            }
        }
        await cluster.stop()
    }
}

/// What only happens with an etcd.
@Suite(.serialized, .timeLimit(.minutes(3)), .enabled(if: EtcdProcess.isThere)) struct `Leadership by etcd` {
    @Test func `ends while etcd is away, is told, and nobody else leads; it comes back with etcd`() async throws {
        let cluster = try await LedCluster(.etcd, count: 2)
        let etcd = try #require(cluster.etcd)
        try await cluster.leader().service.done("before")
        etcd.kill()
        for node in cluster.all {
            try await node.service.sees("that the coordinator is away") { view in
                view.warnings.contains { $0.contains("does not reach the coordinator") }
            }
        }
        let first = try #require(cluster.nodes[1]).service
        for node in cluster.all { try await node.service.sees("nobody lead") { $0.leadership.leader == nil } }
        async let during = first.service.apply(.configure("during", "yes"))
        #expect(cluster.all.count == 2)
        for node in cluster.all { #expect(await !node.service.service.view.leadership.isDegraded) }
        try await etcd.start()
        guard case .done = try await during else {
            Issue.record("not done when etcd is back")
            return
        }
        for node in cluster.all {
            try await node.service.sees("no warning") { $0.warnings.isEmpty && $0.leadership.leader != nil }
            #expect(await node.service.service.state.settings["before"]?.value == "yes")
        }
        await cluster.stop()
    }

    @Test func `of one cluster is not taken for another's`() async throws {
        let cluster = try await LedCluster(.etcd, count: 1)
        let etcd = try #require(cluster.etcd)
        let folder = FileManager.default.temporaryDirectory.appending(path: "skein-other-\(UUID())").path()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var options = ServiceNode.Options(number: 9, founds: true)
        options.coordinator = try EtcdCoordinator(try etcd.at(), node: NodeID(9), boot: 1)
        let stranger = try await ServiceNode(options, folder: folder)
        try await stranger.sees("the warning") { view in
            view.warnings.contains { $0.contains("holds cluster") && $0.contains("another prefix") }
        }
        #expect(await !stranger.service.isLeader)
        try await cluster.leader().service.done("undisturbed")
        await stranger.stop()
        await cluster.stop()
    }

    @Test func `is given back to a node that lost its memory, with all that was decided`() async throws {
        let etcd = try await EtcdProcess()
        var options = ServiceNode.Options(number: 1, founds: true)
        options.coordinator = try EtcdCoordinator(try etcd.at(), node: NodeID(1), boot: 1)
        options.cluster = 0xABCD
        let node = try await ServiceNode(options, store: FaultyStore(disk: FaultyDisk()))
        try await node.sees("itself lead") { $0.leadership.leader == NodeID(1) }
        try await node.done("kept")
        await node.stop()
        options.founds = false
        options.boot = 2
        options.coordinator = try EtcdCoordinator(try etcd.at(), node: NodeID(1), boot: 2)
        let again = try await ServiceNode(options, store: FaultyStore(disk: FaultyDisk()))
        try await again.sees("what it forgot") { view in
            view.cluster == 0xABCD && view.settings.contains { $0.name == "kept" }
        }
        await again.stop()
    }
}
