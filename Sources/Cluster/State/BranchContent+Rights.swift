import Vocabulary

extension BranchContent {
    /// What of it may be merged when this worker says it, or, with nil, when another member does.
    ///
    /// How the cluster is led nobody decides in a branch. A worker was let in without the cluster's key and must not
    /// come to it by letting anybody in or out, so it speaks of itself only, and as a worker.
    func admissible(from worker: NodeID?) -> BranchContent {
        var content = self
        content.settings.removeAll { $0.name == ControlPlane.coordinatorSetting }
        guard let worker else { return content }
        content.settings.removeAll { $0.name.hasPrefix(ControlPlane.joinTokenPrefix) }
        content.removedMembers = []
        content.members.removeAll { $0.node != worker || $0.role != .worker }
        return content
    }
}
