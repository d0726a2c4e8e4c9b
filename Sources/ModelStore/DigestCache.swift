import Crypto
import SystemPackage
import Vocabulary

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// SHA-256 of model files, remembered per file identity so that a large file is read once.
package struct DigestCache: Sendable {
    private let folder: String

    /// Remembers digests in `folder`.
    package init(folder: String) { self.folder = folder }

    /// Lower-case hexadecimal SHA-256 of the file's content.
    ///
    /// The remembered digest is used while device, file number, length and time of change are the same.
    /// **Throws:** `unreadable`.
    package func digest(ofFile path: String) throws(StoreError) -> String {
        let note = try note(ofFile: path)
        if let known = try? FileDescriptor.open(FilePath(note), .readOnly) {
            defer { try? known.close() }
            var text = [UInt8](repeating: 0, count: 64)
            let length = (try? text.withUnsafeMutableBytes { try known.read(into: $0) }) ?? 0
            if length == 64 { return String(decoding: text, as: UTF8.self) }
        }
        let digest = try compute(path)
        remember(digest, at: note)
        return digest
    }

    /// Takes note of a digest that was made while the file was written.
    ///
    /// **Throws:** `unreadable`.
    package func note(_ digest: String, ofFile path: String) throws(StoreError) {
        remember(digest, at: try note(ofFile: path))
    }

    private func note(ofFile path: String) throws(StoreError) -> String {
        let facts = try FileFacts(path: path)
        let identity = "\(facts.identity) \(facts.byteCount) \(facts.modifiedNanoseconds)"
        return "\(folder)/\(Hexadecimal.text(SHA256.hash(data: Array(identity.utf8))).prefix(32)).sha256"
    }

    private func compute(_ path: String) throws(StoreError) -> String {
        do {
            let file = try FileDescriptor.open(FilePath(path), .readOnly)
            defer { try? file.close() }
            var hash = SHA256()
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: FileCopy.bufferByteCount, alignment: 16)
            defer { buffer.deallocate() }
            while true {
                let length = try file.read(into: buffer)
                guard length > 0 else { break }
                hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<length]))
            }
            return Hexadecimal.text(hash.finalize())
        } catch {
            throw .unreadable(path: path, reason: "\(error)")
        }
    }

    /// Losing the note costs only time, so failures are ignored.
    private func remember(_ digest: String, at note: String) {
        guard (try? StoreFiles.makeFolders(folder)) != nil else { return }
        let temporary = StoreFiles.temporaryName(for: note)
        guard
            let file = try? FileDescriptor.open(
                FilePath(temporary), .writeOnly, options: [.create, .truncate], permissions: .ownerReadWrite)
        else { return }
        _ = try? file.writeAll(Array(digest.utf8))
        try? file.close()
        rename(temporary, note)
    }
}
