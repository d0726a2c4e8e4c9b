package import Vocabulary

/// Holds a whole answer against what the request demanded of its form: the last look after the grammar.
///
/// A grammar keeps an answer in its form; what it could not express, and what a bug let through, is found here. An
/// answer that ended at its length limit is not judged.
package struct AnswerReview: Sendable {
    private struct Choice: Sendable {
        var text = ""
        var calls: [(name: String, arguments: String)] = []
    }

    private let schema: JSONNode?
    private let demandsObject: Bool
    private let tools: [String: JSONNode]
    private var choices: [Choice]
    private var bytes = 0
    /// What is wrong, a sentence each; known after the end of the answer.
    package private(set) var findings: [String] = []

    /// Starts the review of a request's answer; nil when the request demands no form.
    package init?(_ request: GenerationRequest) {
        var tools: [String: JSONNode] = [:]
        for tool in request.tools where tool.strict { tools[tool.name] = Self.read(tool.parameters) }
        switch request.responseFormat {
        case .text, .grammar: (schema, demandsObject) = (nil, false)
        case .jsonObject: (schema, demandsObject) = (nil, true)
        case .jsonSchema(let text): (schema, demandsObject) = (Self.read(text), false)
        }
        guard schema != nil || demandsObject || !tools.isEmpty else { return nil }
        self.tools = tools
        choices = Array(repeating: Choice(), count: request.choiceCount)
    }

    /// Takes an event in.
    package mutating func absorb(_ event: GenerationEvent) {
        switch event {
        case .output(let delta) where choices.indices.contains(delta.choice):
            bytes += delta.text.utf8.count + delta.toolCalls.reduce(0) { $0 + $1.arguments.utf8.count }
            guard bytes <= Limits.answerBytes else { return }
            choices[delta.choice].text += delta.text
            for part in delta.toolCalls {
                if let name = part.name { choices[delta.choice].calls.append((name, "")) }
                guard choices[delta.choice].calls.indices.contains(part.index) else { continue }
                choices[delta.choice].calls[part.index].arguments += part.arguments
            }
        case .finished(let completion) where bytes <= Limits.answerBytes:
            for (index, choice) in choices.enumerated() where index < completion.finishReasons.count {
                guard completion.finishReasons[index] != .length, completion.stopTexts[index] == nil else { continue }
                review(choice, place: choices.count > 1 ? "Answer \(index)" : "The answer")
            }
        default: break
        }
    }

    private mutating func review(_ choice: Choice, place: String) {
        for call in choice.calls {
            guard let schema = tools[call.name] else { continue }
            let place = "\(place)'s call of '\(clipped(call.name))'"
            guard let value = Self.read(call.arguments) else {
                findings.append("\(place) has arguments that are no JSON.")
                continue
            }
            if let found = SchemaCheck.violation(of: schema, by: value) {
                findings.append("\(place) breaks its schema: \(found).")
            }
        }
        guard schema != nil || demandsObject, choice.calls.isEmpty else { return }
        guard let value = Self.read(choice.text) else {
            findings.append("\(place) is no JSON.")
            return
        }
        if demandsObject, value.members == nil { findings.append("\(place) is \(value.kind), not a JSON object.") }
        if let schema, let found = SchemaCheck.violation(of: schema, by: value) {
            findings.append("\(place) breaks its schema: \(found).")
        }
    }

    private static func read(_ text: String) -> JSONNode? {
        do throws(JSONError) { return try JSONReader.read(Array(text.utf8)) } catch { return nil }
    }
}
