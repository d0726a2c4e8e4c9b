package import Vocabulary

/// A client's request for embeddings in our own form, with what concerns the answer's shape but not its content.
package struct EmbeddingCall: Sendable {
    /// The three routes that make embeddings; their fields and their answers differ.
    package enum Route: Hashable, Sendable, CaseIterable {
        /// `POST /v1/embeddings`
        case openAI
        /// `POST /api/embed`
        case ollama
        /// `POST /api/embeddings`, Ollama's older one.
        case ollamaSingle
    }

    /// What to embed.
    package var request: EmbeddingRequest
    /// The model as the client named it.
    package var model: String
    /// How many numbers of each vector are wanted; nil for all.
    package var dimensions: Int?
    /// Send vectors as base64 of little-endian 32-bit floats.
    package var isBase64: Bool
    /// What was accepted but has no effect here, a sentence each.
    package var warnings: [String]

    /// Reads a request body.
    ///
    /// **Throws:** `DialectError` naming field, limit and value.
    package static func decode(_ body: [UInt8], route: Route, id: RequestID) throws(DialectError) -> EmbeddingCall {
        var draft = EmbeddingDraft.blank
        try table(route).decode(body, into: &draft)
        guard let model = draft.model else { throw .missingField("model") }
        guard let inputs = draft.inputs else { throw .missingField(route == .ollamaSingle ? "prompt" : "input") }
        var request = EmbeddingRequest(
            id: id, model: model, inputs: inputs, truncates: draft.truncates ?? (route != .openAI),
            dimensions: draft.dimensions)
        if let time = draft.keepAlive { request.residency = Residency(mayDeploy: false, keepAlive: time) }
        return EmbeddingCall(
            request: request, model: model, dimensions: draft.dimensions, isBase64: draft.isBase64,
            warnings: draft.warnings.all)
    }

    /// Every field of a route and what becomes of it, by name.
    package static func fields(_ route: Route) -> [FieldDescription] { table(route).descriptions }

    private static func table(_ route: Route) -> RuleTable<EmbeddingDraft> {
        switch route {
        case .openAI: openAITable
        case .ollama: ollamaTable
        case .ollamaSingle: ollamaSingleTable
        }
    }

    private static let openAITable = RuleTable<EmbeddingDraft>([
        EmbeddingDraft.model, EmbeddingDraft.input(tokens: true), EmbeddingDraft.dimensions,
        Rule("encoding_format", .honoured, "float, base64") { (draft, field) throws(DialectError) in
            draft.isBase64 = try field.word(["float", "base64"]) == "base64"
        },
        Rule("user", .noted, "it identifies the end user to OpenAI only") { (draft, field) throws(DialectError) in
            _ = try field.string(atMost: Limits.labelBytes)
            draft.warnings.add("'user' has no effect: it identifies the end user to OpenAI only.")
        },
        .refused("truncate_prompt_tokens", "shorten the input yourself"),
        .refused("input_type", "write the model's own prefix into the input"),
    ])

    private static let ollamaTable = RuleTable<EmbeddingDraft>(
        [EmbeddingDraft.model, EmbeddingDraft.input(tokens: false), EmbeddingDraft.dimensions],
        EmbeddingDraft.ollama,
        [
            Rule("truncate", .honoured, "true by default: what is longer than the window is shortened") {
                (draft, field) throws(DialectError) in
                draft.truncates = try field.bool()
            }
        ])

    private static let ollamaSingleTable = RuleTable<EmbeddingDraft>(
        [
            EmbeddingDraft.model,
            Rule("prompt", .honoured, "a text") { (draft, field) throws(DialectError) in
                draft.inputs = [.text(try field.string())]
            },
        ], EmbeddingDraft.ollama)
}

/// A request for embeddings while its fields are read.
struct EmbeddingDraft: FieldTarget {
    var warnings = Warnings()
    var model: String?
    var inputs: [EmbeddingRequest.Input]?
    var dimensions: Int?
    var isBase64 = false
    var keepAlive: KeepAlive?
    /// nil takes the dialect's own habit.
    var truncates: Bool?

    static var blank: EmbeddingDraft { EmbeddingDraft() }

    static let model = Rule<EmbeddingDraft>(
        "model", .honoured, "id, alias, org/repo[@rev][:quant] or 'auto'; at most 256 bytes"
    ) {
        (draft, field) throws(DialectError) in
        let model = try field.string(atMost: Limits.modelBytes)
        guard !model.isEmpty else {
            throw .invalidValue(field: field.name, value: "''", expected: "the name of a model")
        }
        draft.model = model
    }

    static let dimensions = Rule<EmbeddingDraft>(
        "dimensions", .honoured, "1 … 65536, at most the model's; the vector is cut and made of length 1 again"
    ) { (draft, field) throws(DialectError) in
        draft.dimensions = Int(try field.integer(in: 1...Int64(Limits.embeddingDimensions)))
    }

    static let ollama: [Rule<EmbeddingDraft>] = [
        Rule("options", .noted, "they concern generating and loading") { (draft, field) throws(DialectError) in
            try field.requireObject()
            draft.warnings.add("'options' has no effect: they concern generating and loading.")
        },
        Rule(
            "keep_alive", .mapped,
            "seconds or a duration; 0 unloads, negative keeps for ever; for models of the cluster, with the scope admin"
        ) { (draft, field) throws(DialectError) in
            draft.keepAlive = try Ollama.KeepAliveField.decode(field)
        },
    ]

    static func input(tokens: Bool) -> Rule<EmbeddingDraft> {
        let note = tokens ? "a text, tokens, or at most 2048 of either" : "a text, or at most 2048"
        return Rule("input", .honoured, note) { (draft, field) throws(DialectError) in
            draft.inputs = try inputs(field, tokens: tokens)
        }
    }

    private static func inputs(_ field: Field, tokens: Bool) throws(DialectError) -> [EmbeddingRequest.Input] {
        if field.node.string != nil { return [try input(field)] }
        guard let array = field.node.array else {
            throw field.wrongType(expected: tokens ? "a string or an array" : "a string or an array of strings")
        }
        guard !array.isEmpty else { throw .tooFew(field: field.name, count: 0, minimum: 1) }
        if tokens, array[0].number != nil { return [.tokens(try tokenList(field))] }
        var inputs: [EmbeddingRequest.Input] = []
        for element in try field.elements(atMost: Limits.embeddingInputs) {
            if tokens, element.node.array != nil {
                inputs.append(.tokens(try tokenList(element)))
            } else {
                inputs.append(try input(element))
            }
        }
        return inputs
    }

    private static func input(_ field: Field) throws(DialectError) -> EmbeddingRequest.Input {
        let text = try field.string()
        guard !text.isEmpty else { throw .invalidValue(field: field.name, value: "''", expected: "a text") }
        return .text(text)
    }

    private static func tokenList(_ field: Field) throws(DialectError) -> [Token] {
        var tokens: [Token] = []
        for element in try field.elements(atMost: Limits.jsonNodes) {
            tokens.append(Token(try element.integer(in: 0...Int64(Int32.max))))
        }
        guard !tokens.isEmpty else { throw .tooFew(field: field.name, count: 0, minimum: 1) }
        return tokens
    }
}
