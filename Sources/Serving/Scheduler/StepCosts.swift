/// What a step takes on one stage by its number of rows, as timed when the stage was loaded.
///
/// The cost is far from a straight line: kernels differ by row count, and on some machines two rows cost four times
/// one. So it is measured, and whoever composes microbatches asks it.
/// **Source:** docs/internals/serving.md, Costs.
package struct StepCosts: Hashable, Sendable, Codable {
    /// One measured cost.
    package struct Point: Hashable, Sendable, Codable {
        /// Rows of the step.
        package var rows: Int
        /// **Units:** nanoseconds.
        package var nanoseconds: Double

        /// Makes a point.
        package init(rows: Int, nanoseconds: Double) {
            self.rows = rows
            self.nanoseconds = nanoseconds
        }
    }

    /// Row counts worth timing, the most telling first: what is left out for lack of time lies between two others.
    package static let rowCounts = [1, 2, 4, 8, 16, 12, 3, 6, 32, 24, 64, 128, 256, 512]

    /// Each count of up to so many rows that is seen gets a point of its own: they decide how lanes share steps.
    private static let seenRows = 64

    /// By ascending rows, none twice.
    package private(set) var points: [Point]

    /// Takes measurements in any order; of the same row count the shortest counts, because what disturbs a measurement
    /// only lengthens it. Nil without any, or when one is not positive.
    package init?(_ measured: [Point]) {
        guard !measured.isEmpty, measured.allSatisfy({ $0.rows > 0 && $0.nanoseconds > 0 && $0.nanoseconds.isFinite })
        else { return nil }
        var points: [Point] = []
        for point in measured.sorted(by: { ($0.rows, $0.nanoseconds) < ($1.rows, $1.nanoseconds) })
        where points.last?.rows != point.rows {
            points.append(point)
        }
        self.points = points
    }

    /// Takes what a step took in service. Only a shorter time counts, as when measuring; and what many rows took, fewer
    /// take at most. **Units:** nanoseconds.
    package mutating func see(rows: Int, took nanoseconds: Double) {
        guard rows > 0, nanoseconds > 0, nanoseconds < boundNanoseconds(rows: rows) else { return }
        let place = points.firstIndex { $0.rows >= rows } ?? points.endIndex
        for index in points.indices[..<place] {
            points[index].nanoseconds = min(points[index].nanoseconds, nanoseconds)
        }
        if place < points.endIndex, points[place].rows == rows {
            points[place].nanoseconds = nanoseconds
        } else if rows <= Self.seenRows {
            points.insert(Point(rows: rows, nanoseconds: nanoseconds), at: place)
        }
    }

    /// Expected time of a step. Between two measured counts on the line between them, beyond the last one by its cost
    /// per row. **Units:** nanoseconds.
    package func nanoseconds(rows: Int) -> Double {
        guard let first = points.first, let last = points.last, rows > first.rows else {
            return points.first?.nanoseconds ?? 0
        }
        guard rows < last.rows else { return last.nanoseconds * Double(rows) / Double(last.rows) }
        let next = points.firstIndex { $0.rows >= rows } ?? points.endIndex - 1
        let (low, high) = (points[next - 1], points[next])
        let share = Double(rows - low.rows) / Double(high.rows - low.rows)
        return low.nanoseconds + share * (high.nanoseconds - low.nanoseconds)
    }

    /// What a step takes at most: that of the next timed count. Kernels work on tiles of rows, and a count between two
    /// timed ones often costs as much as the larger one. **Units:** nanoseconds.
    package func boundNanoseconds(rows: Int) -> Double {
        let timed = points.first { $0.rows >= rows }?.rows ?? rows
        return max(nanoseconds(rows: rows), nanoseconds(rows: timed))
    }
}
