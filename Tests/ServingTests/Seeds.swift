import Foundation

/// Seeds of the random tests: `SEED=n` in the environment runs that seed alone.
enum Seeds {
    static func first(_ count: Int) -> [UInt64] {
        if let text = ProcessInfo.processInfo.environment["SEED"], let seed = UInt64(text) { return [seed] }
        return (1...UInt64(count)).map { $0 }
    }
}
