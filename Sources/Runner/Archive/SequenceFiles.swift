import NIOPosix
import Serving
import Synchronization
import Vocabulary

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A stage's disk for sequences: files are written and read on a thread of their own, in the order they were asked
/// for, and what became of each is told.
///
/// Files hold what people wrote and were answered, so they are for this user alone. Damaged and foreign ones are moved
/// aside and never used. A full disk costs a sequence, never more.
final class SequenceFiles: Sendable {
    private struct State {
        /// The one sequence that was read and not yet taken or released.
        var fetched: (key: SequenceKey, bytes: [UInt8])?
        var waiting = 0
        var report: @Sendable (SequenceKey, ArchiveReport.Outcome) -> Void = { _, _ in }
    }

    private let thread: NIOThreadPool
    private let state = Mutex(State())
    private let identity: ArchiveIdentity
    private let settings: ArchiveSettings
    private let path: String
    /// Held as long as the runner lives, so that two runners of one stage do not share a folder.
    private let lock: Int32

    /// Opens the stage's folder; nil, with a word on standard error, when it cannot be used.
    init?(_ settings: ArchiveSettings, identity: ArchiveIdentity, stage: Int) {
        self.settings = settings
        self.identity = identity
        path = "\(settings.folder)/\(identity.folderName(stage: stage))"
        guard ArchiveFolder.make(path) else {
            RunnerLog.warn(
                "sequences are not kept on disk: \(path) cannot be made: \(String(cString: strerror(errno)))")
            return nil
        }
        lock = open("\(path)/lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0, flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            if lock >= 0 { close(lock) }
            RunnerLog.warn("sequences are not kept on disk: another runner uses \(path)")
            return nil
        }
        for name in ArchiveFolder.names(in: path) where name.hasSuffix(".tmp") { unlink("\(path)/\(name)") }
        thread = NIOThreadPool(numberOfThreads: 1)
        thread.start()
    }

    deinit { close(lock) }

    /// Tells outcomes to `report` from now on, on the disk's thread.
    func whenDone(_ report: @escaping @Sendable (SequenceKey, ArchiveReport.Outcome) -> Void) {
        state.withLock { $0.report = report }
    }

    // MARK: Parts

    /// Writes a part; nil bytes mean that there is nothing to be written, which is told like a failed write.
    func save(_ key: SequenceKey, _ bytes: [UInt8]?) {
        enqueue(key) { [self] in
            guard let bytes else { return .failed }
            do throws(ArchiveFile.Failure) {
                try write(.part, key, bytes)
                return .stored
            } catch {
                RunnerLog.warn("a sequence could not be written to disk: \(error)")
                return .failed
            }
        }
    }

    /// Reads a part into memory, in place of one that was read before.
    func fetch(_ key: SequenceKey) {
        state.withLock { $0.fetched = nil }
        enqueue(key) { [self] in
            let path = path(of: key, .part)
            do throws(ArchiveFile.Failure) {
                let bytes = try ArchiveFile.load(
                    .part, identity: identity, key: key, limit: Limits.sequenceBytes, from: path)
                state.withLock { $0.fetched = (key, bytes) }
                utimensat(AT_FDCWD, path, nil, 0)
                utimensat(AT_FDCWD, self.path(of: key, .record), nil, 0)
                return .fetched
            } catch {
                setAside(path, error)
                return .failed
            }
        }
    }

    /// What was read, once; nil when it was another sequence or none.
    func take(_ key: SequenceKey) -> [UInt8]? {
        state.withLock { state in
            guard let fetched = state.fetched, fetched.key == key else { return nil }
            state.fetched = nil
            return fetched.bytes
        }
    }

    /// Gives the memory of what was, or is being, read back.
    func release(_ key: SequenceKey) {
        enqueue(key) { [self] in
            state.withLock { if $0.fetched?.key == key { $0.fetched = nil } }
            return nil
        }
    }

    /// Deletes a part.
    func forget(_ key: SequenceKey) {
        release(key)
        enqueue(key) { [self] in
            unlink(path(of: key, .part))
            return nil
        }
    }

    // MARK: Records of the entry stage

