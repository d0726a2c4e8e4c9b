package import Vocabulary

extension Ollama {
    /// A request to generate or chat.
    package struct AnswerRequest: Sendable {
        /// What the client wants.
        package enum Intent: Hashable, Sendable {
            /// An answer.
            case answer
            /// The model in memory; the request has no prompt.
            case load
            /// The model out of memory; no prompt, and `keep_alive` is 0.
            case unload
        }

        /// The route it came by.
        package var route: Route
        /// The model as the client named it; `decoded` has the name to look up.
        package var model: String
        /// What the client wants.
        package var intent: Intent
        /// The request in our own form.
        package var decoded: DecodedRequest

        /// Reads the body of `POST /api/generate` or `POST /api/chat`.
        ///
        /// Every known field is honoured, mapped, noted by a warning or refused by name; unknown fields are warned
        /// about. `null` means absent.
        /// **Throws:** `DialectError` naming field, limit and value.
        package static func decode(_ body: [UInt8], route: Route, id: RequestID) throws(DialectError) -> AnswerRequest {
            var draft = AnswerDraft(id: id)
            try table(route).decode(body, into: &draft)
            return try draft.finish(route)
        }

        /// Every field of a route and what becomes of it, by name.
        package static func fields(_ route: Route) -> [FieldDescription] {
            table(route).descriptions + Options.table.descriptions
                + (route == .chat ? Conversation.fields : [])
        }

        private static func table(_ route: Route) -> RuleTable<AnswerDraft> {
            route == .chat ? chatTable : generateTable
        }

        private static let generateTable = RuleTable<AnswerDraft>(AnswerDraft.shared, AnswerDraft.generate)
        private static let chatTable = RuleTable<AnswerDraft>(AnswerDraft.shared, AnswerDraft.chat)
    }

    /// A request while its fields are read.
    struct AnswerDraft: FieldTarget {
        var base: RequestDraft
        var prompt = ""
        var system = ""
        var isRaw = false
        var messages: [Message] = []
        var images: [MessageImage]?
        var keepAlive: Vocabulary.KeepAlive?

        var warnings: Warnings {
            get { base.warnings }
            set { base.warnings = newValue }
        }

        init(id: RequestID) {
            base = RequestDraft(id: id)
            base.stream = true
            Options.setDefaults(&base.request.sampling)
        }

        /// Judges the fields together and makes the request.
        consuming func finish(_ route: Route) throws(DialectError) -> AnswerRequest {
            let model = base.model ?? ""
            if isRaw, !system.isEmpty {
                throw .conflict(field: "system", reason: "a raw prompt has no place for it; write it into 'prompt'")
            }
            if isRaw, images != nil {
                throw .conflict(field: "images", reason: "a raw prompt has no place for them; use /api/chat")
            }
            if route == .generate {
                if !system.isEmpty { messages.append(Message(role: .system, text: system)) }
                messages.append(Message(role: .user, text: prompt, images: images))
            }
            base.prompt = isRaw ? .text(prompt) : .chat(messages)
            let isEmpty = route == .generate ? prompt.isEmpty : messages.isEmpty
            let intent: AnswerRequest.Intent = isEmpty ? (keepAlive == .unload ? .unload : .load) : .answer
            var decoded = try base.finish(promptField: route.promptField)
            // Who sends it may not be allowed to; whoever knows that decides.
            decoded.request.residency = keepAlive.map { Residency(mayDeploy: false, keepAlive: $0) }
            return AnswerRequest(route: route, model: model, intent: intent, decoded: decoded)
        }
    }
}

