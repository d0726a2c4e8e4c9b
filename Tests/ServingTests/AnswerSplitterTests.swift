import Serving
import Testing
import Vocabulary

/// Gives back readings in turn, whatever the answer is.
private struct ScriptedRenderer: PromptRenderer {
    let readings: [Int: ParsedAnswer]

    func prepare(_ request: GenerationRequest) throws(GenerationError) -> PreparedPrompt { PreparedPrompt(tokens: []) }
    func text(of request: GenerationRequest) throws(GenerationError) -> String { "" }
    func parse(_ answer: String, format: AnswerFormat, isPartial: Bool) -> ParsedAnswer {
        readings[answer.utf8.count] ?? ParsedAnswer()
    }
}

@Suite struct `Splitting an answer` {
    private func deltas(_ readings: [ParsedAnswer]) -> [OutputDelta] {
        let renderer = ScriptedRenderer(
            readings: Dictionary(uniqueKeysWithValues: readings.enumerated().map { ($0.offset + 1, $0.element) }))
        var splitter = AnswerSplitter(
            format: AnswerFormat(notation: "", parsesTools: true), request: RequestID(1), choice: 2)
        return readings.map { _ in
            var delta = OutputDelta(choice: 2)
            splitter.push("x", isPartial: true, renderer: renderer, into: &delta)
            return delta
        }
    }

    @Test func `text that was sent is never taken back`() {
        let texts = ["Hel", "Hello <to", "Hello", "Hello", "Hello <top>"]
        let sent = deltas(texts.map { ParsedAnswer(text: $0) }).map(\.text)
        #expect(sent == ["Hel", "lo <to", "", "", "p>"])
    }

    @Test func `a contradicting reading adds what it has behind the common beginning`() {
        let sent = deltas(["abXY", "abZ", "abZW"].map { ParsedAnswer(text: $0) }).map(\.text)
        #expect(sent == ["abXY", "Z", "W"])
    }

    @Test func `a combining mark in the next reading is new text`() {
        let sent = deltas(["e", "e\u{301}"].map { ParsedAnswer(text: $0) }).map(\.text)
        #expect(sent.map { Array($0.unicodeScalars) } == [["e"], ["\u{301}"]])
    }

    @Test func `calls are announced once, in order, with ids of their own`() {
        let first = ToolCall(id: "", name: "a", arguments: "{")
        let sent = deltas([
            ParsedAnswer(toolCalls: [ToolCall(id: "", name: "", arguments: "")]),
            ParsedAnswer(toolCalls: [first]),
            ParsedAnswer(toolCalls: [
                ToolCall(id: "late", name: "a", arguments: "{}"), ToolCall(id: "given", name: "b", arguments: ""),
            ]),
            ParsedAnswer(toolCalls: []),
        ]).map(\.toolCalls)
        #expect(sent[0].isEmpty)
        #expect(sent[1] == [ToolCallDelta(index: 0, id: "call_00000000000000010200", name: "a", arguments: "{")])
        #expect(
            sent[2] == [
                ToolCallDelta(index: 0, arguments: "}"), ToolCallDelta(index: 1, id: "given", name: "b"),
            ])
        #expect(sent[3].isEmpty)
    }
}
