import ClusterStore
import Fabric
import Foundation
import Testing
import Vocabulary

@testable import Cluster

/// Real services, sockets and files; several nodes in one process.
@Suite(.serialized, .timeLimit(.minutes(3))) struct `Cluster service` {
    private static func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "skein-fabric-\(UUID())").path()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await body(folder)
    }

    /// Grows a cluster by joining; node numbers from 1 on, `change` gets the place of each.
    private static func cluster(
        _ count: Int, _ folder: String, _ change: (Int, inout ServiceNode.Options) -> Void = { _, _ in }
    ) async throws -> [ServiceNode] {
        var founder = ServiceNode.Options(number: 1, founds: true)
        change(0, &founder)
        var nodes = [try await ServiceNode(founder, folder: folder)]
        try await nodes[0].sees("itself lead") { $0.leadership.leader == NodeID(1) }
        for number in 2...UInt64(max(2, count)) where number <= count {
            var options = ServiceNode.Options(number: number, seeds: [nodes[0].address])
            change(nodes.count, &options)
            let node = try await ServiceNode(options, folder: folder)
            nodes.append(node)
            try await node.sees("itself a member") { $0.members.contains { $0.member.node == NodeID(number) } }
        }
        for node in nodes { try await node.sees("all members") { $0.members.count == count } }
        return nodes
    }

    @Test func `a node alone founds, leads and keeps what it was told over a restart`() async throws {
        try await Self.withFolder { folder in
            let node = try await ServiceNode(.init(number: 1, founds: true), folder: folder)
            guard case .done = try await node.service.apply(.configure("color", "blue")) else {
                Issue.record("not done")
                return
            }
            let cluster = await node.service.view.cluster
            await node.stop()
            await #expect(throws: ClusterServiceError.stopped) { try await node.service.apply(.configure("a", "b")) }
            let again = try await ServiceNode(.init(number: 1, boot: 2, founds: true), folder: folder)
            try await again.sees("itself lead again") { $0.leadership.leader == NodeID(1) }
            #expect(await again.service.view.cluster == cluster)
            #expect(await again.service.state.settings["color"]?.value == "blue")
            await again.stop()
        }
    }

    @Test func `nodes join by one address, agree, deploy, and live on without their leader`() async throws {
        try await Self.withFolder { folder in
            let clock = ContinuousClock()
            var nodes = try await Self.cluster(3, folder)
            try await nodes[0].sees("three voters") { $0.leadership.voters.count == 3 }
            // A command taken by a node that does not lead.
            guard case .done = try await nodes[2].service.apply(.deploy(Deployment(name: "m", model: "model"))) else {
                Issue.record("not done")
                return
            }
            for node in nodes {
                try await node.sees("the deployment ready") { $0.deployments.first?.state == .ready }
            }
            #expect(nodes.flatMap(\.stages.all).contains { if case .serve = $0 { true } else { false } })
            guard case .refused(let refusal) = try await nodes[1].service.apply(.undeploy("nothing")) else {
                Issue.record("not refused")
                return
            }
            #expect(refusal.code == .notFound)
            let leader = try #require(await nodes[0].service.view.leadership.leader)
            let place = try #require(nodes.firstIndex { $0.id == leader })
            let fallen = nodes.remove(at: place)
            let port = fallen.address.port
            let start = clock.now
            await fallen.stop()
            for node in nodes {
                try await node.sees("another leader") { $0.leadership.leader != nil && $0.leadership.leader != leader }
            }
            print("another leader after \(clock.now - start)")
            guard case .done = try await nodes[0].service.apply(.configure("after", "yes")) else {
                Issue.record("not done")
                return
            }
            let back = try await ServiceNode(
                .init(number: leader.value, boot: 2, port: port), folder: folder)
            nodes.append(back)
            for node in nodes {
                try await node.sees("everybody alive") { $0.members.allSatisfy { $0.liveness == .alive } }
            }
            guard case .done(let index) = try await back.service.apply(.configure("back", "yes")) else {
                Issue.record("not done")
                return
            }
            for node in nodes {
                try await node.sees("the last entry") { $0.settings.contains { $0.name == "back" } }
            }
            var states: Set<[UInt8]> = []
            for node in nodes where await node.service.state.index == index {
                states.insert(await node.service.state.encodedBytes)
            }
            #expect(states.count <= 1)
            for node in nodes { await node.stop() }
        }
    }

    @Test func `all nodes restart from their memories`() async throws {
        try await Self.withFolder { folder in
            let nodes = try await Self.cluster(3, folder)
            _ = try await nodes[1].service.apply(.configure("kept", "yes"))
            let ports = nodes.map(\.address.port)
            for node in nodes { await node.stop() }
            var again: [ServiceNode] = []
            for number in 1...3 {
                again.append(
                    try await ServiceNode(
                        .init(number: UInt64(number), boot: 2, port: ports[number - 1]), folder: folder))
            }
            for node in again {
                try await node.sees("a leader") { $0.leadership.leader != nil && !$0.leadership.isDegraded }
            }
            guard case .done = try await again[0].service.apply(.configure("new", "yes")) else {
                Issue.record("not done")
                return
            }
            #expect(await again[0].service.state.settings["kept"]?.value == "yes")
            for node in again { await node.stop() }
        }
    }

    @Test func `a partition is survived by the majority and healed`() async throws {
        try await Self.withFolder { folder in
            let nodes = try await Self.cluster(3, folder)
            try await nodes[0].sees("three voters") { $0.leadership.voters.count == 3 }
            let leader = try #require(await nodes[0].service.view.leadership.leader)
            let cut = try #require(nodes.first { $0.id == leader })
            let others = nodes.filter { $0.id != leader }
            await cut.service.fabric.isolate()
            for node in others {
                try await node.sees("another leader") {
                    $0.leadership.leader != nil && $0.leadership.leader != leader && !$0.leadership.isDegraded
                }
            }
            guard case .done = try await others[0].service.apply(.configure("majority", "yes")) else {
                Issue.record("not done")
                return
            }
            try await cut.service.fabric.rejoin()
            try await cut.sees("what the majority decided") { view in
                !view.leadership.isDegraded && view.settings.contains { $0.name == "majority" }
            }
            #expect(await cut.service.state.settings["majority"]?.value == "yes")
            for node in nodes {
                try await node.sees("everybody alive") { $0.members.allSatisfy { $0.liveness == .alive } }
            }
            for node in nodes { await node.stop() }
        }
    }

    @Test func `the end of a process is known to the others within a quarter of a second`() async throws {
        try await Self.withFolder { folder in
            let nodes = try await Self.cluster(3, folder)
            let leader = try #require(await nodes[0].service.view.leadership.leader)
            let victim = try #require(nodes.last { $0.id != leader })
            let witness = try #require(nodes.first { $0.id != victim.id })
            let clock = ContinuousClock()
            // Not a good-bye: its sockets close as the system closes those of a process that ends.
            let start = clock.now
            await victim.service.fabric.isolate()
            try await witness.sees("the victim dead") { view in
                view.members.contains { $0.member.node == victim.id && $0.liveness == .dead }
            }
            let took = clock.now - start
            print("end of a process known after \(took)")
            // The machine may be busy: four times what is asked of an idle one.
            #expect(took < .milliseconds(1000))
            for node in nodes { await node.stop() }
        }
    }

    @Test func `a full disk loses nothing, is told, and is taken again when there is room`() async throws {
        let disk = FaultyDisk()
        var options = ServiceNode.Options(number: 1, founds: true)
        options.timings.storeRetry = .milliseconds(200)
        let node = try await ServiceNode(options, store: FaultyStore(disk: disk))
        guard case .done = try await node.service.apply(.configure("before", "yes")) else {
            Issue.record("not done")
            return
        }
        disk.fill(true)
        async let during = node.service.apply(.configure("during", "yes"))
        try await node.sees("the warning") { !$0.warnings.isEmpty }
        disk.fill(false)
        try await node.sees("no warning") { $0.warnings.isEmpty && $0.leadership.leader == NodeID(1) }
        guard case .done = try await during, case .done = try await node.service.apply(.configure("after", "yes"))
        else {
            Issue.record("not done")
            return
        }
        await node.stop()
        let again = try await ServiceNode(
            .init(number: 1, boot: 2, founds: true), store: FaultyStore(disk: disk))
        try await again.sees("itself lead again") { $0.leadership.leader == NodeID(1) }
        for name in ["before", "during", "after"] {
            #expect(await again.service.state.settings[name]?.value == "yes")
        }
        await again.stop()
    }

    @Test(arguments: [[1, 0, 0], [-1, 0, 0], [0, 1, -1], [-1, -1, -1], [1, 1, 1]] as [[Int64]])
    func `wall clocks that jump by an hour end nothing, and whatever is said later wins`(hours: [Int64]) async throws {
        try await Self.withFolder { folder in
            let clocks = hours.map { _ in JumpingClock() }
            let nodes = try await Self.cluster(3, folder) { $1.wall = clocks[$0] }
            let first = nodes[0]
            _ = try await first.service.apply(.deploy(Deployment(name: "d", model: "m")))
            let before = try await first.sees("d ready") { $0.deployments.first?.state == .ready }
            let epoch = try #require(before.deployments.first?.placements.first { $0.phase == .active }?.epoch)
            for round in 0..<2 as Range<Int64> {
                // There, and back again.
                for (clock, jump) in zip(clocks, hours) { clock.jump(hours: round == 0 ? jump : -jump) }
                for (place, node) in nodes.enumerated() {
                    // Each says it after the one before was heard, so each is later, whatever its clock shows.
                    let value = "\(round)-\(place)"
                    guard case .done = try await node.service.apply(.configure("s", value)) else {
                        Issue.record("not done: \(value)")
                        return
                    }
                    for other in nodes {
                        try await other.sees("s is \(value)") { $0.settings.first { $0.name == "s" }?.value == value }
                    }
                }
                for node in nodes {
                    let view = await node.service.view
                    #expect(view.members.allSatisfy { $0.liveness == .alive })
                    #expect(view.deployments.first?.state == .ready)
                    #expect(view.deployments.first?.placements.map(\.epoch) == [epoch])
                }
            }
            for node in nodes { await node.stop() }
        }
    }

    @Test func `watchers get changes, resume where they were, and get everything when they are late`() async throws {
        try await Self.withFolder { folder in
            let node = try await ServiceNode(.init(number: 1, founds: true), folder: folder)
            try await node.sees("itself lead") { $0.leadership.leader == NodeID(1) }
            var watch = try #require(node.service.watch()).makeAsyncIterator()
            guard case .snapshot(let number, let view)? = await watch.next() else {
                Issue.record("the first update is no snapshot")
                return
            }
            #expect(view.members.map(\.member.node) == [NodeID(1)])
            _ = try await node.service.apply(.deploy(Deployment(name: "a", model: "m")))
            _ = try await node.service.apply(.deploy(Deployment(name: "b", model: "m")))
            var late = try #require(node.service.watch(after: number)).makeAsyncIterator()
            guard case .changes(_, let changes)? = await late.next() else {
                Issue.record("a resumed watch does not begin with changes")
                return
            }
            let names = changes.compactMap { if case .deployment(let name, .some) = $0 { name } else { nil } }
            #expect(names.contains("a") && names.contains("b"))
            // Far beyond what is kept.
            for round in 0..<600 {
                _ = try await node.service.apply(.deploy(Deployment(name: "c", model: "m\(round)")))
                _ = try await node.service.apply(.undeploy("c"))
            }
            guard case .snapshot(_, let fresh)? = await late.next() else {
                Issue.record("a late watcher does not get everything")
                return
            }
            #expect(fresh.deployments.map(\.deployment.name) == ["a", "b"])
            // A number of another life is answered with everything.
            var foreign = try #require(node.service.watch(after: .max)).makeAsyncIterator()
            guard case .snapshot? = await foreign.next() else {
                Issue.record("a foreign number is not answered with everything")
                return
            }
            await node.stop()
            #expect(await watch.next() != nil)
            while await watch.next() != nil {}
        }
    }

    @Test func `a node that moves tells where it is found, and stays a member`() async throws {
        try await Self.withFolder { folder in
            let nodes = try await Self.cluster(2, folder)
            let mover = nodes[1]
            let own = "\(mover.address)"
            for addresses in [["192.0.2.7:7535", own], [own]] {
                await mover.service.move(to: addresses)
                for node in nodes {
                    try await node.sees("\(addresses)") { view in
                        view.members.first { $0.member.node == mover.id }?.member.addresses == addresses
                    }
                }
            }
            await mover.service.move(to: [])
            #expect(await mover.service.view.members.allSatisfy { !$0.member.addresses.isEmpty })
            for node in nodes { await node.stop() }
        }
    }

    @Test func `a removed node is talked to no more`() async throws {
        try await Self.withFolder { folder in
            let nodes = try await Self.cluster(3, folder)
            let leader = try #require(await nodes[0].service.view.leadership.leader)
            let gone = try #require(nodes.last { $0.id != leader })
            let witness = try #require(nodes.first { $0.id != gone.id })
            guard case .done = try await witness.service.apply(.remove(gone.id)) else {
                Issue.record("not done")
                return
            }
            try await witness.sees("two members") { $0.members.count == 2 }
            let service = witness.service
            try await within(20, "the connection to end") {
                while await service.fabric.peers().contains(where: { $0.node == gone.id && $0.address != nil }) {}
            }
            for node in nodes { await node.stop() }
        }
    }
}
