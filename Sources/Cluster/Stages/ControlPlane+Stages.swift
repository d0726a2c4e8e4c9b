package import Vocabulary

extension ControlPlane {
    /// Follows what is decided with this node's stages. What a branch ran is kept until its merge is settled: nothing
    /// stops serving before it is clear that it is not wanted.
    mutating func driveStages() {
        // A fence that does not last is none: without a disk the stages go on as they are, and begin nothing.
        guard storage == nil, !hasForgotten else { return }
        let awaitsMerge = branch?.unmerged.placements.isEmpty == false
        let seen = StageAgent.Seen(
            index: state.index, term: branch?.term ?? 0, version: branch?.state == nil ? 0 : branch?.version ?? 0,
            awaitsMerge: awaitsMerge)
        guard agent.seen != seen else { return }
        agent.seen = seen
        var records: [StoredRecord] = []
        let tasks = agent.follow(effectiveState, keepsOrphans: awaitsMerge) { records.append($0) }
        for record in records { persist(record) }
        guard !tasks.isEmpty else { return }
        effects.tasks += tasks
        readingChanged = true
    }

    /// The shell measured this node; the stages are this brain's own knowledge.
    mutating func measured(_ reading: NodeReading) {
        // Others can fetch a model only from whom they know to have it.
        if reading.holds != ownReading.holds { readingChanged = true }
        ownReading = reading
        ownReading.node = node
    }

    /// Tells the leader at once and everybody by and by.
    mutating func publishReading(now: Instant) {
        let isNewLeader = currentLeader != nil && currentLeader != toldLeader
        guard state.cluster != 0, readingChanged || isNewLeader || nextReading.map({ $0 <= now }) ?? true else {
            return
        }
        toldLeader = currentLeader
        nextReading = now.advanced(by: timings.readingPeriod)
        // What only drifts, as free memory does, goes around the less often the more members there are.
        let goesAround = isRoundDue(now: now)
        readingChanged = false
        ownReading.stages = agent.reports
        ownReading.stamp = clock.next(now: now)
        let (reading, size) = ownReading.bounded()
        readings[node] = reading
        if goesAround, size <= Limits.readingBytes {
            let period = membership.readingPeriod
            let isSmall = period == timings.readingPeriod
            nextRound = isSmall ? now : now.advanced(by: Membership.around(period, &random))
            membership.readingQueue.add(reading, about: node, size: size)
        }
        if let leader = currentLeader, leader != node { effects.send(leader, .report(reading)) }
    }

    /// Whether the reading goes around now. Of many members that start together, each begins at a time of its own.
    private mutating func isRoundDue(now: Instant) -> Bool {
        guard let due = nextRound else {
            let period = membership.readingPeriod
            guard period > timings.readingPeriod else { return true }
            nextRound = now.advanced(by: .milliseconds(random.below(Int(clamping: period.milliseconds))))
            return false
        }
        return readingChanged || due <= now
    }

    /// Takes a reading when it is newer than what is known; whether it was.
    @discardableResult
    mutating func learn(_ reading: NodeReading) -> Bool {
        guard reading.node != node, effectiveState.members[reading.node] != nil else { return false }
        let known = readings[reading.node]
        if let known, reading.stamp <= known.stamp { return false }
        if known?.stages != reading.stages { reconciler.nextPass = nil }
        clock.observe(reading.stamp)
        readings[reading.node] = reading
        return true
    }

    /// The latest telemetry of a node.
    package func reading(of node: NodeID) -> NodeReading? { readings[node] }

    /// Whether a member answers, as far as this node knows.
    package func liveness(of node: NodeID) -> Liveness? { membership.status(of: node) }

    /// Highest epoch of a replica that this node's stages have accepted.
    package func fence(of replica: ReplicaKey) -> Epoch? { agent.fences[replica] }

    /// Stages this node runs, by ascending epoch.
    package var hostedEpochs: [Epoch] { agent.hosted.keys }
}
