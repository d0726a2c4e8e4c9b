import Dialects
import Testing
import Vocabulary

@Suite struct `Routes of llama.cpp's server` {
    private func decode(_ route: LlamaServer.Call.Route, _ body: String) throws(DialectError) -> LlamaServer.Call {
        try LlamaServer.Call.decode(bytes(body), route: route, id: RequestID(1))
    }

    private func inspection(_ body: String) throws -> Inspection? {
        try decode(.tokenize, body).decoded.request.inspection
    }

    @Test func `a text is tokenised as llama-server does unless the request says otherwise`() throws {
        let call = try decode(.tokenize, #"{"content":"hé"}"#)
        #expect(call.decoded.request.inspection == .tokens([.text("hé")], addsSpecial: false, parsesSpecial: true))
        #expect(!call.namesModel && !call.withPieces && call.decoded.warnings.isEmpty)
        // Where the entry stage knows no inspections nothing may be generated.
        #expect(call.decoded.request.maxOutputTokens == 0)
        let other = try decode(
            .tokenize,
            #"{"model":"m","content":["a",7,""],"add_special":true,"parse_special":false,"with_pieces":true,"x":1}"#)
        let parts: [Inspection.Part] = [.text("a"), .token(7), .text("")]
        #expect(other.decoded.request.inspection == .tokens(parts, addsSpecial: true, parsesSpecial: false))
        #expect(other.decoded.request.model == "m" && other.namesModel && other.withPieces)
        #expect(other.decoded.warnings == ["'x' is not a known parameter and has no effect."])
        #expect(try inspection(#"{"content":[]}"#) == .tokens([], addsSpecial: false, parsesSpecial: true))
    }

    @Test func `tokens and conversations are read`() throws {
        let text = try decode(.detokenize, #"{"tokens":[1,2147483647]}"#).decoded.request
        #expect(text.inspection == .text && text.maxOutputTokens == 0)
        if case .tokens(let tokens) = text.prompt { #expect(tokens == [1, .max]) } else { Issue.record("no tokens") }
        let call = try decode(
            .applyTemplate,
            #"{"messages":[{"role":"user","content":"hi"}],"chat_template_kwargs":{"enable_thinking":false},"#
                + #""tools":[{"type":"function","function":{"name":"f"}}],"temperature":1}"#)
        let request = call.decoded.request
        #expect(messages(request) == [Message(role: .user, text: "hi")] && request.inspection == .template)
        #expect(request.reasoning.enabled == false && request.tools.map(\.name) == ["f"] && !call.namesModel)
        #expect(call.decoded.warnings == ["'temperature' is not a known parameter and has no effect."])
    }

    @Test(arguments: [
        (LlamaServer.Call.Route.tokenize, "{}", "content"), (.tokenize, #"{"content":1}"#, "content"),
        (.tokenize, #"{"content":["a",{}]}"#, "content[1]"), (.tokenize, #"{"content":["a",-1]}"#, "content[1]"),
        (.tokenize, #"{"content":["a",0.5]}"#, "content[1]"), (.tokenize, #"{"content":"","model":""}"#, "model"),
        (.tokenize, #"{"content":"","with_pieces":1}"#, "with_pieces"), (.detokenize, "{}", "tokens"),
        (.detokenize, #"{"tokens":"1"}"#, "tokens"), (.detokenize, #"{"tokens":[1,"2"]}"#, "tokens[1]"),
        (.detokenize, #"{"tokens":[2147483648]}"#, "tokens[0]"), (.applyTemplate, "{}", "messages"),
        (.applyTemplate, #"{"messages":[]}"#, "messages"),
        (
            .applyTemplate, #"{"messages":[{"role":"user","content":"hi"}],"add_generation_prompt":false}"#,
            "add_generation_prompt"
        ),
    ])
    func `what is wrong is named by its place`(route: LlamaServer.Call.Route, body: String, field: String) {
        #expect {
            try decode(route, body)
        } throws: {
            ($0 as? DialectError)?.field == field
        }
    }

    @Test func `texts and lists have bounds`() throws {
        let text = String(repeating: "x", count: 4 << 20)
        #expect(try decode(.tokenize, #"{"content":"\#(text)"}"#).decoded.warnings.isEmpty)
        let tokens = Array(repeating: "1", count: 1 << 18).joined(separator: ",")
        #expect(try decode(.detokenize, #"{"tokens":[\#(tokens)]}"#).decoded.warnings.isEmpty)
        for (route, body) in [
            (LlamaServer.Call.Route.tokenize, #"{"content":"\#(text)x"}"#),
            (.tokenize, #"{"content":["\#(text)","x"]}"#), (.tokenize, #"{"content":[\#(tokens),1]}"#),
            (.detokenize, #"{"tokens":[\#(tokens),1]}"#),
        ] {
            #expect(throws: DialectError.self) { try decode(route, body) }
        }
    }

    @Test func `answers have llama-server's shapes`() {
        func body(_ route: LlamaServer.Call.Route, _ delta: OutputDelta, pieces: Bool = false) -> String? {
            var aggregate = LlamaServer.Aggregate(route: route, withPieces: pieces)
            // The same answer again, as after the loss of a stage.
            for event in [.started(promptTokens: 2, cachedTokens: 0), .output(delta), .output(delta)]
                as [GenerationEvent]
            {
                aggregate.absorb(event)
                guard case .pending = aggregate.outcome() else { return nil }
            }
            aggregate.absorb(.finished(sampleEnd))
            guard case .complete(let body) = aggregate.outcome() else { return nil }
            return text(body)
        }
        var tokens = OutputDelta()
        tokens.tokens = [TokenText(token: 198, bytes: [0xC3]), TokenText(token: 7, bytes: Array(" \"w".utf8))]
        #expect(body(.tokenize, tokens) == #"{"tokens":[198,7]}"#)
        #expect(
            body(.tokenize, tokens, pieces: true)
                == #"{"tokens":[{"id":198,"piece":[195]},{"id":7,"piece":" \"w"}]}"#)
        #expect(body(.tokenize, OutputDelta()) == #"{"tokens":[]}"#)
        #expect(body(.detokenize, OutputDelta(text: "a\n")) == #"{"content":"a\n"}"#)
        #expect(body(.applyTemplate, OutputDelta(text: "<|x|>")) == #"{"prompt":"<|x|>"}"#)
    }

    @Test func `an entry stage that knows no inspections is told apart from an empty answer`() {
        var aggregate = LlamaServer.Aggregate(route: .detokenize, withPieces: false)
        aggregate.absorb(.finished(sampleEnd))
        guard case .failed(.engineFailed(let reason)) = aggregate.outcome() else {
            Issue.record("\(aggregate.outcome())")
            return
        }
        #expect(reason.contains("update"))
    }
}
