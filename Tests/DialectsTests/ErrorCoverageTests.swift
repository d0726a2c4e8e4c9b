import Dialects
import Testing
import Vocabulary

/// Every error of every module, and the row of the table it becomes. Whoever adds a case is led here by the compiler.
@Suite struct `Rows for every error` {
    private static let decoding: [(DialectError, ErrorCode)] = [
        (.bodyTooLarge(bytes: 9, limit: 8), .requestTooLarge), (.malformedJSON(.invalidUTF8(offset: 1)), .invalidJSON),
        (.missingField("f"), .missingParameter),
        (.wrongType(field: "f", expected: "a", actual: "b"), .invalidType),
        (.belowMinimum(field: "f", value: "0", minimum: "1", kind: .integer), .integerTooSmall),
        (.belowMinimum(field: "f", value: "0", minimum: "1", kind: .decimal), .decimalTooSmall),
        (.aboveMaximum(field: "f", value: "2", maximum: "1", kind: .integer), .integerTooLarge),
        (.aboveMaximum(field: "f", value: "2", maximum: "1", kind: .decimal), .decimalTooLarge),
        (.tooMany(field: "f", count: 2, limit: 1), .arrayTooLong),
        (.tooFew(field: "f", count: 0, minimum: 1), .arrayTooShort),
        (.tooLong(field: "f", bytes: 2, limit: 1), .stringTooLong),
        (.invalidValue(field: "f", value: "a", expected: "b"), .invalidValue),
        (.unsupportedField(field: "f", remedy: "r"), .unsupportedParameter),
        (.unsupportedValue(field: "f", value: "v", remedy: "r"), .unsupportedValue),
        (.conflict(field: "f", reason: "r"), .conflictingParameters),
    ]

    private static func place(_ error: DialectError) -> Int {
        switch error {
        case .bodyTooLarge: 0
        case .malformedJSON: 1
        case .missingField: 2
        case .wrongType: 3
        case .belowMinimum(_, _, _, .integer): 4
        case .belowMinimum(_, _, _, .decimal): 5
        case .aboveMaximum(_, _, _, .integer): 6
        case .aboveMaximum(_, _, _, .decimal): 7
        case .tooMany: 8
        case .tooFew: 9
        case .tooLong: 10
        case .invalidValue: 11
        case .unsupportedField: 12
        case .unsupportedValue: 13
        case .conflict: 14
        }
    }

    private static let answering: [(GenerationError, ErrorCode)] = [
        (.invalidField(name: "f", value: "v", limit: "l"), .invalidValue),
        (.unsupported(feature: "f", remedy: "r"), .unsupportedValue),
        (.contextLengthExceeded(promptTokens: 9, outputTokens: 1, window: 8), .contextLengthExceeded),
        (.modelNotFound(name: "m", available: []), .modelNotFound),
        (.modelAmbiguous(name: "m", candidates: []), .modelAmbiguous),
        (.modelNotReady(name: "m", reason: "r", retryAfterSeconds: 1), .modelNotReady),
        (.overloaded(queued: 1, limit: 1, retryAfterSeconds: 1), .rateLimitExceeded),
        (.stageLost(stage: 0, reason: "r"), .stageLost), (.deadlineExceeded(seconds: 1), .deadlineExceeded),
        (.cancelled, .cancelled), (.engineFailed(reason: "r"), .engineFailed),
        (.clientTooSlow(limit: 1), .clientTooSlow),
    ]

