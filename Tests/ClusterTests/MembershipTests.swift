import Testing
import Vocabulary

@testable import Cluster

@Suite struct `Accusations` {
    /// A simulated node came back without its memory and knew nobody to tell; it stayed dead to the others for good.
    @Test func `whoever still believes an old accusation hears the objection again`() {
        var membership = Membership(node: Nodes.id(0), timings: Timings())
        let accusation = StatusUpdate(node: Nodes.id(0), status: .dead, incarnation: membership.incarnation)
        for _ in 0..<3 {
            membership.learn(accusation, from: Nodes.id(1), now: Instant(nanoseconds: 0))
            var budget = 1000
            let told = membership.statusQueue.take(budget: &budget, times: 1)
            #expect(told.map(\.status) == [.alive])
            #expect(told.map(\.incarnation) == [accusation.incarnation + 1])
        }
    }
}
