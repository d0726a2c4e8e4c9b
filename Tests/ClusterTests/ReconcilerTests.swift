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
