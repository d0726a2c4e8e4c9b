import Cluster
import Testing
import Vocabulary

/// Deployments that go to sleep, wake, and are made by first requests.
@Suite struct `A deployment's life` {
    /// A cluster of one whose planner and runner answer as the test says.
    private var nodes = Nodes(1)

    private var state: ClusterState { nodes.brains[0].state }

    private func view(_ name: String = "d") -> DeploymentView? {
        nodes.brains[0].view.deployments.first { $0.deployment.name == name }
    }

    private func wish(_ name: String = "d", keepAlive: UInt64? = nil) -> Deployment {
        var deployment = Deployment(name: name, model: "m")
        deployment.keepAliveMilliseconds = keepAlive
        return deployment
    }

    /// Answers every question with one stage here, and every task with success, until nothing is asked any more.
    private mutating func settle(_ duration: Duration = .seconds(8)) {
        let end = nodes.now.advanced(by: duration)
        while nodes.now < end {
            nodes.run(.milliseconds(100))
            for question in nodes.plans {
                let stage = StageAssignment(
                    node: Nodes.id(0), layers: LayerRange(first: 0, end: 4), bytes: ByteCount(1))
                nodes.give(
                    .planned(question: question.id, .placed([stage], contextTokens: 16, lanes: 1)), to: 0)
            }
            nodes.plans = []
            let tasks = nodes.tasks[0]
            nodes.tasks[0] = []
            for task in tasks {
                switch task {
                case .load(let placement, _): report(placement.epoch, .loaded)
                case .prove(let epoch): report(epoch, .proven)
                case .serve(let epoch): report(epoch, .serving)
                case .drain(let epoch): report(epoch, .drained)
                case .stop: break
                }
            }
        }
    }

    private mutating func report(_ epoch: Epoch, _ status: StageStatus, idle: UInt64? = nil) {
        var report = StageReport(epoch: epoch, status: status)
        report.idleMilliseconds = idle
        nodes.give(.stage(report), to: 0)
    }

