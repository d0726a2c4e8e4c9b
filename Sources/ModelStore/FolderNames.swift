#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Names of the files in a folder.
package enum FolderNames {
    /// Most files that are looked at.
    private static let limit = 1 << 16

    /// All of them, sorted; none of a folder that cannot be read.
    package static func all(in folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while names.count < limit, let entry = readdir(directory) {
            names.append(
                withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
        }
        return names.sorted()
    }
}
