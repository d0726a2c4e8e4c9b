package import Cluster

/// Runs the stages of this node. What becomes of a task is told by `report`, from any thread and any time later.
///
/// Tasks of one node come in order; `perform` MUST return at once and do the work elsewhere.
package protocol StageTasks: Sendable {
    /// Begins a task.
    func perform(_ task: StageTask, report: @escaping @Sendable (StageReport) -> Void)
}

/// The stages of a node that runs none: every load is refused with a reason, so the cluster places elsewhere.
package struct NoStages: StageTasks {
    private let reason: String

    /// Refuses with this sentence.
    package init(reason: String) { self.reason = reason }

    /// See `StageTasks`.
    package func perform(_ task: StageTask, report: @escaping @Sendable (StageReport) -> Void) {
        guard case .load(let placement, _) = task else { return }
        report(StageReport(epoch: placement.epoch, status: .refused, reason: reason))
    }
}

/// Clocks and measurements of the machine.
package struct ServiceClocks: Sendable {
    /// A clock that only goes forward. **Units:** nanoseconds since some origin.
    package var uptimeNanoseconds: @Sendable () -> Int64
    /// The wall clock. **Units:** milliseconds since 1970.
    package var unixMilliseconds: @Sendable () -> Int64

    /// Puts two clocks together.
    package init(
        uptimeNanoseconds: @escaping @Sendable () -> Int64, unixMilliseconds: @escaping @Sendable () -> Int64
    ) {
        self.uptimeNanoseconds = uptimeNanoseconds
        self.unixMilliseconds = unixMilliseconds
    }
}
