import Vocabulary

extension Responses {
    /// Turns items into the messages a chat template renders.
    ///
    /// Reasoning, an assistant's text and the calls that follow it become one message, because that is one turn of the
    /// model; a call's output becomes a tool message.
    struct Conversation {
        private(set) var messages: [Message] = []
        /// Names of the functions called so far, by call id.
        private var calledNames: [String: String] = [:]
        private var reasoning = ""
        /// Whether calls may lie in a part that was compacted, so that an output without its call is no mistake.
        private var isCompacted = false
        /// Whether the last message is the model's and still takes calls.
        private var isTurnOpen = false

        init(instructions: String?) {
            if let instructions { messages.append(Message(role: .system, text: instructions)) }
        }

        mutating func add(_ items: [Item]) throws(DialectError) {
            for item in items { try add(item) }
        }

        private mutating func add(_ item: Item) throws(DialectError) {
            switch item.kind {
            case .message(.assistant, let parts):
                messages.append(Message(role: .assistant, text: Item.text(parts), reasoning: takeReasoning()))
                isTurnOpen = true
            case .message(let role, let parts):
                endTurn()
                var message = Message(role: role, text: "")
                Item.content(parts).fill(&message)
                messages.append(message)
            case .functionCall(let callID, let function, let arguments):
                if !isTurnOpen || !reasoning.isEmpty {
                    messages.append(Message(role: .assistant, text: "", reasoning: takeReasoning()))
                    isTurnOpen = true
                }
                calledNames[callID] = function.offered
                messages[messages.count - 1].toolCalls.append(
                    ToolCall(id: callID, name: function.offered, arguments: arguments))
            case .functionOutput(let callID, let parts, _):
                endTurn()
                guard isCompacted || calledNames[callID] != nil else {
                    throw .invalidValue(
                        field: item.field + ".call_id", value: "'\(clipped(callID))'",
                        expected: "the call_id of a function_call before it")
                }
                var message = Message(role: .tool, text: "", toolCallID: callID, toolName: calledNames[callID])
                Item.content(parts).fill(&message)
                messages.append(message)
            case .reasoning(let text, let summary):
                if isTurnOpen { endTurn() }
                reasoning += text.isEmpty ? summary.joined(separator: "\n") : text
            case .compaction(let summary):
                endTurn()
                isCompacted = true
                let text = "Summary of the conversation so far:\n\(summary)"
                messages.append(Message(role: .assistant, text: text))
            case .reference: preconditionFailure("the reference \(item.id ?? "") in \(item.field) is not resolved")
            }
        }

        /// Ends the conversation; reasoning that led to nothing is kept as a turn of its own.
        mutating func finish() -> [Message] {
            endTurn()
            return messages
        }

        private mutating func endTurn() {
            isTurnOpen = false
            if let reasoning = takeReasoning() {
                messages.append(Message(role: .assistant, text: "", reasoning: reasoning))
            }
        }

        private mutating func takeReasoning() -> String? {
            guard !reasoning.isEmpty else { return nil }
            defer { reasoning = "" }
            return reasoning
        }
    }

    /// Drops the oldest turns of a conversation that is longer than the context window (`truncation: auto`).
    ///
    /// A turn is a user's message and what answers it. System messages and the last turn stay. How much goes is
    /// estimated by bytes, so the caller MUST try again with what the engine says of the result.
    /// Returns nil when nothing can be dropped.
    static func shortened(_ messages: [Message], excess: Int, of promptTokens: Int) -> [Message]? {
        precondition(excess > 0 && promptTokens > 0, "an excess of \(excess) of \(promptTokens) tokens")
        let total = messages.reduce(0) { $0 + weight($1) }
        let goal = max(1, Int(Double(total) * Double(excess) / Double(promptTokens)))
        let starts = messages.indices.filter { messages[$0].role == .user }
        guard let last = starts.last, let first = messages.firstIndex(where: { !isInstruction($0) }), first < last
        else { return nil }
        var dropped = 0
        var end = first
        for start in starts where start > first && dropped < goal {
            dropped += messages[end..<start].filter { !isInstruction($0) }.reduce(0) { $0 + weight($1) }
            end = start
        }
        guard end > first else { return nil }
        return messages[..<end].filter(isInstruction) + messages[end...]
    }

    private static func isInstruction(_ message: Message) -> Bool {
        message.role == .system || message.role == .developer
    }

    private static func weight(_ message: Message) -> Int {
        message.toolCalls.reduce(message.text.utf8.count + 16) { $0 + $1.name.utf8.count + $1.arguments.utf8.count }
    }
}
