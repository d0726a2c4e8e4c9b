import ReferenceEngine
import Serving
import Testing
import Vocabulary

/// A vocabulary of given pieces; the token after the last piece ends the answer.
struct PieceTokenizer: Tokenizer {
    let pieces: [[UInt8]]

    init(_ pieces: [String]) { self.pieces = pieces.map { Array($0.utf8) } }
    init(bytes: [[UInt8]]) { pieces = bytes }

    var vocabularySize: Int { pieces.count + 1 }
    func tokens(of text: String, special: Bool) throws(GenerationError) -> [Token] { [] }
    func tokens(of text: String, addsSpecial: Bool, parsesSpecial: Bool) throws(GenerationError) -> [Token] { [] }
    func text(of token: Token) -> [UInt8] { bytes(of: token) }
    func bytes(of token: Token) -> [UInt8] { Int(token) < pieces.count ? pieces[Int(token)] : [] }
    func endsGeneration(_ token: Token) -> Bool { Int(token) == pieces.count }
}

/// The reference engine's renderer, which counts how often it reads an answer.
final class CountingRenderer: PromptRenderer {
    private(set) var readings = 0

    func prepare(_ request: GenerationRequest) throws(GenerationError) -> PreparedPrompt {
        try ReferenceRenderer().prepare(request)
    }

    func text(of request: GenerationRequest) throws(GenerationError) -> String {
        try ReferenceRenderer().text(of: request)
    }

    func parse(_ answer: String, format: AnswerFormat, isPartial: Bool) -> ParsedAnswer {
        readings += 1
        return ReferenceRenderer().parse(answer, format: format, isPartial: isPartial)
    }
}

@Suite struct `Assembling an answer` {
    /// Pushes every piece in turn, then the end unless the answer ended before.
    private func assemble(
        _ tokenizer: PieceTokenizer, stop: [String] = [], limit: Int = 1000, format: AnswerFormat? = nil,
        logprobs: Bool = false, ignoresEnd: Bool = false, stopTokens: Set<Token> = []
    ) -> (deltas: [OutputDelta], finish: FinishReason?, assembler: OutputAssembler) {
        var assembler = OutputAssembler(
            request: RequestID(0xABC), choice: 0, tokenLimit: limit, ignoresEndOfGeneration: ignoresEnd,
            stops: StopMatcher(stop), stopTokens: stopTokens, format: format)
        var deltas: [OutputDelta] = []
        for token in 0...Token(tokenizer.pieces.count) {
            let logprob =
                logprobs
                ? TokenLogprob(chosen: .init(token: token, bytes: [], logprob: -Float(token)), top: []) : nil
            let progress = assembler.push(
                token, logprob: logprob, tokenizer: tokenizer, renderer: ReferenceRenderer())
            deltas.append(progress.delta)
            if let finish = progress.finish { return (deltas, finish, assembler) }
        }
        return (deltas, nil, assembler)
    }

