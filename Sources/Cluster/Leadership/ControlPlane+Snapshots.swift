import Vocabulary

/// A snapshot that is coming in pieces.
struct IncomingSnapshot: Sendable {
    var lastIndex: UInt64
    var lastTerm: UInt64
    var total: Int
    var bytes: [UInt8]
}

extension ControlPlane {
    /// Sends a piece of the committed state. The state is encoded once and kept until every member has moved past it.
    mutating func sendSnapshot(to member: NodeID, offset: Int, now: Instant) {
        guard let current = leading, let index = current.progress.index(of: member) else { return }
        if current.snapshot.map({ offset == 0 && $0.index < log.base.index }) ?? true {
            leading?.snapshot = (state.index, stateTerm, state.encoded)
        }
        leading?.progress.update(at: index) { $0.sentAt = now }
        guard let snapshot = leading?.snapshot, snapshot.bytes.count <= Limits.snapshotBytes else { return }
        let start = min(offset, snapshot.bytes.count)
        let end = min(start + Limits.snapshotChunkBytes, snapshot.bytes.count)
        leading?.progress.update(at: index) { $0.snapshotOffset = start }
        effects.send(
            member,
            .snapshot(
                SnapshotChunk(
                    term: term, lastIndex: snapshot.index, lastTerm: snapshot.term, offset: start,
                    total: snapshot.bytes.count, bytes: Array(snapshot.bytes[start..<end]), sentAt: now.nanoseconds)))
    }

    mutating func continueSnapshot(
        _ member: NodeID, term: UInt64, index: UInt64, offset: Int, sentAt: Int64, now: Instant
    ) {
        noteTerm(term, now: now)
        guard term == self.term, let row = leading?.progress.index(of: member),
            leading?.progress.element(at: row).value.snapshotOffset != nil
        else { return }
        leading?.progress.update(at: row) { $0.hear(sentAt, now) }
        // Another snapshot than the one being sent is begun anew.
        sendSnapshot(to: member, offset: leading?.snapshot?.index == index ? offset : 0, now: now)
    }

    mutating func receive(_ chunk: SnapshotChunk, from other: NodeID, now: Instant) {
        guard accepts(leader: other, term: chunk.term, now: now) else { return }
        guard chunk.lastIndex > state.index else {
            acceptSnapshot(from: other, chunk, index: state.index)
            return
        }
        if incoming?.lastIndex != chunk.lastIndex || incoming?.lastTerm != chunk.lastTerm
            || incoming?.total != chunk.total
        {
            incoming = IncomingSnapshot(
                lastIndex: chunk.lastIndex, lastTerm: chunk.lastTerm, total: chunk.total, bytes: [])
        }
        guard var current = incoming else { return }
        if chunk.offset == current.bytes.count, current.bytes.count + chunk.bytes.count <= current.total {
            current.bytes += chunk.bytes
            incoming = current
        }
        guard current.bytes.count == current.total else {
            effects.send(
                other,
                .snapshotReply(
                    term: term, lastIndex: chunk.lastIndex, offset: current.bytes.count, sentAt: chunk.sentAt))
            return
        }
        incoming = nil
        guard let snapshot = try? ClusterState(encoded: current.bytes), snapshot.index == chunk.lastIndex else {
            return
        }
        install(snapshot, term: chunk.lastTerm)
        acceptSnapshot(from: other, chunk, index: chunk.lastIndex)
    }

    private mutating func acceptSnapshot(from other: NodeID, _ chunk: SnapshotChunk, index: UInt64) {
        let isDurable = storage == nil
        effects.send(other, appendReply(isDurable, index, sentAt: chunk.sentAt))
    }

    mutating func install(_ snapshot: ClusterState, term: UInt64) {
        let position = EventLog.Position(index: snapshot.index, term: term)
        state = snapshot
        stateTerm = term
        commit = max(commit, snapshot.index)
        clock.observe(snapshot.results.floor)
        persist(.snapshot(snapshot, term: term))
        let fits = log.term(at: position.index) == position.term
        log.reset(to: position)
        storedIndex = min(storedIndex, log.last.index)
        persist(
            fits
                ? .compact(through: position.index, term: term)
                : .clearEntries(base: position.index, term: term))
        // Commands of this node that the snapshot holds are done.
        for row in pending.elements {
            let id = CommandID(origin: node, number: row.key)
            if let index = state.results.index(of: id) { end(id, .done(index: index)) }
        }
    }
}
