import Vocabulary

/// What the brain knows of sequences on the disks of its stages, and the one write and the one read under way.
///
/// A sequence is on disk when all stages have said that they wrote their parts, and only then is it told to the shell.
struct SequenceArchive {
    /// A sequence being written.
    struct Save {
        let sequence: ArchivedSequence
        /// Stages that have not said they wrote it.
        var awaited: Set<Int>
    }

    /// A sequence being read for the first waiting request.
    struct Fetch {
        let key: SequenceKey
        var request: RequestID
        var deadline: Instant
        /// Stages that have not said they read it.
        var awaited: Set<Int>
        /// The lane it is put into, once all have.
        var lane: Lane?
        /// The microbatch that tells the stages to; without rows, because one that fails takes its rows along.
        var step: StepID?
    }

    /// Whether every stage has a disk.
    private(set) var isOpen = false
    /// The placement ends: nothing is waited for before writing.
    var isClosing = false
    /// The end of writing was told after `isClosing`.
    var hasClosed = false
    /// Sequences on disk, the one not used for longest first.
    private(set) var entries: [ArchivedSequence] = []
    var save: Save?
    var fetch: Fetch?
    /// When to look at idleness or at a read again.
    var wake: Instant?
    /// Since when nothing runs.
    var idleSince: Instant?
    private var failures = 0
    private var pausedUntil: Instant?

    /// A read is complete and its restore not sent.
    var awaitsRestore: Bool { fetch?.lane != nil && fetch?.step == nil }

    mutating func open(_ known: [ArchivedSequence]) {
        isOpen = true
        entries = known.suffix(Limits.archivedSequences)
    }

    /// The sequence that has most in common with a prompt; with `whole`, only one that the prompt contains.
    func longest(_ prompt: some Collection<Token>, whole: Bool) -> (sequence: ArchivedSequence, length: Int)? {
        var best: (sequence: ArchivedSequence, length: Int)?
        for entry in entries {
            let length = PrefixShelf.sharedLength(entry.tokens, prompt)
            if whole, length < entry.tokens.count { continue }
            // Of equal ones the shorter is read sooner.
            let isBetter = best.map { (length, -entry.tokens.count) > ($0.length, -$0.sequence.tokens.count) } ?? true
            if isBetter { best = (entry, length) }
        }
        return best
    }

    /// Whether a sequence on disk begins with, or with `whole` is, this one.
    func contains(_ tokens: [Token], whole: Bool) -> Bool {
        entries.contains { entry in
            whole ? entry.tokens == tokens : PrefixShelf.commonLength(entry.tokens, tokens) == tokens.count
        }
    }

    /// Adds a sequence that was written; answers those it makes superfluous, and the oldest when there are too many.
    mutating func add(_ sequence: ArchivedSequence, whole: Bool) -> [ArchivedSequence] {
        failures = 0
        var superfluous: [ArchivedSequence] = []
        if !whole {
            superfluous = entries.filter {
                PrefixShelf.commonLength($0.tokens, sequence.tokens) == $0.tokens.count
            }
        }
        entries.removeAll { superfluous.contains($0) }
        if entries.count >= Limits.archivedSequences { superfluous.append(entries.removeFirst()) }
        entries.append(sequence)
        return superfluous
    }

    /// Forgets a sequence; false when it was not known.
    mutating func remove(_ key: SequenceKey) -> Bool {
        guard let index = entries.firstIndex(where: { $0.key == key }) else { return false }
        entries.remove(at: index)
        return true
    }

    mutating func touch(_ key: SequenceKey) {
        guard let index = entries.firstIndex(where: { $0.key == key }) else { return }
        entries.append(entries.remove(at: index))
    }

    func tokens(of key: SequenceKey) -> [Token]? { entries.first { $0.key == key }?.tokens }

    mutating func saveFailed(now: Instant) {
        failures += 1
        guard failures >= Limits.archiveFailures else { return }
        failures = 0
        pausedUntil = now.advanced(by: Limits.archivePause)
    }

    /// Whether a sequence may be written now.
    func maySave(now: Instant) -> Bool { isOpen && save == nil && pausedUntil.map { now >= $0 } ?? true }

    /// Reports of what was under way do not count any more.
    mutating func stageLost() {
        save = nil
        fetch = nil
        wake = nil
        idleSince = nil
    }
}
