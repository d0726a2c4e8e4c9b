import Vocabulary

/// Which KV cells the lanes' positions fill, kept as the engines do it: a copy shares the cells of its source, and a
/// cell is free again when no lane refers to it. So the brain knows exactly how much room there is.
struct CellLedger {
    private struct Cell {
        var lanes: Int32 = 0
        /// Lanes among them that belong to a running request.
        var running: Int32 = 0
    }

    private var cells: [Cell] = []
    private var spare: [Int32] = []
    /// Cells by position, per lane.
    private var lanes: [[Int32]]
    private var isIdle: [Bool]

    /// Cells that hold something.
    private(set) var usedCount = 0
    /// Used cells that no running request refers to.
    private(set) var idleCount = 0

    init(laneCount: Int) {
        lanes = Array(repeating: [], count: laneCount)
        isIdle = Array(repeating: false, count: laneCount)
    }

    /// Positions a lane holds.
    func length(of lane: Lane) -> Int { lanes[Int(lane.index)].count }

    /// A running lane computes `count` more positions.
    mutating func extend(_ lane: Lane, by count: Int) {
        for _ in 0..<count {
            let cell = spare.popLast() ?? Int32(cells.count)
            if Int(cell) == cells.count { cells.append(Cell()) }
            cells[Int(cell)] = Cell(lanes: 1, running: 1)
            lanes[Int(lane.index)].append(cell)
        }
        usedCount += count
    }

    /// The empty lane `target`, of a running request, refers to the first positions of `source`, too.
    mutating func share(from source: Lane, to target: Lane, length: Int) {
        let shared = Array(lanes[Int(source.index)].prefix(length))
        for cell in shared {
            if cells[Int(cell)].running == 0 { idleCount -= 1 }
            cells[Int(cell)].lanes += 1
            cells[Int(cell)].running += 1
        }
        lanes[Int(target.index)] = shared
    }

    /// A running lane forgets its positions from `length` on.
    mutating func trim(_ lane: Lane, to length: Int) {
        while lanes[Int(lane.index)].count > length {
            let cell = Int(lanes[Int(lane.index)].removeLast())
            cells[cell].lanes -= 1
            cells[cell].running -= 1
            if cells[cell].lanes == 0 {
                usedCount -= 1
                spare.append(Int32(cell))
            } else if cells[cell].running == 0 {
                idleCount += 1
            }
        }
    }

    /// The lane's request ended and its sequence stays.
    mutating func rest(_ lane: Lane) {
        isIdle[Int(lane.index)] = true
        for cell in lanes[Int(lane.index)] {
            cells[Int(cell)].running -= 1
            if cells[Int(cell)].running == 0 { idleCount += 1 }
        }
    }

    /// The lane is empty.
    mutating func clear(_ lane: Lane) {
        let wasIdle = isIdle[Int(lane.index)]
        for cell in lanes[Int(lane.index)] {
            let wasRunning = cells[Int(cell)].running > 0
            cells[Int(cell)].lanes -= 1
            if !wasIdle { cells[Int(cell)].running -= 1 }
            let (isUsed, isRunning) = (cells[Int(cell)].lanes > 0, cells[Int(cell)].running > 0)
            if !isUsed {
                usedCount -= 1
                spare.append(cell)
            }
            idleCount += (isUsed && !isRunning ? 1 : 0) - (wasRunning ? 0 : 1)
        }
        lanes[Int(lane.index)] = []
        isIdle[Int(lane.index)] = false
    }
}
