import Serving
import Vocabulary

/// Rows of images that were encoded: those used last are kept, for the next turn of their conversation, and those that
/// requests hold are counted.
struct ImageShelf {
    /// What rows are made of.
    struct Key: Hashable {
        let image: [UInt8]
        let part: Int
    }

    private struct Entry {
        let key: Key
        let rows: ImageRows
    }

    private struct Holder {
        weak let rows: ImageRows?
        let byteCount: Int
    }

    /// Kept rows, the ones not used for longest first.
    private var entries: [Entry] = []
    private var keptBytes = 0
    private var holders: [Holder] = []
    private let keptLimit: Int
    private let heldLimit: Int

    init(keptLimit: Int = Limits.keptImageBytes, heldLimit: Int = Limits.heldImageBytes) {
        self.keptLimit = keptLimit
        self.heldLimit = heldLimit
    }

    /// Images that requests hold, or that are kept.
    var heldCount: Int { holders.count { $0.rows != nil } }

    /// Rows encoded before.
    mutating func take(_ key: Key) -> ImageRows? {
        guard let index = entries.lastIndex(where: { $0.key == key }) else { return nil }
        entries.append(entries.remove(at: index))
        return entries.last?.rows
    }

    /// Whether there is room for so many bytes beside what requests hold; kept rows nobody holds make way.
    mutating func makeRoom(for byteCount: Int) -> Bool {
        while true {
            holders.removeAll { $0.rows == nil }
            if holders.reduce(byteCount, { $0 + $1.byteCount }) <= heldLimit { return true }
            guard !entries.isEmpty else { return false }
            drop()
        }
    }

    mutating func put(_ key: Key, _ rows: ImageRows) {
        let byteCount = rows.values.count * MemoryLayout<Float>.size
        holders.append(Holder(rows: rows, byteCount: byteCount))
        guard byteCount <= keptLimit else { return }
        entries.append(Entry(key: key, rows: rows))
        keptBytes += byteCount
        while keptBytes > keptLimit { drop() }
    }

    private mutating func drop() {
        keptBytes -= entries.removeFirst().rows.values.count * MemoryLayout<Float>.size
    }
}
