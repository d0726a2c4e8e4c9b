import Vocabulary

/// A route of the HTTP API as its document describes it.
package struct APIRoute: Sendable {
    /// Whose error bodies its clients read.
    package enum Dialect: String, Sendable {
        /// OpenAI's, and everything that is nobody's.
        case openAI = "OpenAI"
        /// Anthropic's.
        case anthropic = "Anthropic"
        /// Ollama's.
        case ollama = "Ollama"
    }

    /// A request's body.
    struct Body: Sendable {
        /// A body that is taken.
        let example: String
        /// Reads a body.
        let decode: @Sendable ([UInt8]) throws(DialectError) -> Void
    }

    /// A parameter of the path or the query.
    struct Parameter: Sendable {
        let name: String
        let place: String
        let schema: String
        let note: String
    }

    /// What a request is answered with when all goes well.
    struct Answer: Sendable {
        var status = 200
        /// Media types and their schemas; a schema is JSON.
        let content: [(type: String, schema: String)]
        let note: String
    }

    /// `GET`, `HEAD`, `POST` or `DELETE`.
    package let method: String
    /// Its path, parameters in braces.
    package let path: String
    /// Whose error bodies its clients read.
    package let dialect: Dialect
    /// What it is for.
    package let summary: String
    let body: Body?
    /// Media type of a body that is not read but kept.
    let upload: String?
    let parameters: [Parameter]
    let answers: [Answer]
    /// Errors beside those every route has.
    let errors: [ErrorCode]
    /// Whether no key is ever needed.
    let isOpen: Bool

    init(
        _ method: String, _ path: String, _ dialect: Dialect, _ summary: String, body: Body? = nil,
        parameters: [Parameter] = [], upload: String? = nil, answers: [Answer], errors: [ErrorCode] = [],
        isOpen: Bool = false
    ) {
        self.method = method
        self.path = path
        self.dialect = dialect
        self.summary = summary
        self.body = body
        self.parameters = parameters
        self.upload = upload
        self.answers = answers
        self.errors = errors
        self.isOpen = isOpen
    }

    /// Method and path as `RouteFields` names a route.
    var title: String { "\(method) \(path)" }

    /// The members a body must have: those of the example without which it is refused as incomplete.
    var requiredMembers: [String] {
        guard let body, let members = (try? JSONReader.read(Array(body.example.utf8)))?.members else { return [] }
        return members.map(\.key).filter { name in
            var writer = JSONWriter()
            writer.beginObject()
            for member in members where member.key != name {
                writer.key(member.key)
                writer.node(member.value)
            }
            writer.endObject()
            do throws(DialectError) {
                try body.decode(writer.bytes)
                return false
            } catch {
                return error == .missingField(name)
            }
        }
    }

    /// The errors the route can be answered with, by status.
    package var errorStatuses: [(status: Int, codes: [ErrorCode])] {
        var all = Self.door + errors
        if isOpen {
            all = [.headersTooLarge, .malformedRequest, .tooManyConnections, .methodNotAllowed, .internalError]
        }
        let statuses = Set(all.map(\.row.status)).sorted()
        return statuses.map { status in
            (status, ErrorCode.allCases.filter { all.contains($0) && $0.row.status == status })
        }
    }

    /// What can happen to any request before a route sees it.
    private static let door: [ErrorCode] = [
        .missingKey, .invalidKey, .insufficientScope, .hostNotAllowed, .originNotAllowed, .keysUnreadable,
        .methodNotAllowed, .headersTooLarge, .malformedRequest, .tooManyConnections, .rateLimitExceeded,
        .internalError, .unknownURL,
    ]

    /// What can be wrong with a body.
    static let decoding: [ErrorCode] = [
        .requestTooLarge, .requestTimeout, .invalidJSON, .missingParameter, .invalidType, .integerTooSmall,
        .decimalTooSmall, .integerTooLarge, .decimalTooLarge, .arrayTooLong, .arrayTooShort, .stringTooLong,
        .invalidValue, .unsupportedParameter, .unsupportedValue, .conflictingParameters,
    ]

    /// What can be wrong with a request that asks a model.
    static let answering: [ErrorCode] =
        decoding + [
            .contextLengthExceeded, .modelNotFound, .modelAmbiguous, .modelNotReady, .stageLost,
            .deadlineExceeded, .cancelled, .clientTooSlow, .engineFailed,
        ]
}
