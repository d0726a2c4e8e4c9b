/// The one table from errors to what is seen of them: by clients (status, class, `Retry-After`), by operators
/// (severity) and by metrics (the code itself is the label). The errors of modules say which row they are in; dialects
/// have a word for each class.
package enum ErrorCode: String, Hashable, Sendable, CaseIterable {
    // A request that cannot be decoded.
    /// The body is longer than the limit.
    case requestTooLarge = "request_too_large"
    /// The body is no JSON within the limits.
    case invalidJSON = "invalid_json"
    /// A field that must be there is not.
    case missingParameter = "missing_required_parameter"
    /// A value of the wrong type.
    case invalidType = "invalid_type"
    /// A whole number that is too small.
    case integerTooSmall = "integer_below_min_value"
    /// A number that is too small.
    case decimalTooSmall = "decimal_below_min_value"
    /// A whole number that is too large.
    case integerTooLarge = "integer_above_max_value"
    /// A number that is too large.
    case decimalTooLarge = "decimal_above_max_value"
    /// Too many elements.
    case arrayTooLong = "array_above_max_length"
    /// Too few elements.
    case arrayTooShort = "array_below_min_length"
    /// A text that is too long.
    case stringTooLong = "string_above_max_length"
    /// A value that is none of the allowed ones.
    case invalidValue = "invalid_value"
    /// A field that is not supported.
    case unsupportedParameter = "unsupported_parameter"
    /// A value that is not supported.
    case unsupportedValue = "unsupported_value"
    /// Fields that contradict each other.
    case conflictingParameters = "conflicting_parameters"

    // A request that was refused or could not be completed.
    /// The prompt does not fit the window.
    case contextLengthExceeded = "context_length_exceeded"
    /// No model of this name.
    case modelNotFound = "model_not_found"
    /// Several models are called so.
    case modelAmbiguous = "model_ambiguous"
    /// The model cannot answer now.
    case modelNotReady = "model_not_ready"
    /// A stage died while it answered.
    case stageLost = "stage_lost"
    /// The request took too long.
    case deadlineExceeded = "deadline_exceeded"
    /// The client went away.
    case cancelled
    /// The client read too slowly.
    case clientTooSlow = "client_too_slow"
    /// The engine failed.
    case engineFailed = "engine_failed"
    /// A route of a vendor that this server does not have.
    case notImplemented = "not_implemented"

    // A request to make, name, upload or remove a model.
    /// The name is that of a model that was not made by such a request.
    case modelNameTaken = "model_name_taken"
    /// As many models were made as are kept.
    case tooManyModels = "too_many_models"
    /// The file is no model that can be run.
    case modelFileRefused = "model_file_refused"
    /// The bytes are not those of the digest.
    case digestMismatch = "digest_mismatch"
    /// The disk has no room for the upload.
    case diskFull = "disk_full"
    /// The store of models failed.
    case modelStorageFailed = "model_storage_failed"

    // A request refused at the door.
    /// No key was sent.
    case missingKey = "missing_api_key"
    /// The key is not known, expired or revoked.
    case invalidKey = "invalid_api_key"
    /// The key may not do this.
    case insufficientScope = "insufficient_scope"
    /// A name that is not the node's.
    case hostNotAllowed = "host_not_allowed"
    /// A page of another site.
    case originNotAllowed = "origin_not_allowed"
    /// The node cannot read its keys.
    case keysUnreadable = "keys_unreadable"
    /// No such route.
    case unknownURL = "unknown_url"
    /// The route does not take this method.
    case methodNotAllowed = "method_not_allowed"
    /// The head is larger than the limit.
    case headersTooLarge = "headers_too_large"
    /// The head is no HTTP.
    case malformedRequest = "malformed_request"
    /// The request for a WebSocket is none.
    case badHandshake = "websocket_handshake_failed"
    /// A WebSocket was open for as long as one may be.
    case socketExpired = "websocket_connection_limit_reached"
    /// All connections are in use.
    case tooManyConnections = "too_many_connections"
    /// The request did not arrive in time.
    case requestTimeout = "request_timeout"
    /// The key is over its bounds, or the line of waiting requests is full.
    case rateLimitExceeded = "rate_limit_exceeded"
    /// Something unexpected.
    case internalError = "internal_error"

    // A request about kept responses.
    /// No such response.
    case responseNotFound = "response_not_found"
    /// The response to continue does not exist.
    case previousNotFound = "previous_response_not_found"
    /// The response to continue is still being made.
    case previousRunning = "previous_response_running"
    /// Too many responses follow each other.
    case chainTooLong = "response_chain_too_long"
    /// No such item.
    case itemNotFound = "item_not_found"
    /// Only background responses can be cancelled.
    case notInBackground = "response_not_in_background"
    /// The events are not kept.
    case eventsNotKept = "response_events_not_kept"
    /// Too many background responses.
    case tooManyInBackground = "too_many_background_responses"
    /// A stored response cannot be read.
    case storedResponseDamaged = "stored_response_damaged"
    /// The disk is full.
    case storageFull = "response_storage_full"
    /// The store failed.
    case storageFailed = "response_storage_failed"
    /// The node keeps no responses.
    case storageAbsent = "response_storage_absent"

    /// What a client may do about it later.
    package enum RetryAdvice: Hashable, Sendable {
        /// The same request fails again.
        case never
        /// After so many seconds.
        case after(Int)
        /// After the seconds the error itself states, at least one.
        case stated
    }

    /// A row of the table.
    package struct Row: Hashable, Sendable {
        /// HTTP status.
        package let status: Int
        /// Class, from which dialects take their word.
        package let kind: ErrorReport.Kind
        /// How loud it is in the log.
        package let severity: ErrorReport.Severity
        /// What `Retry-After` says.
        package let retry: RetryAdvice

        init(
            _ status: Int, _ kind: ErrorReport.Kind, _ severity: ErrorReport.Severity, _ retry: RetryAdvice = .never
        ) {
            self.status = status
            self.kind = kind
            self.severity = severity
            self.retry = retry
        }
    }

    /// The row.
    package var row: Row {
        switch self {
        case .requestTooLarge: Row(413, .tooLarge, .info)
        case .invalidJSON, .missingParameter, .invalidType, .integerTooSmall, .decimalTooSmall, .integerTooLarge,
            .decimalTooLarge, .arrayTooLong, .arrayTooShort, .stringTooLong, .invalidValue, .unsupportedParameter,
            .unsupportedValue, .conflictingParameters, .contextLengthExceeded, .previousNotFound, .chainTooLong,
            .itemNotFound, .notInBackground, .eventsNotKept, .storageAbsent, .tooManyModels, .modelFileRefused,
            .digestMismatch, .modelAmbiguous:
            Row(400, .invalidRequest, .debug)
        case .modelNotFound, .unknownURL, .responseNotFound: Row(404, .notFound, .debug)
        case .modelNotReady: Row(503, .unavailable, .info, .stated)
        case .stageLost: Row(503, .unavailable, .error, .after(1))
        case .deadlineExceeded: Row(504, .timeout, .warning)
        case .cancelled: Row(499, .cancelled, .debug)
        case .engineFailed, .internalError, .storedResponseDamaged, .storageFailed, .modelStorageFailed:
            Row(500, .server, .error)
        case .notImplemented: Row(501, .invalidRequest, .debug)
        case .missingKey, .invalidKey: Row(401, .authentication, .info)
        case .insufficientScope: Row(403, .permission, .info)
        case .hostNotAllowed, .originNotAllowed: Row(403, .permission, .warning)
        case .keysUnreadable: Row(503, .unavailable, .error, .after(10))
        case .methodNotAllowed: Row(405, .invalidRequest, .debug)
        case .headersTooLarge: Row(431, .invalidRequest, .info)
        case .malformedRequest: Row(400, .invalidRequest, .info)
        case .badHandshake: Row(426, .invalidRequest, .info)
        case .socketExpired: Row(400, .invalidRequest, .debug)
        case .tooManyConnections: Row(503, .unavailable, .warning, .after(1))
        case .requestTimeout, .clientTooSlow: Row(408, .timeout, .info)
        case .rateLimitExceeded: Row(429, .rateLimit, .info, .stated)
        case .previousRunning, .modelNameTaken: Row(409, .invalidRequest, .debug)
        case .tooManyInBackground: Row(429, .rateLimit, .info, .after(5))
        case .storageFull, .diskFull: Row(507, .server, .error)
        }
    }
}
