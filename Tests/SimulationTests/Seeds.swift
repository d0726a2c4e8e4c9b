import Foundation

/// Seeds of the simulated worlds: `SEED=n` in the environment runs that seed alone, `SEEDS=n` the first n.
enum Seeds {
    static func first(_ count: Int) -> [UInt64] {
        if let seed = number("SEED") { return [seed] }
        return (1...(number("SEEDS") ?? UInt64(count))).map { $0 }
    }

    private static func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    /// Worlds that fit a debug build; a release build runs more in less time.
    static var usual: Int { isDebug ? 60 : 2000 }

    /// A debug build takes twenty times as long.
    static var isDebug: Bool {
        var isDebug = false
        assert({ isDebug = true }() == ())
        return isDebug
    }
}
