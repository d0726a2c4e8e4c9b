import Vocabulary

extension Responses {
    /// The fields of `POST /v1/responses`.
    enum Fields {
        static let table = FieldTable(
            shared, SamplingFields.rules, conversation, keeping, answer, identity, ToolFields.rules, refusals)

        /// Rules of chat completions that mean the same here.
        private static let shared: [FieldRule] =
            OutputFields.rules.filter { ["model", "stop", "stream", "grammar"].contains($0.description.name) }
            + OutputFields.rules.filter { $0.description.name.hasPrefix("prompt_cache_") && !isOurs($0) }
            + OpenAI.ReasoningFields.rules.filter { sharedReasoning.contains($0.description.name) }

        private static let sharedReasoning = [
            "enable_thinking", "reasoning_budget_tokens", "thinking_budget_tokens", "chat_template_kwargs",
        ]

        private static func isOurs(_ rule: FieldRule) -> Bool { rule.description.name == "prompt_cache_key" }

        private static let conversation: [FieldRule] = [
            FieldRule("input", .honoured, "a text, or at most 4096 items; parts of text and images") {
                (draft, field) throws(DialectError) in
                draft.responses.input = try Item.decode(field, atMost: Limits.messages, warnings: &draft.warnings)
                draft.prompt = .chat([])
            },
            FieldRule("instructions", .honoured, "a system message in front; those of earlier responses are not kept") {
                (draft, field) throws(DialectError) in
                draft.responses.instructions = try field.string()
            },
            FieldRule("previous_response_id", .honoured, "at most 256 responses may follow each other") {
                (draft, field) throws(DialectError) in
                draft.responses.previousID = try field.string(atMost: Limits.toolCallIDBytes)
                // What was said before is input enough.
                draft.prompt = draft.prompt ?? .chat([])
            },
            FieldRule("truncation", .honoured, "disabled, auto: the oldest turns go until the rest fits the window") {
                (draft, field) throws(DialectError) in
                draft.responses.truncates = try field.word(["disabled", "auto"]) == "auto"
            },
        ]

        private static let keeping: [FieldRule] = [
            FieldRule("store", .honoured, "true is the default; kept within limits of age, number and bytes") {
                (draft, field) throws(DialectError) in
                draft.responses.isStored = try field.bool()
            },
            FieldRule("background", .honoured, "needs store; runs on when the client leaves") {
                (draft, field) throws(DialectError) in
                draft.responses.runsInBackground = try field.bool()
            },
            FieldRule("metadata", .honoured, "at most 16 texts of at most 512 characters, names of at most 64") {
                (draft, field) throws(DialectError) in
                draft.responses.metadata = try metadata(field)
            },
            FieldRule("stream_options", .noted, "include_obfuscation: events are not padded") {
                (draft, field) throws(DialectError) in
                try field.requireObject()
                draft.streamOptions = field.name
                for (key, member) in field.members {
                    guard key == "include_obfuscation" else {
                        draft.warnings.addUnknown(member.name)
                        continue
                    }
                    if try member.bool() {
                        draft.warnings.add("'\(member.name)' has no effect: events are not padded.")
                    }
                }
            },
        ]

        private static let answer: [FieldRule] = [
            OutputFields.outputLimit("max_output_tokens", minimum: 1),
            FieldRule("top_logprobs", .honoured, "0 … 20; above 0 it asks for log-probabilities") {
                (draft, field) throws(DialectError) in
                let count = Int(try field.integer(in: 0...Int64(Limits.topLogprobs)))
                guard count > 0 else { return }
                draft.wantsLogprobs = true
                draft.topLogprobs.append(.init(field: field.name, value: count))
            },
            FieldRule(
                "include", .honoured,
                "message.output_text.logprobs, reasoning.encrypted_content; those of tools "
                    + "that do not run here are noted", apply: include),
            FieldRule("text", .honoured, "format: text, json_object, json_schema; verbosity is noted") {
                (draft, field) throws(DialectError) in
                try text(field, draft: &draft)
            },
            FieldRule("reasoning", .honoured, "effort; summary is noted: reasoning comes whole as reasoning_text") {
                (draft, field) throws(DialectError) in
                try reasoning(field, draft: &draft)
            },
            FieldRule("max_tool_calls", .noted, "it bounds calls of hosted tools, and none run here") {
                (draft, field) throws(DialectError) in
                draft.responses.maxToolCalls = try field.integer(in: 1...Int64(Int32.max))
                draft.warnings.add("'max_tool_calls' has no effect: it bounds hosted tools, and none run here.")
            },
        ]

