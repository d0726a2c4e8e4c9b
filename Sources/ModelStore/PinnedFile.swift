import SystemPackage

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

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

    /// Records that the file was used now. The time of its last change stays: digests are remembered by it.
    package func touch() {
        _ = futimens(descriptor.rawValue, [Self.now, Self.unchanged])
    }

    // The header has these as casts, which Swift does not see.
    #if canImport(Glibc)
        private static let now = timespec(tv_sec: 0, tv_nsec: 0x3FFF_FFFF)
        private static let unchanged = timespec(tv_sec: 0, tv_nsec: 0x3FFF_FFFE)
    #else
        private static let now = timespec(tv_sec: 0, tv_nsec: -1)
        private static let unchanged = timespec(tv_sec: 0, tv_nsec: -2)
    #endif

    /// Removes a file unless somebody has it pinned.
    static func removeIfUnused(path: String) -> Bool {
        guard let opened = try? FileDescriptor.open(FilePath(path), .readOnly) else { return false }
        defer { try? opened.close() }
        return flock(opened.rawValue, LOCK_EX | LOCK_NB) == 0 && unlink(path) == 0
    }
}
