/// News waiting to be passed on: what was told least often goes first, and newer news about a node replaces older.
struct GossipQueue<Item: Sendable>: Sendable {
    private struct Waiting: Sendable {
        var node: NodeID
        var generation: UInt64
        var item: Item
        var size: Int
    }

    /// `levels[n]` was told n times.
    private var levels: [[Waiting]] = []
    /// The newest generation of each node; never iterated.
    private var newest: [NodeID: UInt64] = [:]
    private var generation: UInt64 = 0
    private(set) var count = 0

    /// Adds news about a node. When the queue is full the news is dropped: a later exchange of everything mends it.
    mutating func add(_ item: Item, about node: NodeID, size: Int) {
        if newest[node] == nil {
            guard count < Limits.gossipQueue else { return }
            count += 1
        }
        generation += 1
        newest[node] = generation
        if levels.isEmpty { levels.append([]) }
        levels[0].append(Waiting(node: node, generation: generation, item: item, size: size))
        // What was replaced is dropped when its turn comes; at the latest here, so that the queue keeps its bound.
        guard levels[0].count > 2 * count + 64 else { return }
        levels[0].removeAll { newest[$0.node] != $0.generation }
    }

    /// Takes what fits `budget` bytes, and reduces the budget; each item is told `times` times in all.
    mutating func take(budget: inout Int, times: Int) -> [Item] {
        guard count > 0 else { return [] }
        var taken: [Item] = []
        var told: [(level: Int, waiting: Waiting)] = []
        for level in levels.indices where budget > 0 && !levels[level].isEmpty {
            var index = 0
            var kept: [Waiting] = []
            while index < levels[level].count {
                let waiting = levels[level][index]
                guard newest[waiting.node] == waiting.generation else {
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
            guard level < times else {
                newest[waiting.node] = nil
                count -= 1
                continue
            }
            while levels.count <= level { levels.append([]) }
            levels[level].append(waiting)
        }
        return taken
    }

    /// Forgets news about a node.
    mutating func remove(_ node: NodeID) {
        if newest.removeValue(forKey: node) != nil { count -= 1 }
    }
}
