import Vocabulary

/// What the reconcilers look at: the state after all entries, telemetry, and who answers.
struct ReconcilerView {
    var state: ClusterState
    let readings: OrderedTable<NodeID, NodeReading>
    let liveness: (NodeID) -> Liveness?
    let timings: Timings
    /// **Units:** milliseconds since 1970, by the leader's clock.
    let wall: Int64
    /// Since when this leader has seen each epoch in its phase: a wall clock that jumps must not end anything.
    let seen: OrderedTable<Epoch, ReconcilerMemory.Seen>
    let now: Instant

    /// Whether a member is given up: dead, gone, or no member at all.
    func isLost(_ node: NodeID) -> Bool {
        guard state.members[node] != nil, let status = liveness(node) else { return true }
        return status >= .dead
    }

    /// What a node says about an epoch.
    func report(_ epoch: Epoch, _ node: NodeID) -> StageReport? {
        readings[node]?.stages.last { $0.epoch == epoch }
    }

    func isWanted(_ replica: ReplicaKey) -> Bool {
        guard let deployment = state.deployments[replica.deployment] else { return false }
        return replica.index < deployment.replicas && state.sleeping[replica.deployment] == nil
    }

    /// Whether an epoch has been in its phase for this long, as far as this leader knows.
    func hasPassed(_ duration: Duration, in placement: PlacedReplica) -> Bool {
        guard let seen = seen[placement.epoch], seen.phase == placement.phase else { return false }
        return seen.since.advanced(by: duration) <= now
    }

    func hasPassed(_ duration: Duration, since milliseconds: Int64) -> Bool {
        wall - milliseconds >= duration.milliseconds
    }
}
