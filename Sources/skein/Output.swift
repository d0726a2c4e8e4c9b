#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

private let systemWrite = write
private let systemExit = exit

/// What the command line says to people and scripts.
enum Output {
    /// A line on standard output, at once.
    static func line(_ text: String) {
        write(text + "\n", to: STDOUT_FILENO)
    }

    /// A line on standard error.
    static func error(_ text: String) {
        write("skein: \(text)\n", to: STDERR_FILENO)
    }

    /// Ends the program.
    static func exit(_ code: Int32) -> Never { systemExit(code) }

    /// Unbuffered, so that scripts and logs see lines in the order they were said.
    private static func write(_ text: String, to descriptor: Int32) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { bytes in
                bytes.baseAddress.map { systemWrite(descriptor, $0, bytes.count) } ?? 0
            }
            guard written > 0 else { return }
            rest = rest.dropFirst(written)
        }
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
