/// One message of a conversation, in the shape all dialects share.
package struct Message: Hashable, Sendable, Codable {
    /// Who speaks.
    package enum Role: String, Sendable, Codable, CaseIterable {
        /// Instructions to the model.
        case system
        /// Instructions of the application's author (OpenAI); rendered as `system` where a template lacks it.
        case developer
        /// The person or program that asks.
        case user
        /// The model's earlier answers.
        case assistant
        /// The result of a tool call.
        case tool
    }

    /// Who speaks.
    package var role: Role
    /// The text; empty when the message carries only tool calls.
    package var text: String
    /// The model's earlier reasoning, when the client sends it back.
    package var reasoning: String?
    /// The tools the assistant called in this message.
    package var toolCalls: [ToolCall]
    /// For role `tool`: the id of the call this message answers.
    package var toolCallID: String?
    /// For role `tool`: the name of the tool, when the client gives it.
    package var toolName: String?
    /// Images in the text, in order; nil and empty mean none.
    package var images: [MessageImage]?

    /// Makes a message; everything but role and text is optional.
    package init(
        role: Role, text: String, reasoning: String? = nil, toolCalls: [ToolCall] = [], toolCallID: String? = nil,
        toolName: String? = nil, images: [MessageImage]? = nil
    ) {
        self.role = role
        self.text = text
        self.reasoning = reasoning
        self.toolCalls = toolCalls
        self.toolCallID = toolCallID
        self.toolName = toolName
        self.images = images
    }
}

/// An image in a message.
package struct MessageImage: Hashable, Sendable, Codable {
    /// The image file in base64 (RFC 4648 §4, padded).
    package var base64: String
    /// In front of which byte of the message's text it stands. **Units:** bytes of UTF-8.
    package var offset: Int
    /// Where the client put it, `messages[0].content[1].image_url`, for errors that are found later.
    package var field: String

    /// Makes an image.
    package init(base64: String, offset: Int, field: String) {
        self.base64 = base64
        self.offset = offset
        self.field = field
    }
}

/// A call of a tool by the model.
package struct ToolCall: Hashable, Sendable, Codable {
    /// The identity the client answers to.
    package var id: String
    /// The tool's name.
    package var name: String
    /// The arguments as JSON text, exactly as written by the model.
    package var arguments: String

    /// Makes a call.
    package init(id: String, name: String, arguments: String) {
        self.id = id
        self.name = name
        self.arguments = arguments
    }
}

/// A tool the client offers to the model.
package struct Tool: Hashable, Sendable, Codable {
    /// The tool's name.
    package var name: String
    /// What the tool does, in words for the model.
    package var summary: String
    /// JSON Schema of the arguments, as JSON text.
    package var parameters: String
    /// Whether the client asked that arguments always match the schema.
    package var strict: Bool

    /// Makes a tool; `parameters` is JSON text.
    package init(name: String, summary: String, parameters: String, strict: Bool = false) {
        self.name = name
        self.summary = summary
        self.parameters = parameters
        self.strict = strict
    }
}

/// Whether the model may, must or must not call tools.
package enum ToolChoice: Hashable, Sendable, Codable {
    /// The model decides.
    case auto
    /// No tool may be called.
    case none
    /// Some tool must be called.
    case required
    /// The tool of this name must be called.
    case named(String)
}

/// The form the answer must have.
package enum ResponseFormat: Hashable, Sendable, Codable {
    /// Free text.
    case text
    /// Any JSON object.
    case jsonObject
    /// JSON that matches the schema, given as JSON text.
    case jsonSchema(String)
    /// Text that matches the GBNF grammar.
    case grammar(String)
}
