import Vocabulary

/// The answer's length, number, form and delivery: the fields chat and completions share.
enum OutputFields {
    private static let int32Max = Int64(Int32.max)

    static let rules: [FieldRule] = identity + length + delivery + form + reuse

    /// The model's name.
    static let model = FieldRule("model", .honoured, "id, alias, org/repo[@rev][:quant] or 'auto'; at most 256 bytes") {
        (draft, field) throws(DialectError) in
        let model = try field.string(atMost: Limits.modelBytes)
        guard !model.isEmpty else {
            throw .invalidValue(field: field.name, value: "''", expected: "the name of a model")
        }
        draft.model = model
    }

    private static let identity: [FieldRule] = [
        model,
        label("user", "it identifies the end user to OpenAI only"),
        label("safety_identifier", "it identifies the end user to OpenAI only"),
        FieldRule("metadata", .noted, "requests are not stored") { (draft, field) throws(DialectError) in
            try field.requireObject()
            draft.warnings.add("'metadata' has no effect: requests are not stored.")
        },
    ]

    private static let length: [FieldRule] = [
        outputLimit("max_tokens", minimum: 1),
        outputLimit("n_predict", minimum: 1),
        FieldRule("n", .honoured, "1 … 128") { (draft, field) throws(DialectError) in
            draft.request.choiceCount = Int(try field.integer(in: 1...Int64(Limits.choices)))
        },
        FieldRule("stop", .honoured, "a text or at most 16, of at most 256 bytes") {
            (draft, field) throws(DialectError) in
            draft.request.stop = try stopTexts(field, warnings: &draft.warnings)
        },
        FieldRule("stop_token_ids", .honoured, "at most 64 token ids; one of them ends the answer, unseen") {
            (draft, field) throws(DialectError) in
            var tokens: [Token] = []
            for element in try field.elements(atMost: Limits.stopTokens) {
                tokens.append(Token(try element.integer(in: 0...int32Max)))
            }
            draft.request.stopTokens = tokens.isEmpty ? nil : tokens
        },
        FieldRule("n_probs", .mapped, "llama.cpp's name of top_logprobs, 0 … 20; 0 is none") {
            (draft, field) throws(DialectError) in
            let count = Int(try field.integer(in: 0...Int64(Limits.topLogprobs)))
            guard count > 0 else { return }
            draft.wantsLogprobs = draft.wantsLogprobs ?? true
            draft.topLogprobs.append(.init(field: field.name, value: count))
        },
        .refused("t_max_predict_ms", "use max_tokens"),
        .refused("n_indent", "use a grammar"),
        .refused("include_stop_str_in_output", "append the stop text yourself"),
        .refused("prompt_logprobs", "leave it out"),
    ]

    private static let delivery: [FieldRule] = [
        FieldRule("stream", .honoured, "") { (draft, field) throws(DialectError) in
            draft.stream = try field.bool()
        },
        FieldRule("stream_options", .honoured, "include_usage; include_obfuscation is noted") {
            (draft, field) throws(DialectError) in
            try streamOptions(field, draft: &draft)
        },
        .noted("timings_per_token", "timings come with the end of the answer"),
        .noted("return_progress", "a waiting client sees its place in the queue as comments of the stream"),
        .noted("sse_ping_interval", "the server keeps silent streams alive by itself"),
        .noted("verbose", "nothing more is reported"),
        .noted("return_tokens", "token ids are not part of the answer"),
        .refused("response_fields", "the answer always has all fields"),
    ]

    private static let form: [FieldRule] = [
        FieldRule("grammar", .honoured, "GBNF; at most 256 KiB") { (draft, field) throws(DialectError) in
            let grammar = try field.string(atMost: Limits.grammarBytes)
            guard !grammar.isEmpty else { return }
            draft.formats.append(.init(field: field.name, value: .grammar(grammar)))
        },
        FieldRule("json_schema", .mapped, "llama.cpp's short form of response_format") {
            (draft, field) throws(DialectError) in
            draft.formats.append(.init(field: field.name, value: .jsonSchema(try field.schema())))
            try field.checkSchema(strict: false, warnings: &draft.warnings)
        },
        .refused("guided_json", "use response_format with a json_schema"),
        .refused("guided_regex", "use grammar"),
        .refused("guided_choice", "use response_format with a json_schema that has an enum"),
        .refused("guided_grammar", "use grammar"),
        .refused("structured_outputs", "use response_format or grammar"),
        .refused("grammar_lazy", "use tools"),
        .refused("grammar_triggers", "use tools"),
    ]

    private static let reuse: [FieldRule] = [
        FieldRule("cache_prompt", .honoured, "the default is true without a seed, false with one") {
            (draft, field) throws(DialectError) in draft.request.reusesPrefix = try field.bool()
        },
        .noted("prompt_cache_key", "common prefixes are found without it"),
        .noted("prompt_cache_retention", "the prefix cache keeps what is used"),
        .noted("prompt_cache_options", "the prefix cache keeps what is used"),
        .noted("id_slot", "the scheduler chooses the lane"),
        .noted("n_cache_reuse", "the prefix cache decides by itself"),
        .noted("n_keep", "a prompt is never truncated"),
        .noted("n_discard", "a prompt is never truncated"),
        .refused("truncate_prompt_tokens", "shorten the prompt yourself"),
    ]

    /// A bound on the number of generated tokens; -1 is none, as llama.cpp's clients send it.
    static func outputLimit(_ name: String, minimum: Int64) -> FieldRule {
        FieldRule(name, name == "n_predict" ? .mapped : .honoured, "\(minimum) … 2147483647; -1 is no bound") {
            (draft, field) throws(DialectError) in
            let isUnbounded = field.node.number?.integer == .exact(-1)
            let value = isUnbounded ? nil : Int(try field.integer(in: minimum...int32Max))
            draft.outputLimits.append(.init(field: field.name, value: value))
        }
    }

    /// A text that is only checked.
    static func label(_ name: String, _ why: String) -> FieldRule {
        FieldRule(name, .noted, why) { (draft, field) throws(DialectError) in
            _ = try field.string(atMost: Limits.labelBytes)
            draft.warnings.add("'\(name)' has no effect: \(why).")
        }
    }

    static func stopTexts(_ field: Field, warnings: inout Warnings) throws(DialectError) -> [String] {
        let entries = field.node.string == nil ? try field.elements(atMost: Limits.stopTexts) : [field]
        var texts: [String] = []
        for entry in entries {
            let text = try entry.string(atMost: Limits.stopTextBytes)
            if text.isEmpty {
                warnings.add("An empty text in '\(field.name)' has no effect.")
            } else if !texts.contains(text) {
                texts.append(text)
            }
        }
        return texts
    }

    private static func streamOptions(_ field: Field, draft: inout RequestDraft) throws(DialectError) {
        try field.requireObject()
        draft.streamOptions = field.name
        for (key, member) in field.members {
            switch key {
            case "include_usage": draft.includeUsage = try member.bool()
            case "include_obfuscation":
                if try member.bool() {
                    draft.warnings.add("'stream_options.include_obfuscation' has no effect: chunks are not padded.")
                }
            default: draft.warnings.addUnknown(member.name)
            }
        }
    }
}
