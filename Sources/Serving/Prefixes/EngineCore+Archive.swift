import Vocabulary

/// Kept sequences on disk: written when nothing runs, read back for a request that begins like one of them.
///
/// The operations reach every stage in order like all others, so a sequence is saved as it stood; each stage then
/// writes on a thread of its own and reports. Reading goes in two parts for the same reason: `fetch` reads beside the
/// steps, and `restore`, which takes what was read over, is a step of its own that succeeds or fails like any other.
extension EngineCore {
    private var takesWhole: Bool { settings.prefixReuse == .whole }

    // MARK: Writing

    /// Writes one kept sequence when nothing has run for a while.
    mutating func archiveWhenIdle(now: Instant) {
        archive.wake = archive.fetch.flatMap { $0.lane == nil ? $0.deadline : nil }
        guard archive.isOpen else { return closeArchive() }
        guard loss == nil, isQuiescent else {
            archive.idleSince = nil
            return
        }
        let since = archive.idleSince ?? now
        archive.idleSince = since
        guard archive.save == nil else { return }
        guard archive.maySave(now: now), let lane = nextToArchive() else { return closeArchive() }
        let due = archive.isClosing ? now : since.advanced(by: Limits.archiveDelay)
        guard now >= due else {
            archive.wake = [archive.wake, due].compactMap { $0 }.min()
            return
        }
        shelf.markArchived(lane)
        guard let tokens = shelf[lane]?.tokens else { return }
        let sequence = ArchivedSequence(tokens: tokens)
        archive.save = SequenceArchive.Save(sequence: sequence, awaited: Set(0..<settings.stageCount))
        operations.append(.archive(ArchiveOperation(.save, lane: lane, key: sequence.key)))
    }

    /// The newest kept sequence that is not on disk and should be.
    private mutating func nextToArchive() -> Lane? {
        while let lane = shelf.newestUnarchived(ofAtLeast: settings.smallestArchived) {
            guard let tokens = shelf[lane]?.tokens, archive.contains(tokens, whole: takesWhole) else { return lane }
            shelf.markArchived(lane)
        }
        return nil
    }

    private mutating func closeArchive() {
        guard archive.isClosing, !archive.hasClosed else { return }
        archive.hasClosed = true
        effects.list.append(.archived)
    }

    /// Takes a stage's word about its part of a sequence.
    mutating func archiveReported(_ report: ArchiveReport, now: Instant) {
        if let save = archive.save, save.sequence.key == report.key, report.outcome != .fetched {
            return saved(save, report, now: now)
        }
        guard let fetch = archive.fetch, fetch.key == report.key, fetch.lane == nil else { return }
        guard report.outcome == .fetched else {
            forget(report.key)
            archive.fetch = nil
            return
        }
        archive.fetch?.awaited.remove(report.stage)
        if archive.fetch?.awaited.isEmpty == true { beginRestore() }
    }

    private mutating func saved(_ save: SequenceArchive.Save, _ report: ArchiveReport, now: Instant) {
        guard report.outcome == .stored else {
            archive.save = nil
            archive.saveFailed(now: now)
            operations.append(.archive(ArchiveOperation(.forget, key: report.key)))
            return
        }
        archive.save?.awaited.remove(report.stage)
        guard archive.save?.awaited.isEmpty == true else { return }
        archive.save = nil
        for old in archive.add(save.sequence, whole: takesWhole) { drop(old.key) }
        effects.list.append(.commit(save.sequence))
    }

    /// Deletes a sequence: first the record that it stands there, then its parts.
    private mutating func forget(_ key: SequenceKey) {
        if archive.remove(key) { drop(key) }
    }

    private mutating func drop(_ key: SequenceKey) {
        effects.list.append(.retract(key))
        operations.append(.archive(ArchiveOperation(.forget, key: key)))
    }

    // MARK: Reading

    /// Whether the first waiting request, which could be seated, waits for a sequence to be read; begins to read when
    /// there is one that is worth it.
    mutating func awaitsArchive(now: Instant) -> Bool {
        guard let head = queue.first else { return false }
        // What is on its way into a lane comes or fails within a step.
        if let fetch = archive.fetch, fetch.lane != nil || fetch.request == head.id { return true }
        guard let match = matchOnDisk(of: head) else {
            abandonFetch()
            return false
        }
        queue[0].hasAskedArchive = true
        let deadline = now.advanced(by: Limits.fetchPatience)
        if archive.fetch?.key == match.key {
            // Whoever it was read for has left.
            archive.fetch?.request = head.id
            archive.fetch?.deadline = deadline
            return true
        }
        abandonFetch()
        archive.touch(match.key)
        archive.fetch = SequenceArchive.Fetch(
            key: match.key, request: head.id, deadline: deadline, awaited: Set(0..<settings.stageCount))
        operations.append(.archive(ArchiveOperation(.fetch, key: match.key)))
        return true
    }

    /// What is worth being read for a request that has not asked yet.
    private func matchOnDisk(of state: RequestState) -> ArchivedSequence? {
        guard archive.isOpen, settings.prefixReuse != .off, state.reusesPrefix, !state.hasAskedArchive else {
            return nil
        }
        let prompt = state.prompt.dropLast(Limits.rowsComputedAnew)
        guard let match = archive.longest(prompt, whole: takesWhole),
            match.length >= (longestPrefix(of: state)?.length ?? 0) + settings.smallestFetch,
            match.sequence.tokens.count <= cellLimit - promisedCells
        else { return nil }
        return match.sequence
    }

    /// Ends a read that takes too long: its request is computed from the beginning.
    mutating func expireFetch(now: Instant) {
        if let fetch = archive.fetch, fetch.lane == nil, now >= fetch.deadline { abandonFetch() }
    }

    private mutating func abandonFetch() {
        guard let fetch = archive.fetch else { return }
        operations.append(.archive(ArchiveOperation(.release, key: fetch.key)))
        archive.fetch = nil
    }

    /// All stages have read it: it goes into a lane beside the running ones, as if its request had just ended.
    private mutating func beginRestore() {
        guard let fetch = archive.fetch else { return }
        guard fetch.request == queue.first?.id, let tokens = archive.tokens(of: fetch.key),
            tokens.count <= cellLimit - promisedCells, let lane = emptyLane()
        else {
            return abandonFetch()
        }
        while promisedCells + cells.idleCount + tokens.count > cellLimit, let oldest = shelf.oldest() { evict(oldest) }
        cells.extend(lane, by: tokens.count)
        cells.rest(lane)
        shelf.put(tokens, on: lane)
        shelf.markArchived(lane)
        archive.fetch?.lane = lane
        operations.append(.archive(ArchiveOperation(.restore, lane: lane, key: fetch.key)))
    }

    /// The lane holds the sequence on every stage; the request it is for finds it there like any other.
    mutating func restored() { archive.fetch = nil }

    /// A stage could not put it into the lane: no stage uses it.
    mutating func restoreFailed() {
        guard let fetch = archive.fetch else { return }
        if let lane = fetch.lane, let tokens = archive.tokens(of: fetch.key), shelf[lane]?.tokens == tokens {
            evict(lane)
        }
        forget(fetch.key)
        archive.fetch = nil
    }
}
