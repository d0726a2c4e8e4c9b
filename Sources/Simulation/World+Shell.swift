import Cluster
import Vocabulary

/// The shell of the simulated nodes: it carries out effects in the order of their contract, and decides nothing.
extension World {
    mutating func give(_ input: ControlPlane.Input, to index: Int) {
        let now = nodes[index].clock(time)
        let effects = nodes[index].brain.handle(input, now: now)
        carryOut(effects, of: index)
    }

    private mutating func carryOut(_ effects: Effects, of index: Int) {
        if !effects.persist.isEmpty, !write(effects, index) { return }
        let isRecovery = effects.persist.contains { if case .rebase = $0 { true } else { false } }
        // A crash may come between the write and the rest, and may tear the write.
        if crashesInWrite(effects, index) { return }
        // Checked between the write and the first message: what is wrong now will be wrong for others next.
        check(index)
        for envelope in effects.send { post(envelope.message, from: index, to: envelope.to) }
        for reply in effects.replies { replied(reply, index) }
        for question in effects.coordinator { askCoordinator(question, index) }
        for task in effects.tasks { perform(task, index) }
        for question in effects.plans {
            let delay = 1_000_000 + Int64(runnerRandom.below(200)) * 1_000_000
            heap.push(.planned(node: index, life: nodes[index].life, question), at: time + delay)
        }
        if let wake = effects.wakeAt, nodes[index].wakeAt != wake {
            nodes[index].wakeAt = wake
            let due = max(nodes[index].world(wake) + 1000, time + 1000)
            heap.push(.wake(node: index, life: nodes[index].life, at: wake), at: due)
        }
        if let stored = effects.storedPosition { give(.stored(index: stored.index, term: stored.term), to: index) }
        if isRecovery { give(.storeRecovered, to: index) }
    }

    /// Writes, and tells the brain when that failed; whether the rest of the effects may happen.
    private mutating func write(_ effects: Effects, _ index: Int) -> Bool {
        var records = effects.persist
        if scenario.mutation == .lostAcknowledgement {
            records.removeAll { if case .append = $0 { nodes[index].id != nodes[0].id } else { false } }
        }
        do throws(StoreFailure) {
            try nodes[index].disk.write(records)
            return true
        } catch {
            give(.storeFailed(error, of: effects), to: index)
            return false
        }
    }

    private mutating func crashesInWrite(_ effects: Effects, _ index: Int) -> Bool {
        guard !isCalm, scenario.faultPeriod != nil, !effects.persist.isEmpty,
            faultRandom.below(400) == 0
        else { return false }
        nodes[index].disk.tear(keeping: faultRandom.below(effects.persist.count + 1))
        crash(index)
        return true
    }

    private mutating func post(_ message: ClusterMessage, from: Int, to id: NodeID) {
        guard let to = index(of: id) else { return }
        var message = message
        var bytes = 0
        if scenario.encodesMessages || figures.countsBytes {
            let encoded = message.encodedBytes
            bytes = encoded.count
            if scenario.encodesMessages {
                do throws(CodecError) {
                    message = try ClusterMessage(bytes: encoded)
                } catch {
                    ledger.report("a message does not survive its encoding: \(error)")
                }
            }
        }
        figures.sent(message, bytes, from: from, at: time)
        if scenario.mutation == .doubleLeader, case .voteReply(var reply) = message {
            reply.isGranted = true
            message = .voteReply(reply)
        }
        let isLost = !isCalm && networkRandom.below(1000) < scenario.lossPerMille
        let isDoubled = !isCalm && networkRandom.below(1000) < scenario.duplicationPerMille
        for copy in 0..<(isDoubled ? 2 : 1) where !isLost || copy > 0 {
            nodes[from].underWay += 1
            let microseconds =
                scenario.latencyMicroseconds + networkRandom.below(isCalm ? 1000 : scenario.jitterMicroseconds)
            heap.push(
                .deliver(from: from, to: to, message), at: time + Int64(microseconds) * 1000)
        }
    }

