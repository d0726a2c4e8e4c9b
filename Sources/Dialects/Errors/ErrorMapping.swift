package import Vocabulary

/// From the errors of our modules to the rows of the table.
extension ErrorReport {
    /// The report of a request that cannot be decoded.
    package init(_ error: DialectError) {
        let entry: ErrorCode =
            switch error {
            case .bodyTooLarge: .requestTooLarge
            case .malformedJSON: .invalidJSON
            case .missingField: .missingParameter
            case .wrongType: .invalidType
            case .belowMinimum(_, _, _, .integer): .integerTooSmall
            case .belowMinimum(_, _, _, .decimal): .decimalTooSmall
            case .aboveMaximum(_, _, _, .integer): .integerTooLarge
            case .aboveMaximum(_, _, _, .decimal): .decimalTooLarge
            case .tooMany: .arrayTooLong
            case .tooFew: .arrayTooShort
            case .tooLong: .stringTooLong
            case .invalidValue: .invalidValue
            case .unsupportedField: .unsupportedParameter
            case .unsupportedValue: .unsupportedValue
            case .conflict: .conflictingParameters
            }
        self.init(entry, param: error.field, message: error.description)
    }

    /// The report of a request that was decoded but refused or not completed; `promptField` is what the dialect calls
    /// the prompt.
    package init(_ error: GenerationError, promptField: String = "messages") {
        let message = error.description
        switch error {
        case .invalidField(let name, _, _): self.init(.invalidValue, param: name, message: message)
        case .unsupported: self.init(.unsupportedValue, message: message)
        case .contextLengthExceeded: self.init(.contextLengthExceeded, param: promptField, message: message)
        case .modelNotFound: self.init(.modelNotFound, param: "model", message: message)
        case .modelAmbiguous: self.init(.modelAmbiguous, param: "model", message: message)
        case .modelNotReady(_, _, let seconds):
            self.init(.modelNotReady, param: "model", message: message, retryAfterSeconds: seconds)
        case .overloaded(_, _, let seconds): self.init(.rateLimitExceeded, message: message, retryAfterSeconds: seconds)
        case .stageLost: self.init(.stageLost, message: message)
        case .deadlineExceeded: self.init(.deadlineExceeded, message: message)
        case .cancelled: self.init(.cancelled, message: message)
        case .clientTooSlow: self.init(.clientTooSlow, message: message)
        case .engineFailed: self.init(.engineFailed, message: message)
        }
    }

    /// The report of a request refused before its body was looked at.
    package init(_ refusal: RequestRefusal) {
        var seconds: Int?
        let entry: ErrorCode
        switch refusal {
        case .missingKey: entry = .missingKey
        case .unknownKey: entry = .invalidKey
        case .missingScope: entry = .insufficientScope
        case .hostNotAllowed: entry = .hostNotAllowed
        case .originNotAllowed: entry = .originNotAllowed
        case .keysUnreadable: entry = .keysUnreadable
        case .unknownRoute: entry = .unknownURL
        case .methodNotAllowed: entry = .methodNotAllowed
        case .bodyTooLarge: entry = .requestTooLarge
        case .headTooLarge: entry = .headersTooLarge
        case .malformedHead: entry = .malformedRequest
        case .badHandshake: entry = .badHandshake
        case .socketExpired: entry = .socketExpired
        case .tooManyConnections: entry = .tooManyConnections
        case .requestTimeout: entry = .requestTimeout
        case .rateLimited(_, let wait): (entry, seconds) = (.rateLimitExceeded, wait)
        case .internalError: entry = .internalError
        }
        self.init(entry, message: refusal.description, retryAfterSeconds: seconds)
    }
}