    private static func place(_ error: GenerationError) -> Int {
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

    private static let door: [(RequestRefusal, ErrorCode)] = [
        (.missingKey, .missingKey), (.unknownKey, .invalidKey), (.missingScope("s"), .insufficientScope),
        (.hostNotAllowed("h"), .hostNotAllowed), (.originNotAllowed("o"), .originNotAllowed),
        (.keysUnreadable, .keysUnreadable), (.unknownRoute(method: "GET", path: "/"), .unknownURL),
        (.methodNotAllowed(method: "GET", allowed: []), .methodNotAllowed),
        (.bodyTooLarge(bytes: nil, limit: 1), .requestTooLarge),
        (.headTooLarge(bytes: 1, fields: 1), .headersTooLarge), (.malformedHead, .malformedRequest),
        (.badHandshake, .badHandshake), (.socketExpired(minutes: 1), .socketExpired),
        (.tooManyConnections(limit: 1), .tooManyConnections), (.requestTimeout(seconds: 1), .requestTimeout),
        (.rateLimited(limit: "l", retryAfterSeconds: 1), .rateLimitExceeded),
        (.internalError(requestID: "r"), .internalError),
    ]

    private static func place(_ refusal: RequestRefusal) -> Int {
        switch refusal {
        case .missingKey: 0
        case .unknownKey: 1
        case .missingScope: 2
        case .hostNotAllowed: 3
        case .originNotAllowed: 4
        case .keysUnreadable: 5
        case .unknownRoute: 6
        case .methodNotAllowed: 7
        case .bodyTooLarge: 8
        case .headTooLarge: 9
        case .malformedHead: 10
        case .badHandshake: 11
        case .socketExpired: 12
        case .tooManyConnections: 13
        case .requestTimeout: 14
        case .rateLimited: 15
        case .internalError: 16
        }
    }

    private static let keeping: [(Responses.StateError, ErrorCode)] = [
        (.notFound(id: "i"), .responseNotFound), (.previousNotFound(id: "i"), .previousNotFound),
        (.previousRunning(id: "i"), .previousRunning), (.chainTooLong(limit: 1), .chainTooLong),
        (.chainTooLarge(bytes: 2, limit: 1), .chainTooLong), (.itemNotFound(field: "f", id: "i"), .itemNotFound),
        (.notInBackground(id: "i"), .notInBackground), (.eventsNotKept(id: "i"), .eventsNotKept),
        (.tooManyInBackground(limit: 1), .tooManyInBackground), (.damagedRecord(id: "i"), .storedResponseDamaged),
        (.storageFull, .storageFull), (.storageFailed(reason: "r"), .storageFailed),
        (.storageAbsent(field: "f"), .storageAbsent), (.invalid(.missingField("f")), .missingParameter),
    ]

    private static let making: [(Ollama.ModelError, ErrorCode)] = [
        (.unknownModel("m", known: []), .modelNotFound), (.unknownBlob("d"), .modelNotFound),
        (.nameTaken("m"), .modelNameTaken), (.tooMany(limit: 1), .tooManyModels),
        (.tooLarge(bytes: 2, limit: 1), .stringTooLong), (.otherTemplate, .unsupportedParameter),
        (.unusableFile(reason: "r"), .modelFileRefused), (.wrongDigest(expected: "a", actual: "b"), .digestMismatch),
        (.blobTooLarge(bytes: 2, limit: 1), .requestTooLarge), (.diskFull(neededBytes: 2, freeBytes: 1), .diskFull),
        (.tooManyUploads(limit: 1), .rateLimitExceeded), (.storeFailed(reason: "r"), .modelStorageFailed),
        (.impossible(what: "w", remedy: "r"), .notImplemented), (.undecided(reason: "r"), .modelNotReady),
        (.badName(.ambiguous(name: "m", candidates: [])), .modelAmbiguous),
    ]

    private static func place(_ error: Ollama.ModelError) -> Int {
        switch error {
        case .unknownModel: 0
        case .unknownBlob: 1
        case .nameTaken: 2
        case .tooMany: 3
        case .tooLarge: 4
        case .otherTemplate: 5
        case .unusableFile: 6
        case .wrongDigest: 7
        case .blobTooLarge: 8
        case .diskFull: 9
        case .tooManyUploads: 10
        case .storeFailed: 11
        case .impossible: 12
        case .undecided: 13
        case .badName: 14
        }
    }

    private static func place(_ error: Responses.StateError) -> Int {
        switch error {
        case .notFound: 0
        case .previousNotFound: 1
        case .previousRunning: 2
        case .chainTooLong: 3
        case .chainTooLarge: 4
        case .itemNotFound: 5
        case .notInBackground: 6
        case .eventsNotKept: 7
        case .tooManyInBackground: 8
        case .damagedRecord: 9
        case .storageFull: 10
        case .storageFailed: 11
        case .storageAbsent: 12
        case .invalid: 13
        }
    }

    @Test func `each error has its row`() {
        #expect(Self.decoding.map { Self.place($0.0) } == Array(Self.decoding.indices))
        #expect(Self.answering.map { Self.place($0.0) } == Array(Self.answering.indices))
        #expect(Self.door.map { Self.place($0.0) } == Array(Self.door.indices))
        #expect(Self.keeping.map { Self.place($0.0) } == Array(Self.keeping.indices))
        for (error, code) in Self.decoding { #expect(ErrorReport(error).entry == code) }
        for (error, code) in Self.answering { #expect(ErrorReport(error).entry == code) }
        for (refusal, code) in Self.door { #expect(ErrorReport(refusal).entry == code) }
        #expect(Self.making.map { Self.place($0.0) } == Array(Self.making.indices))
        for (error, code) in Self.keeping { #expect(ErrorReport(error).entry == code) }
        for (error, code) in Self.making { #expect(ErrorReport(error).entry == code) }
    }

    @Test func `each row has an error`() {
        let used = Set(
            Self.decoding.map(\.1) + Self.answering.map(\.1) + Self.door.map(\.1) + Self.keeping.map(\.1)
                + Self.making.map(\.1))
        #expect(Set(ErrorCode.allCases).subtracting(used).isEmpty)
    }
}
