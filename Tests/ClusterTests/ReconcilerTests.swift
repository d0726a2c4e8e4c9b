import Cluster
import Testing
import Vocabulary

@Suite struct `Reconcilers` {
    private func deployed(_ runners: @escaping (StageTask) -> StageStatus? = Nodes.obedient) -> Nodes {
        var nodes = Nodes(3)
        nodes.runners = runners
        nodes.command(.deploy(Deployment(name: "a", model: "m")), at: 0)
        nodes.run(.seconds(3))
        return nodes
    }

    @Test func `stages whose neighbour went away open no circuit breaker`() throws {
        var nodes = deployed()
        for _ in 0..<6 {
            let old = try #require(nodes.serving)
            nodes.give(.stage(StageReport(epoch: old.epoch, status: .detached, reason: "the link is gone")), to: 1)
            nodes.run(.milliseconds(200))
            #expect(nodes.serving?.epoch == old.epoch, "the cause may still be told")
            nodes.run(.seconds(1))
            #expect(nodes.serving.map { $0.epoch > old.epoch } ?? false)
        }
        #expect(nodes.failure == "")
    }

    @Test func `a crash counts also when a neighbour was heard first`() throws {
        var nodes = deployed()
        for _ in 0..<3 {
            let old = try #require(nodes.serving)
            nodes.give(.stage(StageReport(epoch: old.epoch, status: .detached, reason: "the link is gone")), to: 0)
            nodes.run(.milliseconds(100))
            nodes.give(.stage(StageReport(epoch: old.epoch, status: .crashed, reason: "signal 9")), to: 2)
            nodes.run(.seconds(3))
        }
        #expect(nodes.serving == nil)
        #expect(nodes.failure.contains("3 crashes in 60 s; the last: node"), "\(nodes.failure)")
        #expect(nodes.failure.contains("signal 9"), "\(nodes.failure)")
    }

    @Test func `stages that never reach each other are tried ever more rarely, and for good`() {
        var nodes = deployed { task in
            if case .prove = task { .detached } else { Nodes.obedient(task) }
        }
        nodes.run(.seconds(200))
        #expect(nodes.serving == nil)
        #expect(nodes.failure == "")
        let tries = nodes.tasks[0].count { if case .load = $0 { true } else { false } }
        #expect((6...9).contains(tries), "\(tries) tries in 200 s")
        nodes.runners = Nodes.obedient
        nodes.run(.seconds(70))
        #expect(nodes.serving != nil)
    }

    @Test func `a new leader is told what the stages do before the next reading is due`() throws {
        var nodes = deployed()
        let old = try #require(nodes.leaders.first)
        nodes.isolated = [old]
        for _ in 0..<300 where nodes.leaders.isEmpty { nodes.run(.milliseconds(10)) }
        let leader = try #require(nodes.leaders.first)
        let follower = try #require(nodes.brains.indices.first { $0 != old && $0 != leader })
        let elected = 1_700_000_000_000 + nodes.now.nanoseconds / 1_000_000
        nodes.run(.milliseconds(50))
        let reading = try #require(nodes.brains[leader].reading(of: Nodes.id(follower)))
        #expect(reading.stamp.milliseconds >= elected - 10)
    }

    @Test func `a leader that has heard everybody heals at once, and waits for whoever may still be starting`() throws {
        var nodes = deployed()
        let old = try #require(nodes.leaders.first)
        let lost = try #require(nodes.serving)
        nodes.isolated = [old]
        for index in nodes.brains.indices where index != old { nodes.give(.peerDied(Nodes.id(old)), to: index) }
        for _ in 0..<300 where nodes.leaders.isEmpty { nodes.run(.milliseconds(10)) }
        #expect(!nodes.leaders.isEmpty)
        nodes.run(.milliseconds(700))
        #expect(nodes.serving.map { $0.epoch > lost.epoch } ?? false, "healed in less than the grace")

        let whole = try #require(nodes.serving)
        for index in nodes.brains.indices where index != old { nodes.restart(index) }
        for index in nodes.brains.indices where index != old { nodes.give(.peerDied(Nodes.id(old)), to: index) }
        for _ in 0..<300 where nodes.leaders.isEmpty { nodes.run(.milliseconds(10)) }
        #expect(nodes.serving?.epoch == whole.epoch, "nothing is decided in the first moment")
    }

