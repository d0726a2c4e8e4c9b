/// What one round of streams shows.
struct LoadFigures: Sendable, CustomStringConvertible {
    /// Tokens of all streams per second, from the first request to the end of the last answer.
    var tokensPerSecond: Double
    /// The same while every stream answers: from the last stream's first piece to the first stream's end.
    var decodeTokensPerSecond: Double
    /// From request to first piece, sorted. **Units:** milliseconds.
    var firsts: [Double]
    /// Between pieces of a stream, over all streams, sorted. **Units:** milliseconds.
    var gaps: [Double]

    /// The rates, for people who wait.
    var description: String {
        "\(BenchReport.rounded(tokensPerSecond)) tokens/s (\(BenchReport.rounded(decodeTokensPerSecond)) decoding)"
    }

    /// Figures of whole records.
    init(_ records: [LoadRecord]) {
        let tokens = records.reduce(0) { $0 + ($1.outputTokens ?? 0) }
        let pieces = records.reduce(0) { $0 + $1.arrivals.count }
        let began = records.map(\.sent).min() ?? 0
        let ended = records.map(\.ended).max() ?? 0
        tokensPerSecond = Double(tokens) / (Double(ended - began) / 1e9)
        // A piece may hold several tokens: a character of several bytes comes as one.
        let perPiece = Double(tokens) / Double(pieces)
        let allBegan = records.compactMap(\.arrivals.first).max() ?? 0
        let oneEnded = records.compactMap(\.arrivals.last).min() ?? 0
        if oneEnded > allBegan {
            let during = records.reduce(0) { sum, record in
                sum + record.arrivals.count { $0 > allBegan && $0 <= oneEnded }
            }
            decodeTokensPerSecond = Double(during) * perPiece / (Double(oneEnded - allBegan) / 1e9)
        } else {
            decodeTokensPerSecond = .nan
        }
        firsts = records.compactMap(\.firstMilliseconds).sorted()
        gaps = records.flatMap(\.gaps).sorted()
    }
}
