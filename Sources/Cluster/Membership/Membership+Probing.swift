import Vocabulary

extension Membership {
    /// The next time something is due.
    var wake: Instant? {
        guard !peers.isEmpty else { return nil }
        var wake = nextProbe
        func sooner(_ instant: Instant?) {
            guard let instant else { return }
            wake = wake.map { min($0, instant) } ?? instant
        }
        sooner(probe?.askOthersAt)
        sooner(probe?.endsAt)
        for suspicion in suspicions { sooner(suspicion.deadline) }
        sooner(nextRevive)
        sooner(nextSync)
        return wake
    }

    /// Everything that is due.
    mutating func tick(_ hint: LeaderHint, _ random: inout SeededRandom, _ out: inout Effects, now: Instant) {
        guard !peers.isEmpty else {
            probe = nil
            return
        }
        relays.removeAll { $0.endsAt <= now }
        askOthers(hint, &random, &out, now: now)
        endProbe(now: now)
        expireSuspicions(now: now)
        if nextProbe.map({ $0 <= now }) ?? true { beginProbe(hint, &random, &out, now: now) }
        if nextRevive.map({ $0 <= now }) ?? true { revive(hint, &random, &out, now: now) }
    }

    private func stretched(_ duration: Duration) -> Duration { duration.times(health + 1) }

    /// Round robin in an order shuffled anew each round: nobody is forgotten, and nobody is probed by all at once.
    private mutating func beginProbe(
        _ hint: LeaderHint, _ random: inout SeededRandom, _ out: inout Effects, now: Instant
    ) {
        nextProbe = now.advanced(by: timings.probePeriod)
        guard probe == nil else { return }
        if round.isEmpty { round = peers.keys.shuffled(using: &random) }
        while let target = round.popLast() {
            guard isPresent(target) else { continue }
            sequence += 1
            let patience = stretched(timings.probeTimeout)
            probe = Probe(
                target: target, sequence: sequence, sentAt: now, askOthersAt: now.advanced(by: patience),
                endsAt: now.advanced(by: patience + patience + patience))
            out.send(target, .ping(sequence: sequence, gossip(hint)))
            return
        }
    }

    private mutating func askOthers(
        _ hint: LeaderHint, _ random: inout SeededRandom, _ out: inout Effects, now: Instant
    ) {
        guard var current = probe, let due = current.askOthersAt, due <= now else { return }
        current.askOthersAt = nil
        let target = current.target
        var helpers = peers.elements.filter { $0.value.status == .alive && $0.key != target }.map(\.key)
        for _ in 0..<Limits.indirectProbes where !helpers.isEmpty {
            let helper = helpers.remove(at: random.below(helpers.count))
            out.send(helper, .pingRequest(target: target, sequence: current.sequence, gossip(hint)))
            current.silentHelpers += 1
        }
        probe = current
    }

    /// No answer, neither directly nor through others. Helpers that are silent too say that the fault may be ours.
    private mutating func endProbe(now: Instant) {
        guard let current = probe, current.endsAt <= now else { return }
        probe = nil
        if current.silentHelpers > 0 { worsen() }
        guard let peer = peers[current.target], peer.status == .alive else { return }
        learn(
            StatusUpdate(node: current.target, status: .suspect, incarnation: peer.incarnation), from: node, now: now)
    }

    /// A partition ends without anybody telling: dead members are tried again, one at a time.
    private mutating func revive(
        _ hint: LeaderHint, _ random: inout SeededRandom, _ out: inout Effects, now: Instant
    ) {
        nextRevive = now.advanced(by: timings.revivePeriod)
        let dead = peers.elements.filter { $0.value.status == .dead || $0.value.status == .left }
        guard !dead.isEmpty else { return }
        let row = dead[random.below(dead.count)]
        var gossip = gossip(hint)
        gossip.updates.append(
            StatusUpdate(node: row.key, status: row.value.status, incarnation: row.value.incarnation))
        sequence += 1
        out.send(row.key, .ping(sequence: sequence, gossip))
    }

    /// News for one message, within its budget.
    mutating func gossip(_ hint: LeaderHint) -> Gossip {
        var gossip = Gossip()
        gossip.hint = hint
        var budget = Limits.gossipBytes
        gossip.updates = statusQueue.take(budget: &budget)
        gossip.news = stageQueue.take(budget: &budget) + readingQueue.take(budget: &budget)
        return gossip
    }

    func everything() -> [StatusUpdate] {
        [ownStatus]
            + peers.elements.filter(\.value.isConfirmed).prefix(Limits.syncCount - 1).map {
                StatusUpdate(node: $0.key, status: $0.value.status, incarnation: $0.value.incarnation)
            }
    }

    // MARK: Messages

    mutating func ping(_ from: NodeID, _ sequence: UInt64, _ hint: LeaderHint, _ out: inout Effects, now: Instant) {
        let wasGone = peers[from].map { $0.status >= .dead } ?? false
        heard(from: from, now: now)
        var gossip = gossip(hint)
        if let peer = peers[from], peer.status != .alive {
            // It must know what is said of it, or it could not object.
            gossip.updates.append(StatusUpdate(node: from, status: peer.status, incarnation: peer.incarnation))
        }
        out.send(from, .ack(sequence: sequence, about: node, gossip))
        if wasGone, !returned.contains(from) { returned.append(from) }
    }

    mutating func pingRequest(
        _ from: NodeID, target: NodeID, _ askersSequence: UInt64, _ hint: LeaderHint, _ out: inout Effects,
        now: Instant
    ) {
        heard(from: from, now: now)
        guard peers[target] != nil, relays.count < Limits.relayedProbes else { return }
        sequence += 1
        let endsAt = now.advanced(by: timings.probeTimeout.times(2))
        relays.append(
            Relay(
                sequence: sequence, target: target, asker: from, askersSequence: askersSequence, endsAt: endsAt))
        // Tells that the helper itself is well, whatever becomes of the target.
        out.send(from, .nack(sequence: askersSequence))
        out.send(target, .ping(sequence: sequence, gossip(hint)))
    }

    mutating func ack(
        _ from: NodeID, _ acked: UInt64, about target: NodeID, _ hint: LeaderHint, _ out: inout Effects, now: Instant
    ) {
        heard(from: from, now: now)
        if let current = probe, current.sequence == acked, current.target == target {
            probe = nil
            improve()
        }
        guard let index = relays.firstIndex(where: { $0.sequence == acked && $0.target == from }) else { return }
        let relay = relays.remove(at: index)
        out.send(relay.asker, .ack(sequence: relay.askersSequence, about: relay.target, gossip(hint)))
    }

    mutating func nack(_ from: NodeID, _ sequence: UInt64, now: Instant) {
        heard(from: from, now: now)
        guard probe?.sequence == sequence, let silent = probe?.silentHelpers, silent > 0 else { return }
        probe?.silentHelpers = silent - 1
    }
}
