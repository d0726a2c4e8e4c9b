package import Vocabulary

/// What a leader knows and plans.
struct Leading: Sendable {
    /// How far a member is.
    struct Progress: Sendable {
        /// Its log agrees up to here, on disk.
        var match: UInt64 = 0
        /// The next entry to send.
        var next: UInt64
        /// Up to here it was told that entries are committed.
        var commitTold: UInt64 = 0
        var sentAt: Instant?
        /// When this leader sent the latest message that was answered. **Units:** nanoseconds of its clock.
        var answered: Int64?
        /// Where the next piece of a snapshot begins; nil when none is under way.
        var snapshotOffset: Int?
        /// Its memory was lost: it learns, and counts for nothing until it is retired.
        var isForgetful = false

        /// The member answers without the memory it had, or with a whole one again.
        mutating func note(isForgetful: Bool) {
            if isForgetful, !self.isForgetful { (match, commitTold, answered, snapshotOffset) = (0, 0, nil, nil) }
            self.isForgetful = isForgetful
        }

        /// What counts towards committing.
        var counted: UInt64 { isForgetful ? 0 : match }

        mutating func hear(_ sentAt: Int64, _ now: Instant) {
            guard sentAt != 0, sentAt <= now.nanoseconds, !isForgetful else { return }
            answered = max(answered ?? sentAt, sentAt)
        }
    }

    /// Voters that are to be, and since when.
    struct Succession: Sendable {
        var voters: [NodeID]
        var since: Instant
    }

    var began: Instant
    /// Who is to vote next, while it is found out whether they could decide.
    var succession: Succession?
    /// Members that have told this leader itself what their stages do.
    var heard: Set<NodeID> = []
    /// Index of this term's first entry: nothing is committed by counting before it.
    var firstIndex: UInt64
    var progress = OrderedTable<NodeID, Progress>()
    /// The state after all entries, committed or not: commands are checked against it.
    var head: ClusterState
    /// The snapshot being sent, so that its pieces fit together.
    var snapshot: (index: UInt64, term: UInt64, bytes: [UInt8])?
    /// Until when no other node can have been elected.
    var leaseUntil: Instant

    /// Whether a member is to vote, and so has to answer whether it can.
    func isAsked(_ other: NodeID) -> Bool { succession?.voters.contains(other) ?? false }

    /// Whether voters to be could decide from the first moment on: a majority of them, with this leader when it is
    /// among them, has answered with its memory to what was sent since they were chosen. What was known of them before
    /// may be gone, as a memory may be.
    mutating func canHandOver(to voters: [NodeID], of node: NodeID, now: Instant) -> Bool {
        if succession?.voters != voters { succession = Succession(voters: voters, since: now) }
        guard let since = succession?.since.nanoseconds else { return false }
        let able = voters.count { $0 == node || (progress[$0]?.answered ?? .min) >= since }
        return able >= ControlPlane.majority(of: voters.count)
    }
}

extension ControlPlane {
    /// Whether this node leads by majority and nobody else can.
    package func leads(at now: Instant) -> Bool { leading.map { now < $0.leaseUntil } ?? false }

    /// Whether this node leads by majority, with or without a valid lease.
    package var isLeader: Bool { leading != nil }

    mutating func lead(now: Instant) {
        standDown(now: now)
        leader = node
        var head = state
        while let entry = log.entry(at: head.index + 1) { head.apply(entry) }
        leading = Leading(
            began: now, firstIndex: log.last.index + 1, head: head,
            leaseUntil: voters == [node] ? now.advanced(by: timings.lease) : now)
        appendOwn([.termBegan(leader: node)], command: nil, now: now)
        reconciler = ReconcilerMemory()
        if branch != nil { leaveBranch(now: now) }
    }

    /// Appends events of this leader, which follow from its head state.
    mutating func appendOwn(_ events: [ClusterEvent], command: CommandID?, stamp: Stamp? = nil, now: Instant) {
        let entry = LogEntry(
            index: log.last.index + 1, term: term, stamp: stamp ?? clock.next(now: now), command: command,
            events: events.map { EventRecord($0) })
        append(entry)
        leading?.head.apply(entry)
    }

    var leadingWake: Instant? {
        guard let leading else { return nil }
        var wake = voters == [node] ? nil : Optional(max(leading.leaseUntil, leading.began.advanced(by: timings.lease)))
        let voters = voters
        for row in leading.progress.elements {
            let isVoter = voters.contains(row.key)
            let isBehind = row.value.match < end(for: isVoter) && membership.isPresent(row.key)
            guard isBehind || isVoter || leading.isAsked(row.key) else { continue }
            let due = row.value.sentAt?.advanced(by: timings.heartbeat) ?? leading.began
            wake = wake.map { min($0, due) } ?? due
        }
        return wake
    }

