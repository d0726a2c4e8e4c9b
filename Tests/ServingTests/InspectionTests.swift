import ReferenceEngine
import Serving
import Testing
import Vocabulary

@Suite struct `Inspecting prompts` {
    private let inspector = PromptInspector(tokenizer: ReferenceTokenizer(), renderer: ReferenceRenderer())

    /// The one piece of an inspection's answer, and the tokens its start counts.
    private func answer(
        _ inspection: Inspection, _ prompt: GenerationRequest.Prompt = .text("")
    ) throws -> (piece: OutputDelta, count: Int) {
        let request = GenerationRequest(id: RequestID(1), model: "m", prompt: prompt)
        let events = try inspector.answer(inspection, of: request)
        #expect(events.count == 3)
        guard case .started(let count, 0) = events[0], case .output(let piece) = events[1],
            case .finished(let end) = events[2]
        else {
            Issue.record("\(events)")
            return (OutputDelta(), 0)
        }
        #expect(end.usage == Usage(promptTokens: count, outputTokens: 0) && end.finishReasons == [.stop])
        return (piece, count)
    }

    private func tokens(
        _ parts: [Inspection.Part], addsSpecial: Bool = false, parsesSpecial: Bool = true
    ) throws -> [TokenText] {
        let answer = try answer(.tokens(parts, addsSpecial: addsSpecial, parsesSpecial: parsesSpecial))
        #expect(answer.count == answer.piece.tokens.count && answer.piece.text.isEmpty)
        return answer.piece.tokens
    }

    @Test func `tokens come with their bytes, which need not be whole characters`() throws {
        #expect(
            try tokens([.text("é")]) == [TokenText(token: 0xC3, bytes: [0xC3]), TokenText(token: 0xA9, bytes: [0xA9])])
        #expect(try tokens([]) == [] && tokens([.text("")]) == [])
    }

    @Test func `control tokens count where they are to, and are told as they are written`() throws {
        let end = TokenText(token: ReferenceTokenizer.end, bytes: Array("<|end|>".utf8))
        #expect(try tokens([.text("a<|end|>")]) == [TokenText(token: 97, bytes: [97]), end])
        #expect(try tokens([.text("<|end|>")], parsesSpecial: false).count == 7)
    }

    @Test func `what stands around a text stands around the first part only, and tokens are taken as they are`() throws
    {
        let parts: [Inspection.Part] = [.text("a"), .token(5), .text("b")]
        #expect(try tokens(parts).map(\.token) == [97, 5, 98])
        #expect(try tokens(parts, addsSpecial: true).map(\.token) == [ReferenceTokenizer.start, 97, 5, 98])
        #expect(try tokens([.token(5), .text("b")], addsSpecial: true).map(\.token) == [5, 98])
    }

    @Test func `the text of tokens is repaired where it is none`() throws {
        let text = try answer(.text, .tokens([0xC3, 0xA9, ReferenceTokenizer.end, 0xFF]))
        #expect(text.piece.text == "é<|end|>\u{FFFD}" && text.count == 4)
        #expect(try answer(.text, .tokens([])).piece.text == "")
    }

    @Test func `a conversation becomes the text that is tokenised for it`() throws {
        let messages = [Message(role: .user, text: "hi")]
        let text = try answer(.template, .chat(messages)).piece.text
        #expect(text == "<|start|>user: hi\nassistant: ")
        var request = GenerationRequest(id: RequestID(1), model: "m", prompt: .chat(messages))
        let prepared = try ReferenceRenderer().prepare(request)
        #expect(try tokens([.text(text)]).map(\.token) == prepared.tokens)
        request.reasoning.enabled = true
        #expect(try ReferenceRenderer().text(of: request).hasSuffix("assistant: <think>"))
    }

    @Test func `what is outside the vocabulary or the limits is refused by its place`() {
        func refusal(_ inspection: Inspection, _ prompt: GenerationRequest.Prompt = .text("")) -> String? {
            do {
                _ = try answer(inspection, prompt)
                return nil
            } catch GenerationError.invalidField(let name, _, _) {
                return name
            } catch {
                return "\(error)"
            }
        }
        func tokenised(_ parts: [Inspection.Part]) -> String? {
            refusal(.tokens(parts, addsSpecial: false, parsesSpecial: false))
        }
        #expect(tokenised([.text("a"), .token(258)]) == "content[1]")
        #expect(tokenised([.token(-1)]) == "content[0]")
        #expect(refusal(.text, .tokens([1, 2, 258])) == "tokens[2]")
        let longest = String(repeating: "x", count: 1 << 20)
        #expect(tokenised([.text(longest)]) == nil)
        #expect(tokenised([.text(longest + "x")]) == "content")
        #expect(tokenised([.text(longest), .text("x")]) == "content")
        #expect(refusal(.text, .tokens([Token](repeating: 1, count: (1 << 20) + 1))) == "tokens")
        #expect(refusal(.template, .tokens([]))?.contains("messages") == true)
    }

    @Test func `few tokens may stand for a long text, which is bounded, too`() throws {
        let inspector = PromptInspector(
            tokenizer: PieceTokenizer([String(repeating: "x", count: 4096)]), renderer: ReferenceRenderer())
        func events(_ count: Int) throws(GenerationError) -> [GenerationEvent] {
            let tokens = [Token](repeating: 0, count: count)
            return try inspector.answer(
                .text, of: GenerationRequest(id: RequestID(1), model: "m", prompt: .tokens(tokens)))
        }
        #expect(try events(4096).count == 3)
        #expect(throws: GenerationError.self) { try events(4097) }
    }
}
