/// An error as the outside sees it, before a dialect gives it its own shape.
package struct ErrorReport: Hashable, Sendable {
    /// Classes of errors; each dialect has its own word for them, and metrics count by them.
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        /// The request cannot be served as it is written.
        case invalidRequest = "invalid_request"
        /// No key, or a wrong one.
        case authentication
        /// The key may not do this.
        case permission
        /// The model or route does not exist.
        case notFound = "not_found"
        /// The body is too large.
        case tooLarge = "too_large"
        /// This client sends too much.
        case rateLimit = "rate_limit"
        /// The server has too much to do, or the model is not up.
        case unavailable
        /// A deadline passed.
        case timeout
        /// The client went away.
        case cancelled
        /// The server failed.
        case server
    }

    /// HTTP status.
    package var status: Int
    /// Class of the error.
    package var kind: Kind
    /// Machine-readable reason, `context_length_exceeded`.
    package var code: String
    /// The field to change, when there is one.
    package var param: String?
    /// For people.
    package var message: String
    /// Value of the `Retry-After` header. **Units:** seconds.
    package var retryAfterSeconds: Int?

    /// Makes a report.
    package init(
        status: Int, kind: Kind, code: String, param: String? = nil, message: String, retryAfterSeconds: Int? = nil
    ) {
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.message = message
        self.retryAfterSeconds = retryAfterSeconds
    }
}

/// Why a request is refused before its body is looked at. All dialects need the same reasons.
package enum RequestRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// The request has no API key.
    case missingKey
    /// The key is not known, expired or revoked.
    case unknownKey
    /// The key lacks the scope the route demands.
    case missingScope(String)
    /// No such route.
    case unknownRoute(method: String, path: String)
    /// The route exists, but not for this method.
    case methodNotAllowed(method: String, allowed: [String])
    /// The body is not JSON by its own header.
    case unsupportedMediaType(String)
    /// The body is longer than the limit; `bytes` is nil when it was cut off while reading.
    case bodyTooLarge(bytes: Int?, limit: Int)
    /// The client did not send its request in time.
    case requestTimeout(seconds: Int)
    /// The client is over its rate.
    case rateLimited(limit: String, retryAfterSeconds: Int)
    /// The server is going down.
    case draining(retryAfterSeconds: Int)
    /// Something unexpected; details are in the server's log under the request's id.
    case internalError(requestID: String)

    /// One sentence with the next step.
    package var description: String {
        switch self {
        case .missingKey: "No API key was sent; send it as 'Authorization: Bearer KEY'."
        case .unknownKey: "The API key is not known, expired or revoked; create one with 'skein keys create'."
        case .missingScope(let scope): "The API key lacks the scope '\(scope)'; use a key that has it."
        case .unknownRoute(let method, let path): "There is no route \(clipped(method)) \(clipped(path))."
        case .methodNotAllowed(let method, let allowed):
            "The route does not take \(clipped(method)); it takes \(allowed.joined(separator: ", "))."
        case .unsupportedMediaType(let type):
            "The content type '\(clipped(type))' is not supported; send application/json."
        case .bodyTooLarge(let bytes, let limit):
            bytes.map { "The request body has \($0) bytes; the limit is \(limit). Send a shorter request." }
                ?? "The request body is longer than the limit of \(limit) bytes. Send a shorter request."
        case .requestTimeout(let seconds): "The request was not received within \(seconds) s."
        case .rateLimited(let limit, let seconds): "The limit of \(limit) is reached; try again in \(seconds) s."
        case .draining(let seconds): "This node is shutting down; try again in \(seconds) s."
        case .internalError(let id): "Something unexpected happened; the server's log has it under request \(id)."
        }
    }
}