extension Ollama.AnswerDraft {
    static let shared: [Rule<Self>] = [
        OutputFields.model.within(\.base),
        Rule("stream", .honoured, "true by default") { (draft, field) throws(DialectError) in
            draft.base.stream = try field.bool()
        },
        Rule("options", .honoured, "see below; temperature 0.8, top_k 40 and top_p 0.9 by default") {
            (draft, field) throws(DialectError) in
            try Ollama.Options.table.read(field, into: &draft.base)
        },
        Rule("format", .honoured, "json, a JSON Schema, or an empty text for none") {
            (draft, field) throws(DialectError) in
            guard let word = field.node.string else {
                draft.base.formats.append(.init(field: field.name, value: .jsonSchema(try field.schema())))
                try field.checkSchema(strict: false, warnings: &draft.warnings)
                return
            }
            guard word.isEmpty || word == "json" else {
                throw .invalidValue(
                    field: field.name, value: "'\(clipped(word))'", expected: "'json' or a JSON Schema object")
            }
            if word == "json" { draft.base.formats.append(.init(field: field.name, value: .jsonObject)) }
        },
        Rule("think", .mapped, "true, false, or low, medium, high, max: true and a template variable") {
            (draft, field) throws(DialectError) in
            if let isOn = field.node.bool {
                draft.base.thinking.append(.init(field: field.name, value: isOn))
            } else {
                guard field.node.string != nil else { throw field.wrongType(expected: "a boolean or a string") }
                draft.base.reasoningEffort = try field.word(["low", "medium", "high", "max"])
                draft.base.thinking.append(.init(field: field.name, value: true))
            }
        },
        Rule(
            "keep_alive", .mapped,
            "seconds or a duration; 0 unloads, negative keeps for ever; for models of the cluster, with the scope admin"
        ) { (draft, field) throws(DialectError) in
            draft.keepAlive = try Ollama.KeepAliveField.decode(field)
        },
        Rule("logprobs", .honoured, "") { (draft, field) throws(DialectError) in
            draft.base.wantsLogprobs = try field.bool()
        },
        Rule("top_logprobs", .honoured, "0 … 20; needs logprobs") { (draft, field) throws(DialectError) in
            let count = Int(try field.integer(in: 0...Int64(Limits.topLogprobs)))
            // Clients send 0 beside logprobs false, for none.
            if count > 0 { draft.base.topLogprobs.append(.init(field: field.name, value: count)) }
        },
        flag("truncate", "a prompt is never truncated; one that is too long is refused"),
        flag("shift", "an answer ends at the end of the window"),
    ]

    static let generate: [Rule<Self>] = [
        Rule("prompt", .honoured, "absent or empty only checks that the model is up") {
            (draft, field) throws(DialectError) in
            draft.prompt = try field.string()
        },
        Rule("system", .honoured, "not with raw") { (draft, field) throws(DialectError) in
            draft.system = try field.string()
        },
        Rule("raw", .honoured, "the prompt without chat template") { (draft, field) throws(DialectError) in
            draft.isRaw = try field.bool()
        },
        .empty("suffix", "write the model's own fill-in-the-middle tokens into a raw prompt"),
        .empty("template", "the model's own template is used; send a raw prompt for another one"),
        Rule("context", .refused, "only an empty array; answers have none") { (_, field) throws(DialectError) in
            guard try field.elements(atMost: Limits.jsonNodes).isEmpty else {
                throw .unsupportedField(field: field.name, remedy: "use /api/chat and send the messages so far")
            }
        },
        Rule("images", .honoured, "in base64, not with raw; \(ImageField.forms)") {
            (draft, field) throws(DialectError) in
            draft.images = try Ollama.images(field)
        },
        .refused("width", "only text is generated"),
        .refused("height", "only text is generated"),
        .refused("steps", "only text is generated"),
    ]

    static let chat: [Rule<Self>] = [
        Rule("messages", .honoured, "absent or empty only checks that the model is up; at most 4096") {
            (draft, field) throws(DialectError) in
            draft.messages = try Ollama.Conversation.decode(field, warnings: &draft.warnings)
        },
        Rule("tools", .honoured, "at most 512 functions in OpenAI's shape") { (draft, field) throws(DialectError) in
            draft.base.request.tools = try OpenAI.ToolFields.tools(field, warnings: &draft.warnings)
        },
    ]

    private static func flag(_ name: String, _ why: String) -> Rule<Self> {
        Rule(name, .noted, why) { (draft, field) throws(DialectError) in
            // False asks for what happens anyway.
            if try field.bool() { draft.warnings.add("'\(name)' has no effect: \(why).") }
        }
    }
}

extension Ollama {
    /// Images in front of a message's text; nil for an empty list.
    static func images(_ field: Field) throws(DialectError) -> [MessageImage]? {
        var images: [MessageImage] = []
        for element in try field.elements(atMost: Limits.images) { images.append(try ImageField.base64(element)) }
        return images.isEmpty ? nil : images
    }
}
