import CLlama
import CLlamaExtras
import Serving
import Vocabulary

/// A request after the chat template.
struct RenderedChat {
    var text: String
    var grammar: String
    var isLazy: Bool
    var triggers: [LaneGrammar.Trigger]
    var stop: [String]
    /// What the template puts in front of the answer.
    var generationPrompt: String
    /// Format number, generation prompt and parser, separated by U+0000: what `AnswerParser` needs.
    var notation: String
    /// What begins thinking; empty for a template without.
    var thinkingStart: String
    /// What ends it.
    var thinkingEnds: [String]
    /// Texts of tokens that the answer's parser has to see.
    var marks: [String]
}

/// Owner of the model's compiled chat template.
///
/// `@unchecked Sendable`: the template is immutable after it is compiled, and rendering builds its own state.
@safe final class ChatTemplates: @unchecked Sendable {
    private let handle: OpaquePointer
    private let model: SharedModel

    init(_ model: SharedModel) throws(EngineError) {
        var message: UnsafeMutablePointer<CChar>?
        let made = unsafe extras_chat_templates_new(model.model.handle, &message)
        let reason = unsafe take(message)
        guard let made = unsafe made else {
            throw .failed(operation: "reading the chat template", code: -1, reason: reason ?? "no reason given")
        }
        unsafe handle = made
        self.model = model
    }

    deinit { unsafe extras_chat_templates_free(handle) }

    /// Renders a conversation.
    ///
    /// **Throws:** `invalidField` with the template's own words when it refuses the conversation.
    func render(_ messages: [Message], _ request: GenerationRequest) throws(GenerationError) -> RenderedChat {
        let conversation = ConversationJSON.messages(messages)
        let tools = request.offeredTools.isEmpty ? nil : ConversationJSON.tools(request.offeredTools)
        let names = request.templateArguments.map(\.name)
        let values = request.templateArguments.map(\.value)
        var message: UnsafeMutablePointer<CChar>?
        let made = unsafe withOptionalCStrings([conversation, tools, request.schema, request.grammarText]) { texts in
            unsafe withCStrings(names) { namePointers, count in
                unsafe withCStrings(values) { valuePointers, _ in
                    var input = unsafe extras_chat_input()
                    unsafe input.messages_json = texts[0]
                    unsafe input.tools_json = texts[1]
                    unsafe input.tool_choice = request.libraryToolChoice
                    unsafe input.parallel_tool_calls = request.parallelToolCalls
                    unsafe input.json_schema = texts[2]
                    unsafe input.grammar = texts[3]
                    unsafe input.enable_thinking = request.reasoning.enabled.map { $0 ? 1 : 0 } ?? -1
                    unsafe input.argument_names = UnsafePointer(namePointers)
                    unsafe input.argument_values = UnsafePointer(valuePointers)
                    unsafe input.argument_count = count
                    return unsafe extras_chat_apply(handle, &input, &message)
                }
            }
        }
        let reason = unsafe take(message)
        guard let made = unsafe made else {
            throw .invalidField(
                name: "messages", value: "refused by the model's chat template (\(reason ?? "no reason given"))",
                limit: "change the messages or tools so that the template accepts them")
        }
        defer { unsafe extras_chat_prompt_free(made) }
        return unsafe read(made)
    }

    private func thinkingEnds(_ prompt: OpaquePointer) -> [String] {
        unsafe (0..<extras_chat_prompt_thinking_end_count(prompt)).map {
            unsafe String(cString: extras_chat_prompt_thinking_end(prompt, $0))
        }
    }

    private func marks(_ prompt: OpaquePointer) -> [String] {
        unsafe (0..<extras_chat_prompt_mark_count(prompt)).map {
            unsafe String(cString: extras_chat_prompt_mark(prompt, $0))
        }
    }

    private func stops(_ prompt: OpaquePointer) -> [String] {
        unsafe (0..<extras_chat_prompt_stop_count(prompt)).map {
            unsafe String(cString: extras_chat_prompt_stop(prompt, $0))
        }
    }

    private func read(_ prompt: OpaquePointer) -> RenderedChat {
        let triggers = unsafe (0..<extras_chat_prompt_trigger_count(prompt)).map { index -> LaneGrammar.Trigger in
            var token: llama_token = -1
            guard let pattern = unsafe extras_chat_prompt_trigger(prompt, index, &token) else { return .token(token) }
            return unsafe .pattern(String(cString: pattern))
        }
        let parts = unsafe [
            String(extras_chat_prompt_format(prompt)), String(cString: extras_chat_prompt_generation_prompt(prompt)),
            String(cString: extras_chat_prompt_parser(prompt)),
        ]
        return unsafe RenderedChat(
            text: lent(extras_chat_prompt_text(prompt)),
            grammar: String(cString: extras_chat_prompt_grammar(prompt)),
            isLazy: extras_chat_prompt_grammar_is_lazy(prompt), triggers: triggers,
            stop: unsafe stops(prompt), generationPrompt: parts[1],
            notation: parts.joined(separator: "\0"),
            thinkingStart: String(cString: extras_chat_prompt_thinking_start(prompt)),
            thinkingEnds: unsafe thinkingEnds(prompt), marks: unsafe marks(prompt))
    }
}

