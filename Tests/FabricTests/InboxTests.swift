import Cluster
import Testing

@testable import Fabric

@Suite(.timeLimit(.minutes(1))) struct `What waits for the brain` {
    /// Most of a batch may be news of connections, which are nothing to the brain: the rest must not wait for a timer.
    @Test func `is asked for again while some of it is left, whatever the batch came to`() async {
        let inbox = Inbox()
        let batch = FabricLimits.inputsPerWrite
        for _ in 0..<batch { inbox.offer(FabricEvent.lost(NodeID(2), .closedByPeer)) }
        inbox.offer(ControlPlane.Input.tick)
        var bell = inbox.bell.makeAsyncIterator()
        var taken: [Int] = []
        while taken.count < 2, await bell.next() != nil { taken.append(inbox.take(batch).count) }
        #expect(taken == [batch, 1])
    }
}
