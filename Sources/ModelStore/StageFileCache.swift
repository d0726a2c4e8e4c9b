import Crypto
package import GGUF
import SystemPackage
package import Vocabulary

/// The files of stages, made once and reused: content-addressed, written atomically, pinned while in use, evicted by
/// size.
///
/// A file's name is the digest of everything its content depends on: the model's digest and the plan. It is written
/// under a temporary name and renamed, so a reader never sees half a file. A pin is a shared lock on the file, which
/// the kernel drops when the process dies; eviction passes over locked files.
package struct StageFileCache: Sendable {
    private let shelf: FileShelf

    /// Folder of the cache.
    package var folder: String { shelf.folder }

    /// Uses the folder, which is made when needed; from `byteLimit` on unpinned files are evicted.
    package init(folder: String, byteLimit: ByteCount = FileShelf.defaultByteLimit) {
        shelf = FileShelf(folder: folder, byteLimit: byteLimit, suffixes: [".gguf"])
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
        shelf.removeAbandoned()
        shelf.evict(toFit: plan.copiedByteCount)
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
        // What the plan speaks of must be there, or the copy would end in the middle.
        let needed = plan.segments.reduce(0) { max($0, $1.sourceOffset + $1.byteCount) }
        let length = try FileFacts(path: modelPath).byteCount
        guard length >= needed else {
            throw .unreadable(path: modelPath, reason: "it has \(length) bytes, the stage needs \(needed)")
        }
        try StoreFiles.make(
            path, byteCount: plan.fileByteCount, copied: plan.copiedByteCount,
            permissions: [.ownerReadWrite, .groupRead]
        ) { target in
            let source = try FileDescriptor.open(FilePath(modelPath), .readOnly)
            defer { try? source.close() }
            try target.writeAll(toAbsoluteOffset: 0, plan.header)
            for segment in plan.segments { try FileCopy.copy(segment, from: source, to: target) }
        }
    }
}
