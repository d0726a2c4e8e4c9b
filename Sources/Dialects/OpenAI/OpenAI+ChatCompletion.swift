package import Vocabulary

extension OpenAI {
    /// `POST /v1/chat/completions`, the request side.
    package enum ChatCompletion {
        /// Reads a request body.
        ///
        /// Every known field is honoured, mapped, noted by a warning or refused by name; unknown fields are warned
        /// about. `null` means absent.
        /// **Throws:** `DialectError` naming field, limit and value.
        package static func decode(_ body: [UInt8], id: RequestID) throws(DialectError) -> DecodedRequest {
            var draft = RequestDraft(id: id)
            try table.decode(body, into: &draft)
            return try draft.finish(promptField: "messages")
        }

        /// Every field and what becomes of it, by name.
        package static var fields: [FieldDescription] { table.descriptions }

        private static let table = FieldTable(
            SamplingFields.rules, OutputFields.rules, ToolFields.rules, ReasoningFields.rules, conversation, answer)

        static let conversation: [FieldRule] = [
            FieldRule("messages", .honoured, "1 … 4096; parts of text and, of users and tools, images") {
                (draft, field) throws(DialectError) in
                draft.prompt = .chat(try Messages.decode(field, warnings: &draft.warnings))
            },
            .refused("documents", "put the documents into a message"),
            .refused("chat_template", "the model's own template is used"),
            .only(false, "echo", "the conversation is not repeated in the answer"),
            .only(true, "add_generation_prompt", "an answer always starts a new assistant message"),
            .only(false, "continue_final_message", "ask the model to continue in a user message"),
        ]

        static let format = FieldRule("response_format", .honoured, "text, json_object, json_schema") {
            (draft, field) throws(DialectError) in
            draft.formats.append(try ResponseFormats.decode(field, warnings: &draft.warnings))
        }

        private static let answer: [FieldRule] = [
            OutputFields.outputLimit("max_completion_tokens", minimum: 1),
            FieldRule("logprobs", .honoured, "") { (draft, field) throws(DialectError) in
                draft.wantsLogprobs = try field.bool()
            },
            FieldRule("top_logprobs", .honoured, "0 … 20; needs logprobs") { (draft, field) throws(DialectError) in
                let count = try field.integer(in: 0...Int64(Limits.topLogprobs))
                draft.topLogprobs.append(.init(field: field.name, value: Int(count)))
            },
            format,
            FieldRule("modalities", .refused, "only [\"text\"]") { (draft, field) throws(DialectError) in
                for element in try field.elements(atMost: Limits.templateArguments) {
                    let modality = try element.string()
                    guard modality == "text" else {
                        throw .unsupportedValue(
                            field: element.name, value: "'\(clipped(modality))'", remedy: "only text is generated")
                    }
                }
            },
            .refused("audio", "only text is generated"),
            .refused("web_search_options", "offer a search tool in 'tools'"),
            .refused("moderation", "moderate the answer yourself"),
            .noted("prediction", "it would only save time, the answer is the same"),
            .noted("store", "answers are not stored"),
            .noted("service_tier", "there is one tier"),
            FieldRule("verbosity", .noted, "low, medium, high; ask for it in a message") {
                (draft, field) throws(DialectError) in
                if try field.word(["low", "medium", "high"]) != "medium" {
                    draft.warnings.add("'verbosity' has no effect: ask for it in a message.")
                }
            },
        ]
    }
}
