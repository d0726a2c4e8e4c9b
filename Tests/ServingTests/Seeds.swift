import Foundation

/// Seeds of the random tests: `SEED=n` in the environment runs that seed alone, `SEEDS=n` the first n.
enum Seeds {
    static func first(_ count: Int) -> [UInt64] {
        if let seed = number("SEED") { return [seed] }
        return (1...(number("SEEDS") ?? UInt64(count))).map { $0 }
    }

    private static func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    /// Worlds of random workloads. A debug build takes twenty times as long for each.
    static var usual: Int {
        var isDebug = false
        assert({ isDebug = true }() == ())
        return isDebug ? 160 : 1000
    }
}
