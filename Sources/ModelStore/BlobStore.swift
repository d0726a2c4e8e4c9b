import Crypto
import Synchronization
import SystemPackage
import Vocabulary

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Bounds of uploaded files.
package struct BlobLimits: Sendable {
    /// Longest file. **Units:** bytes.
    package var fileBytes: UInt64 = 1 << 39
    /// What files that no model uses may take together. **Units:** bytes.
    package var unusedBytes: UInt64 = 1 << 37
    /// How long a file that no model uses is kept at least, while it fits. **Units:** seconds.
    package var unusedSeconds: Int64 = 86_400
    /// What an upload leaves free on the disk. **Units:** bytes.
    package var reserveBytes: UInt64 = 256 << 20
    /// Uploads at once.
    package var uploads = 4

    /// The bounds of a node.
    package init() {}
}

/// Files by the digest of their content, as clients upload them: each is checked while it arrives and has its name only
/// when all of it is there.
///
/// Two uploads of the same file write two files of which one replaces the other; their content is the same.
package final class BlobStore: Sendable {
    /// How much may be written between two looks at the disk. **Units:** bytes.
    private static let lookBytes: UInt64 = 16 << 20

    private let folder: String
    private let limits: BlobLimits
    private let freeBytes: @Sendable (_ folder: String) -> UInt64
    private let uploads = Atomic<Int>(0)

    /// Keeps files in `folder`; `freeBytes` answers what its disk has left.
    package init(
        folder: String, limits: BlobLimits = BlobLimits(),
        freeBytes: @escaping @Sendable (String) -> UInt64 = BlobStore.freeBytes
    ) {
        self.folder = folder
        self.limits = limits
        self.freeBytes = freeBytes
    }

    /// What a folder's disk has left. **Units:** bytes.
    package static func freeBytes(_ folder: String) -> UInt64 {
        var facts = statvfs()
        guard statvfs(folder, &facts) == 0 else { return 0 }
        return UInt64(facts.f_bavail) * UInt64(facts.f_frsize)
    }

    /// Where the file with a digest is, or would be.
    package func path(_ digest: String) -> String { "\(folder)/sha256-\(digest)" }

    /// The file with a digest, held: as long as the value lives it is not evicted. Nil when it is not here.
    package func pin(_ digest: String) -> PinnedFile? {
        PinnedFile(path: path(digest))
    }

    /// Removes the file with a digest; a missing one is fine.
    package func remove(_ digest: String) { unlink(path(digest)) }

    /// Begins to take in the file with a digest; `byteCount` is its length as far as it is known before.
    ///
    /// **Throws:** `StoreError.tooLong`, `diskFull`, `busy` or `unwritable`.
    package func begin(_ digest: String, byteCount: UInt64?) throws(StoreError) -> BlobUpload {
        let path = path(digest)
        if let byteCount {
            guard byteCount <= limits.fileBytes else {
                throw .tooLong(path: path, byteCount: ByteCount(byteCount), limit: ByteCount(limits.fileBytes))
            }
        }
        try StoreFiles.makeFolders(folder)
        try check(byteCount ?? 0, path)
        guard uploads.add(1, ordering: .relaxed).newValue <= limits.uploads else {
            uploads.subtract(1, ordering: .relaxed)
            throw .busy(path: path, limit: limits.uploads)
        }
        do throws(StoreError) {
            return try BlobUpload(
                digest: digest, path: path, limit: limits.fileBytes, lookBytes: Self.lookBytes,
                check: { [self] (next) throws(StoreError) in try check(next, path) },
                ended: { [self] in uploads.subtract(1, ordering: .relaxed) })
        } catch {
            uploads.subtract(1, ordering: .relaxed)
            throw error
        }
    }

    private func check(_ wanted: UInt64, _ path: String) throws(StoreError) {
        let free = freeBytes(folder)
        let (needed, overflows) = wanted.addingReportingOverflow(limits.reserveBytes)
        guard !overflows, needed <= free else {
            throw .diskFull(path: path, needed: ByteCount(overflows ? .max : needed), free: ByteCount(free))
        }
    }

    /// Removes what interrupted uploads left, and files no model uses: those that are old, and the oldest of the
    /// others until the rest is within its bound. What somebody holds stays.
    ///
    /// `now` in seconds since 1970; `keeping` are digests of files in use.
    package func sweep(keeping used: Set<String>, now: Int64) {
        var unused: [(path: String, facts: FileFacts)] = []
        for name in FolderNames.all(in: folder) {
            let path = "\(folder)/\(name)"
            if name.hasSuffix(".part") {
                // An upload under way, here or in another process, holds its file.
                _ = PinnedFile.removeIfUnused(path: path)
            } else if name.hasPrefix("sha256-"), !used.contains(String(name.dropFirst("sha256-".count))),
                let facts = try? FileFacts(path: path)
            {
                unused.append((path, facts))
            }
        }
        unused.sort { ($0.facts.modifiedNanoseconds, $0.path) < ($1.facts.modifiedNanoseconds, $1.path) }
        var total = unused.reduce(UInt64(0)) { $0 + $1.facts.byteCount }
        let oldest = (now - limits.unusedSeconds) * 1_000_000_000
        for file in unused where total > limits.unusedBytes || file.facts.modifiedNanoseconds < oldest {
            guard PinnedFile.removeIfUnused(path: file.path) else { continue }
            total -= file.facts.byteCount
        }
    }
}

