/// News waiting to be passed on: what was told least often goes first, and newer news about the same replaces older.
struct GossipQueue<Key: Hashable & Sendable, Item: Sendable>: Sendable {
    private struct Waiting: Sendable {
        var key: Key
        var generation: UInt64
        var item: Item
        var size: Int
        /// How often it is told in all.
        var times: Int
    }

    /// `levels[n]` was told n times.
    private var levels: [[Waiting]] = []
    /// The newest generation of each key; never iterated.
    private var newest: [Key: UInt64] = [:]
    private var generation: UInt64 = 0
    private(set) var count = 0

    /// Adds news to be told `times` times. When the queue is full the news is dropped: a later exchange mends it.
    mutating func add(_ item: Item, about key: Key, size: Int, times: Int) {
        if newest[key] == nil {
            guard count < Limits.gossipQueue else { return }
            count += 1
        }
        generation += 1
        newest[key] = generation
        if levels.isEmpty { levels.append([]) }
        levels[0].append(Waiting(key: key, generation: generation, item: item, size: size, times: times))
        // What was replaced is dropped when its turn comes; at the latest here, so that the queue keeps its bound.
        guard levels[0].count > 2 * count + 64 else { return }
        levels[0].removeAll { newest[$0.key] != $0.generation }
    }

    /// Takes what fits `budget` bytes, and reduces the budget.
    mutating func take(budget: inout Int) -> [Item] {
        guard count > 0 else { return [] }
        var taken: [Item] = []
        var told: [(level: Int, waiting: Waiting)] = []
        for level in levels.indices where budget > 0 && !levels[level].isEmpty {
            var index = 0
            var kept: [Waiting] = []
            while index < levels[level].count {
                let waiting = levels[level][index]
                guard newest[waiting.key] == waiting.generation else {
                    index += 1
                    continue
                }
                guard waiting.size <= budget else { break }
                budget -= waiting.size
                taken.append(waiting.item)
                told.append((level + 1, waiting))
                index += 1
            }
            kept.append(contentsOf: levels[level][index...])
            levels[level] = kept
        }
        for (level, waiting) in told {
            guard level < waiting.times else {
                newest[waiting.key] = nil
                count -= 1
                continue
            }
            while levels.count <= level { levels.append([]) }
            levels[level].append(waiting)
        }
        return taken
    }

    /// Forgets news.
    mutating func remove(_ key: Key) {
        if newest.removeValue(forKey: key) != nil { count -= 1 }
    }
}
