import Vocabulary

extension OpenAI {
    /// The `messages` field: a conversation in OpenAI's shape.
    struct Messages {
        private var messages: [Message] = []
        private var warnings: Warnings
        /// Names of the tools called so far, by call id: a tool's answer may leave its name out.
        private var toolNames: [String: String] = [:]
        /// The id given to the latest call of the legacy shape, which has none of its own.
        private var legacyCallID: String?

        private init(warnings: Warnings) { self.warnings = warnings }

        static func decode(_ field: Field, warnings: inout Warnings) throws(DialectError) -> [Message] {
            let elements = try field.elements(atMost: Limits.messages)
            guard !elements.isEmpty else { throw .tooFew(field: field.name, count: 0, minimum: 1) }
            var decoder = Messages(warnings: warnings)
            for element in elements { try decoder.add(element) }
            warnings = decoder.warnings
            try ImageField.checkCount(decoder.messages, field)
            return decoder.messages
        }

        private mutating func add(_ field: Field) throws(DialectError) {
            try field.requireObject()
            let role = try field.required("role")
            switch try role.word(["system", "developer", "user", "assistant", "tool", "function"]) {
            case "system": try addPlain(.system, field)
            case "developer": try addPlain(.developer, field)
            case "user": try addPlain(.user, field)
            case "assistant": try addAssistant(field)
            case "tool": try addTool(field)
            default: try addFunction(field)
            }
        }

        private mutating func addPlain(_ role: Message.Role, _ field: Field) throws(DialectError) {
            var message = Message(role: role, text: "")
            try content(of: try field.required("content"), role: role).fill(&message)
            messages.append(message)
            try checkName(field)
            warnings.addUnknown(in: field.node, besides: ["role", "content", "name"], place: "messages[]")
        }

        private mutating func addTool(_ field: Field) throws(DialectError) {
            let id = try field.required("tool_call_id").string(atMost: Limits.toolCallIDBytes)
            let name = try field.member("name")?.string(atMost: Limits.labelBytes) ?? toolNames[id]
            var message = Message(role: .tool, text: "", toolCallID: id, toolName: name)
            try content(of: try field.required("content"), role: .tool).fill(&message)
            messages.append(message)
            let known = ["role", "content", "tool_call_id", "name"]
            warnings.addUnknown(in: field.node, besides: known, place: "messages[]")
        }

        /// The legacy answer to a `function_call`: a tool's answer whose call is the latest one of that shape.
        private mutating func addFunction(_ field: Field) throws(DialectError) {
            let name = try field.required("name").identifier()
            var message = Message(role: .tool, text: "", toolCallID: legacyCallID, toolName: name)
            if let content = field.member("content") { try self.content(of: content, role: .tool).fill(&message) }
            messages.append(message)
            warnings.addUnknown(in: field.node, besides: ["role", "content", "name"], place: "messages[]")
        }

        private mutating func addAssistant(_ field: Field) throws(DialectError) {
            var message = Message(role: .assistant, text: "")
            var hasContent = false
            for (key, member) in field.members {
                switch key {
                case "role": break
                case "name": try checkName(field)
                case "content":
                    message.text = try content(of: member, role: .assistant).text
                    hasContent = true
                case "refusal":
                    let refusal = try member.string()
                    if message.text.isEmpty { message.text = refusal }
                    hasContent = true
                case "reasoning_content", "reasoning":
                    message.reasoning = try member.string()
                    hasContent = true
                case "tool_calls":
                    message.toolCalls += try toolCalls(member)
                    hasContent = hasContent || !message.toolCalls.isEmpty
                case "function_call":
                    message.toolCalls.append(try legacyCall(member))
                    hasContent = true
                case "audio":
                    throw .unsupportedField(field: member.name, remedy: "send the text of the answer as content")
                case "annotations": break
                default: warnings.addUnknown("messages[].\(key)")
                }
            }
            guard hasContent else { throw .missingField(field.name + ".content") }
            messages.append(message)
        }

        // MARK: Parts

