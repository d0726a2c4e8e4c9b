import ReferenceEngine
import Serving
import Testing
import Vocabulary

/// Tokens that a request names as ends of its answer.
@Suite struct `Stop tokens` {
    /// An answer in two letters, so that much of it can be guessed, and now and then a third one.
    private static func request(_ seed: UInt64, stopTokens: [Token]? = nil) -> GenerationRequest {
        Requests.text(1, "abab abab ", limit: 60, temperature: 0.7, seed: seed) { request in
            Requests.restrict(&request, to: "ab")
            Requests.restrict(&request, to: "c", strength: 34)
            request.sampling.ignoreEndOfGeneration = true
            request.topLogprobs = 1
            request.keepsJournal = true
            request.stopTokens = stopTokens
        }
    }

    private static func run(
        _ request: GenerationRequest, _ options: LocalPipeline.Options = .init()
    ) throws -> LocalPipeline {
        var pipeline = LocalPipeline(options)
        try pipeline.submit(request)
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
        return pipeline
    }

    /// The tokens of the answer without a stop, and where the last of its letters is met first.
    private static func unstopped(_ seed: UInt64) throws -> (tokens: [Token], end: Int) {
        let events = try run(request(seed)).events[RequestID(1)] ?? []
        let tokens = events.flatMap { event -> [Token] in
            if case .output(let delta) = event { delta.journal } else { [] }
        }
        #expect(tokens.count == 60)
        return (tokens, try #require(tokens.indices.last(where: { !tokens[..<$0].contains(tokens[$0]) })))
    }

    private static func text(_ tokens: some Sequence<Token>) -> String {
        String(decoding: tokens.map { UInt8($0) }, as: UTF8.self)
    }

    @Test(arguments: 1...3, [0, 1, 4])
    func `end the answer unseen, in any stages and with guesses`(stageCount: Int, width: Int) throws {
        var accepted = 0
        var count = 0
        for seed in 1...40 as ClosedRange<UInt64> where count < 6 {
            let (tokens, end) = try Self.unstopped(seed)
            // Nothing is guessed in the first few tokens.
            guard end >= 15 else { continue }
            count += 1
            var options = LocalPipeline.Options(stageCount: stageCount)
            options.speculation = width > 0 ? .ngram : .off
            if width > 0 { options.policy = ForcedWindows(width: width) }
            let pipeline = try Self.run(Self.request(seed, stopTokens: [200, tokens[end]]), options)
            let answer = try #require(pipeline.answer(RequestID(1)))
            #expect(answer.texts == [Self.text(tokens[..<end])], "SEED=\(seed)")
            #expect(answer.finish == [.stop] && answer.outputTokens == end + 1, "SEED=\(seed)")
            #expect(answer.logprobs[0].map(\.chosen.token) == Array(tokens[..<end]), "SEED=\(seed)")
            accepted += pipeline.core.acceptedTokens
        }
        #expect(count == 6)
        #expect((accepted > 0) == (width > 0))
    }

    @Test func `that end generation are met although that is ignored`() throws {
        func answer(_ stopTokens: [Token]?) throws -> LocalPipeline.Answer? {
            let request = Requests.text(1, limit: 5, temperature: 0) {
                $0.sampling.ignoreEndOfGeneration = true
                $0.sampling.logitBias = [LogitBias(token: ReferenceTokenizer.end, bias: 100)]
                $0.stopTokens = stopTokens
            }
            return try Self.run(request).answer(RequestID(1))
        }
        let stopped = try answer([ReferenceTokenizer.end])
        #expect(stopped?.finish == [.stop] && stopped?.outputTokens == 1 && stopped?.texts == [""])
        let endless = try answer(nil)
        #expect(endless?.finish == [.length] && endless?.outputTokens == 5)
    }

    @Test func `end an answer that goes on elsewhere`() throws {
        let (tokens, end) = try Self.unstopped(3)
        let request = Self.request(3, stopTokens: [tokens[end]])
        for told in 1...end + 1 {
            var again = request
            again.answered = [Array(tokens[..<told])]
            let rest = try #require(try Self.run(again, .init(stageCount: 2)).answer(RequestID(1)))
            let before = Self.text(tokens[..<min(told, end)])
            #expect(before + rest.texts[0] == Self.text(tokens[..<end]), "after \(told) tokens")
            #expect(rest.finish == [.stop] && rest.outputTokens == end + 1, "after \(told) tokens")
        }
    }
}
