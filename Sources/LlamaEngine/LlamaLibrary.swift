import CLlama
import CLlamaExtras
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Process-wide state of the C library: initialised once, its log captured.
package enum LlamaLibrary {
    private static let isReady: Bool = {
        // ggml would start a debugger to print a backtrace when it aborts; the runner's exit says enough.
        unsafe setenv("GGML_NO_BACKTRACE", "1", 1)
        unsafe llama_log_set({ level, text, _ in unsafe LlamaLibrary.record(level, text) }, nil)
        extras_init()
        llama_backend_init()
        return true
    }()

    private static let log = Mutex(LogTail())

    /// Initialises the library on first use. Every owner in this module calls it.
    package static func start() {
        precondition(isReady, "the library's initialiser always answers true")
    }

    /// The library's version, as it reports itself.
    package static var version: String { unsafe String(cString: llama_version()) }

    /// The build of the library: another pin, flag, compiler, processor or forced header makes another one
    /// (`Scripts/llama.sh`). What is measured of one is not true of another.
    package static var build: String { SKEIN_ENGINE_BUILD }

    /// The last warnings and errors of the library, oldest first, at most `LogTail.lineLimit` lines.
    package static var lastWords: [String] { log.withLock(\.lines) }

    /// Forgets the captured log, so that a later `lastWords` speaks of one operation only.
    package static func clearLog() { log.withLock { $0.lines.removeAll(keepingCapacity: true) } }

    /// The captured log as one sentence fragment for an error, or `fallback` when the library said nothing.
    static func reason(or fallback: String) -> String {
        let words = lastWords.suffix(4)
        return words.isEmpty ? fallback : words.joined(separator: "; ")
    }

    static func record(_ level: ggml_log_level, _ text: UnsafePointer<CChar>?) {
        guard level == GGML_LOG_LEVEL_WARN || level == GGML_LOG_LEVEL_ERROR, let text = unsafe text else { return }
        let line = unsafe String(cString: text)
        log.withLock { $0.append(line) }
    }
}

/// A bounded tail of log lines.
struct LogTail {
    /// Lines kept.
    static let lineLimit = 64
    /// Characters kept per line.
    static let characterLimit = 512

    var lines: [String] = []

    mutating func append(_ text: String) {
        var line = text.prefix(Self.characterLimit)
        while line.last?.isNewline == true { line.removeLast() }
        guard !line.isEmpty else { return }
        if lines.count == Self.lineLimit { lines.removeFirst() }
        lines.append(String(line))
    }
}
