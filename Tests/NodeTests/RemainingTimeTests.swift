import Testing
import Vocabulary

@testable import Cluster
@testable import Node

@Suite struct `What is told of a loaded model` {
    private static let nodes = [NodeID(1), NodeID(2)]

    /// A deployment in one replica per list of nodes, and what the nodes tell.
    private func view(
        keepAlive: UInt64?, replicas: [[NodeID]], _ tell: (NodeID, inout NodeReading) -> Void
    ) -> (cluster: ClusterView, deployment: DeploymentView) {
        let placements = replicas.enumerated().map { index, nodes in
            let stages = nodes.enumerated().map { stage, node in
                StageAssignment(node: node, layers: LayerRange(first: stage, end: stage + 1), bytes: ByteCount(1))
            }
            var placement = PlacedReplica(
                epoch: Epoch(term: 1, number: UInt64(index + 1)), replica: ReplicaKey(deployment: "m", index: index),
                stages: stages)
            placement.phase = .active
            return placement
        }
        let members = Self.nodes.map { node in
            var reading = NodeReading(node: node)
            tell(node, &reading)
            return MemberView(member: Member(node: node), liveness: .alive, reading: reading)
        }
        var wish = Deployment(name: "m", model: "m")
        wish.keepAliveMilliseconds = keepAlive
        let deployment = DeploymentView(
            deployment: wish, state: .ready, reason: "", progress: nil, placements: placements)
        let cluster = ClusterView(
            node: Self.nodes[0], cluster: 1, index: 1,
            leadership: LeadershipView(term: 1, leader: nil, isDegraded: false, voters: []), members: members,
            deployments: [deployment], settings: [], warnings: [])
        return (cluster, deployment)
    }

    private func idle(_ number: UInt64, _ milliseconds: UInt64?) -> StageReport {
        var report = StageReport(epoch: Epoch(term: 1, number: number), status: .serving)
        report.idleMilliseconds = milliseconds
        return report
    }

    @Test func `the time left counts from the last request of any replica`() {
        let (first, second) = (Self.nodes[0], Self.nodes[1])
        func left(_ keepAlive: UInt64?, _ idle: [UInt64?]) -> UInt64? {
            let (cluster, deployment) = view(keepAlive: keepAlive, replicas: [[first], [second]]) { node, reading in
                reading.stages = [self.idle(node == first ? 1 : 2, idle[node == first ? 0 : 1])]
            }
            return cluster.timeLeft(of: deployment)
        }
        #expect(left(nil, [5, 5]) == nil)
        #expect(left(1000, [400, 300]) == 700)
        #expect(left(1000, [400, nil]) == 1000, "a request runs")
        #expect(left(1000, [5000, 4000]) == 0)
        let (cluster, deployment) = view(keepAlive: 1000, replicas: []) { _, _ in }
        #expect(cluster.timeLeft(of: deployment) == 1000)
    }

    @Test func `a model is on no GPU only when every machine of it says so`() {
        let (first, second) = (Self.nodes[0], Self.nodes[1])
        func isOnGPU(_ computes: [[String]], nodes: [NodeID] = Self.nodes) -> Bool? {
            let (cluster, deployment) = view(keepAlive: nil, replicas: nodes.isEmpty ? [] : [nodes]) { node, reading in
                reading.devices = computes[node == first ? 0 : 1].map {
                    DeviceReading(name: $0, compute: $0, totalBytes: nil)
                }
            }
            return cluster.isOnGPU(deployment)
        }
        #expect(isOnGPU([["cpu"], ["cpu"]]) == false)
        #expect(isOnGPU([["cpu"], ["cpu", "cuda"]]) == true)
        #expect(isOnGPU([["cpu"], []]) == nil)
        #expect(isOnGPU([["cpu"], ["cuda"]], nodes: [first]) == false)
        #expect(isOnGPU([[], ["cuda"]], nodes: [second]) == true)
        #expect(isOnGPU([["cuda"], ["cuda"]], nodes: []) == nil)
    }
}
