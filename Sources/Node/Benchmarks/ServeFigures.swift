/// Collects what rounds of one stream count show.
struct ServeFigures: Sendable {
    private let own: String
    private let other: String
    private var skein: [LoadFigures] = []
    private var peer: [LoadFigures] = []

    /// Names of the two sides in the results.
    init(_ own: String = "skein", over other: String = "peer") {
        self.own = own
        self.other = other
    }

    /// Takes one run: a round of each server.
    mutating func add(_ own: LoadFigures, _ other: LoadFigures?) {
        skein.append(own)
        if let other { peer.append(other) }
    }

    /// Results whose names begin with the number of streams.
    func results(streams: Int) -> [BenchReport.Result] {
        var results = Self.side("s\(streams)_\(own)", skein)
        guard !peer.isEmpty else { return results }
        results += Self.side("s\(streams)_\(other)", peer)
        func ratio(_ name: String, _ figure: (LoadFigures) -> Double) -> BenchReport.Result {
            .init("s\(streams)_\(name)", unit: "ratio", zip(skein, peer).map { figure($0) / figure($1) })
        }
        results.append(ratio("\(own)_over_\(other)", \.tokensPerSecond))
        results.append(ratio("decode_over_\(other)", \.decodeTokensPerSecond))
        results.append(ratio("ttft_p95_over_\(other)") { Percentile.of(0.95, sorted: $0.firsts) })
        return results
    }

    private static func side(_ name: String, _ runs: [LoadFigures]) -> [BenchReport.Result] {
        [
            .init("\(name)_tok_s", unit: "tokens/s", runs.map(\.tokensPerSecond)),
            .init("\(name)_decode_tok_s", unit: "tokens/s", runs.map(\.decodeTokensPerSecond)),
            .init("\(name)_ttft_p50_ms", unit: "ms", runs.map { Percentile.of(0.5, sorted: $0.firsts) }),
            .init("\(name)_ttft_p95_ms", unit: "ms", runs.map { Percentile.of(0.95, sorted: $0.firsts) }),
            .init("\(name)_gap_p50_ms", unit: "ms", runs.map { Percentile.of(0.5, sorted: $0.gaps) }),
            .init("\(name)_gap_p99_ms", unit: "ms", runs.map { Percentile.of(0.99, sorted: $0.gaps) }),
        ]
    }
}
