package import Vocabulary

/// Reads a growing answer through the template's renderer and tells what is new in each of its parts.
///
/// Text that was sent never changes: when a later reading contradicts an earlier one, only what the later reading adds
/// behind their common beginning is sent.
package struct AnswerSplitter: Sendable {
    /// A part of an answer that text can go on with.
    private enum Part: CaseIterable {
        case text
        case reasoning
        /// Of the newest call.
        case arguments
    }

    private let format: AnswerFormat
    private let callPrefix: String
    private var answer = ""
    /// The latest reading that was sent.
    private var read = ParsedAnswer()
    /// Where the next text goes without another reading, and how much of it; nil reads anew.
    private var foreseen: (part: Part, bytes: Int)?
    /// Whether the latest new text was reasoning and nothing else.
    package private(set) var onlyReasoningGrew = false

    /// Starts an empty answer of a request's choice.
    package init(format: AnswerFormat, request: RequestID, choice: Int) {
        self.format = format
        callPrefix = "call_\(request)" + Self.twoDigits(choice)
    }

    /// Whether the answer holds tool calls.
    package var hasCalls: Bool { !read.toolCalls.isEmpty }

    /// How much of what was read last is reasoning, 0 … 1.
    var reasoningShare: Double {
        let reasoning = read.reasoning.utf8.count
        let all = reasoning + read.text.utf8.count + read.toolCalls.reduce(0) { $0 + $1.arguments.utf8.count }
        return all == 0 ? 0 : Double(reasoning) / Double(all)
    }

    /// Takes text that was told elsewhere; it is read with what comes behind it.
    mutating func skip(_ text: String) { answer += text }

    /// Reads ahead: when all of `text`, which is pushed in pieces next, goes on with one part of the answer as it is
    /// and changes nothing else, the pieces need no readings of their own. A reading takes as long as the answer is.
    mutating func foresee(_ text: String, renderer: any PromptRenderer) {
        let reading = renderer.parse(answer + text, format: format, isPartial: true)
        let grown = Part.allCases.first { part in
            guard part != .arguments || hasCalls else { return false }
            var next = read
            Self.extend(part, of: &next, by: text)
            return reading.isAlike(next)
        }
        foreseen = grown.map { (part: $0, bytes: text.utf8.count) }
    }

    private static func extend(_ part: Part, of read: inout ParsedAnswer, by text: String) {
        switch part {
        case .text: read.text += text
        case .reasoning: read.reasoning += text
        case .arguments: read.toolCalls[read.toolCalls.count - 1].arguments += text
        }
    }

    /// Adds text whose part is known.
    private mutating func push(_ text: String, to part: Part, into delta: inout OutputDelta) {
        Self.extend(part, of: &read, by: text)
        switch part {
        case .text: delta.text += text
        case .reasoning: delta.reasoning += text
        case .arguments: delta.toolCalls.append(ToolCallDelta(index: read.toolCalls.count - 1, arguments: text))
        }
        onlyReasoningGrew = part == .reasoning
    }

    /// Adds answer text and puts what is new into `delta`.
    package mutating func push(
        _ text: String, isPartial: Bool, renderer: any PromptRenderer, into delta: inout OutputDelta
    ) {
        answer += text
        if isPartial, let (part, bytes) = foreseen, text.utf8.count <= bytes {
            foreseen = bytes == text.utf8.count ? nil : (part: part, bytes: bytes - text.utf8.count)
            return push(text, to: part, into: &delta)
        }
        foreseen = nil
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

extension ParsedAnswer {
    /// Whether both tell the same, scalar for scalar; ids of calls aside, which the one who tells them gives.
    fileprivate func isAlike(_ other: ParsedAnswer) -> Bool {
        text.utf8.elementsEqual(other.text.utf8) && reasoning.utf8.elementsEqual(other.reasoning.utf8)
            && toolCalls.count == other.toolCalls.count
            && zip(toolCalls, other.toolCalls).allSatisfy {
                $0.name == $1.name && $0.arguments.utf8.elementsEqual($1.arguments.utf8)
            }
    }
}
