package import Vocabulary

extension Anthropic {
    /// `POST /v1/messages`, the request side.
    package struct MessageRequest: Sendable {
        /// The request in our own form.
        package var decoded: DecodedRequest
        /// The client wants thinking blocks without their text (`thinking.display` is `omitted`).
        package var omitsThinking: Bool

        /// Reads a request body.
        ///
        /// Every known field is honoured, mapped, noted by a warning or refused by name; unknown fields are warned
        /// about. `null` means absent.
        /// **Throws:** `DialectError` naming field, limit and value.
        package static func decode(_ body: [UInt8], id: RequestID) throws(DialectError) -> MessageRequest {
            var draft = MessageDraft(id: id)
            try table.decode(body, into: &draft)
            guard !draft.base.outputLimits.isEmpty else { throw .missingField("max_tokens") }
            return try draft.finish()
        }

        /// Every field and what becomes of it, by name.
        package static var fields: [FieldDescription] { table.descriptions + MessageDraft.nestedFields }

        private static let table = RuleTable<MessageDraft>(MessageDraft.conversation, MessageDraft.service, answer)

        private static let answer: [Rule<MessageDraft>] = [
            Rule("max_tokens", .honoured, "0 … 2147483647; 0 only reads the prompt") {
                (draft, field) throws(DialectError) in
                let limit = Int(try field.integer(in: 0...Int64(Int32.max)))
                draft.base.outputLimits.append(.init(field: field.name, value: limit))
            },
            Rule("stream", .honoured, "") { (draft, field) throws(DialectError) in
                draft.base.stream = try field.bool()
            },
            Rule("stop_sequences", .honoured, "at most 16 texts of at most 256 bytes") {
                (draft, field) throws(DialectError) in
                guard field.node.array != nil else { throw field.wrongType(expected: "an array of strings") }
                draft.base.request.stop = try OutputFields.stopTexts(field, warnings: &draft.warnings)
            },
            .decimal("temperature", \.base.request.sampling.temperature, 0...1),
            .decimal("top_p", \.base.request.sampling.topP, 0...1),
            Rule("top_k", .honoured, "0 … 2147483647; 0 is off") { (draft, field) throws(DialectError) in
                draft.base.request.sampling.topK = Int32(clamping: try field.integer(in: 0...Int64(Int32.max)))
            },
            Rule("metadata", .noted, "user_id is checked; requests are not stored") {
                (draft, field) throws(DialectError) in
                try field.requireObject()
                _ = try field.member("user_id")?.string(atMost: Limits.labelBytes)
                draft.warnings.add("'metadata' has no effect: requests are not stored.")
            },
            Rule("service_tier", .noted, "auto or standard_only; there is one tier") {
                (_, field) throws(DialectError) in
                _ = try field.word(["auto", "standard_only"])
            },
            .refused("container", "there is no code execution; offer a tool of your own in 'tools'"),
            .noted("diagnostics", "how the prefix cache did is in 'usage.cache_read_input_tokens'"),
            .noted("inference_geo", "answers are made where this server runs"),
        ]
    }

    /// `POST /v1/messages/count_tokens`, the request side.
    package enum CountRequest {
        /// Reads a request body into a request that generates nothing: its end carries the prompt's token count.
        ///
        /// **Throws:** `DialectError` naming field, limit and value.
        package static func decode(_ body: [UInt8], id: RequestID) throws(DialectError) -> DecodedRequest {
            var draft = MessageDraft(id: id)
            try table.decode(body, into: &draft)
            draft.base.outputLimits = [.init(field: "max_tokens", value: 0)]
            draft.budget = nil
            return try draft.finish().decoded
        }

        /// Every field and what becomes of it, by name.
        package static var fields: [FieldDescription] { table.descriptions + MessageDraft.nestedFields }

        private static let table = RuleTable<MessageDraft>(MessageDraft.conversation, MessageDraft.service)
    }
}

extension Anthropic {
    /// A request while its fields are read.
    struct MessageDraft: FieldTarget {
        var base: RequestDraft
        var system: [Message] = []
        var messages: [Message]?
        var budget: RequestDraft.Named<Int>?
        var effort: String?
        var omitsThinking = false

        var warnings: Warnings {
            get { base.warnings }
            set { base.warnings = newValue }
        }

