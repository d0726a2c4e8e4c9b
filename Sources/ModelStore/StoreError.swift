package import GGUF
import SystemPackage
package import Vocabulary

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Why the model store could not do its work. Each case names the file and the next step.
package enum StoreError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A file is missing, is no regular file, or may not be read.
    case unreadable(path: String, reason: String)
    /// A file could not be written.
    case unwritable(path: String, reason: String)
    /// A model file is malformed.
    case malformed(path: String, error: GGUFError)
    /// A model file is well formed but holds something the engine would not survive.
    case unsound(path: String, finding: String)
    /// A model cannot be cut as asked.
    case illegalCut(path: String, error: CutError)
    /// The disk has less room than a stage file needs.
    case diskFull(path: String, needed: ByteCount, free: ByteCount)
    /// A file that arrives is longer than one may be.
    case tooLong(path: String, byteCount: ByteCount, limit: ByteCount)
    /// A file that arrived is not what it was announced as.
    case wrongDigest(path: String, expected: String, actual: String)
    /// So many files are arriving.
    case busy(path: String, limit: Int)

    /// One sentence with the file, the numbers and the next step.
    package var description: String {
        switch self {
        case .unreadable(let path, let reason):
            "Cannot read \(path): \(reason); check the path and its permissions."
        case .unwritable(let path, let reason):
            "Cannot write \(path): \(reason); check the folder, its permissions and the disk."
        case .malformed(let path, let error):
            "\(path) is not a sound GGUF file: \(error)"
        case .unsound(let path, let finding):
            "\(path) is refused: \(finding)"
        case .illegalCut(let path, let error):
            "\(path) cannot be cut this way: \(error)"
        case .diskFull(let path, let needed, let free):
            "Writing \(path) needs \(needed) but the disk has \(free) free; free some space or move the cache "
                + "(XDG_CACHE_HOME)."
        case .tooLong(let path, let byteCount, let limit):
            "\(path) would have \(byteCount) or more; the limit is \(limit). Put the file on the machine instead."
        case .wrongDigest(let path, let expected, let actual):
            "\(path) has the digest \(actual) instead of \(expected); send the file again."
        case .busy(let path, let limit): "\(path) has to wait: \(limit) files are arriving; try again later."
        }
    }
}

extension StoreError {
    /// What a failed write means; `needed` bytes were to be written.
    static func failed(writing path: String, _ error: any Error, needed: UInt64 = 0) -> StoreError {
        guard let number = error as? Errno, number == .noSpace || number.rawValue == EDQUOT else {
            return .unwritable(path: path, reason: "\(error)")
        }
        let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        var facts = statvfs()
        let free = statvfs(folder, &facts) == 0 ? UInt64(facts.f_bavail) * UInt64(facts.f_frsize) : 0
        return .diskFull(path: path, needed: ByteCount(needed), free: ByteCount(free))
    }
}
