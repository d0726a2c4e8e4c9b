package import Serving
package import Vocabulary

extension ReferenceStage {
    /// The lane's tokens and the keys and values of its cells. **Units/encoding:** 4-byte words, little-endian: the
    /// number of tokens, the tokens, then per layer the keys and the values by position.
    ///
    /// **Throws:** `invalidRow` for a lane outside the shape; `failed` for an empty one.
    package mutating func save(_ lane: Lane) throws(EngineError) -> [UInt8] {
        let index = try index(of: lane)
        let cells = pool.lanes[index]
        guard !cells.isEmpty else { throw refused("save", "lane \(index) is empty") }
        var words = [UInt32(cells.count)] + tokens[index].map { UInt32(bitPattern: $0) }
        for layer in model.layers.indices {
            for store in [keys, values] {
                for cell in cells {
                    let start = start(of: cell, layer)
                    words += store[start..<start + shape.width].map(\.bitPattern)
                }
            }
        }
        return words.flatMap { word in [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: word >> UInt32($0)) } }
    }

    /// Puts a saved state into an empty lane.
    ///
    /// **Throws:** `invalidRow` for a lane outside the shape; `failed` for a lane in use, bytes of another model or
    /// cut, and too few cells.
    package mutating func restore(_ lane: Lane, from bytes: [UInt8]) throws(EngineError) {
        let index = try index(of: lane)
        guard pool.lanes[index].isEmpty else { throw refused("restore", "lane \(index) is in use") }
        let words = stride(from: 0, to: bytes.count - 3, by: 4).map { at in
            (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[at + $1]) << UInt32(8 * $1) }
        }
        guard let first = words.first, let count = Int(exactly: first), count > 0, count <= pool.freeCount,
            words.count == 1 + count + 2 * model.layers.count * count * shape.width
        else { throw refused("restore", "\(bytes.count) bytes are no state of this stage, or too many") }
        tokens[index] = words[1...count].map { Token(bitPattern: $0) }
        open[index] = .keeping(length: Int32(count))
        for _ in 0..<count { _ = pool.extend(index) }
        var next = 1 + count
        for layer in model.layers.indices {
            for isKey in [true, false] {
                for cell in pool.lanes[index] {
                    for column in 0..<shape.width {
                        let value = Float(bitPattern: words[next])
                        let at = start(of: cell, layer) + column
                        if isKey { keys[at] = value } else { values[at] = value }
                        next += 1
                    }
                }
            }
        }
    }

    private func start(of cell: Int32, _ layer: Int) -> Int { (layer * shape.cellCount + Int(cell)) * shape.width }
}
