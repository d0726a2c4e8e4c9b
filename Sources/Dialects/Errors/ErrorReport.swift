/// An error as the outside sees it, before a dialect gives it its own shape: its row of the table, and its words.
package struct ErrorReport: Hashable, Sendable {
    /// Classes of errors; each dialect has its own word for them.
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

    /// How loud an error is in the log.
    package enum Severity: String, Hashable, Sendable, CaseIterable {
        /// A client's own mistake, of interest to nobody else.
        case debug
        /// Worth a line when somebody looks for it.
        case info
        /// Somebody should look some time.
        case warning
        /// Somebody should look now.
        case error
    }

    /// Its row of the table.
    package let entry: ErrorCode
    /// The field to change, when there is one.
    package let param: String?
    /// For people.
    package let message: String
    /// Value of the `Retry-After` header. **Units:** seconds.
    package let retryAfterSeconds: Int?

    /// Makes a report; `retryAfterSeconds` counts where the table says that the error states it.
    package init(_ entry: ErrorCode, param: String? = nil, message: String, retryAfterSeconds: Int? = nil) {
        self.entry = entry
        self.param = param
        self.message = message
        self.retryAfterSeconds =
            switch entry.row.retry {
            case .never: nil
            case .after(let seconds): seconds
            case .stated: max(1, retryAfterSeconds ?? 1)
            }
    }

    /// HTTP status.
    package var status: Int { entry.row.status }
    /// Class of the error.
    package var kind: Kind { entry.row.kind }
    /// Machine-readable reason, `context_length_exceeded`.
    package var code: String { entry.rawValue }
    /// How loud it is in the log.
    package var severity: Severity { entry.row.severity }
    /// What it is counted as.
    package var metricLabel: String { entry.rawValue }
}
