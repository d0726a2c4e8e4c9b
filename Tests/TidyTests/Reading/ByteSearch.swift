import Foundation

/// Finds words and lines in whole files at the speed of the C library, so that a debug build stays quick.
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

    /// The bytes of every line, without its newline; a newline at the end starts no further line.
    static func lines(of bytes: [UInt8]) -> [Range<Int>] {
        var lines: [Range<Int>] = []
        var start = 0
        bytes.withUnsafeBytes { text in
            while start < bytes.count, let base = text.baseAddress {
                let hit = memchr(base + start, Int32(Ascii.newline), bytes.count - start)
                let end = hit.map { UnsafeRawPointer($0) - base } ?? bytes.count
                lines.append(start..<end)
                start = end + 1
            }
        }
        return lines
    }
}
