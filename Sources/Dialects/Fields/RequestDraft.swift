import Vocabulary

/// A request while its fields are read: what goes straight through, and what can only be judged when all are known.
struct RequestDraft: Sendable {
    /// A value and the name of the field it came from.
    struct Named<Value: Sendable>: Sendable {
        let field: String
        let value: Value
    }

    var request: GenerationRequest
    var warnings = Warnings()
    var stream = false
    var streamOptions: String?
    var includeUsage = false

    var model: String?
    var prompt: GenerationRequest.Prompt?
    /// Prompts behind that one (completions).
    var furtherPrompts: [GenerationRequest.Prompt] = []
    /// Every bound on the answer's length that was given; nil as value means "no bound".
    var outputLimits: [Named<Int?>] = []
    /// Whether `logprobs` is true (chat).
    var wantsLogprobs: Bool?
    /// Every number of alternatives that was given.
    var topLogprobs: [Named<Int>] = []
    var toolChoice: Named<ToolChoice>?
    /// The tools `tool_choice` narrows the list to.
    var allowedTools: Named<[String]>?
    /// Every form asked for: response_format, json_schema, grammar.
    var formats: [Named<ResponseFormat>] = []
    /// Every statement on whether to think.
    var thinking: [Named<Bool>] = []
    var reasoningEffort: String?
    /// Whether the request says itself how long to think, be it without a bound.
    var hasBudget = false
    /// Completions: candidates to generate.
    var bestOf: Int?
    /// Options the client gave, in Ollama's words.
    var stated: Set<String> = []
    /// What only the Responses dialect asks for.
    var responses = Responses.Settings()

    init(id: RequestID) { request = GenerationRequest(id: id, model: "", prompt: .text("")) }

    /// Judges the fields together and makes the request.
    ///
    /// **Throws:** `missingField` for model or prompt; `conflict` for fields that contradict each other.
    consuming func finish(promptField: String) throws(DialectError) -> DecodedRequest {
        guard let model else { throw .missingField("model") }
        guard let prompt else { throw .missingField(promptField) }
        request.model = model
        request.prompt = prompt
        try settleOutputLimit()
        try settleLogprobs()
        try settleTools()
        try settleFormat()
        try settleReasoning()
        if let bestOf, bestOf != request.choiceCount {
            throw .unsupportedValue(
                field: "best_of", value: "\(bestOf)",
                remedy: "leave it out or make it equal to n (\(request.choiceCount))")
        }
        if let streamOptions, !stream {
            throw .conflict(field: streamOptions, reason: "it is only allowed when 'stream' is true")
        }
        request.templateArguments.sort { $0.name < $1.name }
        if !stated.isEmpty { request.stated = stated }
        var decoded = DecodedRequest(
            request: request, stream: stream, includeUsage: includeUsage, warnings: warnings.all)
        decoded.furtherPrompts = furtherPrompts
        return decoded
    }

    private mutating func settleOutputLimit() throws(DialectError) {
        guard let first = outputLimits.first else { return }
        for other in outputLimits where other.value != first.value {
            throw .conflict(field: other.field, reason: "it differs from '\(first.field)'; send only one of them")
        }
        request.maxOutputTokens = first.value
    }

    private mutating func settleLogprobs() throws(DialectError) {
        if let top = topLogprobs.first, wantsLogprobs != true {
            throw .conflict(field: top.field, reason: "it is only allowed when 'logprobs' is true")
        }
        if let other = topLogprobs.first(where: { $0.value != topLogprobs[0].value }) {
            throw .conflict(
                field: other.field, reason: "it differs from '\(topLogprobs[0].field)'; send only one of them")
        }
        if wantsLogprobs == true { request.topLogprobs = topLogprobs.first?.value ?? 0 }
    }

    private mutating func settleTools() throws(DialectError) {
        if let allowedTools {
            for name in allowedTools.value where !request.tools.contains(where: { $0.name == name }) {
                throw .invalidValue(
                    field: allowedTools.field, value: "'\(name)'", expected: "the name of one of the request's tools")
            }
            request.tools.removeAll { !allowedTools.value.contains($0.name) }
        }
        guard let toolChoice else { return }
        request.toolChoice = toolChoice.value
        switch toolChoice.value {
        case .auto, .none: break
        case .required:
            guard !request.tools.isEmpty else {
                throw .conflict(field: toolChoice.field, reason: "it demands a tool, but 'tools' names none")
            }
        case .named(let name):
            guard request.tools.contains(where: { $0.name == name }) else {
                throw .invalidValue(
                    field: toolChoice.field, value: "'\(name)'", expected: "the name of one of the request's tools")
            }
        }
    }

    private mutating func settleFormat() throws(DialectError) {
        let formats = formats.filter { $0.value != .text }
        guard let first = formats.first else { return }
        if let other = formats.dropFirst().first(where: { $0.value != first.value }) {
            throw .conflict(field: other.field, reason: "it contradicts '\(first.field)'; send only one of them")
        }
        if case .grammar = first.value, !request.tools.isEmpty, request.toolChoice != .none {
            throw .conflict(field: first.field, reason: "a grammar cannot be combined with tools")
        }
        request.responseFormat = first.value
    }

    private mutating func settleReasoning() throws(DialectError) {
        guard let first = thinking.first else { return }
        for other in thinking where other.value != first.value {
            throw .conflict(field: other.field, reason: "it contradicts '\(first.field)'; send only one of them")
        }
        request.reasoning.enabled = first.value
        if let reasoningEffort, first.value, request.reasoning.budget == nil, !hasBudget {
            request.reasoning.budget = Limits.reasoningBudgets[reasoningEffort]
        }
        let isGiven = request.templateArguments.contains { $0.name == "reasoning_effort" }
        if let reasoningEffort, first.value, !isGiven {
            let value = "\"\(reasoningEffort)\""
            request.templateArguments.append(TemplateArgument(name: "reasoning_effort", value: value))
        }
    }
}