extension GenerationRequest {
    /// The tools the model may see: only the named one when a name is required, none when none may be called (a
    /// template that sees them makes the model call them all the same).
    fileprivate var offeredTools: [Tool] {
        switch toolChoice {
        case .auto, .required: tools
        case .none: []
        case .named(let name): tools.filter { $0.name == name }
        }
    }

    fileprivate var libraryToolChoice: extras_tool_choice {
        switch toolChoice {
        case .auto: EXTRAS_TOOLS_AUTO
        case .none: EXTRAS_TOOLS_AUTO
        case .required, .named: EXTRAS_TOOLS_REQUIRED
        }
    }

    fileprivate var schema: String? {
        switch responseFormat {
        case .jsonObject: #"{"type":"object"}"#
        case .jsonSchema(let schema): schema
        case .text, .grammar: nil
        }
    }

    fileprivate var grammarText: String? {
        guard case .grammar(let text) = responseFormat else { return nil }
        return text
    }
}

/// Owner of one answer parser.
@safe final class AnswerParser {
    private let handle: OpaquePointer

    /// Compiles a format made by `ChatTemplates.render`; nil when it is not one.
    init?(_ format: AnswerFormat) {
        let parts = format.notation.split(separator: "\0", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let number = Int32(parts[0]) else { return nil }
        guard
            let made = unsafe extras_answer_parser_new(
                number, String(parts[2]), String(parts[1]), format.parsesTools, nil)
        else { return nil }
        unsafe handle = made
    }

    deinit { unsafe extras_answer_parser_free(handle) }

    /// Splits an answer; nil when the library cannot.
    func parse(_ answer: String, isPartial: Bool) -> ParsedAnswer? {
        guard let made = unsafe extras_answer_parse(handle, answer, answer.utf8.count, isPartial, nil) else {
            return nil
        }
        defer { unsafe extras_answer_free(made) }
        let calls = unsafe (0..<extras_answer_tool_call_count(made)).map { index in
            unsafe ToolCall(
                id: lent(extras_answer_tool_id(made, index)), name: lent(extras_answer_tool_name(made, index)),
                arguments: lent(extras_answer_tool_arguments(made, index)))
        }
        return unsafe ParsedAnswer(
            text: lent(extras_answer_text(made)), reasoning: lent(extras_answer_reasoning(made)), toolCalls: calls)
    }
}

/// The text that a handle of the shim lends; U+0000 is a character of it like any other.
private func lent(_ text: extras_text) -> String {
    unsafe String(decoding: UnsafeRawBufferPointer(start: text.bytes, count: text.length), as: UTF8.self)
}

/// Calls `body` with each text as a C string, or nil where there is none.
func withOptionalCStrings<Result>(_ texts: [String?], _ body: ([UnsafePointer<CChar>?]) -> Result) -> Result {
    unsafe withCStrings(texts.map { $0 ?? "" }) { pointers, count in
        var list: [UnsafePointer<CChar>?] = unsafe []
        for index in 0..<count { unsafe list.append(texts[index] == nil ? nil : pointers?[index]) }
        return unsafe body(list)
    }
}

/// Conversations as OpenAI JSON, the form llama.cpp's template engine takes them in.
enum ConversationJSON {
    static func messages(_ messages: [Message]) -> String {
        "[" + messages.map(message).joined(separator: ",") + "]"
    }

    static func tools(_ tools: [Tool]) -> String {
        "["
            + tools.map {
                #"{"type":"function","function":{"name":\#(quoted($0.name)),"description":\#(quoted($0.summary)),"#
                    + #""parameters":\#($0.parameters)}}"#
            }.joined(separator: ",") + "]"
    }

    private static func message(_ message: Message) -> String {
        var fields = [
            #""role":\#(quoted(message.role == .developer ? "system" : message.role.rawValue))"#,
            #""content":\#(quoted(message.text))"#,
        ]
        if let reasoning = message.reasoning { fields.append(#""reasoning_content":\#(quoted(reasoning))"#) }
        if let id = message.toolCallID { fields.append(#""tool_call_id":\#(quoted(id))"#) }
        if let name = message.toolName { fields.append(#""name":\#(quoted(name))"#) }
        if !message.toolCalls.isEmpty {
            let calls = message.toolCalls.map {
                #"{"id":\#(quoted($0.id)),"type":"function","function":{"name":\#(quoted($0.name)),"#
                    + #""arguments":\#(quoted($0.arguments))}}"#
            }
            fields.append(#""tool_calls":[\#(calls.joined(separator: ","))]"#)
        }
        return "{" + fields.joined(separator: ",") + "}"
    }

    /// A JSON string literal.
    static func quoted(_ text: String) -> String {
        var literal = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": literal += "\\\""
            case "\\": literal += "\\\\"
            case "\n": literal += "\\n"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                literal += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: literal.unicodeScalars.append(scalar)
            }
        }
        return literal + "\""
    }
}
