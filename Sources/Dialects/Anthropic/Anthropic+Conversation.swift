import Vocabulary

extension Anthropic {
    /// The `messages` and `system` fields: content blocks in, our messages out.
    struct Conversation {
        private var messages: [Message] = []
        private var warnings: Warnings
        /// Names of the tools called so far, by call id: a result names only the call.
        private var toolNames: [String: String] = [:]

        private init(warnings: Warnings) { self.warnings = warnings }

        static func decode(_ field: Field, warnings: inout Warnings) throws(DialectError) -> [Message] {
            let elements = try field.elements(atMost: Limits.messages)
            guard let last = elements.last else { throw .tooFew(field: field.name, count: 0, minimum: 1) }
            var decoder = Conversation(warnings: warnings)
            for element in elements { try decoder.add(element) }
            warnings = decoder.warnings
            try ImageField.checkCount(decoder.messages, field)
            if decoder.messages.last?.role == .assistant {
                throw .unsupportedValue(
                    field: last.name + ".role", value: "'assistant' in the last message",
                    remedy: "end with a user message; an answer always starts a new assistant message")
            }
            return decoder.messages
        }

        /// Instructions in front of the conversation, as one message.
        static func system(_ field: Field, warnings: inout Warnings) throws(DialectError) -> [Message] {
            if let text = field.node.string { return text.isEmpty ? [] : [Message(role: .system, text: text)] }
            guard field.node.array != nil else { throw field.wrongType(expected: "a string or an array of blocks") }
            var texts: [String] = []
            for element in try field.elements(atMost: Limits.contentParts) {
                let type = try blockType(of: element)
                guard type == "text" else { throw unknown(type, of: element, allowed: ["text"]) }
                var block = Block(warnings: warnings)
                try systemTable.read(element, into: &block)
                warnings = block.warnings
                let text = try block.required(\.text, "text", of: element)
                // Some clients put a line about billing in front that changes with every request; no model needs it,
                // and it would keep every prompt from sharing its beginning with the one before.
                if text.hasPrefix(billingPrefix) {
                    warnings.add("The block of 'system' that begins with '\(billingPrefix)' is left out.")
                } else {
                    texts.append(text)
                }
            }
            return texts.isEmpty ? [] : [Message(role: .system, text: texts.joined(separator: "\n"))]
        }

        private static let billingPrefix = "x-anthropic-billing-header:"

        // MARK: Messages

        private mutating func add(_ field: Field) throws(DialectError) {
            var parts = MessageParts(warnings: warnings)
            try Self.messageTable.read(field, into: &parts)
            warnings = parts.warnings
            guard let role = parts.role else { throw .missingField(field.name + ".role") }
            guard let content = parts.content else { throw .missingField(field.name + ".content") }
            if let text = content.node.string {
                messages.append(Message(role: role, text: text))
                return
            }
            guard content.node.array != nil else {
                throw content.wrongType(expected: "a string or an array of blocks")
            }
            let blocks = try content.elements(atMost: Limits.contentParts)
            guard !blocks.isEmpty else { throw .tooFew(field: content.name, count: 0, minimum: 1) }
            switch role {
            case .assistant: try addAssistant(blocks)
            case .system:
                messages.append(Message(role: .system, text: try self.content(of: blocks, allowed: ["text"]).text))
            default: try addUser(blocks)
            }
        }

        /// Results of tools become messages of their own, in their place among the user's texts.
        private mutating func addUser(_ blocks: [Field]) throws(DialectError) {
            var content = MessageContent()
            for block in blocks {
                switch try Self.blockType(of: block) {
                case "tool_result":
                    addUser(content)
                    content = MessageContent()
                    try addResult(block)
                case let type: try add(block, type: type, allowed: Self.userTypes, to: &content)
                }
            }
            addUser(content)
        }

        private mutating func addUser(_ content: MessageContent) {
            guard !content.isEmpty else { return }
            var message = Message(role: .user, text: "")
            content.fill(&message)
            messages.append(message)
        }

        private mutating func addResult(_ field: Field) throws(DialectError) {
            let block = try read(Self.toolResultTable, field)
            let id = try block.required(\.id, "tool_use_id", of: field)
            var message = Message(role: .tool, text: "", toolCallID: id, toolName: toolNames[id])
            if let content = block.content {
                if let plain = content.node.string {
                    message.text = plain
                } else {
                    guard content.node.array != nil else {
                        throw content.wrongType(expected: "a string or an array of blocks")
                    }
                    let parts = try content.elements(atMost: Limits.contentParts)
                    try self.content(of: parts, allowed: ["text", "document", "image"]).fill(&message)
                }
            }
            messages.append(message)
        }

