#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What the command line says to people and scripts.
enum Output {
    /// A line on standard output, at once.
    static func line(_ text: String) {
        print(text)
        fflush(stdout)
    }

    /// A line on standard error.
    static func error(_ text: String) {
        fputs("skein: \(text)\n", stderr)
    }
}

/// This program's own file, for starting runners.
enum ThisProgram {
    /// The absolute path of the running executable.
    static var path: String {
        get throws {
            #if canImport(Glibc)
                guard let resolved = realpath("/proc/self/exe", nil) else { return CommandLine.arguments[0] }
            #else
                var size: UInt32 = 4096
                var buffer = [CChar](repeating: 0, count: Int(size))
                guard _NSGetExecutablePath(&buffer, &size) == 0, let resolved = realpath(buffer, nil) else {
                    return CommandLine.arguments[0]
                }
            #endif
            defer { free(resolved) }
            return String(cString: resolved)
        }
    }
}