    @Test func `stages that went further while they were cut off are taken as they are`() {
        let ahead = deployed { task in
            if case .load = task { .serving } else { Nodes.obedient(task) }
        }
        #expect(ahead.serving != nil)
        var tries = 0
        let away = deployed { task in
            guard case .load = task else { return Nodes.obedient(task) }
            tries += 1
            return tries <= 3 ? .drained : .loaded
        }
        #expect(away.serving != nil, "another epoch follows")
    }

    @Test func `what serves is held against what could be had, rarely, and moves by an epoch of its own`() throws {
        var nodes = deployed()
        let first = try #require(nodes.serving)
        nodes.runners = nil
        nodes.plans = []
        nodes.run(.seconds(280))
        #expect(nodes.plans.isEmpty, "it has not settled")
        nodes.run(.seconds(90))
        let asked = try #require(nodes.plans.first)
        #expect(asked.serving == first)
        #expect(nodes.plans.count <= 2)
        for question in nodes.plans { nodes.give(.planned(question: question.id, .kept), to: nodes.leaders[0]) }
        nodes.run(.seconds(5))
        #expect(nodes.serving == first)
        nodes.plans = []
        nodes.run(.seconds(60))
        #expect(nodes.plans.count == 1)
        let again = try #require(nodes.plans.first)
        nodes.runners = Nodes.obedient
        let better = PlanAnswer.placed(
            [StageAssignment(node: Nodes.id(1), layers: LayerRange(first: 0, end: 3), bytes: ByteCount(1))],
            contextTokens: 64, lanes: 1)
        nodes.give(.planned(question: again.id, better), to: nodes.leaders[0])
        nodes.run(.seconds(3))
        let second = try #require(nodes.serving)
        #expect(second.epoch > first.epoch && second.stages.map(\.node) == [Nodes.id(1)])
    }

    @Test func `a node is planned to run no more stages than it reports, and keeps them`() throws {
        var nodes = Nodes(1)
        nodes.runners = Nodes.obedient
        for index in 0..<Limits.reportedStages + 2 {
            nodes.command(.deploy(Deployment(name: "m\(index)", model: "m")), at: 0)
            nodes.run(.seconds(1))
        }
        nodes.run(.seconds(10))
        let placed = nodes.brains[0].state.placements.values.map(\.epoch)
        #expect(placed.count == Limits.hostedStages)
        #expect(try #require(nodes.plans.last).excluded.map(\.code) == ["full"])
        nodes.run(.seconds(30))
        #expect(nodes.brains[0].state.placements.values.map(\.epoch) == placed)
    }

    @Test func `a node alone brings a deployment on whenever it wakes, and waits for no measurement`() {
        var nodes = Nodes(1)
        nodes.runners = Nodes.obedient
        nodes.command(.deploy(Deployment(name: "a", model: "m")), at: 0)
        nodes.runAsWoken(.seconds(4))
        #expect(nodes.serving != nil)
    }

    @Test func `a deployment gets its plan although many others come to nothing again and again`() {
        var nodes = Nodes(1)
        for name in ["a", "b", "c", "d", "e", "f", "g", "h", "z"] {
            nodes.command(.deploy(Deployment(name: name, model: "m")), at: 0)
        }
        var due: [(at: Instant, question: UInt64)] = []
        var seen = nodes.plans.count
        for _ in 0..<400 {
            nodes.run(.milliseconds(100))
            due += nodes.plans[seen...].map { (nodes.now.advanced(by: .seconds(10)), $0.id) }
            seen = nodes.plans.count
            for (_, question) in due.filter({ $0.at <= nodes.now }) {
                nodes.give(.planned(question: question, .refused(reason: "Nobody has the file.")), to: 0)
            }
            due.removeAll { $0.at <= nodes.now }
        }
        #expect(nodes.plans.contains { $0.deployment.name == "z" })
    }

    @Test func `a plan that is only asked for looks at its own wish, whatever the name was used for`() {
        var nodes = Nodes(1)
        nodes.command(.deploy(Deployment(name: "taken", model: "m")), at: 0)
        nodes.command(.deploy(Deployment(name: "gone", model: "m")), at: 0)
        nodes.command(.undeploy("gone"), at: 0)
        nodes.run(.seconds(1))
        for name in ["taken", "gone", "new"] {
            var wish = Deployment(name: name, model: "m")
            wish.requiredTags = ["llama-cuda"]
            let question = nodes.brains[0].planQuestion(for: wish, now: nodes.now)
            #expect(question.deployment.requiredTags == ["llama-cuda"])
            #expect(question.excluded.map(\.code) == ["tags"])
        }
    }
}