        private mutating func addAssistant(_ blocks: [Field]) throws(DialectError) {
            var message = Message(role: .assistant, text: "")
            var texts: [String] = []
            var thoughts: [String] = []
            for field in blocks {
                switch try Self.blockType(of: field) {
                case "tool_use":
                    guard message.toolCalls.count < Limits.messageToolCalls else {
                        throw .tooMany(
                            field: field.name, count: message.toolCalls.count + 1, limit: Limits.messageToolCalls)
                    }
                    let block = try read(Self.toolUseTable, field)
                    let call = ToolCall(
                        id: try block.required(\.id, "id", of: field),
                        name: try block.required(\.name, "name", of: field),
                        arguments: try block.required(\.input, "input", of: field))
                    toolNames[call.id] = call.name
                    message.toolCalls.append(call)
                case "thinking":
                    let block = try read(Self.thinkingTable, field)
                    let thought = try block.required(\.text, "thinking", of: field)
                    if !thought.isEmpty { thoughts.append(thought) }
                case "redacted_thinking":
                    _ = try read(Self.redactedTable, field)
                    warnings.add("Blocks of type 'redacted_thinking' have no effect: only Anthropic can read them.")
                case let type: texts.append(try text(of: field, type: type, allowed: Self.assistantTypes))
                }
            }
            message.text = texts.joined(separator: "\n")
            if !thoughts.isEmpty { message.reasoning = thoughts.joined(separator: "\n") }
            messages.append(message)
        }

        // MARK: Blocks that are text

        private static let userTypes = ["text", "document", "image", "tool_result"]
        private static let assistantTypes = ["text", "thinking", "redacted_thinking", "tool_use"]
        private static let pictureTypes = ["image", "browser_state"]

        private mutating func content(of blocks: [Field], allowed: [String]) throws(DialectError) -> MessageContent {
            var content = MessageContent()
            for block in blocks {
                try add(block, type: try Self.blockType(of: block), allowed: allowed, to: &content)
            }
            return content
        }

        private mutating func add(
            _ field: Field, type: String, allowed: [String], to content: inout MessageContent
        ) throws(DialectError) {
            if type == "image", allowed.contains(type) {
                content.add(try image(field))
            } else {
                content.add(try text(of: field, type: type, allowed: allowed))
            }
        }

        private mutating func image(_ field: Field) throws(DialectError) -> MessageImage {
            let source = try read(Self.imageTable, field).required(\.content, "source", of: field)
            try source.requireObject()
            let type = try source.required("type")
            switch try type.string() {
            case "base64":
                let media = try source.required("media_type").string(atMost: Limits.labelBytes).lowercased()
                return try ImageField.base64(try source.required("data"), type: media)
            case "url":
                throw .unsupportedValue(
                    field: type.name, value: "'url'",
                    remedy: "URL fetching is off: send the image itself with type 'base64'")
            case let other:
                throw .unsupportedValue(
                    field: type.name, value: "'\(clipped(other))'", remedy: "send the image with type 'base64'")
            }
        }

        private mutating func text(
            of field: Field, type: String, allowed: [String]
        ) throws(DialectError) -> String {
            switch type {
            case "text": return try read(Self.textTable, field).required(\.text, "text", of: field)
            case "document" where allowed.contains(type): return try document(field)
            default: throw Self.unknown(type, of: field, allowed: allowed)
            }
        }

        /// A document in plain text, with its title and context in front.
        private mutating func document(_ field: Field) throws(DialectError) -> String {
            let block = try read(Self.documentTable, field)
            let source = try block.required(\.content, "source", of: field)
            try source.requireObject()
            let type = try source.required("type")
            guard type.node.string == "text" else {
                throw .unsupportedValue(
                    field: type.name, value: type.node.text, remedy: "send the document's text with type 'text'")
            }
            let data = try source.required("data").string()
            return [block.name, block.text, data].compactMap { $0 }.joined(separator: "\n")
        }

        private static func blockType(of field: Field) throws(DialectError) -> String {
            try field.requireObject()
            return try field.required("type").string()
        }

        private static func unknown(_ type: String, of field: Field, allowed: [String]) -> DialectError {
            let name = field.name + ".type"
            let isKnown = ["search_result", "server_tool_use", "container_upload", "tool_reference", "document"]
                .contains(type)
            if pictureTypes.contains(type) {
                return .unsupportedValue(
                    field: name, value: "'\(type)'", remedy: "put images into messages of the user, as 'image' blocks")
            }
            if isKnown || type.hasSuffix("_tool_result") {
                return .unsupportedValue(
                    field: name, value: "'\(clipped(type))'", remedy: "send its text as a 'text' block")
            }
            let words = allowed.map { "'\($0)'" }.joined(separator: ", ")
            return .invalidValue(field: name, value: "'\(clipped(type))'", expected: "one of: \(words)")
        }

        private mutating func read(_ table: RuleTable<Block>, _ field: Field) throws(DialectError) -> Block {
            var block = Block(warnings: warnings)
            try table.read(field, into: &block)
            warnings = block.warnings
            return block
        }
    }
}
