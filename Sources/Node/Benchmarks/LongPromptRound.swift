import NIOCore

/// Streams that answer while a long prompt arrives.
struct LongPromptRound: Sendable {
    /// Pieces every stream has had before the long prompt is sent.
    private static let calmPieces = 48
    /// First pieces that are not looked at: the streams' own prompts are read meanwhile.
    private static let openingPieces = 8
    /// How long the streams go on after the long prompt's first token, so that a gap across it is seen whole.
    private static let tail = Duration.seconds(2)

    let pair: ServePair
    /// Streams beside the long prompt.
    let streams: Int
    /// Tokens of the long prompt.
    let long: Int

    func run(_ target: LoadTarget, _ run: Int) async throws -> ArrivalFigures {
        try await LoadConnection.with(streams + 1, to: target) { connections in
            let (calm, sink) = AsyncStream.makeStream(of: Void.self)
            return try await withThrowingTaskGroup(of: (Int, LoadRecord).self) { group in
                for stream in 0..<streams {
                    let connection = connections[stream]
                    var request = LoadRequest.completion(
                        model: target.model,
                        prompt: ServePair.prompt(pair.settings.promptTokens, run: run, stream: stream),
                        tokens: pair.settings.slotTokens - pair.settings.promptTokens - 1)
                    request.milestone = (Self.calmPieces, { sink.yield() })
                    let asked = request
                    group.addTask { (stream, try await connection.answer(to: asked)) }
                }
                var ready = 0
                for await _ in calm {
                    ready += 1
                    if ready == streams { break }
                }
                let record = try await connections[streams].answer(
                    to: .completion(
                        model: target.model, prompt: ServePair.prompt(long, run: run, stream: streams), tokens: 2))
                try await Task.sleep(for: Self.tail)
                for connection in connections { connection.close() }
                var others = [LoadRecord](repeating: LoadRecord(), count: streams)
                for try await (stream, other) in group { others[stream] = try Self.checked(other, target) }
                return ArrivalFigures(others: others, long: try record.checked(target.name, tokens: 2))
            }
        }
    }

    /// A stream that this round ended, without what came before the streams were in step.
    private static func checked(_ record: LoadRecord, _ target: LoadTarget) throws(BenchError) -> LoadRecord {
        var record = record
        if record.end != .cut { _ = try record.checked(target.name) }
        guard record.status == 200, record.arrivals.count >= calmPieces else {
            throw .cut(name: target.name, pieces: record.arrivals.count, reason: record.end.rawValue)
        }
        record.arrivals.removeFirst(openingPieces)
        return record
    }

    static func results(_ name: String, _ runs: [ArrivalFigures]) -> [BenchReport.Result] {
        func p99(_ figures: ArrivalFigures) -> Double { Percentile.of(0.99, sorted: figures.busy) }
        func median(_ gaps: [Double]) -> Double { Percentile.of(0.5, sorted: gaps) }
        return [
            .init("\(name)_long_ttft_ms", unit: "ms", runs.map(\.firstMilliseconds)),
            .init("\(name)_calm_gap_p50_ms", unit: "ms", runs.map { median($0.calm) }),
            .init("\(name)_busy_gap_p50_ms", unit: "ms", runs.map { median($0.busy) }),
            .init("\(name)_busy_gap_p99_ms", unit: "ms", runs.map(p99)),
            .init("\(name)_busy_gap_max_ms", unit: "ms", runs.map { $0.busy.last ?? .nan }),
            .init("\(name)_p99_over_busy_median", unit: "ratio", runs.map { p99($0) / median($0.busy) }),
            .init("\(name)_p99_over_calm_median", unit: "ratio", runs.map { p99($0) / median($0.calm) }),
        ]
    }
}
