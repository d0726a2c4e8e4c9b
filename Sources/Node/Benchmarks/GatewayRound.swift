import Vocabulary

/// One run of the gateway's bench against one server: latency, throughput and the cost of a streamed token.
struct GatewayRound: Sendable {
    /// Requests one after the other, for latency.
    private static let sequential = 500
    /// Connections at once, for throughput.
    private static let connections = 8
    /// Requests of each connection.
    private static let perConnection = 100
    /// Tokens of a long stream.
    static let streamTokens = 4000
    /// Long streams of a run; the quickest counts least disturbed.
    private static let longStreams = 3

    /// Times of whole answers of one token, sorted. **Units:** milliseconds.
    var whole: [Double] = []
    /// Times of streams of one token, sorted. **Units:** milliseconds.
    var streamed: [Double] = []
    /// Whole answers per second over several connections.
    var requestsPerSecond = 0.0
    /// Time of each further token of a stream. **Units:** microseconds.
    var tokenMicroseconds = 0.0

    /// What a round asks for.
    struct Questions: Sendable {
        var whole: LoadRequest
        var streamed: LoadRequest
        var long: LoadRequest
        /// Whether the server counts the tokens of the long stream.
        var counts = true

        init(_ dialect: BenchDialect) {
            whole = dialect.request(tokens: 1, isStream: false)
            streamed = dialect.request(tokens: 1, isStream: true)
            long = dialect.request(tokens: GatewayRound.streamTokens, isStream: true)
        }

        /// The echo of as many bytes as a chat's answer has.
        init(echoOf whole: [UInt8], piece: String) {
            self.whole = LoadRequest("/echo", String(decoding: whole, as: UTF8.self))
            streamed = LoadRequest("/echo/1", piece, shape: .chat)
            long = LoadRequest("/echo/\(GatewayRound.streamTokens)", piece, shape: .chat)
            counts = false
        }
    }

    init(_ target: LoadTarget, _ questions: Questions) async throws {
        (whole, streamed, tokenMicroseconds) = try await LoadConnection.with(1, to: target) { connections in
            var (whole, streamed): ([Double], [Double]) = ([], [])
            for _ in 0..<Self.sequential {
                whole.append(try await connections[0].answer(to: questions.whole).checked(target.name).milliseconds)
                streamed.append(
                    try await connections[0].answer(to: questions.streamed).checked(target.name).milliseconds)
            }
            var times: [Double] = []
            for _ in 0..<Self.longStreams {
                let record = try await connections[0].answer(to: questions.long).checked(
                    target.name, tokens: questions.counts ? Self.streamTokens : nil)
                guard record.arrivals.count == Self.streamTokens else {
                    throw BenchError.tokens(
                        name: target.name, expected: Self.streamTokens, actual: record.arrivals.count)
                }
                times.append(record.milliseconds)
            }
            streamed.sort()
            let further = Percentile.of(0.5, sorted: times.sorted()) - Percentile.of(0.5, sorted: streamed)
            return (whole.sorted(), streamed, further * 1000 / Double(Self.streamTokens - 1))
        }
        requestsPerSecond = try await Self.throughput(target, questions.whole)
    }

    private static func throughput(_ target: LoadTarget, _ request: LoadRequest) async throws -> Double {
        try await LoadConnection.with(connections, to: target) { open in
            let clock = ContinuousClock()
            let began = clock.now
            try await withThrowingTaskGroup(of: Void.self) { group in
                for connection in open {
                    group.addTask {
                        for _ in 0..<perConnection {
                            _ = try await connection.answer(to: request).checked(target.name)
                        }
                    }
                }
                try await group.waitForAll()
            }
            return Double(connections * perConnection) / (clock.now - began).inSeconds
        }
    }
}
