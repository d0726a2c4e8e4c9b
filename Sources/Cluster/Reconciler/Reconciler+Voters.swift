import Vocabulary

/// Keeps the number of voters small, odd and alive, one change at a time.
enum VoterReconciler {
    /// How many voters a cluster of this many members has: 1 while a second one could only block.
    static func target(memberCount: Int) -> Int {
        switch memberCount {
        case ..<3: 1
        case 3...4: 3
        default: 5
        }
    }

    /// The voters after the next change, or nil when nothing has to change.
    ///
    /// `isReady` says who has the whole log; `isGone` who has been dead for long enough.
    static func change(
        voters: [NodeID], members: OrderedTable<NodeID, Member>, leader: NodeID, isReady: (NodeID) -> Bool,
        isGone: (NodeID) -> Bool
    ) -> [NodeID]? {
        if let stranger = voters.first(where: { members[$0] == nil && $0 != leader }) {
            return voters.filter { $0 != stranger }
        }
        let steady = members.values.filter { !$0.isDraining && $0.role != .worker }
        let target = target(memberCount: steady.count)
        // A leader that drains hands over last, and only to voters that can go on without it.
        let handsOver =
            members[leader]?.isDraining == true && voters.contains(leader) && !steady.isEmpty
            && voters.allSatisfy { $0 == leader || isReady($0) }
        let gone =
            voters.filter { $0 != leader && (isGone($0) || members[$0]?.isDraining == true) }
            + (handsOver ? [leader] : [])
        let spare = steady.filter { !voters.contains($0.node) && isReady($0.node) }
            .sorted { ($0.admittedAt, $0.node) < ($1.admittedAt, $1.node) }.first
        if voters.count < target || (!gone.isEmpty && voters.count <= target), let spare {
            return (voters + [spare.node]).sorted()
        }
        guard voters.count > target else { return nil }
        let juniors = voters.filter { $0 != leader }
            .sorted { (members[$0]?.admittedAt ?? 0, $0) < (members[$1]?.admittedAt ?? 0, $1) }
        guard let parting = gone.first ?? juniors.last else { return nil }
        // Whoever stays has to be able to decide without it, at once.
        let rest = voters.filter { $0 != parting }
        let able = rest.count { $0 == leader || isReady($0) }
        return able >= ControlPlane.majority(of: rest.count) ? rest : nil
    }
}
