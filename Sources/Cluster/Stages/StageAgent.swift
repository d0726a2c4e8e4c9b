import Vocabulary

/// What this node runs, and whom it obeys: of a replica only the highest epoch that it has accepted.
struct StageAgent: Sendable {
    struct Hosted: Sendable {
        var placement: PlacedReplica
        var stage: Int
        var report: StageReport
        /// What the runner was told last.
        var told: StageTask
    }

    /// What was followed last; nil when something here changed since.
    struct Seen: Equatable, Sendable {
        var index: UInt64
        var term: UInt64
        var version: UInt64
        var awaitsMerge: Bool
    }

    var seen: Seen?
    let node: NodeID
    /// Highest epoch of each replica that was told to serve here. On disk before it is obeyed.
    private(set) var fences: OrderedTable<ReplicaKey, Epoch>
    private(set) var hosted = OrderedTable<Epoch, Hosted>()
    /// Epochs that came too late, to be reported.
    private(set) var refused = OrderedTable<Epoch, ReplicaKey>()

    init(node: NodeID, fences: OrderedTable<ReplicaKey, Epoch>) {
        self.node = node
        self.fences = fences
    }

    /// A stage of this node changed; whether anybody has to know at once.
    mutating func changed(_ report: StageReport) -> Bool {
        guard let index = hosted.index(of: report.epoch) else { return false }
        let isNews = hosted.element(at: index).value.report.status != report.status
        hosted.update(at: index) { $0.report = report }
        seen = nil
        return isNews
    }

    /// What the runner was told did not reach it.
    mutating func forgetTask(of epoch: Epoch) {
        guard let index = hosted.index(of: epoch) else { return }
        seen = nil
        hosted.update(at: index) { $0.told = .load($0.placement, stage: $0.stage) }
    }

    var reports: [StageReport] {
        hosted.values.map(\.report)
            + refused.elements.map {
                StageReport(
                    epoch: $0.key, status: .fenced,
                    reason: "epoch \(fences[$0.value]?.description ?? "?") of \($0.value) was accepted already")
            }
    }

    /// Memory of stages that no reading shows yet is the planner's matter; here only what follows from the state.
    mutating func follow(_ state: ClusterState, keepsOrphans: Bool, persist: (StoredRecord) -> Void) -> [StageTask] {
        var tasks: [StageTask] = []
        refused.removeAll { state.placements[$0.key] == nil }
        for row in state.placements.elements where row.value.uses(node) {
            guard let stage = row.value.stages.firstIndex(where: { $0.node == node }) else { continue }
            if let task = obey(row.value, stage: stage, persist: persist) { tasks.append(task) }
        }
        // What takes over does so before the old one closes its doors.
        tasks = tasks.filter(\.isServe) + tasks.filter { !$0.isServe }
        for row in hosted.elements where !matches(row.value, state.placements[row.key]) {
            // While branches wait to be merged the owner may still be asked to re-assert what it runs.
            if keepsOrphans, row.value.placement.phase == .active { continue }
            hosted[row.key] = nil
            tasks.append(.stop(row.key))
        }
        return tasks
    }

    private func matches(_ own: Hosted, _ placement: PlacedReplica?) -> Bool {
        placement?.replica == own.placement.replica && placement?.stages == own.placement.stages
    }

    private mutating func obey(
        _ placement: PlacedReplica, stage: Int, persist: (StoredRecord) -> Void
    ) -> StageTask? {
        let epoch = placement.epoch
        let fence = fences[placement.replica]
        guard var own = hosted[epoch] else {
            if let fence, epoch < fence {
                refused[epoch] = placement.replica
                return nil
            }
            // What is gone needs no start; an epoch that should serve already was lost with this node's last life.
            guard placement.phase < .active else { return nil }
            let task = StageTask.load(placement, stage: stage)
            hosted[epoch] = Hosted(
                placement: placement, stage: stage, report: StageReport(epoch: epoch, status: .fetching), told: task)
            return task
        }
        guard matches(own, placement) else {
            refused[epoch] = placement.replica
            return nil
        }
        own.placement = placement
        defer { hosted[epoch] = own }
        let wanted: StageTask
        switch placement.phase {
        case .loading: return nil
        case .canary:
            guard stage == 0 else { return nil }
            wanted = .prove(epoch)
        case .active:
            if let fence, epoch < fence { return nil }
            if fence != epoch {
                fences[placement.replica] = epoch
                persist(.fence(placement.replica, epoch))
            }
            wanted = .serve(epoch)
        case .draining: wanted = .drain(epoch)
        }
        guard own.told != wanted, !own.report.status.isFailure else { return nil }
        own.told = wanted
        return wanted
    }

    /// Forgets fences of replicas that are placed nowhere and run nothing here, so that the table keeps its bound;
    /// those of deployments that are gone first. Returns whose. `state` MUST be what the majority decided.
    ///
    /// A fence keeps an older epoch from serving beside the fenced one. The fenced one had a stage here, which was
    /// stopped: it serves nowhere any more. So whoever is behind the times, without a majority, and begins an older one
    /// makes no second one that serves. No leader by majority does: terms and numbers only grow, so what it begins
    /// behind this state is later than all before, and what the leader of an older term says is refused.
    mutating func forgetFences(_ state: ClusterState) -> [ReplicaKey] {
        guard fences.count > Limits.placementCount else { return [] }
        let busy = Set(state.placements.values.map(\.replica) + hosted.values.map(\.placement.replica))
        let idle = fences.keys.filter { !busy.contains($0) }
        let gone = idle.filter { state.deployments[$0.deployment] == nil }
        let forgotten = fences.count - gone.count > Limits.placementCount ? idle : gone
        let keys = Set(forgotten)
        fences.removeAll { keys.contains($0.key) }
        return forgotten
    }
}

extension StageTask {
    fileprivate var isServe: Bool { if case .serve = self { true } else { false } }
}
