import Dialects
import Foundation
import Gateway
import Logging
import Synchronization
import Testing
import Vocabulary

/// Keeps the levels at which refusals are logged.
private struct RefusalLog: LogHandler {
    final class Levels: Sendable {
        private let kept = Mutex<[String: Logger.Level]>([:])

        func note(_ code: String, _ level: Logger.Level) { kept.withLock { $0[code] = level } }
        subscript(code: String) -> Logger.Level? { kept.withLock { $0[code] } }
    }

    let levels: Levels
    var logLevel = Logger.Level.trace
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        guard case .string(let code)? = event.metadata?["error.type"] else { return }
        levels.note(code, event.level)
    }
}

/// What becomes of an error of the node in every dialect.
private struct ErrorRow {
    let error: GenerationError
    let code: String
    let status: Int
    let openAI: String
    let anthropic: String
    var retryAfter: String?
    let level: Logger.Level

    static let all: [ErrorRow] = [
        ErrorRow(
            error: .invalidField(name: "n", value: "9", limit: "at most 4"), code: "invalid_value", status: 400,
            openAI: "invalid_request_error", anthropic: "invalid_request_error", level: .debug),
        ErrorRow(
            error: .unsupported(feature: "f", remedy: "r"), code: "unsupported_value", status: 400,
            openAI: "invalid_request_error", anthropic: "invalid_request_error", level: .debug),
        ErrorRow(
            error: .contextLengthExceeded(promptTokens: 9, outputTokens: 1, window: 8),
            code: "context_length_exceeded", status: 400, openAI: "invalid_request_error",
            anthropic: "invalid_request_error", level: .debug),
        ErrorRow(
            error: .modelNotFound(name: "x", available: ["m"]), code: "model_not_found", status: 404,
            openAI: "invalid_request_error", anthropic: "not_found_error", level: .debug),
        ErrorRow(
            error: .modelAmbiguous(name: "x", candidates: ["m", "n"]), code: "model_ambiguous", status: 400,
            openAI: "invalid_request_error", anthropic: "invalid_request_error", level: .debug),
        ErrorRow(
            error: .modelNotReady(name: "m", reason: "loading", retryAfterSeconds: 7), code: "model_not_ready",
            status: 503, openAI: "service_unavailable_error", anthropic: "overloaded_error", retryAfter: "7",
            level: .info),
        ErrorRow(
            error: .overloaded(queued: 5, limit: 5, retryAfterSeconds: 3), code: "rate_limit_exceeded", status: 429,
            openAI: "rate_limit_error", anthropic: "rate_limit_error", retryAfter: "3", level: .info),
        ErrorRow(
            error: .stageLost(stage: 1, reason: "gone"), code: "stage_lost", status: 503,
            openAI: "service_unavailable_error", anthropic: "overloaded_error", retryAfter: "1", level: .error),
        ErrorRow(
            error: .deadlineExceeded(seconds: 3), code: "deadline_exceeded", status: 504, openAI: "timeout_error",
            anthropic: "timeout_error", level: .warning),
        ErrorRow(
            error: .cancelled, code: "cancelled", status: 499, openAI: "request_cancelled", anthropic: "api_error",
            level: .debug),
        ErrorRow(
            error: .engineFailed(reason: "x"), code: "engine_failed", status: 500, openAI: "server_error",
            anthropic: "api_error", level: .error),
        ErrorRow(
            error: .clientTooSlow(limit: 9), code: "client_too_slow", status: 408, openAI: "timeout_error",
            anthropic: "timeout_error", level: .info),
    ]

    /// The place of an error's case. Whoever adds a case is led here by the compiler, and to `all` by the test.
    static func place(of error: GenerationError) -> Int {
        switch error {
        case .invalidField: 0
        case .unsupported: 1
        case .contextLengthExceeded: 2
        case .modelNotFound: 3
        case .modelAmbiguous: 4
        case .modelNotReady: 5
        case .overloaded: 6
        case .stageLost: 7
        case .deadlineExceeded: 8
        case .cancelled: 9
        case .engineFailed: 10
        case .clientTooSlow: 11
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct `The table of errors` {
    private static let chat = #""model":"tiny","messages":[{"role":"user","content":"Hi"}]"#

    /// Routes of every dialect, whole and streamed.
    private static var requests: [(path: String, body: String)] {
        var requests: [(path: String, body: String)] = [
            ("/tokenize", #"{"content":"Hi"}"#), ("/detokenize", #"{"tokens":[1]}"#), ("/apply-template", "{\(chat)}"),
            ("/v1/messages/count_tokens", "{\(chat)}"), ("/v1/responses/compact", #"{"model":"tiny","input":"Hi"}"#),
        ]
        for stream in [#""stream":false"#, #""stream":true"#] {
            requests.append(("/v1/chat/completions", "{\(chat),\(stream)}"))
            requests.append(("/v1/completions", #"{"model":"tiny","prompt":"Hi",\#(stream)}"#))
            requests.append(("/v1/responses", #"{"model":"tiny","input":"Hi",\#(stream)}"#))
            requests.append(("/v1/messages", #"{\#(chat),"max_tokens":5,\#(stream)}"#))
            requests.append(("/api/chat", "{\(chat),\(stream)}"))
            requests.append(("/api/generate", #"{"model":"tiny","prompt":"Hi",\#(stream)}"#))
        }
        return requests
    }

    @Test func `every error of the node is a row of the table`() {
        #expect(ErrorRow.all.map { ErrorRow.place(of: $0.error) } == Array(ErrorRow.all.indices))
    }

    @Test(arguments: ErrorRow.all.indices)
    func `an error has its status, type, code, Retry-After, log level and label in every dialect`(
        index: Int
    ) async throws {
        let row = ErrorRow.all[index]
        let levels = RefusalLog.Levels()
        let logger = Logger(label: "tests") { _ in RefusalLog(levels: levels) }
        let node = ScriptedNode { _ in [.failed(row.error)] }
        try await LoopbackServer.with(node, logger: logger) { server in
            for (path, body) in Self.requests {
                let answer = try await server.post(path, body)
                let isAnthropic = path.hasPrefix("/v1/messages")
                let place = "\(path) \(body)"
                #expect(answer.status == row.status, "\(place)")
                #expect(answer.headers["retry-after"] == row.retryAfter, "\(place)")
                #expect(answer.headers["content-type"] == "application/json", "\(place)")
                if path.hasPrefix("/api/") {
                    #expect(try answer.object()["error"] as? String == row.error.description, "\(place)")
                    continue
                }
                let error = try answer.error()
                // Anthropic's errors name the field in their text.
                let message = error["message"] as? String ?? ""
                #expect(
                    isAnthropic ? message.hasSuffix(row.error.description) : message == row.error.description,
                    "\(place)")
                #expect(error["type"] as? String == (isAnthropic ? row.anthropic : row.openAI), "\(place)")
                guard !isAnthropic else {
                    #expect(try answer.object()["type"] as? String == "error")
                    continue
                }
                #expect(error["code"] as? String == row.code, "\(place)")
            }
            #expect(levels[row.code] == row.level)
            let metrics = try await server.get("/metrics").body
            for (dialect, count) in [("openai", 10), ("anthropic", 3), ("ollama", 4)] {
                let line = #"skein_http_errors_total{dialect="\#(dialect)",code="\#(row.code)"} \#(count)"#
                #expect(metrics.contains(line + "\n"), "\(line)")
            }
        }
    }
}
