#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What the file system says of a regular file.
struct FileFacts {
    /// Length. **Units:** bytes.
    let byteCount: UInt64
    /// What it takes of the disk, holes left out. **Units:** bytes.
    let allocatedByteCount: UInt64
    /// Last change. **Units:** nanoseconds since 1970.
    let modifiedNanoseconds: Int64
    /// Last use as far as the cache records it. **Units:** nanoseconds since 1970.
    let accessedNanoseconds: Int64
    /// Device and file number: the file's identity while it exists.
    let identity: String

    /// Reads the facts of the file at `path`, following links.
    init(path: String) throws(StoreError) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw .unreadable(path: path, reason: String(cString: strerror(errno)))
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw .unreadable(path: path, reason: "it is not a regular file")
        }
        byteCount = UInt64(status.st_size)
        // The unit of st_blocks is 512 bytes, whatever the file system's own is.
        allocatedByteCount = UInt64(status.st_blocks) * 512
        #if canImport(Glibc)
            let modified = status.st_mtim
            let accessed = status.st_atim
        #else
            let modified = status.st_mtimespec
            let accessed = status.st_atimespec
        #endif
        modifiedNanoseconds = Int64(modified.tv_sec) * 1_000_000_000 + Int64(modified.tv_nsec)
        accessedNanoseconds = Int64(accessed.tv_sec) * 1_000_000_000 + Int64(accessed.tv_nsec)
        identity = "\(status.st_dev):\(status.st_ino)"
    }
}
