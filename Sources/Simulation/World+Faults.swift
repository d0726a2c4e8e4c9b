import Cluster
import Vocabulary

extension World {
    /// Breaks something, or plans to mend it.
    mutating func fault() {
        guard !isCalm, let period = scenario.faultPeriod else { return }
        let victim = faultRandom.below(nodes.count)
        let pause = Int64(200 + faultRandom.below(scenario.isImpatient ? 8000 : 4000)) * 1_000_000
        switch faultRandom.below(10) {
        case 0..<3:
            guard nodes[victim].isUp else { break }
            crash(victim, pause: pause)
            nodes[victim].losesMemory = memoryRandom.below(3) == 0
        case 3..<5: partition(pause)
        case 5:
            // One way only: who does not hear may still speak.
            let other = faultRandom.below(nodes.count)
            guard other != victim else { break }
            cut(from: victim, to: other, pause)
        case 6:
            nodes[victim].disk.isFull = true
            nodes[victim].diskFullUntil = max(nodes[victim].diskFullUntil, time + pause)
            heap.push(.freeDisk(node: victim), at: time + pause)
        case 7:
            guard nodes[victim].isUp else { break }
            nodes[victim].wallError += Int64(faultRandom.below(7_200_001)) - 3_600_000
            give(.wallClock(wall(of: victim)), to: victim)
        case 8: crashRunner(of: victim)
        default:
            // The machine slept: its clock went on, and nothing of it happened.
            nodes[victim].clockOffset += pause
            if nodes[victim].isUp { give(.tick, to: victim) }
        }
        heap.push(.fault, at: time + Int64(faultRandom.below(Int(2 * period.nanoseconds)) + 1))
    }

    private mutating func partition(_ pause: Int64) {
        let side = nodes.indices.map { _ in faultRandom.below(2) == 0 }
        for from in nodes.indices {
            for to in nodes.indices where side[from] != side[to] { cut(from: from, to: to, pause) }
        }
    }

    /// Of cuts that overlap the longest counts.
    private mutating func cut(from: Int, to: Int, _ pause: Int64) {
        let key = from * nodes.count + to
        cuts[key] = max(cuts[key] ?? 0, time + pause)
        heap.push(.heal(from: from, to: to), at: time + pause)
    }

    private mutating func crashRunner(of index: Int) {
        guard nodes[index].isUp, let row = nodes[index].runners.elements.first else { return }
        tellStage(index, nodes[index].life, StageReport(epoch: row.key, status: .crashed, reason: "killed"))
    }

    /// A stage is gone, and its neighbours notice, each in its time.
    mutating func detach(from epoch: Epoch) {
        for index in nodes.indices where nodes[index].runners[epoch] != nil {
            let report = StageReport(epoch: epoch, status: .detached, reason: "the link is gone")
            heap.push(
                .stage(node: index, life: nodes[index].life, report),
                at: time + 1 + Int64(runnerRandom.below(50_000_000)))
        }
    }

    /// Whether the cluster can do without what this node knows: one memory at a time, and never that of a voter whose
    /// vote every majority needs by anybody's knowledge of who votes, as nothing brings that cluster back.
    private func maySpare(_ index: Int) -> Bool {
        guard nodes.count > 2, scenario.mutation == .denied || !scenario.isCoordinated else { return false }
        return nodes.allSatisfy { other in
            let brain = other.brain
            let isNeeded = brain.currentVoters.contains(nodes[index].id) && brain.currentVoters.count < 3
            return !isNeeded && !brain.hasForgotten && brain.state.cluster != 0
        }
    }

    private mutating func loseMemory(_ index: Int) {
        nodes[index].disk.lose()
        figures.lostMemories += 1
        settings[index].founds = false
        settings[index].hasForgotten = scenario.mutation != .denied
    }

