import Vocabulary

extension Anthropic {
    /// A content block while it is read; each type uses the parts it has.
    struct Block: FieldTarget {
        var warnings: Warnings
        /// The text of a text or thinking block, the context of a document.
        var text: String?
        var id: String?
        /// The name of a tool, the title of a document.
        var name: String?
        /// The arguments of a call as JSON text.
        var input: String?
        /// What a result or a document holds.
        var content: Field?

        init(warnings: Warnings) { self.warnings = warnings }

        /// A part that must be there, by the name it has in the request.
        func required<Value>(
            _ path: KeyPath<Block, Value?>, _ name: String, of field: Field
        ) throws(DialectError) -> Value {
            guard let value = self[keyPath: path] else { throw .missingField("\(field.name).\(name)") }
            return value
        }
    }

    /// A message while it is read.
    struct MessageParts: FieldTarget {
        var warnings: Warnings
        var role: Message.Role?
        var content: Field?

        init(warnings: Warnings) { self.warnings = warnings }
    }
}

extension Anthropic.Conversation {
    typealias Block = Anthropic.Block

    /// Rows of the documentation.
    static var fields: [FieldDescription] {
        [
            systemTable, textTable, imageTable, thinkingTable, redactedTable, toolUseTable, toolResultTable,
            documentTable,
        ]
        .flatMap(\.descriptions) + messageTable.descriptions
    }

    static let messageTable = RuleTable<Anthropic.MessageParts>(
        place: "messages[]",
        [
            Rule("role", .honoured, "user, assistant or system") { (parts, field) throws(DialectError) in
                switch try field.word(["user", "assistant", "system"]) {
                case "user": parts.role = .user
                case "assistant": parts.role = .assistant
                default: parts.role = .system
                }
            },
            Rule("content", .honoured, "a text or at most 1024 blocks; images of the user and of tools") {
                (parts, field) in
                parts.content = field
            },
        ])

    static let systemTable = table("system[]", textRules)
    static let textTable = table("messages[].content[text]", textRules)

    static let imageTable = table(
        "messages[].content[image]",
        [
            Rule("source", .honoured, "type base64: \(ImageField.forms); URLs are not fetched") { (block, field) in
                block.content = field
            },
            Anthropic.MessageDraft.cacheControl(),
        ])

    static let thinkingTable = table(
        "messages[].content[thinking]",
        [
            Rule("thinking", .honoured, "given to the chat template as earlier reasoning") {
                (block, field) throws(DialectError) in
                block.text = try field.string()
            },
            Rule("signature", .noted, "nothing is signed here") { (_, field) throws(DialectError) in
                _ = try field.string()
            },
        ])

    static let redactedTable = table(
        "messages[].content[redacted_thinking]",
        [
            Rule("data", .noted, "only Anthropic can read it") { (_, field) throws(DialectError) in
                _ = try field.string()
            }
        ])

    static let toolUseTable = table(
        "messages[].content[tool_use]",
        [
            identity("id", "at most 256 bytes"),
            Rule("name", .honoured, "at most 1024 bytes") { (block, field) throws(DialectError) in
                block.name = try field.string(atMost: Limits.labelBytes)
            },
            Rule("input", .honoured, "an object") { (block, field) throws(DialectError) in
                try field.requireObject()
                block.input = field.node.text
            },
            Anthropic.MessageDraft.cacheControl(),
            harmless("caller", "only the model itself calls tools"),
            harmless("toolset_name", "there are no tool sets"),
        ])

    static let toolResultTable = table(
        "messages[].content[tool_result]",
        [
            identity("tool_use_id", "the id of the call it answers"),
            Rule("content", .honoured, "a text, or text, document and image blocks") { (block, field) in
                block.content = field
            },
            Rule("is_error", .noted, "chat templates have no place for it; the content tells the model") {
                (block, field) throws(DialectError) in
                if try field.bool() {
                    block.warnings.add("'is_error' has no effect: chat templates have no place for it.")
                }
            },
            Anthropic.MessageDraft.cacheControl(),
            harmless("toolset_name", "there are no tool sets"),
        ])

    static let documentTable = table(
        "messages[].content[document]",
        [
            Rule("source", .mapped, "type text: the text; others are refused") { (block, field) in
                block.content = field
            },
            Rule("title", .mapped, "a line in front of the text") { (block, field) throws(DialectError) in
                block.name = try field.string()
            },
            Rule("context", .mapped, "a line in front of the text") { (block, field) throws(DialectError) in
                block.text = try field.string()
            },
            Rule("citations", .refused, "only {\"enabled\": false}") { (_, field) throws(DialectError) in
                try field.requireObject()
                guard try field.member("enabled")?.bool() != true else {
                    throw .unsupportedField(field: field.name, remedy: "ask for quotations in a message")
                }
            },
            Anthropic.MessageDraft.cacheControl(),
        ])

    // MARK: Rules

    private static let textRules: [Rule<Block>] = [
        Rule("text", .honoured, "") { (block, field) throws(DialectError) in
            block.text = try field.string()
        },
        Anthropic.MessageDraft.cacheControl(),
        harmless("citations", "they are not shown to the model"),
    ]

    private static func table(_ place: String, _ rules: [Rule<Block>]) -> RuleTable<Block> {
        let type = Rule<Block>("type", .honoured, "") { (_, field) throws(DialectError) in _ = try field.string() }
        return RuleTable<Block>(place: place, [type], rules)
    }

    private static func identity(_ name: String, _ note: String) -> Rule<Block> {
        Rule(name, .honoured, note) { (block, field) throws(DialectError) in
            block.id = try field.string(atMost: Limits.toolCallIDBytes)
        }
    }

    /// What earlier answers carry and clients send back; nobody misses its effect, so nobody is warned.
    private static func harmless(_ name: String, _ why: String) -> Rule<Block> { Rule(name, .noted, why) { _, _ in } }
}
