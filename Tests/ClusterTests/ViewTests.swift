import Testing
import Vocabulary

@testable import Cluster

@Suite struct `Cluster view` {
    @Test func `changes lead from one view to the next, key by key`() {
        var nodes = Nodes(3)
        let before = nodes.brains[0].view
        #expect(before.members.count == 3)
        #expect(before.changes(since: before).isEmpty)
        nodes.command(.deploy(Deployment(name: "b", model: "m")), at: 1)
        nodes.command(.configure("color", "blue"), at: 1)
        nodes.run(.seconds(2))
        let after = nodes.brains[0].view
        let changes = after.changes(since: before)
        #expect(changes.contains(.setting("color", "blue")))
        #expect(changes.contains { if case .deployment("b", .some) = $0 { true } else { false } })
        #expect(!changes.contains { if case .member = $0 { true } else { false } })
        // Back again: what is gone is told as gone.
        let back = before.changes(since: after)
        #expect(back.contains(.setting("color", nil)))
        #expect(back.contains(.deployment("b", nil)))
    }

    @Test func `a deployment that is not placed says why, and its key changes with it`() {
        var nodes = Nodes(1)
        let key = nodes.brains[0].viewKey
        nodes.command(.deploy(Deployment(name: "a", model: "m")), at: 0)
        nodes.run(.seconds(1))
        #expect(nodes.brains[0].viewKey != key)
        let view = nodes.brains[0].view.deployments.first
        #expect(view?.state == .pending)
        #expect(view?.reason.isEmpty == false)
    }

    @Test func `a dead member is a change, its telemetry alone is none`() {
        var nodes = Nodes(3)
        let before = nodes.brains[0].view
        nodes.run(.seconds(6))
        #expect(nodes.brains[0].view.changes(since: before).isEmpty)
        nodes.isolated = [2]
        nodes.run(.seconds(8))
        let changes = nodes.brains[0].view.changes(since: before)
        #expect(
            changes.contains {
                if case .member(Nodes.id(2), let member?) = $0 { member.liveness == .dead } else { false }
            })
    }
}