        init(id: RequestID) { base = RequestDraft(id: id) }

        mutating func note(_ name: String) { base.note(name) }

        /// Judges the fields together and makes the request.
        consuming func finish() throws(DialectError) -> MessageRequest {
            if let messages { base.prompt = .chat(system + messages) }
            if let budget, let limit = base.outputLimits.first?.value, budget.value >= limit {
                throw .conflict(field: budget.field, reason: "it must be less than 'max_tokens' (\(limit))")
            }
            base.request.reasoning.budget = budget?.value
            // Anthropic answers without thinking unless it is asked for.
            if base.thinking.isEmpty { base.thinking = [.init(field: "thinking", value: false)] }
            if let effort {
                if base.thinking[0].value {
                    base.reasoningEffort = effort
                } else {
                    base.warnings.add("'output_config.effort' has no effect: thinking is off.")
                }
            }
            return MessageRequest(decoded: try base.finish(promptField: "messages"), omitsThinking: omitsThinking)
        }

        /// Rows for the members of this dialect's objects.
        static var nestedFields: [FieldDescription] {
            Conversation.fields + Tools.fields + Thinking.fields
        }

        // MARK: Rules both routes share

        static let conversation: [Rule<MessageDraft>] = [
            OutputFields.model.within(\.base),
            Rule("messages", .honoured, "1 … 4096; the last one must be a user's") {
                (draft, field) throws(DialectError) in
                draft.messages = try Conversation.decode(field, warnings: &draft.warnings)
            },
            Rule("system", .honoured, "a text or text blocks") { (draft, field) throws(DialectError) in
                draft.system = try Conversation.system(field, warnings: &draft.warnings)
            },
            Rule("tools", .honoured, "at most 512; schemas of at most 256 KiB") { (draft, field) throws(DialectError) in
                draft.base.request.tools = try Tools.decode(field, warnings: &draft.warnings)
            },
            Rule("tool_choice", .honoured, "auto, any, tool or none") { (draft, field) throws(DialectError) in
                try Tools.choice(field, draft: &draft)
            },
            Rule("thinking", .mapped, "absent means disabled; adaptive is enabled") {
                (draft, field) throws(DialectError) in
                try Thinking.decode(field, draft: &draft)
            },
            Rule("output_config", .honoured, "the form of the answer and the effort of thinking") {
                (draft, field) throws(DialectError) in
                try Thinking.outputConfig(field, draft: &draft)
            },
            Rule("output_format", .honoured, "the older place of output_config.format") {
                (draft, field) throws(DialectError) in
                draft.base.formats.append(try Thinking.format(field, warnings: &draft.warnings))
            },
        ]

        static let service: [Rule<MessageDraft>] = [
            cacheControl(),
            Rule("context_management", .refused, "only without edits, or with edits that keep all") {
                (_, field) throws(DialectError) in
                try requireNoEdits(field)
            },
            Rule("mcp_servers", .refused, "only an empty array") { (_, field) throws(DialectError) in
                guard try field.elements(atMost: Limits.tools).isEmpty else {
                    throw .unsupportedField(
                        field: field.name, remedy: "call the servers yourself and offer their tools in 'tools'")
                }
            },
            .noted("speed", "there is one speed"),
            .noted("user_profile_id", "it identifies the end user to Anthropic only"),
            .noted("workspace_id", "there are no workspaces"),
        ]

        /// Context editing may only say what happens anyway: everything is kept.
        private static func requireNoEdits(_ field: Field) throws(DialectError) {
            try field.requireObject()
            guard let edits = field.member("edits") else { return }
            for edit in try edits.elements(atMost: Limits.tools) {
                try edit.requireObject()
                guard edit.member("keep")?.node.string == "all" else {
                    throw .unsupportedField(
                        field: edit.name, remedy: "leave out of 'messages' what the model is not to see")
                }
            }
        }

        /// Breakpoints of Anthropic's cache; ours finds common beginnings by itself.
        static func cacheControl<Target>() -> Rule<Target> {
            Rule("cache_control", .mapped, "ephemeral, 5m or 1h; common beginnings are found without it") {
                (_, field) throws(DialectError) in
                try field.requireObject()
                _ = try field.required("type").word(["ephemeral"])
                _ = try field.member("ttl")?.word(["5m", "1h"])
            }
        }
    }
}
