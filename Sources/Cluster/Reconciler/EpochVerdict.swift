import Vocabulary

/// What is wrong with an epoch, by what its stages say and who answers.
enum EpochVerdict {
    /// Nothing that is known.
    case sound
    /// Stages say that a neighbour is gone, and what took it along is not known yet.
    case unexplained
    /// A node is dead, gone, or no member any more.
    case lost(NodeID)
    /// A stage cannot go on.
    case failed(NodeID, StageReport)
}

extension ReconcilerView {
    /// Judges an epoch. One stage that dies takes its neighbours along, and their word may come first: it counts only
    /// when no cause has followed it.
    func verdict(on placement: PlacedReplica) -> EpochVerdict {
        if let lost = placement.stages.first(where: { isLost($0.node) }) { return .lost(lost.node) }
        var torn: EpochVerdict?
        for stage in placement.stages {
            guard let report = report(placement.epoch, stage.node), report.status.isFailure else { continue }
            let failed = EpochVerdict.failed(stage.node, report)
            guard report.status == .detached else { return failed }
            torn = torn ?? failed
        }
        guard let torn else { return .sound }
        let since = seen[placement.epoch]?.tornSince
        return since.map { $0.advanced(by: timings.settling) <= now } ?? false ? torn : .unexplained
    }

    /// Whether a stage lost a neighbour.
    func isTorn(_ placement: PlacedReplica) -> Bool {
        placement.stages.contains { report(placement.epoch, $0.node)?.status == .detached }
    }
}
