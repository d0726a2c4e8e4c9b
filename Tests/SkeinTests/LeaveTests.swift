import Testing

@testable import Cluster
@testable import skein

@Suite(.timeLimit(.minutes(1))) struct `Leaving a cluster` {
    private static let own = "0000000000000001"

    @Test func `drains, waits until it is not needed, and is removed`() async throws {
        let cluster = FixedCluster(yields: true)
        try await cluster.serve { client in try await Leave.leave(Self.own, client, seconds: 30) }
        #expect(cluster.actions == [.drain(NodeID(1), true), .remove(NodeID(1))])
    }

    @Test func `is not removed while it is needed, and says for what`() async throws {
        let cluster = FixedCluster()
        try await cluster.serve { client in
            let obstacle = await #expect(throws: LeaveObstacle.self) {
                try await Leave.leave(Self.own, client, seconds: 1)
            }
            #expect(obstacle?.description.contains("Stages of m are still on this machine") == true)
            #expect(obstacle?.description.contains("--off") == true)
        }
        #expect(cluster.actions == [.drain(NodeID(1), true)])
    }

    @Test func `another machine than this one is not removed by mistake`() async throws {
        let cluster = FixedCluster(yields: true)
        try await cluster.serve { client in
            await #expect(throws: LeaveObstacle.self) {
                try await Leave.leave("0000000000000002", client, seconds: 1)
            }
        }
        #expect(cluster.actions.isEmpty)
    }
}
