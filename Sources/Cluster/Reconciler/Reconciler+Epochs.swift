import Vocabulary

/// Brings every epoch on its way: load in the shadow, prove by a token, cut over, drain, free; or give up and leave
/// what serves alone.
enum EpochReconciler {
    static func actions(_ view: ReconcilerView) -> [Command.Action] {
        view.state.placements.values.flatMap { placement in
            switch placement.phase {
            case .loading: loading(placement, view)
            case .canary: canary(placement, view)
            case .active: active(placement, view)
            case .draining: draining(placement, view)
            }
        }
    }

    private static func loading(_ placement: PlacedReplica, _ view: ReconcilerView) -> [Command.Action] {
        if let end = obstacle(placement, view) { return end }
        // Those cut off may have gone further with it by themselves.
        let isLoaded = placement.stages.allSatisfy { stage in
            view.report(placement.epoch, stage.node).map { (.loaded ... .serving) ~= $0.status } ?? false
        }
        if isLoaded { return [.advance(placement.epoch, from: .loading, to: .canary, note: "")] }
        guard view.hasPassed(view.timings.loadDeadline, in: placement) else { return [] }
        return giveUp(placement, "loading took longer than \(view.timings.loadDeadline.components.seconds) s", view)
    }

    private static func canary(_ placement: PlacedReplica, _ view: ReconcilerView) -> [Command.Action] {
        if let end = obstacle(placement, view) { return end }
        if let entry = placement.stages.first, let report = view.report(placement.epoch, entry.node),
            (.proven ... .serving) ~= report.status
        {
            return [.advance(placement.epoch, from: .canary, to: .active, note: "")]
        }
        guard view.hasPassed(view.timings.canaryDeadline, in: placement) else { return [] }
        return giveUp(placement, "the canary token did not come back", view)
    }

    /// What ends an epoch before it served: nobody wants it any more, or one of its stages cannot.
    private static func obstacle(_ placement: PlacedReplica, _ view: ReconcilerView) -> [Command.Action]? {
        guard view.isWanted(placement.replica) else { return [.end(placement.epoch, reason: "not wanted any more")] }
        if placement.wish != .zero, let wish = view.state.deployments[placement.replica.deployment]?.wish,
            placement.wish != wish
        {
            return [.end(placement.epoch, reason: "something else is wanted by now")]
        }
        return switch view.verdict(on: placement) {
        case .sound: drained(placement, view).map { giveUp(placement, "node \($0) drained it while cut off", view) }
        case .unexplained: []
        case .lost(let node): giveUp(placement, "node \(node) was lost", view)
        case .failed(let node, let report): failed(placement, node, report, view)
        }
    }

    /// A node that already lets go of an epoch.
    private static func drained(_ placement: PlacedReplica, _ view: ReconcilerView) -> NodeID? {
        placement.stages.first { stage in
            view.report(placement.epoch, stage.node).map { (.draining ... .drained) ~= $0.status } ?? false
        }?.node
    }

    /// The old epoch, if there is one, goes on serving: it was never touched.
    private static func giveUp(
        _ placement: PlacedReplica, _ reason: String, _ view: ReconcilerView
    ) -> [Command.Action] {
        var record = view.state.replicas[placement.replica] ?? ReplicaRecord()
        record.note = bounded(reason)
        return [.remember(placement.replica, record), .end(placement.epoch, reason: bounded(reason))]
    }

    private static func failed(
        _ placement: PlacedReplica, _ node: NodeID, _ report: StageReport, _ view: ReconcilerView
    ) -> [Command.Action] {
        var record = view.state.replicas[placement.replica] ?? ReplicaRecord()
        record.note = bounded("node \(node): \(report.reason.isEmpty ? "\(report.status)" : report.reason)")
        var actions: [Command.Action] = []
        switch report.status {
        case .fetchFailed:
            actions.append(
                .exclude(
                    Exclusion(
                        deployment: placement.replica.deployment, node: node, reason: record.note,
                        until: view.wall + view.timings.exclusion.milliseconds)))
        case .refused:
            // Too little memory for its share: shares get smaller when one more node takes part.
            record.width = min(placement.stages.count + 1, Limits.stageCount)
        case .crashed, .unproven:
            record.crashes.removeAll { view.hasPassed(view.timings.crashWindow, since: $0) }
            record.crashes.append(view.wall)
            record.crashes = record.crashes.suffix(Limits.crashCount)
            if record.crashes.count >= Limits.crashCount {
                record.failure = bounded(
                    "\(record.crashes.count) crashes in \(view.timings.crashWindow.components.seconds) s; the last: "
                        + "\(record.note). Deploy it again to try anew.")
            }
        default: break
        }
        return actions + [.remember(placement.replica, record), .end(placement.epoch, reason: record.note)]
    }

    private static func bounded(_ text: String) -> String { String(text.prefix(Limits.textBytes / 4)) }

    private static func active(_ placement: PlacedReplica, _ view: ReconcilerView) -> [Command.Action] {
        guard view.isWanted(placement.replica) else {
            return [.advance(placement.epoch, from: .active, to: .draining, note: "not wanted any more")]
        }
        switch view.verdict(on: placement) {
        case .lost(let node): return [.end(placement.epoch, reason: "node \(node) was lost")]
        case .failed(let node, let report): return failed(placement, node, report, view)
        case .unexplained: return []
        case .sound: break
        }
        let silent = placement.stages.first {
            view.report(placement.epoch, $0.node) == nil && isMissing($0.node, placement, view)
        }
        guard let silent else { return [] }
        return [.end(placement.epoch, reason: "node \(silent.node) does not run its stage any more")]
    }

    /// A node that has spoken since does not run the stage; one that has not spoken may.
    private static func isMissing(_ node: NodeID, _ placement: PlacedReplica, _ view: ReconcilerView) -> Bool {
        guard view.hasPassed(view.timings.reportGrace, in: placement), let reading = view.readings[node],
            let seen = view.seen[placement.epoch]
        else { return false }
        // A list that is full may have left out this one.
        return reading.stamp > seen.stamp && reading.stages.count < Limits.reportedStages
    }

    private static func draining(_ placement: PlacedReplica, _ view: ReconcilerView) -> [Command.Action] {
        let end = [Command.Action.end(placement.epoch, reason: placement.note)]
        guard let entry = placement.stages.first, !view.isLost(entry.node) else { return end }
        let report = view.report(placement.epoch, entry.node)
        if let report, report.status == .drained || report.status.isFailure { return end }
        if report == nil, isMissing(entry.node, placement, view) { return end }
        return view.hasPassed(view.timings.drainDeadline, in: placement) ? end : []
    }
}
