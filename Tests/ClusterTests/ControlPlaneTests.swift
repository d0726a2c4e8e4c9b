import Cluster
import Testing
import Vocabulary

@Suite struct `Control planes` {
    private func isDone(_ outcome: CommandOutcome?) -> Bool {
        if case .done? = outcome { true } else { false }
    }

    @Test func `a founder leads alone and others join it`() {
        let nodes = Nodes(3)
        #expect(nodes.leaders.count == 1)
        for brain in nodes.brains {
            #expect(brain.state.members.count == 3)
            #expect(brain.currentVoters.count == 3)
            #expect(brain.state.encodedBytes == nodes.brains[0].state.encodedBytes)
            #expect(brain.warnings.isEmpty)
        }
    }

    @Test func `a founder that slept longer than a lease admits who asks at once`() throws {
        var nodes = Nodes(1)
        nodes.now = nodes.now.advanced(by: .milliseconds(950))
        var newcomer = ControlPlane(settings: Nodes.settings(1))
        _ = newcomer.handle(.wallClock(1_700_000_000_000), now: nodes.now)
        let effects = newcomer.handle(.join(seed: Nodes.id(0)), now: nodes.now)
        let proposal = try #require(effects.send.first?.message)
        nodes.give(.received(proposal, from: Nodes.id(1)), to: 0)
        #expect(nodes.brains[0].state.members.count == 2)
    }

    @Test func `two nodes have one voter, so the other may go`() {
        var nodes = Nodes(2)
        #expect(nodes.brains[0].currentVoters == [Nodes.id(0)])
        nodes.isolated = [1]
        nodes.run(.seconds(10))
        let id = nodes.command(.configure("a", "1"), at: 0)
        nodes.run(.seconds(1))
        #expect(isDone(nodes.outcomes[id]))
    }

    @Test(arguments: 0..<3)
    func `a command is carried out wherever it is given`(index: Int) {
        var nodes = Nodes(3)
        let id = nodes.command(.configure("a", "1"), at: index)
        nodes.run(.seconds(1))
        #expect(isDone(nodes.outcomes[id]))
        #expect(nodes.brains.allSatisfy { $0.state.settings["a"]?.value == "1" })
    }

    @Test func `the same command twice is carried out once`() {
        var nodes = Nodes(3)
        nodes.give(.command(number: 7, .configure("a", "1")), to: 1)
        nodes.run(.seconds(1))
        nodes.give(.command(number: 8, .configure("a", "2")), to: 1)
        nodes.run(.seconds(1))
        let index = nodes.brains[0].state.index
        nodes.give(.command(number: 7, .configure("a", "1")), to: 1)
        nodes.run(.seconds(1))
        #expect(nodes.brains[0].state.index == index)
        #expect(nodes.brains[0].state.settings["a"]?.value == "2")
    }

    @Test func `a lost leader is replaced within two seconds and comes back as a follower`() throws {
        var nodes = Nodes(3)
        let old = try #require(nodes.leaders.first)
        nodes.isolated = [old]
        nodes.run(.seconds(2))
        let new = try #require(nodes.leaders.first)
        #expect(new != old)
        nodes.isolated = []
        nodes.run(.seconds(5))
        #expect(nodes.leaders == [new])
        #expect(nodes.brains[old].leader == Nodes.id(new))
    }

    @Test func `a node that comes back does not displace the leader`() throws {
        var nodes = Nodes(4)
        let leader = try #require(nodes.leaders.first)
        let other = try #require((0..<4).first { $0 != leader })
        nodes.isolated = [other]
        nodes.run(.seconds(20))
        nodes.isolated = []
        nodes.run(.seconds(10))
        #expect(nodes.leaders == [leader])
    }

    @Test func `without a majority a part helps itself, says so, and merges what it decided`() throws {
        var nodes = Nodes(3)
        nodes.isolated = [1, 2]
        nodes.run(.seconds(15))
        #expect(nodes.brains[0].isDegradedLeader)
        #expect(!nodes.brains[0].warnings.isEmpty)
        let id = nodes.command(.configure("a", "alone"), at: 0)
        nodes.run(.seconds(1))
        #expect(nodes.outcomes[id] == .doneDegraded)
        nodes.isolated = []
        nodes.run(.seconds(20))
        #expect(nodes.leaders.count == 1)
        #expect(nodes.brains.allSatisfy { $0.state.settings["a"]?.value == "alone" })
        #expect(nodes.brains.allSatisfy { $0.warnings.isEmpty })
    }

    @Test func `a restart of everything brings everything back`() {
        var nodes = Nodes(3)
        nodes.command(.configure("a", "1"), at: 1)
        nodes.run(.seconds(1))
        for index in 0..<3 { nodes.restart(index) }
        nodes.run(.seconds(5))
        #expect(nodes.leaders.count == 1)
        #expect(nodes.brains.allSatisfy { $0.state.settings["a"]?.value == "1" })
    }

    @Test func `a node that starts again knows where its peers are before anything is committed`() {
        var nodes = Nodes(3)
        for index in 0..<3 {
            nodes.restart(index)
            #expect(nodes.brains[index].addressBook.keys == (0..<3).map(Nodes.id))
        }
    }

