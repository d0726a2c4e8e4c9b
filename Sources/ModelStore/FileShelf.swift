import SystemPackage
package import Vocabulary

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A folder of files that can be had again, bounded in bytes: what was not used for longest makes way, but never a file
/// that somebody has pinned.
package struct FileShelf: Sendable {
    /// Where the files are.
    package let folder: String
    /// Size from which unpinned files are removed.
    package let byteLimit: ByteCount
    /// How the names of its files end; all others are left alone.
    private let suffixes: [String]
    /// What stands beside a file and goes with it.
    private let companions: [String]

    /// Default size limit: 64 GiB.
    package static let defaultByteLimit = ByteCount(64 << 30)

    /// Looks after the files below `folder` whose names end so.
    init(folder: String, byteLimit: ByteCount, suffixes: [String], companions: [String] = []) {
        self.folder = folder
        self.byteLimit = byteLimit
        self.suffixes = suffixes
        self.companions = companions
    }

    /// The models a node fetched from other members, whole and in parts.
    package static func fetchedModels(folder: String, byteLimit: ByteCount = Self.defaultByteLimit) -> FileShelf {
        FileShelf(
            folder: folder, byteLimit: byteLimit, suffixes: [".gguf", PartialModel.suffix],
            companions: PartialModel.companions)
    }

    /// Whether a file is one of this folder's.
    package func has(_ path: String) -> Bool { path.hasPrefix(folder + "/") }

    /// Removes the least recently used files nobody has pinned until `incoming` bytes fit under the limit; returns
    /// those that were removed.
    @discardableResult
    package func evict(toFit incoming: UInt64) -> [String] {
        var files = listing()
        files.sort { ($0.facts.accessedNanoseconds, $0.path) < ($1.facts.accessedNanoseconds, $1.path) }
        var total = files.reduce(incoming) { $0 &+ Self.size($1) }
        var removed: [String] = []
        for file in files where total > byteLimit.bytes {
            guard PinnedFile.removeIfUnused(path: file.path) else { continue }
            for companion in companions { unlink(file.path + companion) }
            removed.append(file.path)
            total -= min(total, Self.size(file))
        }
        return removed
    }

    /// Removes files that processes began and did not live to end. One whose process is not seen from here, as from
    /// another container, holds its file.
    func removeAbandoned() {
        for name in FolderNames.all(in: folder) where suffixes.contains(where: { StoreFiles.isAbandoned(name, of: $0) })
        {
            _ = PinnedFile.removeIfUnused(path: "\(folder)/\(name)")
        }
    }

    /// A part of a model is as long as the whole, with holes.
    private static func size(_ file: (path: String, facts: FileFacts)) -> UInt64 {
        file.path.hasSuffix(PartialModel.suffix)
            ? min(file.facts.byteCount, file.facts.allocatedByteCount) : file.facts.byteCount
    }

    private func listing() -> [(path: String, facts: FileFacts)] {
        FolderNames.all(in: folder).compactMap { name in
            guard suffixes.contains(where: name.hasSuffix) else { return nil }
            return (try? FileFacts(path: "\(folder)/\(name)")).map { ("\(folder)/\(name)", $0) }
        }
    }
}