    mutating func tickLeading(now: Instant) {
        guard leading != nil else { return }
        followProgress()
        guard coordination == nil else { return tickTenure(now: now) }
        renewLease(now: now)
        guard let began = leading?.began, let leaseUntil = leading?.leaseUntil else { return }
        if voters != [node], max(leaseUntil, began.advanced(by: timings.lease)) <= now {
            // No majority heard this leader for a lease: somebody else may lead by now.
            standDown(now: now)
            electionAt = now.advanced(by: electionDelay())
            return
        }
        advanceCommit(now: now)
        sendAppends(now: now)
    }

    /// Every member and every voter has a progress.
    private mutating func followProgress() {
        // What a leader knows is large: only what is looked at is taken out of it, here and below.
        guard let members = leading?.head.members, let count = leading?.progress.count else { return }
        let voters = voters
        if count + 1 == members.count, voters.allSatisfy({ members[$0] != nil }) { return }
        guard var leading else { return }
        for other in members.keys + voters where other != node && leading.progress[other] == nil {
            leading.progress[other] = Leading.Progress(next: leading.firstIndex)
        }
        leading.progress.removeAll { members[$0.key] == nil && !voters.contains($0.key) }
        self.leading = leading
    }

    /// Nobody is elected without the only voter, so it leads on after any silence. It wakes more rarely than a lease
    /// lasts, and what it wakes for must not find the lease over.
    mutating func renewOwnLease(now: Instant) {
        guard leading != nil, coordination == nil, voters == [node] else { return }
        renewLease(now: now)
    }

    /// The lease counts from when the messages were sent that a majority answered.
    private mutating func renewLease(now: Instant) {
        guard let progress = leading?.progress, let leaseUntil = leading?.leaseUntil else { return }
        let voters = voters
        var answered = voters.compactMap { $0 == node ? now.nanoseconds : progress[$0]?.answered }
        let needed = Self.majority(of: voters.count)
        guard answered.count >= needed else { return }
        answered.sort(by: >)
        let until = Instant(nanoseconds: answered[needed - 1]).advanced(by: timings.lease)
        leading?.leaseUntil = max(leaseUntil, until)
    }

    /// Commits what a majority of voters has on disk, provided that it is of this term; what came before is committed
    /// with it.
    private mutating func advanceCommit(now: Instant) {
        guard let progress = leading?.progress else { return }
        let voters = voters
        let matches = voters.map { $0 == node ? storedIndex : progress[$0]?.counted ?? 0 }.sorted(by: >)
        let needed = Self.majority(of: voters.count)
        guard matches.count >= needed else { return }
        let agreed = matches[needed - 1]
        guard agreed > commit, log.term(at: agreed) == term else { return }
        commit = agreed
        applyCommitted(now: now)
        if !voters.contains(node) { resign(now: now) }
    }

    /// Up to where a member is told the log: those that do not vote hear of an entry when it is committed, so that one
    /// message brings both.
    private func end(for isVoter: Bool) -> UInt64 { isVoter ? log.last.index : commit }

    mutating func sendAppends(now: Instant) {
        guard let current = leading else { return }
        let voters = voters
        for index in 0..<current.progress.count {
            let row = current.progress.element(at: index)
            let isVoter = voters.contains(row.key)
            let isDue = row.value.sentAt.map { $0.advanced(by: timings.heartbeat) <= now } ?? true
            let end = end(for: isVoter)
            let isBehind = row.value.match < end
            let hasNews =
                row.value.next <= end
                && row.value.next - row.value.match <= UInt64(Limits.entriesInFlight)
            let hasCommit = row.value.commitTold < min(commit, row.value.next - 1)
            guard isDue && (isVoter || isBehind || current.isAsked(row.key)) || hasNews || hasCommit else { continue }
            guard isVoter || membership.isPresent(row.key) else { continue }
            // Unanswered for a heartbeat, perhaps lost, perhaps dead: its answer to an empty one says where to go on.
            let isSilent = isDue && isBehind && row.value.sentAt != nil && row.value.next > row.value.match + 1
            sendAppend(at: index, isEmpty: isSilent, now: now)
        }
    }

    /// Sends the next entries to a member, or a piece of a snapshot when they are not in the log any more.
    private mutating func sendAppend(at index: Int, isEmpty: Bool = false, now: Instant) {
        guard let row = leading?.progress.element(at: index) else { return }
        let lacksLog = row.value.next <= log.base.index
        if lacksLog, membership.isAlive(row.key) {
            let isDue = row.value.sentAt.map { $0.advanced(by: timings.heartbeat) <= now } ?? true
            if row.value.snapshotOffset == nil || isDue {
                sendSnapshot(to: row.key, offset: row.value.snapshotOffset ?? 0, now: now)
            }
            return
        }
        // Nothing long goes to who may be dead.
        let previous = lacksLog ? log.last.index : row.value.next - 1
        guard let previousTerm = log.term(at: previous) else { return }
        let end = end(for: voters.contains(row.key))
        let entries = isEmpty || lacksLog ? [] : Array(log.entries(from: row.value.next).prefix { $0.index <= end })
        let commit = commit
        leading?.progress.update(at: index) { progress in
            progress.next += UInt64(entries.count)
            progress.sentAt = now
            guard !lacksLog else { return }
            progress.commitTold = commit
            progress.snapshotOffset = nil
        }
        effects.send(
            row.key,
            .append(
                Append(
                    term: term, previousIndex: previous, previousTerm: previousTerm, entries: entries,
                    commit: commit, sentAt: now.nanoseconds)))
    }

