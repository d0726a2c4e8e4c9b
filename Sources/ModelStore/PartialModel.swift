import Synchronization
import SystemPackage
import Vocabulary

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A model file of which only some ranges are here: as long as the whole, with holes for what was not fetched.
///
/// A stage is cut from it as from the whole file, once the ranges of its layers are there. Only whole blocks whose
/// digests are right get into it (`PartIntake`). What was fetched is noted beside it after it is on disk, so that a
/// fetch that broke off goes on where it was. As long as the value lives, no eviction removes the file.
package final class PartialModel: Sendable {
    /// Where the file is.
    package let path: String
    /// What its blocks must be.
    package let blocks: BlockDigests
    private let file: FileDescriptor
    private let notes: FileDescriptor
    private let present: Mutex<[Range<UInt64>]>
    /// More ranges than any fetch makes; a file of notes beyond it is begun anew.
    private static let noteLimit = 1 << 20
    /// How the names of such files end.
    static let suffix = ".part"
    private static let listSuffix = ".blocks"
    private static let noteSuffix = ".checked"
    /// Endings of what stands beside such a file; the last one is what earlier releases noted, and checked by nothing.
    static let companions = [listSuffix, noteSuffix, ".ranges"]

    /// Length of the whole model. **Units:** bytes.
    package var byteCount: UInt64 { blocks.fileByteCount }

    /// Opens what is there of a model in `folder`, or begins it. What was checked against another list is forgotten.
    ///
    /// **Throws:** `StoreError.unwritable`, also for a digest that is none, or `diskFull`.
    package init(folder: String, digest: String, blocks: BlockDigests) throws(StoreError) {
        // Members told it, and it becomes a path.
        guard Hexadecimal.isDigest(digest) else {
            throw .unwritable(path: folder, reason: "'\(digest.prefix(80))' is no SHA-256 in hexadecimal digits")
        }
        try StoreFiles.makeFolders(folder)
        path = "\(folder)/\(digest)\(Self.suffix)"
        self.blocks = blocks
        let byteCount = blocks.fileByteCount
        do {
            file = try FileDescriptor.open(
                FilePath(path), .readWrite, options: [.create, .closeOnExec], permissions: .ownerReadWrite)
            notes = try FileDescriptor.open(
                FilePath(path + Self.noteSuffix), .readWrite, options: [.create, .append, .closeOnExec],
                permissions: .ownerReadWrite)
        } catch {
            throw StoreError.failed(writing: path, error)
        }
        guard flock(file.rawValue, LOCK_SH) == 0 else {
            throw .unwritable(path: path, reason: String(cString: strerror(errno)))
        }
        // Notes beside a file of another length, such as a new one, are of another file.
        let length = (try? file.seek(offset: 0, from: .end)) ?? 0
        let isSame = length == Int64(byteCount) && Self.list(beside: path) == blocks
        guard isSame || ftruncate(notes.rawValue, 0) == 0, ftruncate(file.rawValue, off_t(byteCount)) == 0 else {
            throw .unwritable(path: path, reason: String(cString: strerror(errno)))
        }
        present = Mutex(isSame ? Self.read(notes, within: byteCount) : [])
        if !isSame { try Self.keep(blocks, beside: path) }
    }

    /// Opens what an earlier fetch left of a model; nil when there is nothing.
    package convenience init?(folder: String, digest: String) {
        guard Hexadecimal.isDigest(digest) else { return nil }
        let path = "\(folder)/\(digest)\(Self.suffix)"
        guard (try? FileFacts(path: path)) != nil, let blocks = Self.list(beside: path) else { return nil }
        try? self.init(folder: folder, digest: digest, blocks: blocks)
    }

    private static func list(beside path: String) -> BlockDigests? {
        guard let facts = try? FileFacts(path: path + listSuffix), let length = Int(exactly: facts.byteCount),
            BlockDigests.listByteCount(ofFile: BlockDigests.longestFile).map({ length <= $0 }) ?? false,
            let source = try? FileByteSource(path: path + listSuffix)
        else { return nil }
        return (try? source.read(at: 0, count: length)).flatMap { BlockDigests(bytes: $0) }
    }

    private static func keep(_ blocks: BlockDigests, beside path: String) throws(StoreError) {
        do { try StoreFiles.replace(path + listSuffix, with: blocks.bytes) } catch {
            throw StoreError.failed(writing: path, error)
        }
    }

    deinit {
        try? file.close()
        try? notes.close()
    }

    private static func read(_ notes: FileDescriptor, within byteCount: UInt64) -> [Range<UInt64>] {
        let length = (try? notes.seek(offset: 0, from: .end)) ?? 0
        guard length > 0, length < Int64(noteLimit) * 42 else { return [] }
        var bytes = [UInt8](repeating: 0, count: Int(length))
        let count = (try? bytes.withUnsafeMutableBytes { try notes.read(fromAbsoluteOffset: 0, into: $0) }) ?? 0
        var ranges: [Range<UInt64>] = []
        for line in String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: "\n") {
            let numbers = line.split(separator: " ").compactMap { UInt64($0) }
            // A torn last line names less than was written, or nothing.
            guard numbers.count == 2, numbers[0] < numbers[1], numbers[1] <= byteCount else { continue }
            ranges.append(numbers[0]..<numbers[1])
        }
        return merged(ranges)
    }

    private static func merged(_ ranges: [Range<UInt64>]) -> [Range<UInt64>] {
        var merged: [Range<UInt64>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = merged.last, range.lowerBound <= last.upperBound {
                merged[merged.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            } else {
                merged.append(range)
            }
        }
        return merged
    }

    /// The blocks of `wanted` that are not here yet, ascending, in pieces of at most `pieceByteCount`, a multiple of
    /// `BlockDigests.largestBlock`.
    package func missing(_ wanted: [Range<UInt64>], pieceByteCount: UInt64) -> [Range<UInt64>] {
        let present = present.withLock { $0 }
        var pieces: [Range<UInt64>] = []
        for range in Self.merged(wanted.map(blocks.aligned).filter { !$0.isEmpty }) {
            var start = range.lowerBound
            for have in present where have.upperBound > start && have.lowerBound < range.upperBound {
                Self.cut(start, have.lowerBound, pieceByteCount, into: &pieces)
                start = max(start, have.upperBound)
            }
            Self.cut(start, range.upperBound, pieceByteCount, into: &pieces)
        }
        return pieces
    }

    private static func cut(
        _ start: UInt64, _ end: UInt64, _ pieceByteCount: UInt64, into pieces: inout [Range<UInt64>]
    ) {
        var start = start
        while start < end {
            let next = min(end, start + pieceByteCount)
            pieces.append(start..<next)
            start = next
        }
    }

    /// Whether all of a range is here.
    package func has(_ range: Range<UInt64>) -> Bool {
        missing([range], pieceByteCount: BlockDigests.largestBlock).isEmpty
    }

    /// Writes a block that was checked.
    func write(_ block: [UInt8], at offset: UInt64) throws(StoreError) {
        do {
            try file.writeAll(toAbsoluteOffset: Int64(offset), block)
        } catch {
            throw StoreError.failed(writing: path, error)
        }
    }

    /// Notes that a range is here, after it has reached the disk.
    ///
    /// **Throws:** `StoreError.unwritable`.
    package func finish(_ range: Range<UInt64>) throws(StoreError) {
        do {
            guard fsync(file.rawValue) == 0 else { throw Errno(rawValue: errno) }
            try notes.writeAll(Array("\(range.lowerBound) \(range.upperBound)\n".utf8))
        } catch {
            throw StoreError.failed(writing: path, error)
        }
        present.withLock { $0 = Self.merged($0 + [range]) }
    }

    /// Makes the whole file of it, after its content was checked against the digest.
    ///
    /// **Throws:** `StoreError.unreadable` when the digest differs; what is here is then forgotten.
    package func complete(digest: String, with digests: DigestCache) throws(StoreError) -> String {
        let actual = try digests.digest(ofFile: path)
        guard actual == digest else {
            remove()
            throw .unreadable(path: path, reason: "its content has the digest \(actual) instead of \(digest)")
        }
        let whole = String(path.dropLast(Self.suffix.count)) + ".gguf"
        for companion in Self.companions { unlink(path + companion) }
        guard rename(path, whole) == 0 else {
            throw .unwritable(path: whole, reason: String(cString: strerror(errno)))
        }
        return whole
    }

    /// Forgets everything behind the blocks of the first bytes, because it was used.
    ///
    /// **Throws:** `StoreError.unwritable`.
    package func keep(first count: UInt64) throws(StoreError) {
        let count = blocks.aligned(0..<count).upperBound
        guard ftruncate(notes.rawValue, 0) == 0, ftruncate(file.rawValue, off_t(count)) == 0,
            ftruncate(file.rawValue, off_t(byteCount)) == 0
        else { throw .unwritable(path: path, reason: String(cString: strerror(errno))) }
        present.withLock { $0 = [] }
        try finish(0..<count)
    }

    /// Removes the file and what was noted of it.
    package func remove() {
        for companion in Self.companions { unlink(path + companion) }
        unlink(path)
    }
}
