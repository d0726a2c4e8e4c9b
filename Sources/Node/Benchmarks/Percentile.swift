/// Percentiles of a series.
enum Percentile {
    /// The value below which the fraction lies, between neighbours by distance; not a number for nothing.
    static func of(_ fraction: Double, sorted: [Double]) -> Double {
        guard let last = sorted.last else { return .nan }
        let place = fraction * Double(sorted.count - 1)
        let index = Int(place)
        guard index + 1 < sorted.count else { return last }
        return sorted[index] + (sorted[index + 1] - sorted[index]) * (place - Double(index))
    }
}
