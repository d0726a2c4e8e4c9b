import ReferenceEngine
import Serving
import Testing
import Vocabulary

@Suite struct `The reference tokenizer and renderer` {
    @Test func `text is its bytes, marks are control tokens only when asked for`() throws {
        let tokenizer = ReferenceTokenizer()
        let tokens = try tokenizer.tokens(of: "é<|end|>", special: false)
        #expect(tokens.flatMap { tokenizer.bytes(of: $0) } == Array("é<|end|>".utf8))
        #expect(try tokenizer.tokens(of: "é<|end|>!", special: true) == [0xC3, 0xA9, 256, 33])
        #expect(tokenizer.bytes(of: ReferenceTokenizer.end).isEmpty)
        #expect(tokenizer.endsGeneration(256) && !tokenizer.endsGeneration(257))
        #expect(throws: GenerationError.self) {
            try tokenizer.tokens(of: String(repeating: "x", count: 1_048_577), special: false)
        }
    }

    @Test func `a conversation is rendered line by line`() throws {
        let messages = [Message(role: .system, text: "Be brief."), Message(role: .user, text: "Hi")]
        let request = GenerationRequest(id: RequestID(1), model: "m", prompt: .chat(messages))
        let prepared = try ReferenceRenderer().prepare(request)
        #expect(prepared.tokens.first == ReferenceTokenizer.start)
        let text = prepared.tokens.flatMap { ReferenceTokenizer().bytes(of: $0) }
        #expect(String(decoding: text, as: UTF8.self) == "system: Be brief.\nuser: Hi\nassistant: ")
        #expect(prepared.format?.parsesTools == false)
    }

    @Test func `forms that need a grammar are refused`() {
        var request = GenerationRequest(id: RequestID(1), model: "m", prompt: .text("x"))
        request.responseFormat = .jsonObject
        #expect(throws: GenerationError.self) { try ReferenceRenderer().prepare(request) }
    }

    @Test func `a partial reading only ever grows`() {
        let format = AnswerFormat(notation: "reference", parsesTools: true)
        let renderer = ReferenceRenderer()
        let answer = "<think>a < b</think>One <cal <call>f {\"x\":1}</call> two<call>g 2</call>"
        var before = ParsedAnswer()
        for length in 0...answer.count {
            let now = renderer.parse(String(answer.prefix(length)), format: format, isPartial: true)
            #expect(now.reasoning.hasPrefix(before.reasoning) && now.text.hasPrefix(before.text))
            for (old, new) in zip(before.toolCalls, now.toolCalls) {
                #expect(old.name == new.name && new.arguments.hasPrefix(old.arguments))
            }
            before = now
        }
        let whole = renderer.parse(answer, format: format, isPartial: false)
        #expect(whole.reasoning == "a < b")
        #expect(whole.text == "One <cal  two")
        #expect(whole.toolCalls.map(\.name) == ["f", "g"])
        #expect(whole.toolCalls.map(\.arguments) == ["{\"x\":1}", "2"])
    }
}
