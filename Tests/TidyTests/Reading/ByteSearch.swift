import Foundation

/// Finds words in whole files at the speed of the C library, so that a debug build stays quick.
enum ByteSearch {
    /// Every place of `needle` (at least one byte), in order, up to the first zero byte; text has none.
    static func ranges(of needle: String, in bytes: [UInt8]) -> [Range<Int>] {
        let length = needle.utf8.count
        var found: [Range<Int>] = []
        (bytes + [0]).withUnsafeBytes { haystack in
            guard let base = haystack.bindMemory(to: CChar.self).baseAddress else { return }
            var start = 0
            while let hit = strstr(base + start, needle) {
                let lower = UnsafePointer(hit) - base
                found.append(lower..<lower + length)
                start = lower + length
            }
        }
        return found
    }
}