        private mutating func content(
            of content: Field, role: Message.Role
        ) throws(DialectError) -> MessageContent {
            var pieces = MessageContent()
            if let text = content.node.string {
                pieces.add(text)
                return pieces
            }
            guard content.node.array != nil else { throw content.wrongType(expected: "a string or an array of parts") }
            let parts = try content.elements(atMost: Limits.contentParts)
            guard !parts.isEmpty else { throw .tooFew(field: content.name, count: 0, minimum: 1) }
            for part in parts {
                try part.requireObject()
                let type = try part.required("type")
                let kind = try type.string()
                switch kind {
                case "text": pieces.add(try part.required("text").string())
                case "refusal" where role == .assistant: pieces.add(try part.required("refusal").string())
                case "image_url" where role == .user || role == .tool: pieces.add(try image(part))
                case "image_url":
                    throw .unsupportedValue(
                        field: type.name, value: "'image_url' in a message of \(role.rawValue)",
                        remedy: "put images into messages of the user or of a tool")
                case "input_audio", "file", "video_url", "input_image", "input_file":
                    throw .unsupportedValue(
                        field: type.name, value: "'\(kind)'", remedy: "this server reads parts of text and images only")
                default:
                    let expected = "one of: 'text', '\(role == .assistant ? "refusal" : "image_url")'"
                    throw .invalidValue(field: type.name, value: "'\(clipped(kind))'", expected: expected)
                }
                warnings.addUnknown(in: part.node, besides: ["type", kind], place: "messages[].content[]")
            }
            return pieces
        }

        /// An image; some clients send the URL without the object around it.
        private mutating func image(_ part: Field) throws(DialectError) -> MessageImage {
            let field = try part.required("image_url")
            if field.node.string != nil { return try ImageField.dataURL(field) }
            try field.requireObject()
            if let detail = field.member("detail"), try detail.word(["auto", "low", "high", "original"]) != "auto" {
                warnings.add("'image_url.detail' has no effect: the model's projector decides how finely it looks.")
            }
            let place = "messages[].content[].image_url"
            warnings.addUnknown(in: field.node, besides: ["url", "detail"], place: place)
            return try ImageField.dataURL(try field.required("url"))
        }

        private mutating func toolCalls(_ field: Field) throws(DialectError) -> [ToolCall] {
            var calls: [ToolCall] = []
            for element in try field.elements(atMost: Limits.messageToolCalls) {
                try element.requireObject()
                if element.member("type") != nil { try ToolFields.requireFunction(element) }
                let function = try element.required("function")
                try function.requireObject()
                let call = ToolCall(
                    id: try element.required("id").string(atMost: Limits.toolCallIDBytes),
                    name: try function.required("name").string(atMost: Limits.labelBytes),
                    arguments: try arguments(function))
                let place = "messages[].tool_calls[]"
                warnings.addUnknown(in: element.node, besides: ["id", "type", "index", "function"], place: place)
                warnings.addUnknown(in: function.node, besides: ["name", "arguments"], place: place + ".function")
                toolNames[call.id] = call.name
                calls.append(call)
            }
            return calls
        }

        private mutating func legacyCall(_ field: Field) throws(DialectError) -> ToolCall {
            try field.requireObject()
            let id = "call_legacy_\(messages.count)"
            legacyCallID = id
            let name = try field.required("name").string(atMost: Limits.labelBytes)
            warnings.addUnknown(
                in: field.node, besides: ["name", "arguments"], place: "messages[].function_call")
            return ToolCall(id: id, name: name, arguments: try arguments(field))
        }

        /// The arguments as text; some clients send the object itself.
        private func arguments(_ function: Field) throws(DialectError) -> String {
            let field = try function.required("arguments")
            switch field.node.value {
            case .string(let text): return text
            case .object: return field.node.text
            default: throw field.wrongType(expected: "a string with JSON")
            }
        }

        private mutating func checkName(_ field: Field) throws(DialectError) {
            guard let name = field.member("name") else { return }
            _ = try name.string(atMost: Limits.labelBytes)
            warnings.add("'messages[].name' has no effect: chat templates have no place for it.")
        }
    }
}
