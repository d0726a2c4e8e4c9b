import Crypto
import SystemPackage
import Vocabulary

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// SHA-256 of model files and of their blocks, remembered per file identity so that a large file is read once.
///
/// A note is the digest in hexadecimal, then the SHA-256 of the list of blocks, then the list: what a torn write left
/// is noticed.
package struct DigestCache: Sendable {
    /// Bytes of notes that are kept; those not used for longest are forgotten.
    private static let noteBytes = ByteCount(64 << 20)
    private static let digestLength = 64
    private static let sealLength = 32

    private let shelf: FileShelf

    /// Remembers digests in `folder`.
    package init(folder: String) {
        shelf = FileShelf(folder: folder, byteLimit: Self.noteBytes, suffixes: [".digests"])
    }

    /// Lower-case hexadecimal SHA-256 of the file's content.
    ///
    /// The remembered digest is used while device, file number, length and time of change are the same.
    /// **Throws:** `unreadable`.
    package func digest(ofFile path: String) throws(StoreError) -> String {
        let facts = try FileFacts(path: path)
        let note = note(of: facts)
        if let text = Self.read(note, first: Self.digestLength), text.count == Self.digestLength {
            return String(decoding: text, as: UTF8.self)
        }
        return try made(path, facts, note).digest
    }

    /// The digests of the file's blocks, remembered like the digest and made in the same reading.
    ///
    /// **Throws:** `unreadable`, also for files of more than `BlockDigests.longestFile`.
    package func blocks(ofFile path: String) throws(StoreError) -> BlockDigests {
        let facts = try FileFacts(path: path)
        let note = note(of: facts)
        if let length = BlockDigests.listByteCount(ofFile: facts.byteCount),
            let bytes = Self.read(note, first: Self.digestLength + Self.sealLength + length)
        {
            let list = Array(bytes.dropFirst(Self.digestLength + Self.sealLength))
            let seal = bytes.dropFirst(Self.digestLength).prefix(Self.sealLength)
            if SHA256.hash(data: list).elementsEqual(seal), let blocks = BlockDigests(bytes: list),
                blocks.fileByteCount == facts.byteCount
            {
                return blocks
            }
        }
        guard let blocks = try made(path, facts, note).blocks else {
            throw .unreadable(
                path: path,
                reason: "it has \(facts.byteCount) bytes, and parts of a file of more than "
                    + "\(BlockDigests.longestFile) cannot be checked")
        }
        return blocks
    }

    /// Takes note of a digest that was made while the file was written; its blocks' are made when they are asked for.
    ///
    /// **Throws:** `unreadable`.
    package func note(_ digest: String, ofFile path: String) throws(StoreError) {
        remember(Array(digest.utf8), at: note(of: try FileFacts(path: path)))
    }

    private func note(of facts: FileFacts) -> String {
        let identity = "\(facts.identity) \(facts.byteCount) \(facts.modifiedNanoseconds)"
        return "\(shelf.folder)/\(Hexadecimal.text(SHA256.hash(data: Array(identity.utf8))).prefix(32)).digests"
    }

    private static func read(_ note: String, first count: Int) -> [UInt8]? {
        guard let known = try? FileDescriptor.open(FilePath(note), .readOnly) else { return nil }
        defer { try? known.close() }
        var bytes = [UInt8](repeating: 0, count: count)
        let length = (try? bytes.withUnsafeMutableBytes { try known.read(fromAbsoluteOffset: 0, into: $0) }) ?? 0
        return Array(bytes.prefix(length))
    }

    private func made(
        _ path: String, _ facts: FileFacts, _ note: String
    ) throws(StoreError) -> (digest: String, blocks: BlockDigests?) {
        let made = try compute(path, facts)
        let list = made.blocks?.bytes ?? []
        remember(Array(made.digest.utf8) + SHA256.hash(data: list) + list, at: note)
        return made
    }

    private func compute(
        _ path: String, _ facts: FileFacts
    ) throws(StoreError) -> (digest: String, blocks: BlockDigests?) {
        do {
            let file = try FileDescriptor.open(FilePath(path), .readOnly)
            defer { try? file.close() }
            var hash = SHA256()
            var blocks = BlockHashing(fileByteCount: facts.byteCount)
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: FileCopy.bufferByteCount, alignment: 16)
            defer { buffer.deallocate() }
            while true {
                let length = try file.read(into: buffer)
                guard length > 0 else { break }
                let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<length])
                hash.update(bufferPointer: bytes)
                blocks?.update(bytes)
            }
            return (Hexadecimal.text(hash.finalize()), blocks?.finish())
        } catch {
            throw .unreadable(path: path, reason: "\(error)")
        }
    }

    /// Losing the note costs only time, so failures are ignored.
    private func remember(_ bytes: [UInt8], at note: String) {
        guard (try? StoreFiles.makeFolders(shelf.folder)) != nil else { return }
        shelf.evict(toFit: UInt64(bytes.count))
        try? StoreFiles.replace(note, with: bytes)
    }
}
