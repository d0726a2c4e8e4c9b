import Testing
import Vocabulary

@testable import Cluster

@Suite struct `A node whose memory was lost` {
    private static func forgetful() -> ControlPlane {
        var settings = Nodes.settings(1)
        settings.hasForgotten = true
        return ControlPlane(settings: settings)
    }

    @Test(arguments: [VoteKind.probe, .vote, .succession, .claim])
    func `helps nobody to lead, and has noted that before it says so`(kind: VoteKind) {
        var voter = Self.forgetful()
        let request = VoteRequest(kind: kind, term: 5, lastIndex: 9, lastTerm: 4, predecessor: 4)
        let effects = voter.handle(.received(.vote(request), from: Nodes.id(0)), now: Instant(nanoseconds: 1))
        #expect(effects.persist == [.forgotten(true)])
        guard case .voteReply(let reply)? = effects.send.first?.message else {
            Issue.record("no answer")
            return
        }
        #expect(!reply.isGranted)
    }

    @Test func `acknowledges nothing that counts`() throws {
        var voter = Self.forgetful()
        let append = Append(
            term: 3, previousIndex: 0, previousTerm: 0,
            entries: [LogEntry(index: 1, term: 3, stamp: .zero, command: nil, events: [])], commit: 0, sentAt: 1)
        let effects = voter.handle(.received(.append(append), from: Nodes.id(0)), now: Instant(nanoseconds: 1))
        guard case .appendReply(let reply)? = effects.send.first?.message else {
            Issue.record("no answer")
            return
        }
        #expect(reply.hasForgotten)
        #expect(try ClusterMessage(bytes: ClusterMessage.appendReply(reply).encodedBytes) == .appendReply(reply))
    }

    @Test func `is taken off the voters, learns again, and becomes a voter again`() throws {
        var nodes = Nodes(3)
        nodes.command(.configure("a", "1"), at: 0)
        nodes.run(.seconds(1))
        let leader = try #require(nodes.leaders.first)
        let victim = try #require((0..<3).first { $0 != leader })
        nodes.forget(victim)
        #expect(nodes.brains[victim].hasForgotten)
        #expect(nodes.stored[victim].hasForgotten)
        nodes.run(.seconds(3))
        #expect(nodes.leaders == [leader])
        #expect(!nodes.brains[victim].hasForgotten && !nodes.stored[victim].hasForgotten)
        #expect(nodes.brains[victim].state.settings["a"]?.value == "1")
        nodes.run(.seconds(5))
        #expect(nodes.brains.allSatisfy { $0.currentVoters.count == 3 && $0.warnings.isEmpty })
    }

    @Test func `keeps what it must not do over another restart`() throws {
        var nodes = Nodes(3)
        let leader = try #require(nodes.leaders.first)
        let victim = try #require((0..<3).first { $0 != leader })
        nodes.isolated = [victim]
        nodes.forget(victim)
        nodes.run(.seconds(2))
        nodes.restart(victim)
        #expect(nodes.brains[victim].hasForgotten)
        #expect(nodes.brains[victim].warnings.first?.contains("memory") == true)
    }

    /// The leader's own vote and acknowledgement are lost with its memory; the others elect one of themselves.
    @Test func `may have been the leader`() throws {
        var nodes = Nodes(3)
        nodes.command(.configure("a", "1"), at: 0)
        nodes.run(.seconds(1))
        let old = try #require(nodes.leaders.first)
        nodes.forget(old)
        nodes.run(.seconds(12))
        #expect(nodes.leaders.count == 1 && nodes.leaders != [old])
        #expect(nodes.brains.allSatisfy { $0.state.settings["a"]?.value == "1" && !$0.hasForgotten })
        #expect(nodes.brains.allSatisfy { $0.currentVoters.count == 3 })
    }

    /// A leader hears of the loss when the node answers; until then nobody else may give a vote away.
    @Test func `is not needed by voters that were chosen before anybody knew of it`() throws {
        var nodes = Nodes(3)
        let leader = try #require(nodes.leaders.first)
        let (victim, parting) = ((leader + 1) % 3, (leader + 2) % 3)
        nodes.isolated = [victim]
        nodes.forget(victim)
        nodes.command(.drain(Nodes.id(parting), true), at: leader)
        nodes.run(.milliseconds(500))
        #expect(nodes.brains[leader].currentVoters.count == 3)
        nodes.isolated = []
        nodes.run(.seconds(10))
        #expect(nodes.leaders == [leader])
        #expect(nodes.brains.allSatisfy { !$0.hasForgotten && $0.currentVoters == [Nodes.id(leader)] })
    }

    @Test func `nobody retires another one`() throws {
        var nodes = Nodes(3)
        let leader = try #require(nodes.leaders.first)
        let command = Command(
            id: CommandID(origin: Nodes.id((leader + 1) % 3), number: 99), issued: nodes.brains[leader].clock.latest,
            action: .retire(Nodes.id((leader + 2) % 3)))
        nodes.give(.received(.propose(command), from: command.id.origin), to: leader)
        nodes.run(.seconds(1))
        #expect(nodes.brains.allSatisfy { $0.currentVoters.count == 3 })
    }

    /// No majority will ever lead again: those who are left help themselves and say so.
    @Test func `leaves the others without a majority when it was the only voter`() throws {
        var nodes = Nodes(2)
        nodes.forget(0)
        nodes.run(.seconds(12))
        #expect(nodes.brains[1].isDegradedLeader)
        #expect(nodes.brains[0].hasForgotten && !nodes.brains[0].isLeader)
        let node = "Node \(Nodes.id(0)) lost its memory"
        #expect(nodes.brains[1].warnings.contains { $0.contains(node) && $0.contains("leave --force") })
    }
}
