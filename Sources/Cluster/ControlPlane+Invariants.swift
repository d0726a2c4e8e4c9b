import Vocabulary

extension ControlPlane {
    /// The first broken invariant in words, or nil. Called after every input in debug builds.
    package var brokenInvariant: String? { brokenLog ?? brokenRole ?? brokenBound }

    private var brokenLog: String? {
        if state.index > commit { return "entry \(state.index) is applied, \(commit) is committed" }
        if state.index > log.last.index { return "entry \(state.index) is applied, the log ends at \(log.last.index)" }
        if log.base.index > state.index { return "the log begins behind the state, at \(log.base.index)" }
        if let leading, leading.head.index != log.last.index {
            return "the head is at \(leading.head.index), the log at \(log.last.index)"
        }
        return nil
    }

    private var brokenRole: String? {
        if leading != nil, ruling != nil { return "leads with and without a majority" }
        if leading != nil, vote != node { return "leads term \(term) without its own vote" }
        if leading != nil, storage != nil { return "leads without a disk" }
        if leading != nil || ruling != nil, hasForgotten { return "leads without its memory" }
        if ruling != nil, branch?.state == nil || branch?.leader != node { return "rules a branch that is not its own" }
        return nil
    }

    private var brokenBound: String? {
        var broken: String?
        func check(_ name: StaticString, _ size: Int, _ limit: Int) {
            if size > limit { broken = "\(size) \(name), limit \(limit)" }
        }
        check("entries", log.entries.count, Limits.entriesBeforeSnapshot + Limits.uncommittedEntries * 2)
        check("pending commands", pending.count, Limits.pendingCommands)
        check("news", membership.statusQueue.count, Limits.gossipQueue)
        check("stages to tell", membership.stageQueue.count, Limits.gossipQueue)
        check("readings to tell", membership.readingQueue.count, Limits.gossipQueue)
        check("readings", max(readings.count, marks.count), Limits.memberCount)
        check("relayed probes", membership.relays.count, Limits.relayedProbes)
        check("suspicions", membership.suspicions.count, Limits.memberCount)
        check("plans", reconciler.questions.count, Limits.plansInFlight)
        check("placements", state.placements.count, Limits.placementCount)
        check("settings", effectiveState.settings.count, Limits.settingCount)
        check("results", state.results.count, Limits.resultCount)
        check("voters", state.voters.count, Limits.voterCount + 1)
        check("snapshot bytes", incoming?.bytes.count ?? 0, Limits.snapshotBytes)
        return broken
    }

    // MARK: What simulators and tests see

    /// Index of the last entry in the log.
    package var lastIndex: UInt64 { log.last.index }
    /// The entry at an index, while the log has it.
    package func entry(at index: UInt64) -> LogEntry? { log.entry(at: index) }
    /// The voters that count at the moment.
    package var currentVoters: [NodeID] { voters }
}
