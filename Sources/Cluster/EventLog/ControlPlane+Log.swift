import Vocabulary

extension ControlPlane {
    /// The voters that count: those of the newest entry that sets them, committed or not.
    var voters: [NodeID] { log.voters(after: state.index)?.voters ?? state.voters }

    static func majority(of count: Int) -> Int { count / 2 + 1 }

    /// The state this node acts on: what the majority decided, or without one what those here decided.
    package var effectiveState: ClusterState { branch?.state ?? state }

    /// Where members are looked for: those of the state, and those of entries not known to be committed. After a
    /// restart of everybody nothing is, until the voters have found each other.
    package var addressBook: OrderedTable<NodeID, Member> {
        var book = effectiveState.members
        for member in log.members(after: state.index) where effectiveState.removedMembers[member.node] == nil {
            book[member.node] = member
        }
        return book
    }

    /// Adds an entry of this node's own making.
    mutating func append(_ entry: LogEntry) {
        log.append(entry)
        persist(.append([entry]))
    }

    /// Applies what is committed, and answers the callers of what was applied.
    mutating func applyCommitted(now: Instant) {
        while state.index < commit, let entry = log.entry(at: state.index + 1) {
            state.apply(entry)
            stateTerm = entry.term
            clock.observe(entry.stamp)
            if let command = entry.command { end(command, .done(index: entry.index)) }
        }
        followMembers(now: now)
        compactLog()
    }

    /// The membership follows the log; only when the log moved, because comparing costs.
    mutating func followMembers(now: Instant) {
        let version = state.index &+ (branch?.state == nil ? 0 : (branch?.version ?? 0) &<< 32)
        guard followedIndex != version else { return }
        followedIndex = version
        let members = effectiveState.members
        membership.follow(members.keys, now: now)
        readings.removeAll { members[$0.key] == nil }
        marks.removeAll { members[$0.key] == nil }
        guard isRemoved else { return }
        if leading != nil { resign(now: now) }
        campaign = nil
        ruling = nil
    }

    /// Whether the log said that this node is no member any more.
    package var isRemoved: Bool {
        let removed = branch?.state?.removedMembers ?? state.removedMembers
        return !removed.isEmpty && removed[node] != nil
    }

    private mutating func compactLog() {
        guard state.index >= log.base.index + UInt64(Limits.entriesBeforeSnapshot) else { return }
        let through = state.index - UInt64(Limits.entriesBehindSnapshot)
        guard through > log.base.index else { return }
        persist(.snapshot(state, term: stateTerm))
        log.compact(through: through)
        persist(.compact(through: log.base.index, term: log.base.term))
    }
}
