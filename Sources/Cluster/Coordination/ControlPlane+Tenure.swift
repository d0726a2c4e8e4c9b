import Vocabulary

/// Leading with a coordinator: an entry is committed when the coordinator has it, and a term is one tenure there.
extension ControlPlane {
    /// Takes what the coordinator holds, before this node leads by it.
    mutating func open(_ reading: CoordinatorReading, now: Instant) {
        guard let tenure = coordination?.tenure else { return }
        guard let charter = reading.charter else {
            found(tenure.id, now: now)
            return
        }
        if let objection = objection(to: charter) ?? objection(to: reading) {
            coordination?.contradiction = objection
            giveUpTenure(now: now)
            electionAt = now.advanced(by: timings.coordinatorInspection)
            return
        }
        var opening = Coordination.Opening(charter: charter, reading: reading)
        let highest = max(term, highestTerm)
        if charter.termBase + tenure.id > highest {
            coordination?.opening = opening
            beginTenure(now: now)
            return
        }
        // Terms that were not made here went further: from now on these do, too.
        opening.charter.termBase = highest + 1 - tenure.id
        coordination?.opening = opening
        ask(.way, .raise(tenure: tenure.id, opening.charter), now: now)
    }

    /// Brings this node's cluster into an empty coordinator: all it has, as a snapshot.
    private mutating func found(_ tenure: UInt64, now: Instant) {
        guard mayFound else {
            giveUpTenure(now: now)
            return
        }
        var whole = state
        while let entry = log.entry(at: whole.index + 1) { whole.apply(entry) }
        let place = LogPlace(index: log.last.index, term: log.last.term)
        let charter = CoordinatorCharter(cluster: whole.cluster, termBase: max(term, highestTerm))
        var reading = CoordinatorReading()
        reading.charter = charter
        (reading.head, reading.snapshotPlace) = (place, place)
        reading.entries = log.entries
        coordination?.opening = Coordination.Opening(charter: charter, reading: reading)
        ask(
            .way, .found(tenure: tenure, charter, CoordinatedSnapshot(place: place, bytes: whole.encodedBytes)),
            now: now)
    }

    /// Why what is there cannot be the log this node knows.
    private func objection(to reading: CoordinatorReading) -> String? {
        let name = coordination?.settings.name ?? ""
        guard reading.charter.map({ $0.termBase < Limits.largestNumber }) ?? true,
            reading.head.term < Limits.largestNumber
        else {
            return "The keys of the coordinator \(name) are damaged; restore it from its backup."
        }
        let known = reading.entries.first { $0.index == commit }?.term
        guard reading.head.index >= commit, known == nil || known == log.term(at: commit) else {
            return "The coordinator \(name) holds the log up to entry \(reading.head.index), and this node knows "
                + "\(commit) entries to be decided: it was restored from an old backup, or is another one. Bring the "
                + "right one back, or empty its prefix and start this node with --seed-coordinator."
        }
        return nil
    }

    /// Makes the own log that of the coordinator, and leads.
    mutating func beginTenure(now: Instant) {
        guard let tenure = coordination?.tenure, let opening = coordination?.opening else { return }
        coordination?.opening = nil
        guard adopt(opening.reading, now: now), let own = state.members[node], own.role != .worker, !isRemoved,
            storage == nil, opening.charter.termBase + tenure.id > max(term, highestTerm)
        else {
            giveUpTenure(now: now)
            postpone(now: now)
            return
        }
        coordination?.head = opening.reading.head
        coordination?.snapshotPlace = opening.reading.snapshotPlace
        coordination?.nextAppend = nil
        coordination?.nextCompaction = nil
        coordination?.contradiction = nil
        setTerm(opening.charter.termBase + tenure.id, vote: node)
        lead(now: now)
        leading?.leaseUntil = tenure.until
        if state.settings[Self.coordinatorSetting]?.value == nil {
            let setting = Setting(value: "etcd", stamp: clock.next(now: now))
            appendOwn([.settingSet(Self.coordinatorSetting, setting)], command: nil, now: now)
        }
    }

    private mutating func postpone(now: Instant) {
        electionAt = max(electionAt, now.advanced(by: timings.coordinatorRetry + electionDelay()))
    }

    /// Whether the log could be made the same.
    private mutating func adopt(_ reading: CoordinatorReading, now: Instant) -> Bool {
        // What contradicts itself or what is known must not reach the log.
        guard reading.head.index >= max(commit, reading.snapshotPlace.index) else { return false }
        if let snapshot = reading.snapshot, snapshot.place.index > commit {
            guard let state = try? ClusterState(encoded: snapshot.bytes), state.index == snapshot.place.index else {
                coordination?.contradiction = "The snapshot in the coordinator is damaged; restore it from its backup."
                return false
            }
            install(state, term: snapshot.place.term)
        }
        let base = commit
        add(reading.entries.filter { $0.index > base }[...])
        if log.last.index > reading.head.index { truncateLog(from: reading.head.index + 1) }
        guard log.last == EventLog.Position(index: reading.head.index, term: reading.head.term) else { return false }
        commit = reading.head.index
        applyCommitted(now: now)
        return true
    }

    // MARK: Leading

    /// What a leader does in each turn.
    mutating func tickTenure(now: Instant) {
        guard let current = coordination, let tenure = current.tenure, now < tenure.until else {
            loseTenure(now: now)
            if leading != nil { standDown(now: now) }
            return
        }
        leading?.leaseUntil = tenure.until
        sendAppends(now: now)
        if current.head.index < log.last.index, current.nextAppend.map({ $0 <= now }) ?? true {
            let entries = log.entries(from: current.head.index + 1)
            ask(.append, .append(tenure: tenure.id, behind: current.head, entries), now: now)
        }
        if state.index >= current.snapshotPlace.index + UInt64(current.settings.entriesBeforeSnapshot),
            mayAsk(.compaction), current.nextCompaction.map({ $0 <= now }) ?? true
        {
            let place = LogPlace(index: state.index, term: stateTerm)
            let snapshot = CoordinatedSnapshot(place: place, bytes: state.encodedBytes)
            guard snapshot.bytes.count <= Limits.snapshotBytes else { return }
            ask(.compaction, .compact(tenure: tenure.id, replacing: current.snapshotPlace, snapshot), now: now)
        }
    }

    /// The coordinator has the log up to here.
    mutating func appended(_ place: LogPlace, now: Instant) {
        guard leading != nil, let head = coordination?.head, place.index >= head.index else { return }
        guard log.term(at: place.index) == place.term else {
            // Entries this leader does not have, in its own tenure: begin anew from what is there.
            giveUpTenure(now: now)
            return
        }
        coordination?.head = place
        coordination?.nextAppend = nil
        commit = max(commit, place.index)
        applyCommitted(now: now)
    }

    /// Why events cannot be kept as one entry; nil when they can.
    func oversize(_ events: [ClusterEvent]) -> CommandRefusal? {
        let sizes = events.map { EventRecord($0).body.count }
        if let size = sizes.first(where: { $0 > Limits.eventBytes }) {
            // It could be written, and nobody could read it again.
            return CommandRefusal(
                .invalid,
                "event.body would have \(size) bytes, above the limit \(Limits.eventBytes); shorten lists and texts.")
        }
        let size = sizes.reduce(0, +)
        guard coordination != nil, size > Limits.coordinatedEntryBytes else { return nil }
        return CommandRefusal(
            .full,
            "This takes \(size) bytes at once, and the coordinator \(Limits.coordinatedEntryBytes); ask for less.")
    }
}
