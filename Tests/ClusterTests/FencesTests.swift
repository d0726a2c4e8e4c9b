import Testing
import Vocabulary

@testable import Cluster

/// The highest epoch of each replica that this node's stages have accepted.
@Suite struct `Fences` {
    private static func key(_ number: Int) -> ReplicaKey {
        let digits = String(number)
        // In the order of the numbers, so that a table of them grows at its end.
        return ReplicaKey(deployment: String(repeating: "0", count: 6 - digits.count) + digits, index: 0)
    }

    private static func fences(_ count: Int) -> OrderedTable<ReplicaKey, Epoch> {
        var fences = OrderedTable<ReplicaKey, Epoch>()
        for number in 0..<count { fences[key(number)] = Epoch(term: 1, number: UInt64(number + 1)) }
        return fences
    }

    @Test func `keep their bound by forgetting deployments that are gone, and then what runs nowhere`() {
        var state = ClusterState()
        var agent = StageAgent(node: NodeID(1), fences: Self.fences(Limits.placementCount))
        #expect(agent.forgetFences(state).isEmpty, "there is room")

        for number in 0..<2 {
            var wish = Deployment(name: Self.key(number).deployment, model: "m")
            wish.stamp = Stamp(milliseconds: 1, counter: 0, node: NodeID(1))
            state.apply(.deploymentSet(wish))
        }
        let stage = StageAssignment(node: NodeID(2), layers: LayerRange(first: 0, end: 1), bytes: ByteCount(1))
        let epoch = Epoch(term: 2, number: 1 << 20)
        state.apply(.placementBegan(PlacedReplica(epoch: epoch, replica: Self.key(2), stages: [stage])))
        agent = StageAgent(node: NodeID(1), fences: Self.fences(Limits.placementCount + 1))
        let forgotten = agent.forgetFences(state)
        #expect(forgotten == (3...Limits.placementCount).map(Self.key))
        #expect(agent.fences.keys == (0..<3).map(Self.key))

        // All are wished for, and only one of them is placed.
        var fences = OrderedTable<ReplicaKey, Epoch>()
        for number in 0...Limits.placementCount {
            let replica = ReplicaKey(deployment: Self.key(number % 2).deployment, index: number / 2)
            fences[replica] = Epoch(term: 1, number: UInt64(number))
        }
        let placed = ReplicaKey(deployment: Self.key(1).deployment, index: 7)
        state.apply(
            .placementBegan(PlacedReplica(epoch: Epoch(term: 3, number: 1), replica: placed, stages: [stage])))
        agent = StageAgent(node: NodeID(1), fences: fences)
        #expect(agent.forgetFences(state).count == Limits.placementCount)
        #expect(agent.fences.keys == [placed])
    }

    @Test func `of deployments that are gone leave the disk, too`() {
        var nodes = Nodes(1)
        nodes.runners = Nodes.obedient
        nodes.command(.deploy(Deployment(name: "a", model: "m")), at: 0)
        nodes.run(.seconds(5))
        let serving = ReplicaKey(deployment: "a", index: 0)
        #expect(nodes.stored[0].fences.keys == [serving])
        var fences = Self.fences(Limits.placementCount + 1)
        fences[serving] = nodes.stored[0].fences[serving]
        nodes.stored[0].fences = fences
        nodes.restart(0)
        nodes.run(.seconds(1))
        #expect(nodes.stored[0].fences.keys == [serving])
        #expect(nodes.brains[0].fence(of: serving) == fences[serving])
        #expect(nodes.brains[0].fence(of: Self.key(0)) == nil)
    }
}
