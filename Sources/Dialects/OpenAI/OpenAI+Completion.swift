package import Vocabulary

extension OpenAI {
    /// `POST /v1/completions`, the request side: prompts as texts or tokens, continued without a chat template.
    package enum Completion {
        /// What OpenAI generates when the request names no bound.
        private static let defaultOutputTokens = 16

        /// Reads a request body; see `ChatCompletion.decode`.
        ///
        /// **Throws:** `DialectError` naming field, limit and value.
        package static func decode(_ body: [UInt8], id: RequestID) throws(DialectError) -> DecodedRequest {
            var draft = RequestDraft(id: id)
            try table.decode(body, into: &draft)
            if draft.outputLimits.isEmpty {
                draft.outputLimits.append(.init(field: "max_tokens", value: defaultOutputTokens))
                draft.warnings.add("'max_tokens' is missing; OpenAI's default of \(defaultOutputTokens) applies.")
            }
            if draft.request.echo, draft.wantsLogprobs == true {
                throw .conflict(field: "echo", reason: "log-probabilities of the prompt are not computed")
            }
            let (prompts, choices) = (draft.furtherPrompts.count + 1, draft.request.choiceCount)
            guard prompts * choices <= Limits.choices else {
                throw .conflict(
                    field: "n",
                    reason: "\(choices) answers to each of \(prompts) prompts are \(prompts * choices), but one "
                        + "request has at most \(Limits.choices); send several requests")
            }
            return try draft.finish(promptField: "prompt")
        }

        /// Every field and what becomes of it, by name.
        package static var fields: [FieldDescription] { table.descriptions }

        private static let table = FieldTable(SamplingFields.rules, OutputFields.rules, rules)

        private static let rules: [FieldRule] = [
            FieldRule(
                "prompt", .honoured, "a text, token ids, or an array of at most 128 of these; 128 answers in all"
            ) { (draft, field) throws(DialectError) in
                let all = try prompts(field)
                draft.prompt = all.first
                draft.furtherPrompts = Array(all.dropFirst())
            },
            FieldRule("echo", .honoured, "not with logprobs") { (draft, field) throws(DialectError) in
                draft.request.echo = try field.bool()
            },
            FieldRule("suffix", .refused, "only an empty one") { (draft, field) throws(DialectError) in
                guard try field.string().isEmpty else {
                    throw .unsupportedField(
                        field: field.name, remedy: "write the model's own fill-in-the-middle tokens into the prompt")
                }
            },
            FieldRule("best_of", .refused, "only equal to n") { (draft, field) throws(DialectError) in
                draft.bestOf = Int(try field.integer(in: 1...Int64(Limits.choices)))
            },
            FieldRule("logprobs", .honoured, "0 … 5 alternatives per token") { (draft, field) throws(DialectError) in
                let count = try field.integer(in: 0...Int64(Limits.completionLogprobs))
                draft.wantsLogprobs = true
                draft.topLogprobs.append(.init(field: field.name, value: Int(count)))
            },
            FieldRule("response_format", .honoured, "text, json_object, json_schema") {
                (draft, field) throws(DialectError) in
                draft.formats.append(try ResponseFormats.decode(field, warnings: &draft.warnings))
            },
            .refused("messages", "use /v1/chat/completions"),
            .refused("tools", "use /v1/chat/completions"),
        ]

        // MARK: Prompt

        private static func prompts(_ field: Field) throws(DialectError) -> [GenerationRequest.Prompt] {
            if let text = field.node.string { return [.text(text)] }
            guard let elements = field.node.array else {
                throw field.wrongType(expected: "a string or an array")
            }
            guard let first = elements.first else { throw .tooFew(field: field.name, count: 0, minimum: 1) }
            if first.number != nil { return [.tokens(try tokens(elements, of: field))] }
            var prompts: [GenerationRequest.Prompt] = []
            for element in try field.elements(atMost: Limits.completionPrompts) {
                prompts.append(try prompt(element))
            }
            return prompts
        }

        private static func prompt(_ field: Field) throws(DialectError) -> GenerationRequest.Prompt {
            if let text = field.node.string { return .text(text) }
            guard let elements = field.node.array else {
                throw field.wrongType(expected: "a string, a token id or an array of token ids")
            }
            guard !elements.isEmpty else { throw .tooFew(field: field.name, count: 0, minimum: 1) }
            return .tokens(try tokens(elements, of: field))
        }

        private static func tokens(_ elements: [JSONNode], of field: Field) throws(DialectError) -> [Token] {
            var tokens: [Token] = []
            tokens.reserveCapacity(elements.count)
            for (index, element) in elements.enumerated() {
                if case .exact(let value)? = element.number?.integer, let token = Token(exactly: value), token >= 0 {
                    tokens.append(token)
                } else {
                    // Only now is the place worth describing: a prompt has up to a million tokens.
                    let place = Field(node: element, path: .element(field.path, index))
                    tokens.append(Token(clamping: try place.integer(in: 0...Int64(Token.max))))
                }
            }
            return tokens
        }
    }
}
