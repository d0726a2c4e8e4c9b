import Dialects
import HTTPTypes
import Hummingbird
import Vocabulary

/// Whose error bodies the clients of a path read.
enum ErrorDialect: String, Sendable {
    case openAI = "openai"
    case anthropic
    case ollama

    /// The dialect of a path; OpenAI's where no other is spoken.
    init(path: RoutePath) {
        if path.components.starts(with: ["v1", "messages"]) {
            self = .anthropic
        } else if path.components.first == "api" {
            self = .ollama
        } else {
            self = .openAI
        }
    }

    /// The body of an error.
    func body(_ report: ErrorReport, requestID: String) -> [UInt8] {
        switch self {
        case .openAI: OpenAI.errorBody(report)
        case .anthropic: Anthropic.errorBody(report, requestID: requestID)
        case .ollama: Ollama.errorBody(report)
        }
    }

    /// An error in the dialect's shape, counted; `requestID` is the one the client sees, else the context's own.
    func response(
        _ report: ErrorReport, _ context: GatewayContext, requestID: String? = nil, headers: HTTPFields = [:]
    ) -> Response {
        let id = requestID ?? context.id
        context.errors?.record(report, self, requestID: id)
        var headers = headers
        if let seconds = report.retryAfterSeconds { headers[.retryAfter] = String(seconds) }
        if report.status == 401 { headers[.wwwAuthenticate] = "Bearer" }
        return Response(status: .init(code: report.status), json: body(report, requestID: id), headers: headers)
    }
}
