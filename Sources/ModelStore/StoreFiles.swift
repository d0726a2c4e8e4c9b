import Synchronization
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Small chores around the files of the store.
package enum StoreFiles {
    /// Makes sure that `path` holds `bytes`; an existing file of the right length is taken as it is.
    ///
    /// **Throws:** `StoreError.unwritable`, or `diskFull`.
    package static func write(_ bytes: UnsafeRawBufferPointer, to path: String) throws(StoreError) {
        if let facts = try? FileFacts(path: path), facts.byteCount == UInt64(bytes.count) { return }
        let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        try makeFolders(folder)
        do {
            try replace(path, with: bytes, permissions: [.ownerReadWrite, .groupRead])
        } catch {
            throw StoreError.failed(writing: path, error, needed: UInt64(bytes.count))
        }
    }

    /// Replaces a file, or makes it: whoever reads it meets the old content or the new one, never a part, and so does a
    /// machine that lost its power.
    ///
    /// **Throws:** what the system says; the old content stays then.
    package static func replace(
        _ path: String, with bytes: some Sequence<UInt8>, permissions: FilePermissions = .ownerReadWrite
    ) throws {
        let temporary = temporaryName(for: path)
        // What an interrupted writer left could have other permissions.
        unlink(temporary)
        do {
            let file = try FileDescriptor.open(
                FilePath(temporary), .writeOnly, options: [.create, .exclusiveCreate], permissions: permissions)
            defer { try? file.close() }
            try file.writeAll(bytes)
            guard fsync(file.rawValue) == 0, rename(temporary, path) == 0 else { throw Errno(rawValue: errno) }
        } catch {
            unlink(temporary)
            throw error
        }
    }

    /// Makes a large file, or replaces it, piece by piece: nobody sees a part of it, nor after a power failure.
    ///
    /// **Units:** the finished file has `byteCount` bytes, whatever `body` wrote last; `copied` of them need room.
    /// **Throws:** `StoreError.unwritable`, or `diskFull`; there is no file then.
    static func make(
        _ path: String, byteCount: UInt64, copied: UInt64? = nil,
        permissions: FilePermissions = [.ownerReadWrite, .groupRead, .otherRead],
        _ body: (FileDescriptor) throws -> Void
    ) throws(StoreError) {
        let temporary = temporaryName(for: path)
        do {
            let file = try FileDescriptor.open(
                FilePath(temporary), .readWrite, options: [.create, .truncate], permissions: permissions)
            defer { try? file.close() }
            // Held while it is written: what nobody holds was left by a process that died.
            _ = flock(file.rawValue, LOCK_SH)
            try body(file)
            guard ftruncate(file.rawValue, off_t(byteCount)) == 0, fsync(file.rawValue) == 0,
                rename(temporary, path) == 0
            else { throw Errno(rawValue: errno) }
        } catch {
            unlink(temporary)
            throw StoreError.failed(writing: path, error, needed: copied ?? byteCount)
        }
    }

    private static let nextTemporary = Atomic<UInt64>(0)
    private static let temporarySuffix = ".part"

    /// Whether a file has the name of one that a process was making in place of one that ends with `suffix`, and that
    /// process is gone.
    static func isAbandoned(_ name: String, of suffix: String) -> Bool {
        let parts = name.split(separator: ".")
        guard name.hasSuffix(temporarySuffix), parts.count > 3, ".\(parts[parts.count - 3])" == suffix,
            let process = pid_t(parts[parts.count - 2].prefix { $0 != "-" }), process > 0
        else { return false }
        return kill(process, 0) != 0 && errno == ESRCH
    }

    /// A name beside `path` that no other writer uses, in this process or another one.
    static func temporaryName(for path: String) -> String {
        "\(path).\(getpid())-\(nextTemporary.add(1, ordering: .relaxed).newValue)\(temporarySuffix)"
    }

    /// Removes a file that is no longer needed; a missing one is fine.
    package static func remove(_ path: String) { unlink(path) }

    /// Makes a folder and the folders above it.
    ///
    /// **Throws:** `StoreError.unwritable`.
    package static func makeFolders(_ folder: String) throws(StoreError) {
        var partial = folder.hasPrefix("/") ? "" : "."
        for part in folder.split(separator: "/") {
            partial += "/" + part
            if mkdir(partial, 0o755) != 0, errno != EEXIST {
                throw .unwritable(path: partial, reason: String(cString: strerror(errno)))
            }
        }
    }
}
