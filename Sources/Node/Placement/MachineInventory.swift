import FoundationEssentials
package import Placement
import Vocabulary

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// This machine, as planning sees it.
package enum MachineInventory {
    /// This machine alone, with the memory its system offers now minus what stays reserved. The system does not tell
    /// its speed and whether it tiles weights.
    package static func thisMachine(speed: DeviceSpeed = DeviceSpeed(), tilesWeights: Bool? = nil) -> Inventory {
        let memory = systemMemory()
        let usable = memory.available.map { available in
            let reserve = MachineReserve.byteCount(total: memory.total ?? available)
            return ByteCount(available.bytes - min(available.bytes, reserve.bytes))
        }
        let device = DeviceInventory(
            usableMemory: usable, totalMemory: memory.total, speed: speed, tilesWeights: tilesWeights)
        return Inventory(nodes: [NodeInventory(name: hostName, devices: [device])])
    }

    /// Threads of a stage that has the machine for itself.
    package static var coreCount: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

    /// What the speed of this machine depends on: the machine, its processor, the cores this process may use.
    static var fingerprint: String {
        "\(hostName) \(processorName ?? "") \(ProcessInfo.processInfo.activeProcessorCount)"
    }

    private static var hostName: String {
        let name = ProcessInfo.processInfo.hostName
        return name.split(separator: ".").first.map(String.init) ?? "this-machine"
    }

    #if os(Linux)
        /// What `MemAvailable` says: memory that a new program may take without swapping; but no more than the
        /// control group this process is in allows.
        private static func systemMemory() -> (available: ByteCount?, total: ByteCount?) {
            guard let text = try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8) else { return (nil, nil) }
            func field(_ name: String) -> UInt64? {
                let line = text.split(separator: "\n").first { $0.hasPrefix(name + ":") }
                return line?.split(separator: " ").dropFirst().first.flatMap { UInt64($0) }.map { $0 * 1024 }
            }
            var available = field("MemAvailable")
            var total = field("MemTotal")
            if let limit = number("/sys/fs/cgroup/memory.max") {
                let used = number("/sys/fs/cgroup/memory.current") ?? 0
                available = available.map { min($0, limit - min(limit, used)) }
                total = total.map { min($0, limit) }
            }
            return (available.map { ByteCount($0) }, total.map { ByteCount($0) })
        }

        /// The processor's name; on boards that do not tell it, the board's.
        static var processorName: String? {
            guard let text = try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8) else { return nil }
            let lines = text.split(separator: "\n")
            let line = ["model name", "Hardware", "Model"].lazy.compactMap { name in
                lines.first { $0.hasPrefix(name) }
            }.first
            return line?.split(separator: ":").last.map { String($0.drop { $0 == " " }) }
        }

        private static func number(_ path: String) -> UInt64? {
            guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
            return UInt64(text.filter(\.isNumber))
        }
    #else
        /// The processor's name.
        static var processorName: String? {
            var length = 0
            guard sysctlbyname("machdep.cpu.brand_string", nil, &length, nil, 0) == 0, length > 0 else { return nil }
            var bytes = [UInt8](repeating: 0, count: length)
            guard sysctlbyname("machdep.cpu.brand_string", &bytes, &length, nil, 0) == 0 else { return nil }
            return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }

        /// Free, inactive and purgeable pages: what the system hands out without swapping.
        private static func systemMemory() -> (available: ByteCount?, total: ByteCount?) {
            let total = ByteCount(ProcessInfo.processInfo.physicalMemory)
            var statistics = vm_statistics64()
            var count = mach_msg_type_number_t(
                MemoryLayout<vm_statistics64>.size / MemoryLayout<integer_t>.size)
            let status = withUnsafeMutablePointer(to: &statistics) { pointer in
                pointer.withMemoryRebound(to: integer_t.self, capacity: Int(count)) {
                    host_statistics64(mach_host_self(), HOST_VM_INFO64, $0, &count)
                }
            }
            guard status == KERN_SUCCESS else { return (nil, total) }
            let pages =
                UInt64(statistics.free_count) + UInt64(statistics.inactive_count)
                + UInt64(statistics.purgeable_count)
            return (ByteCount(pages * UInt64(sysconf(Int32(_SC_PAGESIZE)))), total)
        }
    #endif
}