    private mutating func reportIdle(_ milliseconds: UInt64?) throws {
        report(try #require(state.placements.keys.last), .serving, idle: milliseconds)
    }

    @Test mutating func `an idle deployment is unloaded, and the next request wakes it`() throws {
        nodes.command(.deploy(wish(keepAlive: 5000)), at: 0)
        settle()
        #expect(view()?.state == .ready)
        // Busy, or not idle for long enough.
        for idle in [nil, 4999] as [UInt64?] {
            try reportIdle(idle)
            settle()
            #expect(view()?.state == .ready)
        }
        try reportIdle(5000)
        settle()
        #expect(view()?.state == .sleeping)
        #expect(view()?.reason.isEmpty == false)
        #expect(state.placements.isEmpty)
        nodes.command(.demand(wish()), at: 0)
        settle()
        #expect(view()?.state == .ready)
        #expect(view()?.deployment.keepAliveMilliseconds == 5000)
    }

    @Test mutating func `another time to stay loaded leaves the stages alone`() throws {
        nodes.command(.deploy(wish()), at: 0)
        settle()
        let epoch = try #require(state.placements.keys.first)
        nodes.command(.keep("d", 7000), at: 0)
        settle()
        #expect(state.placements.keys == [epoch])
        #expect(view()?.state == .ready)
        #expect(view()?.deployment.keepAliveMilliseconds == 7000)
        nodes.command(.keep("d", nil), at: 0)
        settle()
        #expect(state.deployments["d"]?.keepAliveMilliseconds == nil)
        // Too short a time would unload it before the request that woke it arrives.
        nodes.command(.keep("d", 1), at: 0)
        settle()
        #expect(state.deployments["d"]?.keepAliveMilliseconds == Limits.leastKeepAliveMilliseconds)
        #expect(state.placements.keys == [epoch])
        // To deploy it again is a wish for new stages, though it says the same.
        nodes.command(.deploy(wish()), at: 0)
        settle()
        #expect(state.placements.keys != [epoch])
    }

    @Test mutating func `a deployment is unloaded at once when that is asked for`() {
        nodes.command(.deploy(wish(keepAlive: 60_000)), at: 0)
        settle()
        nodes.command(.keep("d", 0), at: 0)
        settle()
        #expect(view()?.state == .sleeping)
        #expect(view()?.deployment.keepAliveMilliseconds == 60_000)
        // Another time does not wake it.
        nodes.command(.keep("d", 9000), at: 0)
        settle()
        #expect(view()?.state == .sleeping)
        #expect(view()?.deployment.keepAliveMilliseconds == 9000)
    }

    /// Between a removal and the leader's next look at the stages somebody may ask for the same name again.
    @Test(arguments: [true, false])
    mutating func `what served a removed deployment answers for no later one of that name`(isAutomatic: Bool) throws {
        nodes.command(isAutomatic ? .demand(wish(keepAlive: 5000)) : .deploy(wish()), at: 0)
        settle()
        let old = try #require(state.placements.keys.first)
        #expect(view()?.state == .ready)
        nodes.command(.drain(Nodes.id(0), true), at: 0)
        nodes.command(isAutomatic ? .keep("d", 0) : .undeploy("d"), at: 0)
        nodes.command(.demand(wish()), at: 0)
        let later = try #require(view())
        #expect(later.placements.map(\.epoch) == [old])
        #expect(later.placements.map(\.phase) == [.draining])
        #expect(later.state != .ready)
        settle()
        #expect(state.placements.isEmpty || state.placements.keys != [old])
    }

    @Test mutating func `a plan for a machine that began to drain meanwhile is not carried out`() throws {
        nodes.command(.deploy(wish()), at: 0)
        nodes.run(.seconds(1))
        let question = try #require(nodes.plans.first)
        nodes.command(.drain(Nodes.id(0), true), at: 0)
        let stage = StageAssignment(node: Nodes.id(0), layers: LayerRange(first: 0, end: 4), bytes: ByteCount(1))
        nodes.give(.planned(question: question.id, .placed([stage], contextTokens: 16, lanes: 1)), to: 0)
        nodes.run(.seconds(1))
        #expect(state.placements.isEmpty)
        // The next plan is asked for without it.
        #expect(nodes.plans.last?.excluded.map(\.code) == ["draining"])
    }

    @Test mutating func `a hundred first requests make one deployment`() throws {
        for _ in 0..<100 { nodes.command(.demand(wish(keepAlive: 5000)), at: 0) }
        nodes.run(.seconds(1))
        #expect(state.deployments.count == 1)
        #expect(nodes.plans.count == 1)
        #expect(nodes.outcomes.values.allSatisfy { if case .done = $0 { true } else { false } })
        settle()
        #expect(view()?.state == .ready)
        #expect(view()?.deployment.isAutomatic == true)
        // What nobody but a request wished for is forgotten when it is idle.
        try reportIdle(6000)
        settle()
        #expect(view() == nil)
        #expect(state.placements.isEmpty)
    }

    @Test mutating func `a first request for a model that does not fit hears why, and is forgotten later`() throws {
        nodes.command(.demand(wish()), at: 0)
        nodes.run(.milliseconds(500))
        let question = try #require(nodes.plans.first)
        nodes.give(.planned(question: question.id, .refused(reason: "short by 3 GB")), to: 0)
        nodes.run(.milliseconds(500))
        #expect(view()?.state == .pending)
        #expect(view()?.doesNotFit == true)
        #expect(view()?.reason == "short by 3 GB")
        nodes.run(.seconds(50))
        #expect(view() != nil)
        nodes.run(.seconds(15))
        #expect(view() == nil)
    }

    @Test mutating func `what somebody deployed is not forgotten because it does not fit`() throws {
        nodes.command(.deploy(wish()), at: 0)
        nodes.run(.milliseconds(500))
        let question = try #require(nodes.plans.first)
        nodes.give(.planned(question: question.id, .refused(reason: "short by 3 GB")), to: 0)
        nodes.run(.seconds(80))
        #expect(view()?.doesNotFit == true)
        // Memory came free: it loads, and is not short any more.
        settle()
        #expect(view()?.state == .ready)
        #expect(state.replicas.values.allSatisfy { !$0.isShortfall })
    }

    @Test mutating func `first requests make nothing where that is switched off`() throws {
        nodes.command(.configure("auto-deploy", "off"), at: 0)
        nodes.run(.seconds(1))
        let command = nodes.command(.demand(wish()), at: 0)
        nodes.run(.seconds(1))
        guard case .refused(let refusal) = nodes.outcomes[command] else {
            Issue.record("\(String(describing: nodes.outcomes[command]))")
            return
        }
        #expect(refusal.code == .notFound)
        #expect(state.deployments.isEmpty)
    }

    @Test func `records of an older release have no wish of their own`() throws {
        var deployment = wish(keepAlive: 5)
        deployment.stamp = Stamp(milliseconds: 9, counter: 1, node: NodeID(3))
        deployment.wish = Stamp(milliseconds: 8, counter: 0, node: NodeID(3))
        deployment.preferredTags = ["llama-cuda"]
        let record = EventRecord(.deploymentSet(deployment))
        #expect(record.event == .deploymentSet(deployment))
    }
}