/// A file that arrives. What is not finished leaves nothing behind.
package final class BlobUpload: Sendable {
    private struct State {
        var hash = SHA256()
        var byteCount: UInt64 = 0
        /// What may still be written before the disk is looked at.
        var allowance: UInt64 = 0
        var isOpen = true
    }

    private let digest: String
    private let path: String
    private let temporary: String
    private let limit: UInt64
    private let lookBytes: UInt64
    private let check: @Sendable (UInt64) throws(StoreError) -> Void
    private let ended: @Sendable () -> Void
    private let file: FileDescriptor
    private let state = Mutex(State())

    fileprivate init(
        digest: String, path: String, limit: UInt64, lookBytes: UInt64,
        check: @escaping @Sendable (UInt64) throws(StoreError) -> Void, ended: @escaping @Sendable () -> Void
    ) throws(StoreError) {
        self.digest = digest
        self.path = path
        self.limit = limit
        self.lookBytes = lookBytes
        self.check = check
        self.ended = ended
        temporary = StoreFiles.temporaryName(for: path)
        do {
            file = try FileDescriptor.open(
                FilePath(temporary), .writeOnly, options: [.create, .exclusiveCreate, .closeOnExec],
                permissions: [.ownerReadWrite, .groupRead])
        } catch {
            throw .unwritable(path: path, reason: "\(error)")
        }
        // A sweep passes over files that somebody holds.
        _ = flock(file.rawValue, LOCK_SH | LOCK_NB)
    }

    deinit { close(removing: true) }

    /// Takes the next bytes.
    ///
    /// **Throws:** `StoreError.tooLong`, `diskFull` or `unwritable`.
    package func append(_ bytes: UnsafeRawBufferPointer) throws(StoreError) {
        let count = UInt64(bytes.count)
        let looks = state.withLock { state in
            state.byteCount += count
            let looks = state.allowance < count
            state.allowance = looks ? lookBytes : state.allowance - count
            return looks
        }
        let total = state.withLock { $0.byteCount }
        guard total <= limit else {
            throw .tooLong(path: path, byteCount: ByteCount(total), limit: ByteCount(limit))
        }
        if looks { try check(max(count, lookBytes)) }
        do {
            try file.writeAll(bytes)
        } catch {
            if let number = error as? Errno, number == .noSpace {
                throw .diskFull(path: path, needed: ByteCount(count), free: ByteCount(0))
            }
            throw .unwritable(path: path, reason: "\(error)")
        }
        state.withLock { $0.hash.update(bufferPointer: bytes) }
    }

    /// Gives the file its name, when its content is what the digest says.
    ///
    /// **Throws:** `StoreError.wrongDigest` or `unwritable`.
    package func finish() throws(StoreError) {
        let actual = state.withLock { Hexadecimal.text($0.hash.finalize()) }
        guard actual == digest else {
            close(removing: true)
            throw .wrongDigest(path: path, expected: digest, actual: actual)
        }
        guard fsync(file.rawValue) == 0, rename(temporary, path) == 0 else {
            let reason = String(cString: strerror(errno))
            close(removing: true)
            throw .unwritable(path: path, reason: reason)
        }
        close(removing: false)
    }

    /// Forgets what came.
    package func abandon() { close(removing: true) }

    private func close(removing: Bool) {
        let wasOpen = state.withLock { state in
            defer { state.isOpen = false }
            return state.isOpen
        }
        guard wasOpen else { return }
        if removing { unlink(temporary) }
        try? file.close()
        ended()
    }
}
