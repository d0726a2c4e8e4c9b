/// Where a dialect's stream carries text and the number of tokens.
///
/// Servers write the same fields in different orders and with other fields around them, so lines are searched for a key
/// instead of being decoded: it costs the load generator little, and the same for every server.
struct StreamShape: Sendable, Hashable {
    /// The key, in quotes, whose text is a piece of the answer when it is not empty.
    let pieceKey: [UInt8]
    /// The key, in quotes, whose number is the tokens of the answer; the last one counts.
    let countKey: [UInt8]

    private init(piece: String, count: String) {
        pieceKey = Array("\"\(piece)\"".utf8)
        countKey = Array("\"\(count)\"".utf8)
    }

    /// `/v1/completions`.
    static let completions = StreamShape(piece: "text", count: "completion_tokens")
    /// `/v1/chat/completions`.
    static let chat = StreamShape(piece: "content", count: "completion_tokens")
    /// `/v1/messages`.
    static let messages = StreamShape(piece: "text", count: "output_tokens")
    /// `/api/chat`.
    static let ollama = StreamShape(piece: "content", count: "eval_count")
    /// `/v1/responses`.
    static let responses = StreamShape(piece: "delta", count: "output_tokens")
}