    mutating func progress(_ reply: AppendReply, of member: NodeID, now: Instant) {
        noteTerm(reply.term, now: now)
        guard leading != nil, let index = leading?.progress.index(of: member), reply.term <= term else { return }
        leading?.progress.update(at: index) { $0.note(isForgetful: reply.hasForgotten) }
        guard let known = leading?.progress.element(at: index).value else { return }
        if reply.isAccepted, reply.term == term {
            leading?.progress.update(at: index) { progress in
                progress.match = max(progress.match, min(reply.index, log.last.index))
                progress.next = max(progress.next, progress.match + 1)
                progress.hear(reply.sentAt, now)
                if progress.match >= reply.index { progress.snapshotOffset = nil }
            }
            return
        }
        // Try where it says, but never before what it is known to have, nor behind the end.
        let next = max(known.match + 1, min(reply.index, log.last.index + 1))
        leading?.progress.update(at: index) { progress in
            progress.next = max(1, next)
            if next < known.next { progress.commitTold = 0 }
            if reply.term == term { progress.hear(reply.sentAt, now) }
        }
        if reply.sentAt == 0 || next < known.next { sendAppend(at: index, now: now) }
    }

    // MARK: Following

    func appendReply(_ isAccepted: Bool, _ index: UInt64, sentAt: Int64) -> ClusterMessage {
        .appendReply(
            AppendReply(
                term: term, isAccepted: isAccepted, index: index, sentAt: sentAt, hasForgotten: hasForgotten))
    }

    /// Whether a message of a leader by majority counts; if so, it leads this node from here on.
    mutating func accepts(leader other: NodeID, term: UInt64, now: Instant) -> Bool {
        guard term >= self.term, leading == nil || term > self.term else {
            // The clock of another term's leader, perhaps of another life, must not lengthen anybody's lease.
            effects.send(other, appendReply(false, log.last.index + 1, sentAt: 0))
            return false
        }
        if term > self.term { setTerm(term, vote: nil) }
        if leader != other { standDown(now: now) }
        leader = other
        campaign = nil
        leaderHeardAt = now
        (aloneSince, claimAt) = (nil, nil)
        promiseUntil = now.advanced(by: timings.promise)
        electionAt = promiseUntil.advanced(by: electionDelay())
        if branch?.state != nil { leaveBranch(now: now) }
        return true
    }

    mutating func follow(_ append: Append, from other: NodeID, now: Instant) {
        guard accepts(leader: other, term: append.term, now: now) else { return }
        func reply(_ isAccepted: Bool, _ index: UInt64) -> ClusterMessage {
            // What is not on disk is not there.
            let counts = isAccepted && storage == nil
            return appendReply(counts, isAccepted && !counts ? index + 1 : index, sentAt: append.sentAt)
        }
        var entries = append.entries[...]
        var previous = EventLog.Position(index: append.previousIndex, term: append.previousTerm)
        while let first = entries.first, first.index <= log.base.index {
            // The snapshot holds it, so it is committed and the same here.
            previous = EventLog.Position(index: first.index, term: first.term)
            entries = entries.dropFirst()
        }
        if previous.index >= log.base.index, log.term(at: previous.index) != previous.term {
            let next = previous.index > log.last.index ? log.last.index + 1 : log.firstIndex(ofTermAt: previous.index)
            effects.send(other, reply(false, max(next, commit + 1)))
            return
        }
        if previous.index >= log.base.index || !entries.isEmpty { add(entries) }
        let agreed = max(append.previousIndex + UInt64(append.entries.count), log.base.index)
        commit = max(commit, min(append.commit, agreed, log.last.index))
        effects.send(other, reply(true, min(agreed, log.last.index)))
    }

    /// Adds what is not there yet; an entry of another term, and what follows it, was never committed and goes.
    mutating func add(_ entries: ArraySlice<LogEntry>) {
        var fresh = entries
        while let first = fresh.first, log.term(at: first.index) == first.term { fresh = fresh.dropFirst() }
        guard let first = fresh.first, first.index > commit else { return }
        if first.index <= log.last.index {
            truncateLog(from: first.index)
        }
        guard first.index == log.last.index + 1 else { return }
        var added: [LogEntry] = []
        for entry in fresh where entry.index == log.last.index + 1 {
            log.append(entry)
            added.append(entry)
        }
        persist(.append(added))
    }

    mutating func truncateLog(from index: UInt64) {
        log.truncate(from: index)
        storedIndex = min(storedIndex, index - 1)
        persist(.truncate(from: index))
    }
}
