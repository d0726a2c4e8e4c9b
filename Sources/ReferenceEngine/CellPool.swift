import Vocabulary

/// The KV cells of a stage and which sequence holds which: a cell is shared by all sequences it was copied to.
struct CellPool: Sendable {
    private var free: [Int32]
    private var holders: [Int32]
    /// Cells of each lane, by position.
    private(set) var lanes: [[Int32]]

    init(cellCount: Int, laneCount: Int) {
        free = (0..<Int32(cellCount)).reversed()
        holders = Array(repeating: 0, count: cellCount)
        lanes = Array(repeating: [], count: laneCount)
    }

    var freeCount: Int { free.count }

    /// Adds a cell at the end of the lane; the caller MUST have checked that one is free.
    mutating func extend(_ lane: Int) -> Int {
        let cell = free.removeLast()
        holders[Int(cell)] = 1
        lanes[lane].append(cell)
        return Int(cell)
    }

    mutating func trim(_ lane: Int, from position: Int) {
        while lanes[lane].count > position {
            let cell = lanes[lane].removeLast()
            holders[Int(cell)] -= 1
            if holders[Int(cell)] == 0 { free.append(cell) }
        }
    }

    mutating func share(from source: Int, to target: Int, length: Int) {
        lanes[target] = Array(lanes[source].prefix(length))
        for cell in lanes[target] { holders[Int(cell)] += 1 }
    }
}
