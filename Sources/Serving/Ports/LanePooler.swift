package import Vocabulary

/// Makes one vector of a lane's rows, which come chunk by chunk: a text may be longer than a microbatch.
package struct LanePooler: Sendable {
    /// How the rows become one vector.
    package let pooling: Pooling
    private var kept: [Float] = []
    /// Sums in double precision, so that the order of chunks does not show.
    private var sums: [Double] = []
    private var count = 0

    /// Has seen no row.
    package init(_ pooling: Pooling) { self.pooling = pooling }

    /// Whether every row counts, and not just the one that samples.
    package var needsAllRows: Bool { pooling != .last }

    /// Takes the next row. **Shape:** `row` is `[width]`.
    package mutating func add(_ row: Span<Float>) {
        count += 1
        switch pooling {
        case .first:
            if count == 1 { keep(row) }
        case .last: keep(row)
        case .mean:
            if sums.count != row.count { sums = Array(repeating: 0, count: row.count) }
            for index in row.indices { sums[index] += Double(row[index]) }
        }
    }

    private mutating func keep(_ row: Span<Float>) {
        kept.removeAll(keepingCapacity: true)
        for index in row.indices { kept.append(row[index]) }
    }

    /// The vector, not yet of length 1; empty before the first row. **Shape:** `[width]`.
    package var vector: [Float] {
        guard pooling == .mean, count > 0 else { return kept }
        return sums.map { Float($0 / Double(count)) }
    }
}
