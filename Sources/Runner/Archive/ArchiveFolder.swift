#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The folder of sequences on disk of one machine: one folder per model, cut and stage, their files inside.
package struct ArchiveFolder: Sendable {
    /// One file.
    package struct Entry: Sendable {
        /// Where it is.
        package let path: String
        /// **Units:** bytes.
        package let byteCount: UInt64
        /// Time of its last use. **Units:** nanoseconds since 1970.
        let usedAt: Int64
    }

    /// Where it is.
    package let path: String

    /// A folder that need not exist.
    package init(path: String) { self.path = path }

    /// All files of sequences, the one not used for longest first; empty when there is no folder.
    package func entries() -> [Entry] {
        var found: [Entry] = []
        for folder in Self.names(in: path) {
            let inside = "\(path)/\(folder)"
            for name in Self.names(in: inside) + Self.names(in: "\(inside)/damaged").map({ "damaged/\($0)" }) {
                var status = stat()
                guard name != "lock", lstat("\(inside)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFREG
                else { continue }
                #if canImport(Glibc)
                    let time = status.st_mtim
                #else
                    let time = status.st_mtimespec
                #endif
                found.append(
                    Entry(
                        path: "\(inside)/\(name)", byteCount: UInt64(max(0, status.st_size)),
                        usedAt: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)))
            }
        }
        return found.sorted { ($0.usedAt, $0.path) < ($1.usedAt, $1.path) }
    }

    /// Deletes the files not used for longest until `needed` more bytes stay within the limit; false when even an empty
    /// folder had too little room.
    func makeRoom(for needed: UInt64, limit: UInt64) -> Bool {
        guard needed <= limit else { return false }
        let entries = entries()
        var used = entries.reduce(UInt64(0)) { $0 + $1.byteCount }
        for entry in entries where used + needed > limit {
            if unlink(entry.path) == 0 || errno == ENOENT { used -= entry.byteCount }
        }
        return used + needed <= limit
    }

    /// Deletes everything that was written here, and answers how many files and bytes that were. Runners that use the
    /// folder find their sequences missing and compute them anew.
    package func deleteAll() -> (files: Int, bytes: UInt64) {
        var (files, bytes) = (0, UInt64(0))
        for entry in entries() where unlink(entry.path) == 0 {
            files += 1
            bytes += entry.byteCount
        }
        return (files, bytes)
    }

    /// Names in a folder, without those that begin with a point; empty when it cannot be read.
    static func names(in folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while names.count < ArchiveLimits.files, let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }

    /// Makes a folder for this user alone, and those above it; false when that is not possible.
    static func make(_ folder: String) -> Bool {
        var made = ""
        for part in folder.split(separator: "/", omittingEmptySubsequences: false) {
            made += made.isEmpty && part.isEmpty ? "" : "/\(part)"
            if !folder.hasPrefix("/"), made == "/\(part)" { made = String(part) }
            if !made.isEmpty, mkdir(made, 0o700) != 0, errno != EEXIST { return false }
        }
        return true
    }
}
