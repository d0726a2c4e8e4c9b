/// A dialect as the gateway's bench speaks it.
enum BenchDialect: String, CaseIterable, Sendable {
    case chat
    case completions
    case messages
    case ollama
    case responses

    private static let question = "[{\"role\":\"user\",\"content\":\"Hello!\"}]"

    private var path: String {
        switch self {
        case .chat: "/v1/chat/completions"
        case .completions: "/v1/completions"
        case .messages: "/v1/messages"
        case .ollama: "/api/chat"
        case .responses: "/v1/responses"
        }
    }

    private var shape: StreamShape {
        switch self {
        case .chat: .chat
        case .completions: .completions
        case .messages: .messages
        case .ollama: .ollama
        case .responses: .responses
        }
    }

    /// Asks for an answer of so many tokens; a whole one is not looked into.
    func request(tokens: Int, isStream: Bool) -> LoadRequest {
        let (model, question) = (NullNode.model, Self.question)
        let stream = "\"stream\":\(isStream)"
        let body =
            switch self {
            case .chat:
                "{\"model\":\"\(model)\",\"messages\":\(question),\"max_tokens\":\(tokens),\(stream)"
                    + (isStream ? ",\"stream_options\":{\"include_usage\":true}}" : "}")
            case .completions:
                "{\"model\":\"\(model)\",\"prompt\":\"Hello!\",\"max_tokens\":\(tokens),\(stream)"
                    + (isStream ? ",\"stream_options\":{\"include_usage\":true}}" : "}")
            case .messages: "{\"model\":\"\(model)\",\"messages\":\(question),\"max_tokens\":\(tokens),\(stream)}"
            case .ollama:
                "{\"model\":\"\(model)\",\"messages\":\(question),\"options\":{\"num_predict\":\(tokens)},\(stream)}"
            case .responses:
                "{\"model\":\"\(model)\",\"input\":\"Hello!\",\"max_output_tokens\":\(tokens),\"store\":false,"
                    + "\(stream)}"
            }
        var request = LoadRequest(path, body, shape: isStream ? shape : nil)
        if self == .messages { request.headers = [("anthropic-version", "2023-06-01")] }
        return request
    }
}
