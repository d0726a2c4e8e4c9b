package import Vocabulary

/// The one table from the errors of our modules to what a client sees.
extension ErrorReport {
    /// The report of a request that cannot be decoded.
    package init(_ error: DialectError) {
        let code: String
        switch error {
        case .bodyTooLarge: code = "request_too_large"
        case .malformedJSON: code = "invalid_json"
        case .missingField: code = "missing_required_parameter"
        case .wrongType: code = "invalid_type"
        case .belowMinimum(_, _, _, let kind): code = "\(kind.rawValue)_below_min_value"
        case .aboveMaximum(_, _, _, let kind): code = "\(kind.rawValue)_above_max_value"
        case .tooMany: code = "array_above_max_length"
        case .tooFew: code = "array_below_min_length"
        case .tooLong: code = "string_above_max_length"
        case .invalidValue: code = "invalid_value"
        case .unsupportedField: code = "unsupported_parameter"
        case .unsupportedValue: code = "unsupported_value"
        case .conflict: code = "conflicting_parameters"
        }
        let isTooLarge = if case .bodyTooLarge = error { true } else { false }
        self.init(
            status: isTooLarge ? 413 : 400, kind: isTooLarge ? .tooLarge : .invalidRequest, code: code,
            param: error.field, message: error.description)
    }

    /// The report of a request that was decoded but refused or not completed; `promptField` is what the dialect calls
    /// the prompt.
    package init(_ error: GenerationError, promptField: String = "messages") {
        let message = error.description
        switch error {
        case .invalidField(let name, _, _):
            self.init(status: 400, kind: .invalidRequest, code: "invalid_value", param: name, message: message)
        case .unsupported:
            self.init(status: 400, kind: .invalidRequest, code: "unsupported_value", message: message)
        case .contextLengthExceeded:
            self.init(
                status: 400, kind: .invalidRequest, code: "context_length_exceeded", param: promptField,
                message: message)
        case .modelNotFound:
            self.init(status: 404, kind: .notFound, code: "model_not_found", param: "model", message: message)
        case .modelNotReady(_, _, let seconds):
            self.init(
                status: 503, kind: .unavailable, code: "model_not_ready", param: "model", message: message,
                retryAfterSeconds: max(1, seconds))
        case .overloaded(_, _, let seconds):
            self.init(
                status: 503, kind: .unavailable, code: "overloaded", message: message,
                retryAfterSeconds: max(1, seconds))
        case .stageLost:
            self.init(status: 503, kind: .unavailable, code: "stage_lost", message: message, retryAfterSeconds: 1)
        case .deadlineExceeded:
            self.init(status: 504, kind: .timeout, code: "deadline_exceeded", message: message)
        case .cancelled:
            self.init(status: 499, kind: .cancelled, code: "cancelled", message: message)
        case .engineFailed:
            self.init(status: 500, kind: .server, code: "engine_failed", message: message)
        }
    }

    /// The report of a request refused before its body was looked at.
    package init(_ refusal: RequestRefusal) {
        let message = refusal.description
        switch refusal {
        case .missingKey:
            self.init(status: 401, kind: .authentication, code: "missing_api_key", message: message)
        case .unknownKey:
            self.init(status: 401, kind: .authentication, code: "invalid_api_key", message: message)
        case .missingScope:
            self.init(status: 403, kind: .permission, code: "insufficient_scope", message: message)
        case .unknownRoute:
            self.init(status: 404, kind: .notFound, code: "unknown_url", message: message)
        case .methodNotAllowed:
            self.init(status: 405, kind: .invalidRequest, code: "method_not_allowed", message: message)
        case .unsupportedMediaType:
            self.init(status: 415, kind: .invalidRequest, code: "unsupported_media_type", message: message)
        case .bodyTooLarge:
            self.init(status: 413, kind: .tooLarge, code: "request_too_large", message: message)
        case .requestTimeout:
            self.init(status: 408, kind: .timeout, code: "request_timeout", message: message)
        case .rateLimited(_, let seconds):
            self.init(
                status: 429, kind: .rateLimit, code: "rate_limit_exceeded", message: message,
                retryAfterSeconds: max(1, seconds))
        case .draining(let seconds):
            self.init(
                status: 503, kind: .unavailable, code: "shutting_down", message: message,
                retryAfterSeconds: max(1, seconds))
        case .internalError:
            self.init(status: 500, kind: .server, code: "internal_error", message: message)
        }
    }
}
