/// Sums and products of numbers that are bounded each, but not together: what does not fit 64 bits counts as the most
/// there is, which fits no machine either.
extension UInt64 {
    func addingSaturated(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }

    func multipliedSaturated(by other: UInt64) -> UInt64 {
        let (product, overflow) = multipliedReportingOverflow(by: other)
        return overflow ? .max : product
    }
}

extension Int64 {
    /// The nearest whole number from 0 to `limit`; what is no number counts as `limit`.
    init(_ value: Double, atMost limit: Int64) {
        // Not `<=`: the largest Int64 has no Double of its own, and the next one is beyond it.
        guard value < Double(limit) else {
            self = limit
            return
        }
        self = Int64(Swift.max(0, value).rounded())
    }
}