    /// A process that ended by itself is started again soon; a machine that failed, when its time has come.
    mutating func crash(_ index: Int, pause: Int64 = 500_000_000) {
        guard nodes[index].isUp else { return }
        nodes[index].isUp = false
        nodes[index].life += 1
        // A bug that needs two lost memories close to each other is looked for where they are many.
        if scenario.mutation == .denied { nodes[index].losesMemory = true }
        nodes[index].wakeAt = nil
        let epochs = nodes[index].runners.keys
        nodes[index].runners = OrderedTable()
        for epoch in epochs { detach(from: epoch) }
        nodes[index].waiting = OrderedTable()
        if !isCalm { heap.push(.restart(node: index, life: nodes[index].life), at: time + pause) }
    }

    mutating func restart(_ index: Int) {
        guard !nodes[index].isUp else { return }
        if nodes[index].losesMemory, !isCalm, maySpare(index) { loseMemory(index) }
        nodes[index].losesMemory = false
        nodes[index].isUp = true
        settings[index].seed = settings[index].seed &* 6_364_136_223_846_793_005 &+ 1
        // A restarted node finds its cluster on its disk; only the very first start may found one.
        let stored = nodes[index].disk.stored
        if stored != StoredCluster() { settings[index].hasForgotten = false }
        nodes[index].brain = ControlPlane(settings: settings[index], stored: stored)
        // A monotonic clock starts anew with its machine.
        nodes[index].clockOffset = Int64(faultRandom.below(1_000_000)) * 1_000_000 - time
        ledger.restarted(index)
        give(.wallClock(wall(of: index)), to: index)
        if index > 0 || !settings[index].founds, stored.snapshot.cluster == 0, stored.entries.isEmpty {
            give(.join(seed: nodes[index == 0 ? 1 : 0].id), to: index)
        }
        heap.push(.measure(node: index, life: nodes[index].life), at: time)
    }

    /// All faults end, and everything has to become well by itself.
    mutating func calm(at time: Int64) {
        self.time = time
        isCalm = true
        guard scenario.faultPeriod != nil else { return }
        figures.calmAt = time
        figures.isMeasuring = true
        cuts = [:]
        coordinatorCuts = [:]
        coordinator.isDownUntil = 0
        for index in nodes.indices {
            nodes[index].disk.isFull = false
            restart(index)
        }
    }

    /// In a healthy world the leader dies once, for good: how long until all others agree on that?
    mutating func killLeader() {
        guard let leader = nodes.firstIndex(where: { $0.isUp && $0.brain.isLeader }) else { return }
        figures.calmAt = time
        figures.firstLeaderAt = nil
        figures.isMeasuring = true
        isCalm = true
        crash(leader)
    }

    /// Callers want things.
    mutating func work() {
        guard !isCalm || scenario.faultPeriod == nil else { return }
        let index = workRandom.below(nodes.count)
        let action: Command.Action
        switch workRandom.below(11) {
        case 0..<4:
            let number = workRandom.below(3)
            var deployment = Deployment(name: "d\(number)", model: "m\(number)")
            deployment.replicas = 1 + workRandom.below(2)
            deployment.keepAliveMilliseconds = workRandom.below(3) == 0 ? 2000 : nil
            action = .deploy(deployment)
        case 4: action = .undeploy("d\(workRandom.below(3))")
        case 5: action = .demand(Deployment(name: "d\(workRandom.below(3))", model: "m"))
        case 6 where nodes.count > 1:
            action = .drain(nodes[workRandom.below(nodes.count)].id, workRandom.below(2) == 0)
        case 7: action = .keep("d\(workRandom.below(3))", [0, 2000, nil][workRandom.below(3)])
        default: action = .configure("s\(workRandom.below(4))", "\(workRandom.below(1000))")
        }
        commandCount += 1
        if nodes[index].isUp {
            nodes[index].waiting[commandCount] = true
            give(.command(number: commandCount, action), to: index)
        }
        let pause = scenario.faultPeriod == nil ? 1_000_000_000 : Int64(50 + workRandom.below(400)) * 1_000_000
        heap.push(.work, at: time + pause)
    }
}
