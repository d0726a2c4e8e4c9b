/// What a node knows of its cluster, as people and programs look at it.
package struct ClusterView: Hashable, Sendable {
    /// Who looks.
    package var node: NodeID
    /// The cluster; 0 before the node belongs to one.
    package var cluster: UInt64
    /// Index of the last entry this node has applied.
    package var index: UInt64
    /// Who decides, and how.
    package var leadership: LeadershipView
    /// Members by ascending id.
    package var members: [MemberView]
    /// Deployments by name.
    package var deployments: [DeploymentView]
    /// Settings by name.
    package var settings: [SettingView]
    /// What an operator should know, one sentence each.
    package var warnings: [String]
}

/// Who decides.
package struct LeadershipView: Hashable, Sendable {
    /// The term.
    package var term: UInt64
    /// Who leads; nil while nobody does.
    package var leader: NodeID?
    /// Whether it leads without a majority.
    package var isDegraded: Bool
    /// Who votes; with a coordinator, who is first to take over.
    package var voters: [NodeID]
    /// What gives the leadership: `embedded` for the voters' majority, else what people call the coordinator.
    package var coordinator = "embedded"
}

/// A member as this node sees it.
package struct MemberView: Hashable, Sendable {
    /// Its record.
    package var member: Member
    /// Whether it answers.
    package var liveness: Liveness
    /// Its latest telemetry; nil while unknown.
    package var reading: NodeReading?
}

/// A setting of the cluster.
package struct SettingView: Hashable, Sendable {
    /// Its name.
    package var name: String
    /// Its value.
    package var value: String
}

/// A deployment: what is wanted, and how far it is.
package struct DeploymentView: Hashable, Sendable {
    /// How far a deployment is; each state but `ready` has a reason.
    package enum State: String, Sendable {
        /// Nothing is placed.
        case pending
        /// A node brings the model's bytes.
        case fetching
        /// Stages are being loaded, or prove themselves.
        case loading
        /// Every replica serves.
        case ready
        /// Some replicas serve.
        case degraded
        /// It was given up.
        case failed
        /// Unloaded for want of requests; the next one wakes it.
        case sleeping
    }

    /// What is wanted.
    package var deployment: Deployment
    /// How far it is.
    package var state: State
    /// Why it is not ready; empty when it is.
    package var reason: String
    /// Progress of fetching or loading, the slowest stage's. **Units:** thousandths; nil when nothing is on its way.
    package var progress: UInt32?
    /// Its epochs, ascending.
    package var placements: [PlacedReplica]
    /// Whether `reason` is the planner's, because the model does not fit into the cluster as it is.
    package var doesNotFit = false
}

/// Something that became different between two views; nil values are gone.
package enum ClusterChange: Hashable, Sendable {
    /// Who decides.
    case leadership(LeadershipView)
    /// A member, its liveness included; its telemetry alone is no change.
    case member(NodeID, MemberView?)
    /// A deployment.
    case deployment(String, DeploymentView?)
    /// A setting.
    case setting(String, String?)
    /// The warnings.
    case warnings([String])
}

extension ClusterView {
    /// What became different since an earlier view, in the order of the fields.
    package func changes(since old: ClusterView) -> [ClusterChange] {
        var changes: [ClusterChange] = []
        if leadership != old.leadership { changes.append(.leadership(leadership)) }
        Self.compare(old.members, members, key: \.member.node) { first, second in
            first.member == second.member && first.liveness == second.liveness
        } tell: {
            changes.append(.member($0, $1))
        }
        Self.compare(old.deployments, deployments, key: \.deployment.name, isSame: ==) {
            changes.append(.deployment($0, $1))
        }
        Self.compare(old.settings, settings, key: \.name, isSame: ==) { changes.append(.setting($0, $1?.value)) }
        if warnings != old.warnings { changes.append(.warnings(warnings)) }
        return changes
    }

    /// Walks two lists that ascend by key.
    private static func compare<Item, Key: Comparable>(
        _ old: [Item], _ new: [Item], key: (Item) -> Key, isSame: (Item, Item) -> Bool, tell: (Key, Item?) -> Void
    ) {
        var (left, right) = (old[...], new[...])
        while let item = left.first ?? right.first {
            let before = left.first.map(key)
            let after = right.first.map(key)
            let next = [before, after].compactMap { $0 }.min() ?? key(item)
            let was = before == next ? left.popFirst() : nil
            let `is` = after == next ? right.popFirst() : nil
            if let was, let `is`, isSame(was, `is`) { continue }
            tell(next, `is`)
        }
    }
}

/// What a watcher gets: everything, or what changed since it looked last.
package enum ClusterUpdate: Sendable {
    /// Everything, when the watcher begins, or is too slow for the changes. **Shape:** its number, the view.
    case snapshot(UInt64, ClusterView)
    /// What changed, in order. **Shape:** the number of the last change, the changes.
    case changes(UInt64, [ClusterChange])

    /// The number to go on from.
    package var number: UInt64 {
        switch self {
        case .snapshot(let number, _), .changes(let number, _): number
        }
    }
}