    @Test func `a scalar cut over tokens comes whole, with the logprobs of all its tokens`() {
        let goose = Array("🪿".utf8)
        let tokenizer = PieceTokenizer(bytes: [[0x61], [goose[0]], [goose[1], goose[2]], [goose[3], 0x62], [0x63]])
        let result = assemble(tokenizer, logprobs: true)
        #expect(result.deltas.map(\.text) == ["a", "", "", "🪿b", "c", ""])
        #expect(result.deltas.map { $0.logprobs.map(\.chosen.token) } == [[0], [], [], [1, 2, 3], [4], []])
        #expect(
            result.deltas[3].logprobs.map(\.chosen.bytes) == [[goose[0]], [goose[1], goose[2]], [goose[3], 0x62]])
        #expect(result.finish == .stop)
    }

    @Test func `a stop text over several tokens is withheld and not part of the answer`() {
        let result = assemble(PieceTokenizer(["Hello", " wor", "ld\n", "\nUs", "er: x", "never"]), stop: ["\n\nUser:"])
        #expect(result.deltas.map(\.text) == ["Hello", " wor", "ld", "", ""])
        #expect(result.finish == .stop)
        #expect(result.assembler.metStop == "\n\nUser:")
        #expect(result.assembler.tokenCount == 5)
    }

    @Test func `a stop text that does not come true is given back`() {
        let result = assemble(PieceTokenizer(["a#", "#", "b#"]), stop: ["###"])
        #expect(result.deltas.map(\.text) == ["a", "", "##b", "#"])
        #expect(result.assembler.metStop == nil)
    }

    @Test func `tokens inside a stop text have no logprobs, a token that reaches into it has`() {
        let result = assemble(PieceTokenizer(["ab", "cS", "TO", "P"]), stop: ["STOP"], logprobs: true)
        #expect(result.deltas.flatMap(\.logprobs).map(\.chosen.token) == [0, 1])
        #expect(result.deltas.map(\.text).joined() == "abc")
    }

    @Test func `the length limit ends the answer and gives back what was kept`() {
        let result = assemble(PieceTokenizer(["a", "S", "T", "never"]), stop: ["STOP"], limit: 3, logprobs: true)
        #expect(result.deltas.map(\.text) == ["a", "", "ST"])
        #expect(result.deltas.flatMap(\.logprobs).count == 3)
        #expect(result.finish == .length)
    }

    @Test func `an unfinished scalar at the limit becomes a replacement character`() {
        let result = assemble(PieceTokenizer(bytes: [[0x61], [0xE2, 0x82], [0x41]]), limit: 2)
        #expect(result.deltas.map(\.text) == ["a", "\u{FFFD}"])
    }

    @Test func `a stop text met by the last allowed token counts as stop`() {
        let result = assemble(PieceTokenizer(["a", "STOP"]), stop: ["STOP"], limit: 2)
        #expect(result.finish == .stop)
        #expect(result.deltas.map(\.text).joined() == "a")
    }

    @Test func `an ignored end of generation is an ordinary token`() {
        let tokenizer = PieceTokenizer(["a"])
        let result = assemble(tokenizer, limit: 2, ignoresEnd: true)
        #expect(result.finish == .length)
        #expect(result.assembler.tokenCount == 2)
    }

    @Test(arguments: [false, true])
    func `a stop token ends the answer and is not told, what was kept back is`(ignoresEnd: Bool) {
        let result = assemble(
            PieceTokenizer(["a", "S", "T", "never"]), stop: ["STOP"], logprobs: true, ignoresEnd: ignoresEnd,
            stopTokens: [2])
        #expect(result.deltas.map(\.text) == ["a", "", "S"])
        #expect(result.deltas.flatMap(\.logprobs).map(\.chosen.token) == [0, 1])
        #expect(result.finish == .stop && result.assembler.metStop == nil && result.assembler.tokenCount == 3)
    }

    @Test func `tokens that came together with a stop token among them are told up to it`() {
        let tokenizer = PieceTokenizer(["plain ", "words ", "that ", "go on"])
        var together = assembler(stopTokens: [2])
        var alone = assembler(stopTokens: [2])
        together.foresee(0..<4 as Range<Token>, tokenizer: tokenizer, renderer: ReferenceRenderer())
        for token in 0..<3 as Range<Token> {
            let next = together.push(token, logprob: nil, tokenizer: tokenizer, renderer: ReferenceRenderer())
            #expect(next == alone.push(token, logprob: nil, tokenizer: tokenizer, renderer: ReferenceRenderer()))
            #expect((next.finish == .stop) == (token == 2))
        }
    }

    @Test func `reasoning, text and tool calls come apart`() {
        let format = AnswerFormat(notation: "reference", parsesTools: true)
        let pieces = ["<thi", "nk>", "hm", "m</th", "ink>", "Let ", "me <ca", "ll>find {\"a\"", ":1}</call", ">"]
        let result = assemble(PieceTokenizer(pieces), format: format)
        #expect(result.deltas.map(\.reasoning).joined() == "hmm")
        #expect(result.deltas.map(\.text).joined() == "Let me ")
        let calls = result.deltas.flatMap(\.toolCalls)
        #expect(
            calls.first == ToolCallDelta(index: 0, id: "call_0000000000000abc0000", name: "find", arguments: "{\"a\""))
        #expect(calls.map(\.arguments).joined() == "{\"a\":1}")
        #expect(calls.dropFirst().allSatisfy { $0.id == nil && $0.name == nil && $0.index == 0 })
        #expect(result.finish == .toolCalls)
        // "<thi", "nk>", "hm" and "m</th" led to reasoning; the closing mark leads to text.
        #expect(result.assembler.reasoningTokens == 4)
    }

    @Test func `an answer cut by the limit inside a tool call ends by length`() {
        let format = AnswerFormat(notation: "reference", parsesTools: true)
        let result = assemble(PieceTokenizer(["<call>find {", "\"a\"", "}"]), limit: 2, format: format)
        #expect(result.finish == .length)
        #expect(result.deltas.flatMap(\.toolCalls).map(\.arguments).joined() == "{\"a\"")
    }

    private func assembler(
        stop: [String] = [], limit: Int = 1000, stopTokens: Set<Token> = []
    ) -> OutputAssembler {
        OutputAssembler(
            request: RequestID(0xABC), choice: 0, tokenLimit: limit, ignoresEndOfGeneration: false,
            stops: StopMatcher(stop), stopTokens: stopTokens,
            format: AnswerFormat(notation: "reference", parsesTools: true))
    }

    @Test func `a replay reads a few times, however long it is, and the rest comes in the same pieces`() {
        let pieces =
            ["<think>"] + Array(repeating: "hm ", count: 300)
            + ["</think>", "yes ", "<call>find {", "\"a\"", ":1}</call>", " and", " more STO", "P"]
        let tokenizer = PieceTokenizer(pieces)
        for told in [0, 1, 7, 8, 9, 250, 301, 302, 303, 304, 306, pieces.count - 1] {
            let renderer = CountingRenderer()
            var replayed = assembler(stop: ["STOP"])
            let outcome = replayed.replay((0..<told).map { Token($0) }, tokenizer: tokenizer, renderer: renderer)
            #expect(outcome.count == told && outcome.finish == nil)
            #expect(renderer.readings <= Limits.replayedReadings + 1, "\(told) tokens")
            var pushed = assembler(stop: ["STOP"])
            for token in 0..<told {
                _ = pushed.push(Token(token), logprob: nil, tokenizer: tokenizer, renderer: renderer)
            }
            if told <= 301 { #expect(replayed.reasoningTokens == pushed.reasoningTokens, "\(told) tokens") }
            for token in told..<pieces.count {
                let next = replayed.push(Token(token), logprob: nil, tokenizer: tokenizer, renderer: renderer)
                let expected = pushed.push(Token(token), logprob: nil, tokenizer: tokenizer, renderer: renderer)
                #expect(next == expected, "\(token) behind \(told)")
            }
            #expect(replayed.metStop == "STOP" && replayed.tokenCount == pieces.count)
        }
    }

    @Test func `a replay that holds the end stops there`() {
        let tokenizer = PieceTokenizer(Array(repeating: "a", count: 40))
        let renderer = CountingRenderer()
        var short = assembler(limit: 20)
        let outcome = short.replay((0..<40).map { Token($0) }, tokenizer: tokenizer, renderer: renderer)
        #expect(outcome.count == 20 && outcome.finish == .length && renderer.readings == 1)
    }

    @Test(
        arguments: [
            (["plain ", "words ", "that ", "go ", "on"], [], 1), (["a ", "b STO", "P", " never"], ["STOP"], 2),
            (["I ", "<call>find {", "\"a\"", ":1}</call>", "done"], [], 6), (["é", "漢", "🪿"], [], 1),
        ] as [([String], [String], Int)])
    func `tokens that came together are read once where their text just goes on`(
        pieces: [String], stop: [String], readings: Int
    ) {
        let tokenizer = PieceTokenizer(pieces)
        let (renderer, other) = (CountingRenderer(), CountingRenderer())
        var together = assembler(stop: stop)
        var alone = assembler(stop: stop)
        let tokens = pieces.indices.map { Token($0) }
        together.foresee(tokens, tokenizer: tokenizer, renderer: renderer)
        for token in tokens {
            let next = together.push(token, logprob: nil, tokenizer: tokenizer, renderer: renderer)
            let expected = alone.push(token, logprob: nil, tokenizer: tokenizer, renderer: other)
            #expect(next == expected)
            if next.finish != nil { break }
        }
        #expect(renderer.readings == readings)
    }

    @Test func `logprobs come with the next piece that carries something`() {
        let format = AnswerFormat(notation: "reference", parsesTools: true)
        let result = assemble(PieceTokenizer(["<think>", "hm", "</think>", "yes"]), format: format, logprobs: true)
        #expect(result.deltas.map { $0.logprobs.map(\.chosen.token) } == [[], [0, 1], [], [2, 3], []])
    }
}
