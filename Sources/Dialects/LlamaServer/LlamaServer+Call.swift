package import Vocabulary

extension LlamaServer {
    /// A request of `POST /tokenize`, `/detokenize` or `/apply-template`.
    ///
    /// **Source:** llama.cpp, `tools/server/README.md`.
    package struct Call: Sendable {
        /// The routes.
        package enum Route: Hashable, Sendable, CaseIterable {
            /// `POST /tokenize`
            case tokenize
            /// `POST /detokenize`
            case detokenize
            /// `POST /apply-template`
            case applyTemplate

            /// Its path.
            package var path: String {
                switch self {
                case .tokenize: "/tokenize"
                case .detokenize: "/detokenize"
                case .applyTemplate: "/apply-template"
                }
            }

            /// What the prompt is called there, for errors.
            package var promptField: String {
                switch self {
                case .tokenize: "content"
                case .detokenize: "tokens"
                case .applyTemplate: "messages"
                }
            }
        }

        /// The request in our own form.
        package var decoded: DecodedRequest
        /// Whether the request names a model; without a name it is for the only one there is.
        package var namesModel: Bool
        /// Whether tokens come with their texts.
        package var withPieces: Bool

        /// Reads a request body.
        ///
        /// **Throws:** `DialectError` naming field, limit and value.
        package static func decode(_ body: [UInt8], route: Route, id: RequestID) throws(DialectError) -> Call {
            var call: Call
            switch route {
            case .tokenize, .detokenize:
                var draft = Draft(id: id)
                try table(route).decode(body, into: &draft)
                call = try draft.finish(route)
            case .applyTemplate:
                var draft = RequestDraft(id: id)
                try templateTable.decode(body, into: &draft)
                let model = draft.model
                draft.model = model ?? "auto"
                call = Call(
                    decoded: try draft.finish(promptField: route.promptField), namesModel: model != nil,
                    withPieces: false)
                call.decoded.request.inspection = .template
            }
            // A node that knows no inspections must not begin to answer.
            call.decoded.request.maxOutputTokens = 0
            return call
        }

        /// Every field of a route and what becomes of it, by name.
        package static func fields(_ route: Route) -> [FieldDescription] {
            route == .applyTemplate ? templateTable.descriptions : table(route).descriptions
        }

        private static func table(_ route: Route) -> RuleTable<Draft> {
            route == .tokenize ? tokenizeTable : detokenizeTable
        }

        private static let templateTable = FieldTable(
            [OutputFields.model], OpenAI.ToolFields.rules, OpenAI.ReasoningFields.rules,
            OpenAI.ChatCompletion.conversation, [OpenAI.ChatCompletion.format])

        private static let tokenizeTable = RuleTable<Draft>([
            Draft.model,
            Rule("content", .honoured, "a text of at most 4 MiB, or at most 65536 texts and tokens") {
                (draft, field) throws(DialectError) in
                draft.parts = try parts(field)
            },
            Rule("add_special", .honoured, "false by default: what the vocabulary puts around a text is left out") {
                (draft, field) throws(DialectError) in
                draft.addsSpecial = try field.bool()
            },
            Rule("parse_special", .honoured, "true by default: control tokens in the text count as such") {
                (draft, field) throws(DialectError) in
                draft.parsesSpecial = try field.bool()
            },
            Rule("with_pieces", .honoured, "false by default; true tells each token's text, or its bytes") {
                (draft, field) throws(DialectError) in
                draft.withPieces = try field.bool()
            },
        ])

        private static let detokenizeTable = RuleTable<Draft>([
            Draft.model,
            Rule("tokens", .honoured, "at most 262144") { (draft, field) throws(DialectError) in
                var tokens: [Token] = []
                for element in try field.elements(atMost: Limits.detokenizedTokens) {
                    tokens.append(Token(try element.integer(in: 0...Int64(Int32.max))))
                }
                draft.tokens = tokens
            },
        ])

        private static func parts(_ field: Field) throws(DialectError) -> [Inspection.Part] {
            if field.node.string != nil { return [.text(try field.string(atMost: Limits.tokenizedBytes))] }
            guard field.node.array != nil else { throw field.wrongType(expected: "a string or an array") }
            var parts: [Inspection.Part] = []
            var bytes = 0
            for element in try field.elements(atMost: Limits.tokenizedParts) {
                guard element.node.number == nil else {
                    parts.append(.token(Token(try element.integer(in: 0...Int64(Int32.max)))))
                    continue
                }
                let text = try element.string()
                bytes += text.utf8.count
                guard bytes <= Limits.tokenizedBytes else {
                    throw .tooLong(field: field.name, bytes: bytes, limit: Limits.tokenizedBytes)
                }
                parts.append(.text(text))
            }
            return parts
        }

        /// A request about tokens while its fields are read.
        struct Draft: FieldTarget {
            let id: RequestID
            var warnings = Warnings()
            var name: String?
            var parts: [Inspection.Part]?
            var tokens: [Token]?
            var addsSpecial = false
            var parsesSpecial = true
            var withPieces = false

            static var blank: Self { Self(id: RequestID(0)) }

            static let model = Rule<Draft>("model", .honoured, "as elsewhere; may be left out where one is served") {
                (draft, field) throws(DialectError) in
                let name = try field.string(atMost: Limits.modelBytes)
                guard !name.isEmpty else {
                    throw .invalidValue(field: field.name, value: "''", expected: "the name of a model")
                }
                draft.name = name
            }

            init(id: RequestID) { self.id = id }

            consuming func finish(_ route: Route) throws(DialectError) -> Call {
                var request = GenerationRequest(id: id, model: name ?? "auto", prompt: .text(""))
                switch route {
                case .tokenize:
                    guard let parts else { throw .missingField("content") }
                    request.inspection = .tokens(parts, addsSpecial: addsSpecial, parsesSpecial: parsesSpecial)
                case .detokenize, .applyTemplate:
                    guard let tokens else { throw .missingField("tokens") }
                    request.prompt = .tokens(tokens)
                    request.inspection = .text
                }
                return Call(
                    decoded: DecodedRequest(
                        request: request, stream: false, includeUsage: false, warnings: warnings.all),
                    namesModel: name != nil, withPieces: withPieces)
            }
        }
    }
}
