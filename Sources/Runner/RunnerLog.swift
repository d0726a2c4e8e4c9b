#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Lines for people on standard error; the node passes them on to its own log.
enum RunnerLog {
    /// Writes one line.
    static func warn(_ line: String) {
        let bytes = Array("\(line)\n".utf8)
        bytes.withUnsafeBytes { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
