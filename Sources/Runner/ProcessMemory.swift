import FoundationEssentials

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Memory a process takes, as its system counts it.
package struct ProcessMemory: Hashable, Sendable, Codable {
    /// All of it that is resident, pages of files included. **Units:** bytes.
    package var residentBytes: UInt64
    /// What of it no file stands behind; nil where the system does not tell. **Units:** bytes.
    package var anonymousBytes: UInt64?

    /// Makes figures.
    package init(residentBytes: UInt64, anonymousBytes: UInt64?) {
        self.residentBytes = residentBytes
        self.anonymousBytes = anonymousBytes
    }

    /// This process; nil when the system does not tell.
    package static var own: ProcessMemory? {
        #if os(Linux)
            guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else { return nil }
            return ProcessMemory(status: text)
        #else
            var info = mach_task_basic_info()
            var count = mach_msg_type_number_t(
                MemoryLayout<mach_task_basic_info>.size / MemoryLayout<integer_t>.size)
            let status = withUnsafeMutablePointer(to: &info) { pointer in
                pointer.withMemoryRebound(to: integer_t.self, capacity: Int(count)) {
                    task_info(mach_task_self_, task_flavor_t(MACH_TASK_BASIC_INFO), $0, &count)
                }
            }
            guard status == KERN_SUCCESS else { return nil }
            return ProcessMemory(residentBytes: UInt64(info.resident_size), anonymousBytes: nil)
        #endif
    }

    /// Reads Linux's `/proc/PID/status`; nil when it lacks the resident size.
    package init?(status: String) {
        func field(_ name: String) -> UInt64? {
            let line = status.split(separator: "\n").first { $0.hasPrefix(name + ":") }
            let words = line?.dropFirst(name.count + 1).split { $0 == " " || $0 == "\t" }
            guard let words, words.count == 2, words[1] == "kB", let kilobytes = UInt64(words[0]) else { return nil }
            let (bytes, overflow) = kilobytes.multipliedReportingOverflow(by: 1024)
            return overflow ? nil : bytes
        }
        guard let resident = field("VmRSS") else { return nil }
        self.init(residentBytes: resident, anonymousBytes: field("RssAnon"))
    }
}