    @Test func `a leader whose disk is full makes way, and nothing acknowledged is lost`() throws {
        var nodes = Nodes(3)
        let old = try #require(nodes.leaders.first)
        let id = nodes.command(.configure("a", "1"), at: old)
        nodes.run(.seconds(1))
        #expect(isDone(nodes.outcomes[id]))
        nodes.give(.storeFailed(.full(neededBytes: 1, freeBytes: 0), of: Effects()), to: old)
        #expect(!nodes.brains[old].isLeader)
        #expect(nodes.brains[old].warnings.first?.contains("disk is full") == true)
        nodes.run(.seconds(2))
        #expect(nodes.leaders.count == 1 && nodes.leaders.first != old)
    }

    /// The founder of a cluster of two is its only voter, and could not leave otherwise.
    @Test(arguments: 2...4)
    func `a leader that drains hands over and can be removed`(count: Int) throws {
        var nodes = Nodes(count)
        let old = try #require(nodes.leaders.first)
        nodes.command(.drain(Nodes.id(old), true), at: old)
        nodes.run(.seconds(8))
        let new = try #require(nodes.leaders.first)
        #expect(nodes.leaders.count == 1 && new != old)
        #expect(!nodes.brains[new].currentVoters.contains(Nodes.id(old)))
        let id = nodes.command(.remove(Nodes.id(old)), at: new)
        nodes.run(.seconds(2))
        #expect(isDone(nodes.outcomes[id]))
        #expect(nodes.brains[new].state.members.count == count - 1)
    }

    @Test func `a node that forgets its coordinator leads nobody, and says so`() throws {
        var stored = StoredCluster()
        let member = Member(node: Nodes.id(0), name: "n0")
        let setting = Setting(value: "etcd", stamp: Stamp(milliseconds: 2, counter: 0, node: Nodes.id(0)))
        let events: [ClusterEvent] = [.founded(cluster: 7, member: member), .settingSet("coordinator", setting)]
        stored.term = 1
        stored.entries = [
            LogEntry(index: 1, term: 1, stamp: .zero, command: nil, events: events.map { EventRecord($0) })
        ]
        var brain = ControlPlane(settings: Nodes.settings(0), stored: stored)
        for second in 1...20 as ClosedRange<Int64> {
            _ = brain.handle(.tick, now: Instant(nanoseconds: second * 1_000_000_000))
        }
        #expect(!brain.isLeader && !brain.isDegradedLeader)
        #expect(brain.warnings.contains { $0.contains("--coordinator") })
    }

    /// A token is a setting with a name of its own.
    @Test func `join tokens may be made and taken back for ever`() throws {
        var nodes = Nodes(1)
        for number in 0..<3 * Limits.settingCount {
            nodes.command(.configure("join-token/\(number)", "x"), at: 0)
            nodes.command(.configure("join-token/\(number)", nil), at: 0)
        }
        nodes.run(.milliseconds(100))
        #expect(nodes.outcomes.count == 6 * Limits.settingCount)
        #expect(nodes.outcomes.values.allSatisfy { isDone($0) })
        let state = nodes.brains[0].state
        #expect(state.settings.count == Limits.settingCount)
        #expect(try ClusterState(bytes: state.encodedBytes) == state)
        #expect(nodes.brains[0].view.settings.isEmpty)
    }

    /// No reader takes an event beyond the limit, so it would stand in the log and mean nothing.
    @Test(arguments: [true, false])
    func `a deployment that is too large for an event is refused with its size`(isDegraded: Bool) {
        var nodes = Nodes(3)
        if isDegraded {
            nodes.isolated = [1, 2]
            nodes.run(.seconds(15))
        }
        var wish = Deployment(name: "a", model: "m")
        wish.requiredTags = (0..<Limits.listCount).map { "\($0)" + String(repeating: "x", count: 1000) }
        wish.preferredTags = wish.requiredTags
        let id = nodes.command(.deploy(wish), at: 0)
        nodes.run(.seconds(1))
        guard case .refused(let refusal) = nodes.outcomes[id] else {
            Issue.record("\(String(describing: nodes.outcomes[id]))")
            return
        }
        #expect(refusal.code == .invalid)
        #expect(refusal.description.contains("event.body") && refusal.description.contains("\(Limits.eventBytes)"))
        #expect(nodes.brains[0].effectiveState.deployments.isEmpty)
        wish.preferredTags = []
        let smaller = nodes.command(.deploy(wish), at: 0)
        nodes.run(.seconds(1))
        #expect(nodes.outcomes[smaller] == .doneDegraded || isDone(nodes.outcomes[smaller]))
        #expect(nodes.brains[0].effectiveState.deployments["a"]?.requiredTags == wish.requiredTags)
    }

    @Test func `a vote lasts before it is said`() throws {
        var voter = ControlPlane(settings: Nodes.settings(1))
        let request = VoteRequest(kind: .vote, term: 5, lastIndex: 9, lastTerm: 4, predecessor: 0)
        let effects = voter.handle(.received(.vote(request), from: Nodes.id(0)), now: Instant(nanoseconds: 1))
        #expect(effects.persist == [.election(term: 5, vote: Nodes.id(0))])
        #expect(effects.send.count == 1)
        let other = voter.handle(.received(.vote(request), from: Nodes.id(2)), now: Instant(nanoseconds: 2))
        #expect(other.persist.isEmpty)
        guard case .voteReply(let reply)? = other.send.first?.message else {
            Issue.record("no answer")
            return
        }
        #expect(!reply.isGranted)
    }
}
