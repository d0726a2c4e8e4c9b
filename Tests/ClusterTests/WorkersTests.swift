import Testing
import Vocabulary

@testable import Cluster

/// A worker was let in without the cluster's key, and must not come to it.
@Suite struct `A worker` {
    private static let worker = NodeID(9)

    /// Three members that are no workers, and a worker known to all of them, which is played by the test.
    private func cluster() -> Nodes {
        var nodes = Nodes(3)
        nodes.command(.admit(Member(node: Self.worker, role: .worker)), at: 0)
        nodes.run(.seconds(1))
        nodes.sent = []
        return nodes
    }

    /// Later than anything the cluster knows.
    private func later(_ nodes: Nodes, by node: NodeID) -> Stamp {
        Stamp(milliseconds: nodes.brains[0].clock.latest.milliseconds + 60_000, counter: 0, node: node)
    }

    private func settings(_ names: [String], _ stamp: Stamp) -> BranchContent {
        var content = BranchContent()
        content.settings = names.map { .init(name: $0, setting: Setting(value: "x", stamp: stamp)) }
        return content
    }

    /// Gives the leader merges, and tells how many it refused.
    private func refusals(_ contents: [BranchContent], from sender: NodeID, _ nodes: inout Nodes) throws -> Int {
        let leader = try #require(nodes.leaders.first)
        let before = nodes.sent.count
        for (number, content) in contents.enumerated() {
            let command = Command(
                id: CommandID(origin: sender, number: UInt64(100 + number)),
                issued: nodes.brains[leader].clock.latest, action: .merge(content))
            nodes.give(.received(.propose(command), from: sender), to: leader)
        }
        nodes.run(.seconds(1))
        return nodes.sent[before...].count { if case .refused = $0.1.message { true } else { false } }
    }

    @Test func `lets nobody in or out by a merge, and merges what is its own`() throws {
        var nodes = cluster()
        let stamp = later(nodes, by: Self.worker)
        var removing = BranchContent()
        removing.removedMembers = [.init(node: Nodes.id(1), stamp: stamp)]
        var members = [Member(node: Self.worker), Member(node: NodeID(77), role: .worker)]
        for index in members.indices { members[index].stamp = stamp }
        var contents = [settings(["join-token/1"], stamp), settings(["coordinator"], stamp), removing]
        for member in members {
            var content = BranchContent()
            content.members = [member]
            contents.append(content)
        }
        let refused = try refusals(contents, from: Self.worker, &nodes)
        #expect(refused == contents.count)
        var state = nodes.brains[0].state
        #expect(state.settings.isEmpty && state.removedMembers.isEmpty && state.members.count == 4)
        #expect(state.members[Self.worker]?.role == .worker)

        var own = settings(["color"], stamp)
        members[0].role = .worker
        members[0].name = "renamed"
        own.members = [members[0]]
        let others = try refusals([own], from: Self.worker, &nodes)
        #expect(others == 0)
        state = nodes.brains[0].state
        #expect(state.settings.keys == ["color"] && state.members[Self.worker]?.name == "renamed")
    }

    @Test func `says no more than anybody else by a merge how the cluster is led`() throws {
        var nodes = cluster()
        let leader = try #require(nodes.leaders.first)
        let other = Nodes.id((leader + 1) % 3)
        let contents = ["coordinator", "join-token/1"].map { settings([$0], later(nodes, by: other)) }
        let refused = try refusals(contents, from: other, &nodes)
        #expect(refused == 1)
        #expect(nodes.brains[leader].state.settings.keys == ["join-token/1"])
    }

    @Test func `is not listened to as a leader or a candidate, but may lead those who are cut off with it`() throws {
        var nodes = cluster()
        let leader = try #require(nodes.leaders.first)
        let follower = (leader + 1) % 3
        let term = nodes.brains[follower].term
        let place = nodes.brains[follower].lastIndex
        func answers(_ message: ClusterMessage) -> Int {
            let effects = nodes.brains[follower].handle(.received(message, from: Self.worker), now: nodes.now)
            return effects.send.count { envelope in
                switch envelope.message {
                case .appendReply, .snapshotReply, .voteReply: envelope.to == Self.worker
                default: false
                }
            }
        }
        func question(_ kind: VoteKind) -> ClusterMessage {
            .vote(VoteRequest(kind: kind, term: term + 5, lastIndex: place + 9, lastTerm: term + 4, predecessor: term))
        }
        let append = Append(
            term: term + 5, previousIndex: 0, previousTerm: 0, entries: [], commit: 0, sentAt: 1)
        let chunk = SnapshotChunk(
            term: term + 5, lastIndex: place + 9, lastTerm: term + 4, offset: 0, total: 8, bytes: [1], sentAt: 1)
        let lies: [ClusterMessage] = [
            .append(append), .snapshot(chunk), .succeed(term: term), question(.probe), question(.vote),
            question(.succession),
        ]
        for message in lies {
            #expect(answers(message) == 0)
            #expect(nodes.brains[follower].term == term)
            #expect(nodes.brains[follower].leader == Nodes.id(leader))
        }
        #expect(answers(question(.claim)) == 1)
    }

    @Test func `that led while there was no majority has let nobody in`() throws {
        var nodes = cluster()
        nodes.isolated = [1, 2]
        nodes.run(.seconds(25))
        #expect(nodes.brains[0].isDegradedLeader)
        var forged = nodes.brains[0].effectiveState
        let stamp = later(nodes, by: Self.worker)
        for name in ["join-token/1", "color"] { forged.apply(.settingSet(name, Setting(value: "x", stamp: stamp))) }
        let beat = BranchBeat(term: nodes.brains[0].term + 1, version: 1, state: forged)
        nodes.give(.received(.branch(beat), from: Self.worker), to: 0)
        #expect(nodes.brains[0].branch?.leader == Self.worker)
        nodes.isolated = []
        nodes.run(.seconds(20))
        #expect(nodes.leaders.count == 1)
        for brain in nodes.brains {
            #expect(brain.state.settings["color"]?.value == "x")
            #expect(brain.state.settings["join-token/1"] == nil)
            #expect(brain.warnings.isEmpty)
        }
    }

    @Test func `hands over its part of what was decided without a majority, and leaves the rest to others`() throws {
        var nodes = Nodes(4)
        let leader = try #require(nodes.leaders.first)
        let voters = nodes.brains[leader].currentVoters
        let learner = try #require((0..<4).first { !voters.contains(Nodes.id($0)) })
        nodes.command(.admit(Member(node: Nodes.id(learner), name: "n\(learner)", role: .worker)), at: leader)
        nodes.run(.seconds(1))
        #expect(nodes.brains[learner].isWorker(Nodes.id(learner)))
        let unmerged = settings(["color", "join-token/1", "coordinator"], later(nodes, by: Nodes.id(learner)))
        nodes.brains[learner].branch = StoredBranch(
            term: nodes.brains[learner].term, leader: Nodes.id(0), version: 1, state: nil, unmerged: unmerged)
        nodes.run(.seconds(5))
        #expect(nodes.brains[leader].state.settings.keys == ["color"])
        #expect(nodes.brains[learner].branch == nil)
        #expect(nodes.brains[learner].warnings.isEmpty)
    }
}
