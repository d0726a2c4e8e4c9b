import Dialects
import HTTPTypes
import Hummingbird
import Vocabulary

/// Whose error bodies the clients of a path read.
enum ErrorDialect: Sendable {
    case openAI
    case anthropic
    case ollama

    /// The dialect of a path; OpenAI's where no other is spoken.
    init(path: String) {
        if path == "/v1/messages" || path.hasPrefix("/v1/messages/") {
            self = .anthropic
        } else if path.hasPrefix("/api/") {
            self = .ollama
        } else {
            self = .openAI
        }
    }

    /// An error in the dialect's shape.
    func response(_ report: ErrorReport, requestID: String, headers: HTTPFields = [:]) -> Response {
        var headers = headers
        if let seconds = report.retryAfterSeconds { headers[.retryAfter] = String(seconds) }
        switch self {
        case .openAI:
            return Response(report, headers)
        case .anthropic:
            return Response(
                status: .init(code: Anthropic.status(of: report)),
                json: Anthropic.errorBody(report, requestID: requestID), headers: headers)
        case .ollama:
            return Response(status: .init(code: report.status), json: Ollama.errorBody(report), headers: headers)
        }
    }
}
