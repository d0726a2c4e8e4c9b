import NIOCore

/// One request of the load generator.
struct LoadRequest: Sendable {
    var path: String
    /// The JSON that is posted; empty for a GET.
    var body: ByteBuffer
    /// Fields beside those every request has.
    var headers: [(String, String)] = []
    /// How pieces are counted; nil does not look into the answer.
    var shape: StreamShape?
    /// Called once, when the answer has had so many pieces, and also when it ends sooner.
    var milestone: (pieces: Int, reached: @Sendable () -> Void)?

    init(
        _ path: String, _ body: String = "", shape: StreamShape? = nil,
        milestone: (pieces: Int, reached: @Sendable () -> Void)? = nil
    ) {
        self.path = path
        self.body = ByteBuffer(string: body)
        self.shape = shape
        self.milestone = milestone
    }

    /// A greedy continuation of token ids, as Skein and llama-server both take it.
    static func completion(model: String, prompt: [Int], tokens: Int) -> LoadRequest {
        let ids = prompt.map { "\($0)" }.joined(separator: ",")
        return LoadRequest(
            "/v1/completions",
            "{\"model\":\"\(model)\",\"prompt\":[\(ids)],\"max_tokens\":\(tokens),\"temperature\":0,"
                + "\"ignore_eos\":true,\"stream\":true,\"stream_options\":{\"include_usage\":true}}",
            shape: .completions)
    }
}

/// What came of a request. **Units:** nanoseconds of the machine's uptime.
struct LoadRecord: Sendable {
    /// How the answer ended.
    enum End: String, Sendable {
        /// It is whole.
        case complete = "ended"
        /// The connection was closed.
        case cut = "was cut"
        /// Nothing came for longer than `BenchLimits.silence`.
        case silent = "fell silent"
        /// A line was longer than `BenchLimits.lineBytes`.
        case tooLong = "had an endless line"
    }

    /// When the request was written.
    var sent: UInt64 = 0
    /// When each piece arrived.
    var arrivals: [UInt64] = []
    /// When the answer ended.
    var ended: UInt64 = 0
    /// Tokens as the server counts them.
    var outputTokens: Int?
    /// The HTTP status; 0 when none came.
    var status = 0
    /// The beginning of the body.
    var opening: [UInt8] = []
    /// How it ended.
    var end = End.cut

    /// From the request to the first piece. **Units:** milliseconds.
    var firstMilliseconds: Double? { arrivals.first.map { Double($0 - sent) / 1e6 } }

    /// From the request to the end. **Units:** milliseconds.
    var milliseconds: Double { Double(ended - sent) / 1e6 }

    /// Between pieces. **Units:** milliseconds.
    var gaps: [Double] { zip(arrivals.dropFirst(), arrivals).map { Double($0 - $1) / 1e6 } }

    /// This record when it is whole and of the right length.
    ///
    /// **Throws:** `BenchError`, named after the server.
    func checked(_ name: String, tokens: Int? = nil) throws(BenchError) -> LoadRecord {
        guard status == 200 || status == 0 else {
            throw .refused(name: name, status: status, body: String(decoding: opening, as: UTF8.self))
        }
        guard end == .complete else { throw .cut(name: name, pieces: arrivals.count, reason: end.rawValue) }
        if let tokens, outputTokens != tokens || arrivals.isEmpty {
            throw .tokens(name: name, expected: tokens, actual: arrivals.isEmpty ? 0 : outputTokens)
        }
        return self
    }
}
