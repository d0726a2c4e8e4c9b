package import Gateway
import ModelStore
import Synchronization
import SystemPackage

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// `keys.json` in the data directory: the API keys of a node, without the keys themselves.
///
/// **Encoding:** JSON, mode 0600; replaced as a whole, so that a reader sees the old keys or the new ones.
package final class KeyFile: KeyProviding {
    /// What tells one version of the file from another.
    private struct Stamp: Equatable {
        let seconds: Int
        let nanoseconds: Int
        let size: Int64
        let node: UInt64
    }

    private struct Kept {
        let stamp: Stamp?
        let book: KeyBook
    }

    private let path: String
    private let kept = Mutex<Kept?>(nil)

    /// The key file of a data directory; it need not exist.
    package init(dataFolder: String) { path = "\(dataFolder)/keys.json" }

    /// The keys as the file has them now; none when there is no file. The file is read again only when it has changed.
    ///
    /// **Throws:** `KeyBookError.unreadable` or `damaged`.
    package func current() throws(KeyBookError) -> KeyBook {
        let stamp = try stamp()
        if let kept = kept.withLock({ $0 }), kept.stamp == stamp { return kept.book }
        let book = stamp == nil ? KeyBook() : try KeyBook(json: try read(), path: path)
        kept.withLock { $0 = Kept(stamp: stamp, book: book) }
        return book
    }

    /// Changes the keys. Two changes at the same time wait for each other, in this process or another one.
    ///
    /// **Throws:** what `body` throws, and `KeyBookError.unreadable`, `damaged` or `unwritable`.
    package func change<Value>(_ body: (inout KeyBook) throws(KeyBookError) -> Value) throws(KeyBookError) -> Value {
        let lock = try lock()
        defer { try? lock.close() }
        var book = try stamp() == nil ? KeyBook() : KeyBook(json: read(), path: path)
        let value = try body(&book)
        try write(book.json)
        return value
    }

    // MARK: The file

    private func stamp() throws(KeyBookError) -> Stamp? {
        var facts = stat()
        guard stat(path, &facts) == 0 else {
            if errno == ENOENT { return nil }
            throw .unreadable(path: path, reason: "\(Errno(rawValue: errno))")
        }
        #if os(macOS)
            let time = facts.st_mtimespec
        #else
            let time = facts.st_mtim
        #endif
        return Stamp(
            seconds: Int(time.tv_sec), nanoseconds: Int(time.tv_nsec), size: Int64(facts.st_size),
            node: UInt64(facts.st_ino))
    }

    private func read() throws(KeyBookError) -> [UInt8] {
        do {
            let source = try FileByteSource(path: path)
            guard source.byteCount <= UInt64(Gateway.Limits.keyFileBytes) else {
                throw KeyBookError.damaged(path: path, reason: "it is longer than \(Gateway.Limits.keyFileBytes) bytes")
            }
            return try source.read(at: 0, count: Int(source.byteCount))
        } catch let error as KeyBookError {
            throw error
        } catch {
            throw .unreadable(path: path, reason: "\(error)")
        }
    }

    private func write(_ bytes: [UInt8]) throws(KeyBookError) {
        do { try StoreFiles.replace(path, with: bytes) } catch {
            throw .unwritable(path: path, reason: "\(error)")
        }
    }

    /// Waits for other changes to be over. The lock is a file of its own, because the key file is replaced.
    private func lock() throws(KeyBookError) -> FileDescriptor {
        do {
            let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            try StoreFiles.makeFolders(folder.joined(separator: "/"))
            let file = try FileDescriptor.open(
                FilePath("\(path).lock"), .readWrite, options: [.create], permissions: .ownerReadWrite)
            while flock(file.rawValue, LOCK_EX) != 0 {
                guard errno == EINTR else { throw Errno(rawValue: errno) }
            }
            return file
        } catch {
            throw .unwritable(path: path, reason: "\(error)")
        }
    }
}
