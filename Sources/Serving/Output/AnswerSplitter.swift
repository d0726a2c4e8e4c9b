package import Vocabulary

/// Reads a growing answer through the template's renderer and tells what is new in each of its parts.
///
/// Text that was sent never changes: when a later reading contradicts an earlier one, only what the later reading adds
/// behind their common beginning is sent.
package struct AnswerSplitter: Sendable {
    private let format: AnswerFormat
    private let callPrefix: String
    private var answer = ""
    /// The latest reading that was sent.
    private var read = ParsedAnswer()
    /// Whether the latest new text was reasoning and nothing else.
    package private(set) var onlyReasoningGrew = false

    /// Starts an empty answer of a request's choice.
    package init(format: AnswerFormat, request: RequestID, choice: Int) {
        self.format = format
        callPrefix = "call_\(request)" + Self.twoDigits(choice)
    }

    /// Whether the answer holds tool calls.
    package var hasCalls: Bool { !read.toolCalls.isEmpty }

    /// Adds answer text and puts what is new into `delta`.
    package mutating func push(
        _ text: String, isPartial: Bool, renderer: any PromptRenderer, into delta: inout OutputDelta
    ) {
        answer += text
        let reading = renderer.parse(answer, format: format, isPartial: isPartial)
        let reasoning = Self.growth(of: &read.reasoning, to: reading.reasoning)
        let visible = Self.growth(of: &read.text, to: reading.text)
        for (index, call) in reading.toolCalls.enumerated() {
            // A call without a name is not known well enough to be announced; later ones wait for it.
            guard index < read.toolCalls.count || !call.name.isEmpty else { break }
            if let part = part(of: call, at: index) { delta.toolCalls.append(part) }
        }
        onlyReasoningGrew = !reasoning.isEmpty && visible.isEmpty && delta.toolCalls.isEmpty
        delta.reasoning += reasoning
        delta.text += visible
    }

    private mutating func part(of call: ToolCall, at index: Int) -> ToolCallDelta? {
        if index < read.toolCalls.count {
            let arguments = Self.growth(of: &read.toolCalls[index].arguments, to: call.arguments)
            return arguments.isEmpty ? nil : ToolCallDelta(index: index, arguments: arguments)
        }
        let id = call.id.isEmpty ? callPrefix + Self.twoDigits(index) : call.id
        read.toolCalls.append(ToolCall(id: id, name: call.name, arguments: call.arguments))
        return ToolCallDelta(index: index, id: id, name: call.name, arguments: call.arguments)
    }

    /// What `new` adds to `old`; `old` becomes `new` unless `new` merely takes something back.
    private static func growth(of old: inout String, to new: String) -> String {
        if new.utf8.starts(with: old.utf8) {
            let added = String(new[new.utf8.index(new.startIndex, offsetBy: old.utf8.count)...])
            old = new
            return added
        }
        if old.utf8.starts(with: new.utf8) { return "" }
        let scalars = Array(new.unicodeScalars)
        let common = zip(old.unicodeScalars, scalars).prefix { $0 == $1 }.count
        old = new
        var added = String.UnicodeScalarView()
        added.append(contentsOf: scalars[common...])
        return String(added)
    }

    private static func twoDigits(_ value: Int) -> String {
        let digits = String(value, radix: 16)
        return digits.count < 2 ? "0" + digits : digits
    }
}