    private mutating func replied(_ reply: Effects.Reply, _ index: Int) {
        nodes[index].waiting[reply.command.number] = nil
        if case .done(let entry) = reply.outcome { ledger.acknowledge(reply.command, entry) }
        if case .doneDegraded = reply.outcome { figures.degradedCommands += 1 }
    }

    // MARK: Runners

    private mutating func perform(_ task: StageTask, _ index: Int) {
        let life = nodes[index].life
        func later(_ report: StageReport, _ milliseconds: Int, _ world: inout World) {
            world.heap.push(
                .stage(node: index, life: life, report), at: world.time + Int64(milliseconds) * 1_000_000)
        }
        switch task {
        case .load(let placement, let stage):
            let need = placement.stages[stage].bytes.bytes
            guard nodes[index].usedMemory + need <= nodes[index].memory else {
                later(StageReport(epoch: placement.epoch, status: .refused, reason: "short of memory"), 1, &self)
                return
            }
            nodes[index].runners[placement.epoch] = .init(placement: placement, stage: stage)
            let fails = !isCalm && runnerRandom.below(12) == 0
            let status: StageStatus = fails ? (runnerRandom.below(2) == 0 ? .fetchFailed : .crashed) : .loaded
            later(StageReport(epoch: placement.epoch, status: .loading), 5, &self)
            later(StageReport(epoch: placement.epoch, status: status), 20 + runnerRandom.below(400), &self)
        case .prove(let epoch):
            let fails = !isCalm && runnerRandom.below(20) == 0
            later(StageReport(epoch: epoch, status: fails ? .unproven : .proven), 5 + runnerRandom.below(50), &self)
        case .serve(let epoch):
            serve(epoch, index)
            later(StageReport(epoch: epoch, status: .serving), 1, &self)
            // Nobody asks it anything: what shall not stay loaded goes to sleep.
            var idle = StageReport(epoch: epoch, status: .serving)
            idle.idleMilliseconds = 3000
            later(idle, 3000, &self)
        case .drain(let epoch):
            if scenario.mutation == .staleEpoch { serve(epoch, index) }
            if var runner = nodes[index].runners[epoch] {
                runner.isServing = false
                nodes[index].runners[epoch] = runner
            }
            later(StageReport(epoch: epoch, status: .drained), runnerRandom.below(500), &self)
        case .stop(let epoch):
            nodes[index].runners[epoch] = nil
            detach(from: epoch)
        }
    }

    /// The fence is checked from outside: of a replica only higher epochs ever begin to serve on a node.
    private mutating func serve(_ epoch: Epoch, _ index: Int) {
        guard var runner = nodes[index].runners[epoch] else { return }
        let replica = runner.placement.replica
        if let highest = nodes[index].served[replica], epoch < highest {
            ledger.report("node \(index) serves \(replica) in epoch \(epoch) after \(highest)")
        }
        for row in nodes[index].runners.elements where row.value.placement.replica == replica && row.key != epoch {
            guard var other = nodes[index].runners[row.key], other.isServing else { continue }
            // The runner ends what it has begun; a new request goes to the new epoch only.
            other.isServing = false
            nodes[index].runners[row.key] = other
        }
        runner.isServing = true
        nodes[index].runners[epoch] = runner
        nodes[index].served[replica] = max(epoch, nodes[index].served[replica] ?? epoch)
        figures.servedEpochs += 1
    }

    mutating func tellStage(_ index: Int, _ life: Int, _ report: StageReport) {
        guard nodes[index].isUp, nodes[index].life == life, nodes[index].runners[report.epoch] != nil else {
            if report.status == .refused, nodes[index].isUp, nodes[index].life == life {
                give(.stage(report), to: index)
            }
            return
        }
        if report.idleMilliseconds != nil, nodes[index].runners[report.epoch]?.isServing != true { return }
        if report.status.isFailure { nodes[index].runners[report.epoch] = nil }
        // What never came to have links is missed by no neighbour.
        if report.status == .crashed || report.status == .detached { detach(from: report.epoch) }
        give(.stage(report), to: index)
    }
}