    /// Writes that all stages have their parts.
    func commit(_ sequence: ArchivedSequence) {
        enqueue(sequence.key) { [self] in
            let bytes = sequence.tokens.flatMap { token in
                [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: UInt32(bitPattern: token) >> UInt32($0)) }
            }
            do throws(ArchiveFile.Failure) {
                try write(.record, sequence.key, bytes)
            } catch {
                RunnerLog.warn("the record of a sequence could not be written to disk: \(error)")
            }
            return nil
        }
    }

    /// Deletes the record.
    func retract(_ key: SequenceKey) {
        enqueue(key) { [self] in
            unlink(path(of: key, .record))
            return nil
        }
    }

    /// The sequences all stages have according to the records, the one not used for longest first.
    ///
    /// The caller MUST be the only one who uses the folder yet: it reads on the calling thread.
    func records() -> [ArchivedSequence] {
        let ending = ArchiveFile.Kind.record.ending
        var found: [ArchivedSequence] = []
        for entry in ArchiveFolder(path: settings.folder).entries()
        where entry.path.hasPrefix(path + "/") && entry.path.hasSuffix(ending) {
            let name = entry.path.dropFirst(path.utf8.count + 1).dropLast(ending.count)
            guard let key = Hexadecimal.bytes(name).flatMap({ SequenceKey(bytes: $0) }) else { continue }
            do throws(ArchiveFile.Failure) {
                let bytes = try ArchiveFile.load(
                    .record, identity: identity, key: key, limit: Limits.sequenceBytes, from: entry.path)
                let tokens = stride(from: 0, to: bytes.count - 3, by: 4).map { at in
                    Token(bitPattern: (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[at + $1]) << UInt32(8 * $1) })
                }
                let sequence = ArchivedSequence(tokens: tokens)
                guard sequence.key == key else { throw .damaged(reason: "the tokens are those of another sequence") }
                found.append(sequence)
            } catch {
                setAside(entry.path, error)
            }
        }
        return found.suffix(Limits.archivedSequences)
    }

    /// Calls `body` when everything asked for before is done.
    func flush(_ body: @escaping @Sendable () -> Void) {
        thread.submit { _ in body() }
    }

    // MARK: The disk's thread

    private func enqueue(_ key: SequenceKey, _ work: @escaping @Sendable () -> ArchiveReport.Outcome?) {
        let (isTaken, report) = state.withLock { state in
            guard state.waiting < ArchiveLimits.waiting else { return (false, state.report) }
            state.waiting += 1
            return (true, state.report)
        }
        guard isTaken else { return report(key, .failed) }
        thread.submit { [self] pool in
            guard case .active = pool else { return }
            let outcome = work()
            let report = state.withLock { state in
                state.waiting -= 1
                return state.report
            }
            if let outcome { report(key, outcome) }
        }
    }

    private func path(of key: SequenceKey, _ kind: ArchiveFile.Kind) -> String { "\(path)/\(key)\(kind.ending)" }

    private func write(_ kind: ArchiveFile.Kind, _ key: SequenceKey, _ bytes: [UInt8]) throws(ArchiveFile.Failure) {
        let needed = UInt64(bytes.count + ArchiveFile.headerBytes)
        guard ArchiveFolder(path: settings.folder).makeRoom(for: needed, limit: settings.byteLimit) else {
            throw .tooLarge(bytes: needed, limit: settings.byteLimit)
        }
        try ArchiveFile.store(kind, identity: identity, key: key, payload: bytes, to: path(of: key, kind))
    }

    private func setAside(_ file: String, _ error: ArchiveFile.Failure) {
        guard error.isDamage else {
            if case .system(_, ENOENT) = error { return }
            return RunnerLog.warn("a sequence could not be read from disk: \(error)")
        }
        let aside = "\(path)/damaged"
        let name = file.split(separator: "/").last.map(String.init) ?? "file"
        if !ArchiveFolder.make(aside) || rename(file, "\(aside)/\(name)") != 0 { unlink(file) }
        RunnerLog.warn("a sequence on disk is not used, and was set aside: \(error)")
    }
}
