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
