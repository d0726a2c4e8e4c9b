import Vocabulary

extension Ollama {
    /// The `messages` field: a conversation in Ollama's shape.
    struct Conversation {
        /// A message while it is read.
        struct Draft: FieldTarget {
            var warnings: Warnings
            var message = Message(role: .user, text: "")
            var role: Message.Role?
        }

        /// A call while it is read.
        struct Call: FieldTarget {
            var warnings: Warnings
            var id: String?
            var name: String?
            var arguments: String?
        }

        private var messages: [Message] = []
        private var warnings: Warnings
        /// Calls that no message of a tool has answered, in order: Ollama's results may name the tool or nothing.
        private var unanswered: [ToolCall] = []

        private init(warnings: Warnings) { self.warnings = warnings }

        static func decode(_ field: Field, warnings: inout Warnings) throws(DialectError) -> [Message] {
            var decoder = Conversation(warnings: warnings)
            for element in try field.elements(atMost: Limits.messages) { try decoder.add(element) }
            warnings = decoder.warnings
            try ImageField.checkCount(decoder.messages, field)
            return decoder.messages
        }

        private mutating func add(_ field: Field) throws(DialectError) {
            var draft = Draft(warnings: warnings)
            try Self.table.read(field, into: &draft)
            warnings = draft.warnings
            guard let role = draft.role else { throw .missingField(field.name + ".role") }
            var message = draft.message
            message.role = role
            if message.images != nil, role != .user, role != .tool {
                throw .unsupportedField(
                    field: field.name + ".images", remedy: "put images into messages of the user or of a tool")
            }
            if role == .assistant {
                for index in message.toolCalls.indices where message.toolCalls[index].id.isEmpty {
                    message.toolCalls[index].id = "call_\(messages.count)_\(index)"
                }
                unanswered += message.toolCalls
            }
            if role == .tool { settleResult(&message) }
            messages.append(message)
        }

        /// Finds the call a result belongs to: by its id, by the tool's name, or the first one without a result.
        private mutating func settleResult(_ message: inout Message) {
            let found = unanswered.firstIndex { call in
                if let id = message.toolCallID { return call.id == id }
                return message.toolName.map { call.name == $0 } ?? true
            }
            guard let found else { return }
            let call = unanswered.remove(at: found)
            message.toolCallID = call.id
            message.toolName = call.name
        }

        // MARK: Rules

        /// Rows of the documentation.
        static var fields: [FieldDescription] {
            table.descriptions + callTable.descriptions + functionTable.descriptions
        }

        private static let table = RuleTable<Draft>(
            place: "messages[]",
            [
                Rule("role", .honoured, "system, user, assistant or tool") { (draft, field) throws(DialectError) in
                    switch try field.word(["system", "user", "assistant", "tool"]) {
                    case "system": draft.role = .system
                    case "user": draft.role = .user
                    case "assistant": draft.role = .assistant
                    default: draft.role = .tool
                    }
                },
                Rule("content", .honoured, "empty when absent") { (draft, field) throws(DialectError) in
                    draft.message.text = try field.string()
                },
                Rule("thinking", .honoured, "given to the chat template as earlier reasoning") {
                    (draft, field) throws(DialectError) in
                    let thinking = try field.string()
                    if !thinking.isEmpty { draft.message.reasoning = thinking }
                },
                Rule("images", .honoured, "in base64, in front of the content; \(ImageField.forms)") {
                    (draft, field) throws(DialectError) in
                    draft.message.images = try Ollama.images(field)
                },
                Rule("tool_calls", .honoured, "at most 512") { (draft, field) throws(DialectError) in
                    for element in try field.elements(atMost: Limits.messageToolCalls) {
                        var call = Call(warnings: draft.warnings)
                        try callTable.read(element, into: &call)
                        draft.warnings = call.warnings
                        guard let name = call.name else { throw .missingField(element.name + ".function.name") }
                        draft.message.toolCalls.append(
                            ToolCall(id: call.id ?? "", name: name, arguments: call.arguments ?? "{}"))
                    }
                },
                Rule("tool_name", .honoured, "which tool a message of role tool answers for") {
                    (draft, field) throws(DialectError) in
                    draft.message.toolName = try field.string(atMost: Limits.labelBytes)
                },
                Rule("tool_call_id", .honoured, "which call a message of role tool answers") {
                    (draft, field) throws(DialectError) in
                    draft.message.toolCallID = try field.string(atMost: Limits.toolCallIDBytes)
                },
            ])

        private static let callTable = RuleTable<Call>(
            place: "messages[].tool_calls[]",
            [
                Rule("id", .honoured, "made up when absent") { (call, field) throws(DialectError) in
                    call.id = try field.string(atMost: Limits.toolCallIDBytes)
                },
                Rule("type", .honoured, "function") { (_, field) throws(DialectError) in
                    _ = try field.word(["function"])
                },
                Rule("function", .honoured, "name and arguments") { (call, field) throws(DialectError) in
                    try functionTable.read(field, into: &call)
                },
            ])

        private static let functionTable = RuleTable<Call>(
            place: "messages[].tool_calls[].function",
            [
                Rule("name", .honoured, "at most 1024 bytes") { (call, field) throws(DialectError) in
                    call.name = try field.string(atMost: Limits.labelBytes)
                },
                Rule("arguments", .honoured, "an object, or its JSON as a text") { (call, field) throws(DialectError) in
                    if let text = field.node.string {
                        call.arguments = text
                    } else {
                        try field.requireObject()
                        call.arguments = field.node.text
                    }
                },
                Rule("description", .noted, "the tool's own description counts") { (_, field) throws(DialectError) in
                    _ = try field.string(atMost: Limits.descriptionBytes)
                },
                Rule("index", .noted, "calls come in their order") { (_, field) throws(DialectError) in
                    _ = try field.integer(in: 0...Int64(Int32.max))
                },
            ])
    }
}