        private static let identity: [FieldRule] = [
            label("user", limit: Limits.labelBytes) { $0.responses.user = $1 },
            label("safety_identifier", limit: Limits.labelBytes) { $0.responses.safetyIdentifier = $1 },
            label("prompt_cache_key", limit: Limits.labelBytes) { $0.responses.promptCacheKey = $1 },
            FieldRule("service_tier", .noted, "there is one tier, 'default'") { (draft, field) throws(DialectError) in
                let tier = try field.word(["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"])
                if tier != "auto", tier != "default" {
                    draft.warnings.add("'service_tier' has no effect: there is one tier, 'default'.")
                }
            },
            .noted("client_metadata", "it identifies the client to OpenAI only"),
            .noted("access_programs", "they concern OpenAI's models only"),
        ]

        private static let refusals: [FieldRule] = [
            .refused("conversation", "use 'previous_response_id', or send the conversation as 'input'"),
            .refused("prompt", "prompt templates are not kept here; send 'instructions' and 'input'"),
            .refused("moderation", "moderate input and answer yourself"),
            .refused("context_management", "call /v1/responses/compact yourself"),
            .refused("image", "send images as parts of 'input'"),
            .refused("messages", "use 'input'"),
            .refused("max_tokens", "use 'max_output_tokens'"),
            .refused("max_completion_tokens", "use 'max_output_tokens'"),
            .refused("response_format", "use 'text.format'"),
            .refused("reasoning_effort", "use 'reasoning.effort'"),
            .refused("stop_token_ids", "use 'stop' with texts, or logit_bias"),
            .refused("logprobs", "use 'top_logprobs', or 'include' with message.output_text.logprobs"),
            .refused("modalities", "only text is generated"),
            .refused("audio", "only text is generated"),
            .refused("functions", "use 'tools'"),
            .refused("function_call", "use 'tool_choice'"),
            FieldRule("n", .refused, "only 1; send the request several times") { (draft, field) throws(DialectError) in
                guard try field.integer(in: 1...Int64(Limits.choices)) == 1 else {
                    throw .unsupportedValue(
                        field: field.name, value: field.node.text, remedy: "send the request several times")
                }
            },
        ]

        /// A short text that the response repeats and nothing else depends on.
        private static func label(
            _ name: String, limit: Int, set: @escaping @Sendable (inout RequestDraft, String) -> Void
        ) -> FieldRule {
            FieldRule(name, .noted, "repeated in the response, without effect on the answer") {
                (draft, field) throws(DialectError) in
                set(&draft, try field.string(atMost: limit))
            }
        }

        private static func metadata(_ field: Field) throws(DialectError) -> [(key: String, value: String)] {
            try field.requireObject()
            let members = field.members
            guard members.count <= Limits.metadataPairs else {
                throw .tooMany(field: field.name, count: members.count, limit: Limits.metadataPairs)
            }
            var pairs: [(key: String, value: String)] = []
            for (key, member) in members {
                let value = try member.string()
                guard key.unicodeScalars.count <= Limits.metadataKeyCharacters else {
                    throw .invalidValue(
                        field: field.name, value: "the key '\(clipped(key))' of \(key.unicodeScalars.count) characters",
                        expected: "keys of at most \(Limits.metadataKeyCharacters) characters")
                }
                guard value.unicodeScalars.count <= Limits.metadataValueCharacters else {
                    throw .invalidValue(
                        field: member.name, value: "a text of \(value.unicodeScalars.count) characters",
                        expected: "at most \(Limits.metadataValueCharacters) characters")
                }
                pairs.append((key, value))
            }
            return pairs
        }

        private static func include(_ draft: inout RequestDraft, _ field: Field) throws(DialectError) {
            let foreign = [
                "file_search_call.results", "web_search_call.results", "web_search_call.action.sources",
                "message.input_image.image_url", "computer_call_output.output.image_url",
                "code_interpreter_call.outputs",
            ]
            let ours = ["message.output_text.logprobs", "reasoning.encrypted_content"]
            for element in try field.elements(atMost: Limits.includes) {
                switch try element.word(ours + foreign) {
                case "message.output_text.logprobs": draft.wantsLogprobs = true
                case "reasoning.encrypted_content": draft.responses.includesSealedReasoning = true
                case let name: draft.warnings.add("'include' of '\(name)' has no effect: there is no such output.")
                }
            }
        }
    }
}

// MARK: - Nested objects

extension Responses.Fields {
    private static func text(_ field: Field, draft: inout RequestDraft) throws(DialectError) {
        try field.requireObject()
        for (key, member) in field.members {
            switch key {
            case "format": try format(member, draft: &draft)
            case "verbosity":
                let verbosity = try member.word(["low", "medium", "high"])
                draft.responses.verbosity = verbosity
                if verbosity != "medium" {
                    draft.warnings.add("'text.verbosity' has no effect: ask for it in 'instructions'.")
                }
            default: draft.warnings.addUnknown(member.name)
            }
        }
    }

