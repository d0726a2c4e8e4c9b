import ModelStore
import SystemPackage

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A short folder for sockets that only this user may enter: paths of Unix sockets are limited to about 100 bytes.
package enum SocketFolder {
    private static let parent = "/tmp"
    private static let prefix = "skein-"
    private static let suffixCount = 6
    private static let lockName = "lock"
    /// Folders tried before giving up: another process may take one for abandoned before it is locked.
    private static let tries = 8

    /// Calls `body` with a folder that lives as long as the call. What killed processes left goes first.
    ///
    /// **Throws:** `StoreError.unwritable`, and what `body` throws.
    package static func with<Value>(_ body: (String) async throws -> Value) async throws -> Value {
        removeAbandoned()
        let (folder, lock) = try make()
        defer {
            remove(folder)
            try? lock.close()
        }
        return try await body(folder)
    }

    private static func make() throws(StoreError) -> (folder: String, lock: FileDescriptor) {
        for _ in 0..<tries {
            var template = Array("\(parent)/\(prefix)\(String(repeating: "X", count: suffixCount))".utf8CString)
            guard let made = mkdtemp(&template) else {
                throw .unwritable(path: parent, reason: String(cString: strerror(errno)))
            }
            let folder = String(cString: made)
            if let lock = lock(folder, options: [.create]) { return (folder, lock) }
            remove(folder)
        }
        throw .unwritable(path: parent, reason: "other processes remove folders as soon as they are made")
    }

    /// The folder's lock, which the system takes back when the process ends; nil when somebody has it or there is none.
    private static func lock(_ folder: String, options: FileDescriptor.OpenOptions) -> FileDescriptor? {
        guard
            let file = try? FileDescriptor.open(
                FilePath("\(folder)/\(lockName)"), .writeOnly, options: options.union([.closeOnExec, .noFollow]),
                permissions: .ownerReadWrite)
        else { return nil }
        if flock(file.rawValue, LOCK_EX | LOCK_NB) == 0 { return file }
        try? file.close()
        return nil
    }

    /// Removes this user's folders whose processes are gone.
    private static func removeAbandoned() {
        for name in FolderNames.all(in: parent) where name.hasPrefix(prefix) && name.count == prefix.count + suffixCount
        {
            let folder = "\(parent)/\(name)"
            var facts = stat()
            guard lstat(folder, &facts) == 0, facts.st_mode & S_IFMT == S_IFDIR, facts.st_uid == getuid(),
                let lock = lock(folder, options: [])
            else { continue }
            remove(folder)
            try? lock.close()
        }
    }

    private static func remove(_ folder: String) {
        for name in FolderNames.all(in: folder) where name.hasSuffix(".sock") || name == lockName {
            unlink("\(folder)/\(name)")
        }
        rmdir(folder)
    }
}
