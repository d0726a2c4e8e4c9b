import Vocabulary

extension Anthropic {
    /// The tools offered and how the model may use them.
    enum Tools {
        /// A tool while it is read.
        struct Draft: FieldTarget {
            var warnings: Warnings
            var name: String?
            var summary = ""
            var schema: String?
            var isStrict = false
        }

        /// A choice while it is read.
        struct Choice: FieldTarget {
            var warnings: Warnings
            var type: String?
            var name: RequestDraft.Named<String>?
            var allowsParallel = true
        }

        static var fields: [FieldDescription] { toolTable.descriptions + choiceTable.descriptions }

        static func decode(_ field: Field, warnings: inout Warnings) throws(DialectError) -> [Tool] {
            var tools: [Tool] = []
            var names: Set<String> = []
            for element in try field.elements(atMost: Limits.tools) {
                var draft = Draft(warnings: warnings)
                try toolTable.read(element, into: &draft)
                warnings = draft.warnings
                guard let name = draft.name else { throw .missingField(element.name + ".name") }
                guard let schema = draft.schema else { throw .missingField(element.name + ".input_schema") }
                try element.member("input_schema")?.checkSchema(strict: draft.isStrict, warnings: &warnings)
                guard names.insert(name).inserted else {
                    throw .invalidValue(
                        field: element.name + ".name", value: "'\(name)'", expected: "a name used once")
                }
                tools.append(Tool(name: name, summary: draft.summary, parameters: schema, strict: draft.isStrict))
            }
            try field.requireBoundedSchemas()
            return tools
        }

        static func choice(_ field: Field, draft: inout MessageDraft) throws(DialectError) {
            var choice = Choice(warnings: draft.warnings)
            try choiceTable.read(field, into: &choice)
            draft.warnings = choice.warnings
            draft.base.request.parallelToolCalls = choice.allowsParallel
            switch choice.type {
            case "auto": draft.base.toolChoice = .init(field: field.name, value: .auto)
            case "any": draft.base.toolChoice = .init(field: field.name, value: .required)
            case "none": draft.base.toolChoice = .init(field: field.name, value: .none)
            case nil: throw .missingField(field.name + ".type")
            default:
                guard let name = choice.name else { throw .missingField(field.name + ".name") }
                draft.base.toolChoice = .init(field: name.field, value: .named(name.value))
            }
        }

        private static let toolTable = RuleTable<Draft>(
            place: "tools[]",
            [
                Rule("type", .refused, "only custom, the default") { (_, field) throws(DialectError) in
                    let type = try field.string()
                    guard type == "custom" else {
                        throw .unsupportedValue(
                            field: field.name, value: "'\(clipped(type))'",
                            remedy: "offer a tool of your own with a name and an input_schema")
                    }
                },
                Rule("name", .honoured, "1 … 128 of a-z, A-Z, 0-9, _ and -") { (draft, field) throws(DialectError) in
                    draft.name = try field.identifier(atMost: Limits.anthropicNameBytes)
                },
                Rule("description", .honoured, "at most 64 KiB") { (draft, field) throws(DialectError) in
                    draft.summary = try field.string(atMost: Limits.descriptionBytes)
                },
                Rule("input_schema", .honoured, "an object of at most 256 KiB") {
                    (draft, field) throws(DialectError) in
                    try field.requireObject()
                    draft.schema = try field.schema()
                },
                Rule(
                    "strict", .honoured, "the grammar keeps calls to the schema; parts of it that it cannot are refused"
                ) { (draft, field) throws(DialectError) in
                    draft.isStrict = try field.bool()
                },
                MessageDraft.cacheControl(),
                Rule("eager_input_streaming", .mapped, "arguments are always streamed as they are made") {
                    (_, field) throws(DialectError) in
                    _ = try field.bool()
                },
                .only(false, "defer_loading", "offer every tool the model may call"),
                Rule("allowed_callers", .refused, "only [\"direct\"]") { (_, field) throws(DialectError) in
                    for caller in try field.elements(atMost: Limits.tools) where try caller.string() != "direct" {
                        throw .unsupportedValue(
                            field: caller.name, value: caller.node.text, remedy: "only the model itself calls tools")
                    }
                },
                .refused("input_examples", "put the examples into the tool's description"),
            ])

        private static let choiceTable = RuleTable<Choice>(
            place: "tool_choice",
            [
                Rule("type", .honoured, "auto; any is 'required'; tool; none") { (choice, field) throws(DialectError) in
                    choice.type = try field.word(["auto", "any", "tool", "none"])
                },
                Rule("name", .honoured, "the tool of type 'tool'") { (choice, field) throws(DialectError) in
                    let name = try field.identifier(atMost: Limits.anthropicNameBytes)
                    choice.name = .init(field: field.name, value: name)
                },
                Rule("disable_parallel_tool_use", .honoured, "") { (choice, field) throws(DialectError) in
                    choice.allowsParallel = try !field.bool()
                },
            ])
    }
}
