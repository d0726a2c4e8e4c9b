package import Serving
package import Vocabulary

/// A plain chat template: `role: text` per line. Answers may hold `<think>…</think>` first and
/// `<call>name arguments</call>` anywhere. A request that asks for thinking gets a prompt that ends with `<think>`.
package struct ReferenceRenderer: PromptRenderer, Sendable {
    /// Answers of this notation begin inside of thinking.
    private static let openNotation = "reference, thinking"

    private let tokenizer = ReferenceTokenizer()

    /// Makes the renderer.
    package init() {}

    /// Renders and tokenises a request's prompt.
    ///
    /// **Throws:** `invalidField` for a text that is too long; `unsupported` for answer forms that need a grammar.
    package func prepare(_ request: GenerationRequest) throws(GenerationError) -> PreparedPrompt {
        guard request.responseFormat == .text else {
            throw .unsupported(feature: "A response format", remedy: "ask for text; this model has no grammars")
        }
        switch request.prompt {
        case .tokens(let tokens):
            return prepared(tokens, request)
        case .text(let text):
            return prepared(try tokenizer.tokens(of: text, special: false), request)
        case .chat:
            let isOpen = request.reasoning.enabled == true
            return PreparedPrompt(
                tokens: try tokenizer.tokens(of: try text(of: request), special: true),
                format: AnswerFormat(
                    notation: isOpen ? Self.openNotation : "reference", parsesTools: !request.tools.isEmpty),
                thinking: thinking(request.reasoning, isOpen: isOpen))
        }
    }

    /// The lines of a conversation, and the start of the answer.
    ///
    /// **Throws:** `unsupported` for a prompt that is no conversation.
    package func text(of request: GenerationRequest) throws(GenerationError) -> String {
        guard case .chat(let messages) = request.prompt else {
            throw .unsupported(feature: "A template for a prompt without messages", remedy: "send messages")
        }
        var text = "<|start|>"
        for message in messages { text += "\(message.role.rawValue): \(message.text)\n" }
        return text + (request.reasoning.enabled == true ? "assistant: <think>" : "assistant: ")
    }

    private func prepared(_ tokens: [Token], _ request: GenerationRequest) -> PreparedPrompt {
        var prepared = PreparedPrompt(tokens: tokens)
        if request.embedding != nil { prepared.pooling = .mean }
        return prepared
    }

    private func thinking(_ reasoning: GenerationRequest.Reasoning, isOpen: Bool) -> LaneThinking {
        let end = Array("</think>".utf8)
        return LaneThinking(
            start: "<think>", ends: ["</think>"],
            closings: end.indices.map { end[$0...].map { Token($0) } }, isOpen: isOpen,
            budget: reasoning.budget.map { Int32(clamping: $0) })
    }

    /// Splits the answer text so far. `isPartial` keeps back what may still become a mark.
    package func parse(_ answer: String, format: AnswerFormat, isPartial: Bool) -> ParsedAnswer {
        var parsed = ParsedAnswer()
        var rest = Array(((format.notation == Self.openNotation ? "<think>" : "") + answer).utf8)[...]
        if let after = Self.after("<think>", in: rest) {
            let (inside, tail) = Self.upTo("</think>", in: after, isPartial: isPartial)
            parsed.reasoning = String(decoding: inside, as: UTF8.self)
            rest = tail ?? []
        } else if isPartial, Self.isBeginning(rest, of: "<think>") {
            return parsed
        }
        guard format.parsesTools else {
            parsed.text = String(decoding: rest, as: UTF8.self)
            return parsed
        }
        var text: [UInt8] = []
        while true {
            let (before, tail) = Self.upTo("<call>", in: rest, isPartial: isPartial)
            text += before
            guard let tail else { break }
            let (call, after) = Self.upTo("</call>", in: tail, isPartial: isPartial)
            if let space = call.firstIndex(of: UInt8(ascii: " ")) {
                let name = String(decoding: call[..<space], as: UTF8.self)
                let arguments = String(decoding: call[(space + 1)...], as: UTF8.self)
                parsed.toolCalls.append(ToolCall(id: "", name: name, arguments: arguments))
            }
            guard let after else { break }
            rest = after
        }
        parsed.text = String(decoding: text, as: UTF8.self)
        return parsed
    }

    private static func after(_ mark: String, in bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        bytes.starts(with: mark.utf8) ? bytes.dropFirst(mark.utf8.count) : nil
    }

    private static func isBeginning(_ bytes: ArraySlice<UInt8>, of mark: String) -> Bool {
        bytes.count < mark.utf8.count && mark.utf8.starts(with: bytes)
    }

    /// The bytes before the first `mark` and those behind it; without one, all bytes but an end that may become it.
    private static func upTo(
        _ mark: String, in bytes: ArraySlice<UInt8>, isPartial: Bool
    ) -> (ArraySlice<UInt8>, ArraySlice<UInt8>?) {
        for index in bytes.indices where bytes[index...].starts(with: mark.utf8) {
            return (bytes[..<index], bytes[(index + mark.utf8.count)...])
        }
        guard isPartial else { return (bytes, nil) }
        let kept = bytes.indices.first { isBeginning(bytes[$0...], of: mark) } ?? bytes.endIndex
        return (bytes[..<kept], nil)
    }
}