    private static func format(_ field: Field, draft: inout RequestDraft) throws(DialectError) {
        try field.requireObject()
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("type")
        switch try field.required("type").word(["text", "json_object", "json_schema"]) {
        case "text":
            writer.string("text")
            draft.warnings.addUnknown(in: field.node, besides: ["type"], place: field.name)
            draft.formats.append(.init(field: field.name, value: .text))
        case "json_object":
            writer.string("json_object")
            draft.warnings.addUnknown(in: field.node, besides: ["type"], place: field.name)
            draft.formats.append(.init(field: field.name, value: .jsonObject))
        default:
            writer.string("json_schema")
            draft.formats.append(
                .init(field: field.name, value: try schema(field, to: &writer, warnings: &draft.warnings)))
        }
        writer.endObject()
        draft.responses.format = writer.bytes
    }

    private static func schema(
        _ field: Field, to writer: inout JSONWriter, warnings: inout Warnings
    ) throws(DialectError) -> ResponseFormat {
        let name = try field.required("name").identifier()
        let description = try field.member("description")?.string(atMost: Limits.descriptionBytes)
        let schema = try field.required("schema")
        try schema.requireObject()
        let strict = try field.member("strict")?.bool()
        try schema.checkSchema(strict: strict ?? false, warnings: &warnings)
        if strict == false {
            warnings.add("'\(field.name).strict' has no effect: the schema is always enforced.")
        }
        let known = ["type", "name", "description", "schema", "strict"]
        warnings.addUnknown(in: field.node, besides: known, place: field.name)
        let text = try schema.schema()
        writer.key("name")
        writer.string(name)
        writer.key("description")
        writer.string(orNull: description)
        writer.key("schema")
        writer.raw(text)
        writer.key("strict")
        writer.bool(true)
        return .jsonSchema(text)
    }

    private static func reasoning(_ field: Field, draft: inout RequestDraft) throws(DialectError) {
        try field.requireObject()
        for (key, member) in field.members {
            switch key {
            case "effort":
                let effort = try member.word(["none", "minimal", "low", "medium", "high", "xhigh", "max"])
                draft.responses.effort = effort
                draft.thinking.append(.init(field: member.name, value: effort != "none"))
                if effort != "none" { draft.reasoningEffort = effort }
            case "summary", "generate_summary":
                draft.responses.summary = try member.word(["auto", "concise", "detailed"])
                draft.warnings.add("'\(member.name)' has no effect: reasoning comes whole, as reasoning_text.")
            case "context":
                if try member.word(["auto", "current_turn", "all_turns"]) == "current_turn" {
                    draft.warnings.add("'\(member.name)' has no effect: the chat template decides what it keeps.")
                }
            case "mode":
                guard try member.string() == "standard" else {
                    throw .unsupportedValue(
                        field: member.name, value: member.node.text, remedy: "leave it out or send 'standard'")
                }
            default: draft.warnings.addUnknown(member.name)
            }
        }
    }

    /// The rows of the documentation for what stands inside other fields.
    static let nested: [FieldDescription] = [
        .init(name: "reasoning.context", disposition: .noted, note: "the chat template decides what it keeps"),
        .init(
            name: "reasoning.effort", disposition: .mapped,
            note: "none: no thinking; others: a template variable and a budget"),
        .init(name: "reasoning.generate_summary", disposition: .noted, note: "the old name of reasoning.summary"),
        .init(name: "reasoning.mode", disposition: .refused, note: "only standard"),
        .init(name: "reasoning.summary", disposition: .noted, note: "reasoning comes whole, as reasoning_text"),
        .init(name: "text.format", disposition: .honoured, note: "text, json_object, json_schema (always enforced)"),
        .init(name: "text.format.strict", disposition: .noted, note: "the schema is always enforced"),
        .init(name: "text.verbosity", disposition: .noted, note: "repeated in the response; ask in instructions"),
        .init(
            name: "tools[].type", disposition: .noted,
            note: "function, namespace; others are dropped, and refused where tool_choice names them"),
        .init(name: "tools[].description", disposition: .honoured, note: "that of a namespace is noted"),
        .init(
            name: "tools[].tools", disposition: .mapped,
            note: "functions of a namespace: the model calls them namespace__name; calls carry the namespace"),
        .init(name: "tools[].strict", disposition: .honoured, note: "true is the default"),
        .init(name: "tools[].defer_loading", disposition: .refused, note: "only false"),
        .init(name: "tools[].async", disposition: .refused, note: "only false"),
    ]
}
