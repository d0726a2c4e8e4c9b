/// Collects what the runs of the gateway's bench show.
struct GatewayFigures: Sendable {
    private var echo: [GatewayRound] = []
    private var rounds: [BenchDialect: [GatewayRound]] = [:]

    /// Takes the bare server's round of a run.
    mutating func add(echo round: GatewayRound) { echo.append(round) }

    /// Takes a dialect's round of the same run.
    mutating func add(_ dialect: BenchDialect, _ round: GatewayRound) { rounds[dialect, default: []].append(round) }

    /// Results; names begin with the dialect. What is added is a difference of percentiles within one run.
    func results() -> [BenchReport.Result] {
        var results: [BenchReport.Result] = [
            .init("echo_requests_s", unit: "requests/s", echo.map(\.requestsPerSecond)),
            .init("echo_p50_ms", unit: "ms", echo.map { Percentile.of(0.5, sorted: $0.whole) }),
            .init("echo_p99_ms", unit: "ms", echo.map { Percentile.of(0.99, sorted: $0.whole) }),
            .init("echo_us_per_token", unit: "us", echo.map(\.tokenMicroseconds)),
        ]
        for dialect in BenchDialect.allCases {
            guard let runs = rounds[dialect] else { continue }
            func added(_ name: String, _ fraction: Double, _ times: (GatewayRound) -> [Double]) -> BenchReport.Result {
                .init(
                    "\(dialect)_\(name)", unit: "ms",
                    zip(runs, echo).map {
                        Percentile.of(fraction, sorted: times($0)) - Percentile.of(fraction, sorted: times($1))
                    })
            }
            results += [
                .init("\(dialect)_requests_s", unit: "requests/s", runs.map(\.requestsPerSecond)),
                .init(
                    "\(dialect)_requests_over_echo", unit: "ratio",
                    zip(runs, echo).map { $0.requestsPerSecond / $1.requestsPerSecond }),
                added("added_p50_ms", 0.5, \.whole), added("added_p99_ms", 0.99, \.whole),
                added("stream_added_p50_ms", 0.5, \.streamed), added("stream_added_p99_ms", 0.99, \.streamed),
                .init("\(dialect)_us_per_token", unit: "us", runs.map(\.tokenMicroseconds)),
                .init(
                    "\(dialect)_added_us_per_token", unit: "us",
                    zip(runs, echo).map { $0.tokenMicroseconds - $1.tokenMicroseconds }),
            ]
        }
        return results
    }
}
