/// What other streams notice of a long prompt that arrives.
struct ArrivalFigures: Sendable, CustomStringConvertible {
    /// Gaps between pieces before the prompt came, sorted. **Units:** milliseconds.
    var calm: [Double] = []
    /// Gaps that lie, at least in part, between the long request and its first token, sorted. **Units:** milliseconds.
    var busy: [Double] = []
    /// From the long request to its first token. **Units:** milliseconds.
    var firstMilliseconds: Double

    /// The longest gap and the wait, for people who wait.
    var description: String {
        "first token of the long prompt after \(BenchReport.rounded(firstMilliseconds)) ms, longest gap beside it "
            + "\(BenchReport.rounded(busy.last ?? .nan)) ms"
    }

    /// Figures of streams beside one long request. A stream that was still silent when it was cut has a gap up to then:
    /// otherwise a server that stops all others altogether would look best.
    init(others: [LoadRecord], long: LoadRecord) {
        let end = long.arrivals.first ?? long.ended
        firstMilliseconds = Double(end - long.sent) / 1e6
        for record in others {
            var arrivals = record.arrivals
            if record.end == .cut, let last = arrivals.last, last < end { arrivals.append(record.ended) }
            for (later, earlier) in zip(arrivals.dropFirst(), arrivals) {
                let gap = Double(later - earlier) / 1e6
                if later <= long.sent {
                    calm.append(gap)
                } else if earlier < end {
                    busy.append(gap)
                }
            }
        }
        calm.sort()
        busy.sort()
    }
}
