import Testing
import Vocabulary

@testable import Cluster

@Suite struct `Ten thousand newcomers` {
    @Test func `fill the table of members and no more, and each of the others is told`() throws {
        var state = ClusterState()
        var refusals: [CommandRefusal] = []
        for number in 1...10_000 as ClosedRange<UInt64> {
            let member = Member(node: NodeID(number), name: "n\(number)")
            let stamp = Stamp(milliseconds: Int64(number), counter: 0, node: NodeID(1))
            let command = CommandID(origin: NodeID(number), number: number)
            do throws(CommandRefusal) {
                let events = try state.events(for: .admit(member), stamp: stamp, term: 1, wall: 0)
                state.apply(
                    LogEntry(
                        index: state.index + 1, term: 1, stamp: stamp, command: command,
                        events: events.map { EventRecord($0) }))
            } catch {
                refusals.append(error)
            }
        }
        #expect(state.members.count == Limits.memberCount)
        #expect(refusals.count == 10_000 - Limits.memberCount)
        #expect(refusals.allSatisfy { $0.code == .full })
        #expect(refusals.first?.description.contains("\(Limits.memberCount) members") == true)
        #expect(state.results.count <= Limits.resultCount)
        // One that goes makes room for one that comes, and what a member says of itself needs none.
        let stamp = Stamp(milliseconds: 20_000, counter: 0, node: NodeID(1))
        #expect(throws: Never.self) {
            try state.events(for: .admit(Member(node: NodeID(7), name: "other")), stamp: stamp, term: 1, wall: 0)
        }
        state.apply(.memberRemoved(NodeID(9), stamp: stamp))
        #expect(throws: Never.self) {
            try state.events(for: .admit(Member(node: NodeID(9999), name: "late")), stamp: stamp, term: 1, wall: 0)
        }
    }

    /// Members that come and go for ever leave tombstones only up to the limit, and the log does not grow with them.
    @Test func `may come and go`() {
        var nodes = Nodes(1)
        for number in 0..<3000 as Range<UInt64> {
            nodes.command(.admit(Member(node: NodeID(100 + number), name: "n")), at: 0)
            nodes.command(.remove(NodeID(100 + number)), at: 0)
        }
        nodes.run(.milliseconds(100))
        let brain = nodes.brains[0]
        #expect(brain.state.members.count == 1)
        #expect(brain.state.removedMembers.count == Limits.tombstoneCount)
        #expect(brain.log.entries.count <= Limits.entriesBeforeSnapshot + 1)
        #expect(nodes.stored[0].entries.count <= Limits.entriesBeforeSnapshot + 1)
        #expect(nodes.outcomes.count == 6000)
        #expect(brain.isLeader)
    }
}
