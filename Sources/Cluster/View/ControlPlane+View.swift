import Vocabulary

/// Changes whenever `view` may have changed; cheap to compare.
package struct ClusterViewKey: Hashable, Sendable {
    private var index: UInt64
    private var branch: UInt64
    private var term: UInt64
    private var leader: NodeID?
    private var statuses: [Liveness]
    private var readings: UInt64
    private var stages: [StageReport]
    private var warnings: [String]

    init(
        index: UInt64, branch: UInt64, term: UInt64, leader: NodeID?, statuses: [Liveness], readings: UInt64,
        stages: [StageReport], warnings: [String]
    ) {
        self.index = index
        self.branch = branch
        self.term = term
        self.leader = leader
        self.statuses = statuses
        self.readings = readings
        self.stages = stages
        self.warnings = warnings
    }
}

extension ControlPlane {
    /// What `view` depends on.
    package var viewKey: ClusterViewKey {
        ClusterViewKey(
            index: state.index, branch: branch?.state == nil ? 0 : branch?.version ?? 0, term: term,
            leader: currentLeader, statuses: membership.peers.values.map(\.status),
            readings: readingCount, stages: agent.reports, warnings: warnings)
    }

    /// Why this node cannot use its coordinator, one sentence; nil while it can, or has none.
    package var coordinatorTrouble: String? { coordination?.trouble ?? coordination?.contradiction }

    /// What this node knows of its cluster.
    package var view: ClusterView {
        let state = effectiveState
        let members = state.members.values.map { member in
            MemberView(
                member: member, liveness: membership.status(of: member.node) ?? .alive, reading: readings[member.node])
        }
        return ClusterView(
            node: node, cluster: state.cluster, index: state.index,
            leadership: LeadershipView(
                term: term, leader: currentLeader, isDegraded: branch?.state != nil, voters: voters,
                coordinator: coordination?.settings.name ?? "embedded"),
            members: members, deployments: state.deployments.values.map { deploymentView($0, in: state) },
            settings: state.settings.elements.compactMap { row in
                row.value.value.map { SettingView(name: row.key, value: $0) }
            },
            warnings: warnings)
    }

    private func deploymentView(_ deployment: Deployment, in state: ClusterState) -> DeploymentView {
        let placements = state.placements.values.filter { $0.replica.deployment == deployment.name }
        var view = DeploymentView(
            deployment: deployment, state: .ready, reason: "", progress: nil, placements: placements)
        let replicas = (0..<deployment.replicas).map { ReplicaKey(deployment: deployment.name, index: $0) }
        let missing = replicas.filter { key in !placements.contains { $0.replica == key && $0.phase == .active } }
        guard let first = missing.first else { return view }
        if state.sleeping[deployment.name] != nil {
            view.state = .sleeping
            view.reason = "It was unloaded for want of requests; the next request wakes it."
            return view
        }
        let record = missing.compactMap { state.replicas[$0] }.first { !$0.failure.isEmpty }
        let under = missing.flatMap { key in placements.filter { $0.replica == key && $0.phase < .active } }
        let (progressState, progress) = progress(of: under)
        view.progress = progress
        if let record {
            (view.state, view.reason) = (.failed, record.failure)
        } else if let progressState {
            view.state = progressState
            view.reason = progressState == .fetching ? "Nodes bring the model." : "Nodes load their stages."
        } else {
            let note = state.replicas[first]?.note ?? ""
            view.doesNotFit = state.replicas[first]?.isShortfall ?? false
            (view.state, view.reason) = (.pending, note.isEmpty ? "It waits to be placed." : note)
        }
        if missing.count < replicas.count {
            view.state = .degraded
            view.reason = "\(replicas.count - missing.count) of \(replicas.count) replicas serve. \(view.reason)"
        }
        return view
    }

    /// How far epochs are that begin: of all their stages the slowest counts.
    private func progress(of placements: [PlacedReplica]) -> (DeploymentView.State?, UInt32?) {
        guard !placements.isEmpty else { return (nil, nil) }
        var slowest: (status: DeploymentView.State, progress: UInt32)?
        for placement in placements {
            for stage in placement.stages {
                let reports = stage.node == node ? agent.reports : readings[stage.node]?.stages ?? []
                let report = reports.last { $0.epoch == placement.epoch }
                let isFetching = report == nil || report?.status == .fetching
                let own = (isFetching ? DeploymentView.State.fetching : .loading, report?.progress ?? 0)
                guard let known = slowest else {
                    slowest = own
                    continue
                }
                let isSlower =
                    (own.0 == .fetching && known.status == .loading)
                    || (own.0 == known.status && own.1 < known.progress)
                if isSlower { slowest = own }
            }
        }
        return (slowest?.status, slowest?.progress)
    }
}
