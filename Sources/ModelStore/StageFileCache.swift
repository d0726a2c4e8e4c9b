import Crypto
package import GGUF
import SystemPackage
package import Vocabulary

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The files of stages, made once and reused: content-addressed, written atomically, pinned while in use, evicted by
/// size.
///
/// A file's name is the digest of everything its content depends on: the model's digest and the plan. It is written
/// under a temporary name and renamed, so a reader never sees half a file. A pin is a shared lock on the file, which
/// the kernel drops when the process dies; eviction passes over locked files.
package struct StageFileCache: Sendable {
    /// Folder of the cache.
    package let folder: String
    /// Size from which unpinned files are evicted, least recently used first.
    package let byteLimit: ByteCount

    /// Default size limit: 64 GiB.
    package static let defaultByteLimit = ByteCount(64 << 30)

    /// Uses the folder, which is made when needed.
    package init(folder: String, byteLimit: ByteCount = Self.defaultByteLimit) {
        self.folder = folder
        self.byteLimit = byteLimit
    }

    /// The path of the stage file for `plan`, made when it is not there yet, and a pin that keeps it.
    ///
    /// **Throws:** `unreadable` for the model, `unwritable` or `diskFull` for the cache.
    package func materialise(
        _ plan: StageFilePlan, of modelPath: String, digest: String
    ) throws(StoreError) -> PinnedFile {
        try StoreFiles.makeFolders(folder)
        let path = "\(folder)/\(Self.key(of: plan, digest: digest)).gguf"
        if let pinned = existing(plan, digest: digest) {
            pinned.touch()
            return pinned
        }
        try evict(toFit: plan.copiedByteCount)
        try write(plan, of: modelPath, to: path)
        guard let pinned = PinnedFile(path: path) else {
            throw .unreadable(path: path, reason: "it vanished right after it was written")
        }
        return pinned
    }

    /// The stage file for `plan` when it is there already, pinned.
    package func existing(_ plan: StageFilePlan, digest: String) -> PinnedFile? {
        let pinned = PinnedFile(path: "\(folder)/\(Self.key(of: plan, digest: digest)).gguf")
        return pinned?.byteCount == plan.fileByteCount ? pinned : nil
    }

    /// Digest over everything the stage file's content depends on.
    static func key(of plan: StageFilePlan, digest: String) -> String {
        var hash = SHA256()
        hash.update(data: Array("stage 1 \(digest) \(plan.layers) \(plan.fileByteCount)\n".utf8))
        hash.update(data: plan.header)
        for segment in plan.segments {
            hash.update(data: Array("\(segment.sourceOffset) \(segment.destinationOffset) \(segment.byteCount)\n".utf8))
        }
        return Hexadecimal.text(hash.finalize())
    }

    private func write(_ plan: StageFilePlan, of modelPath: String, to path: String) throws(StoreError) {
        let temporary = StoreFiles.temporaryName(for: path)
        // What the plan speaks of must be there, or the copy would end in the middle.
        let needed = plan.segments.reduce(0) { max($0, $1.sourceOffset + $1.byteCount) }
        let length = try FileFacts(path: modelPath).byteCount
        guard length >= needed else {
            throw .unreadable(path: modelPath, reason: "it has \(length) bytes, the stage needs \(needed)")
        }
        do {
            let source = try FileDescriptor.open(FilePath(modelPath), .readOnly)
            defer { try? source.close() }
            let target = try FileDescriptor.open(
                FilePath(temporary), .readWrite, options: [.create, .truncate],
                permissions: [.ownerReadWrite, .groupRead])
            defer { try? target.close() }
            try target.writeAll(toAbsoluteOffset: 0, plan.header)
            for segment in plan.segments { try FileCopy.copy(segment, from: source, to: target) }
            guard ftruncate(target.rawValue, off_t(plan.fileByteCount)) == 0, fsync(target.rawValue) == 0 else {
                throw Errno(rawValue: errno)
            }
            guard rename(temporary, path) == 0 else { throw Errno(rawValue: errno) }
        } catch {
            unlink(temporary)
            if let number = error as? Errno, number == .noSpace {
                throw .diskFull(path: path, needed: ByteCount(plan.copiedByteCount), free: freeBytes)
            }
            throw .unwritable(path: path, reason: "\(error)")
        }
    }

    private var freeBytes: ByteCount {
        var facts = statvfs()
        guard statvfs(folder, &facts) == 0 else { return ByteCount(0) }
        return ByteCount(UInt64(facts.f_bavail) * UInt64(facts.f_frsize))
    }

    /// Removes the least recently used files nobody has pinned until `incoming` bytes fit under the limit.
    func evict(toFit incoming: UInt64) throws(StoreError) {
        var files = listing()
        files.sort { ($0.facts.accessedNanoseconds, $0.path) < ($1.facts.accessedNanoseconds, $1.path) }
        var total = files.reduce(incoming) { $0 + $1.facts.byteCount }
        for file in files where total > byteLimit.bytes {
            guard PinnedFile.removeIfUnused(path: file.path) else { continue }
            total -= min(total, file.facts.byteCount)
        }
    }

    private func listing() -> [(path: String, facts: FileFacts)] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var files: [(path: String, facts: FileFacts)] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name.hasSuffix(".gguf"), let facts = try? FileFacts(path: "\(folder)/\(name)") else { continue }
            files.append(("\(folder)/\(name)", facts))
        }
        return files
    }
}

/// A file held by a shared lock: as long as the value lives, no eviction removes the file.
package final class PinnedFile: Sendable {
    /// Where the file is.
    package let path: String
    /// Its length. **Units:** bytes.
    package let byteCount: UInt64
    private let descriptor: FileDescriptor

    /// Pins an existing file; nil when it is not there.
    package init?(path: String) {
        guard let opened = try? FileDescriptor.open(FilePath(path), .readOnly) else { return nil }
        // Between open and lock an eviction may have removed the name; then the file counts as not there.
        guard flock(opened.rawValue, LOCK_SH) == 0, let facts = try? FileFacts(path: path) else {
            try? opened.close()
            return nil
        }
        self.path = path
        byteCount = facts.byteCount
        descriptor = opened
    }

    deinit { try? descriptor.close() }

    /// Records that the file was used now.
    func touch() {
        _ = futimens(descriptor.rawValue, nil)
    }

    /// Removes a file unless somebody has it pinned.
    static func removeIfUnused(path: String) -> Bool {
        guard let opened = try? FileDescriptor.open(FilePath(path), .readOnly) else { return false }
        defer { try? opened.close() }
        return flock(opened.rawValue, LOCK_EX | LOCK_NB) == 0 && unlink(path) == 0
    }
}
