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
        // Only where nothing is open: neither a branch, nor entries from before a restart that are not applied yet.
        if branch == nil, state.index == log.last.index {
            records += agent.forgetFences(state).map { StoredRecord.unfence($0) }
        }
        for record in records { persist(record) }
        guard !tasks.isEmpty else { return }
        effects.tasks += tasks
        readingChanged = true
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
