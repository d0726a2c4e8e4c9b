import ReferenceEngine
import Serving
import Testing
import Vocabulary

/// Answers that go on behind tokens another placement made.
@Suite struct Resumption {
    private static func pipeline() -> LocalPipeline {
        var options = LocalPipeline.Options(stageCount: 2, laneCount: 4, cellCount: 512)
        options.window = 256
        return LocalPipeline(options)
    }

    /// The pieces of an answer, in order.
    private static func pieces(_ pipeline: LocalPipeline, _ id: UInt64) -> [OutputDelta] {
        (pipeline.events[RequestID(id)] ?? []).compactMap { if case .output(let delta) = $0 { delta } else { nil } }
    }

    private static func text(_ pieces: some Sequence<OutputDelta>, choice: Int = 0) -> String {
        pieces.filter { $0.choice == choice }.map(\.text).joined()
    }

    private static func request(_ id: UInt64, choices: Int = 1, temperature: Float = 0) -> GenerationRequest {
        Requests.text(id, "Tell of a goose, é and a feather.", limit: 24) { request in
            request.keepsJournal = true
            request.choiceCount = choices
            request.sampling.temperature = temperature
            request.sampling.seed = 5
            request.stop = ["zz"]
        }
    }

    @Test(arguments: [0, 0.9] as [Float])
    func `an answer goes on from every piece as if nothing had happened`(temperature: Float) throws {
        var whole = Self.pipeline()
        try whole.submit(Self.request(1, temperature: temperature))
        whole.run()
        let pieces = Self.pieces(whole, 1)
        let tokens = pieces.flatMap(\.journal)
        let usage = try #require(whole.completion(RequestID(1))?.usage)
        #expect(pieces.count > 4 && tokens.count == usage.outputTokens)
        for told in 1..<pieces.count {
            var again = Self.pipeline()
            var request = Self.request(2, temperature: temperature)
            request.answered = [pieces.prefix(told).flatMap(\.journal)]
            try again.submit(request)
            again.run()
            let rest = Self.pieces(again, 2)
            #expect(Self.text(pieces.prefix(told)) + Self.text(rest) == Self.text(pieces), "after \(told) pieces")
            #expect(again.completion(RequestID(2))?.usage.outputTokens == usage.outputTokens)
            #expect(again.completion(RequestID(2))?.finishReasons == whole.completion(RequestID(1))?.finishReasons)
            again.checkQuiescence()
        }
    }

    @Test func `an answer goes on before all who wait, however full the line, and does not wait in vain`() throws {
        var pipeline = LocalPipeline(.init(laneCount: 1, queueLimit: 3))
        for id in 1...4 as ClosedRange<UInt64> { try pipeline.submit(Requests.text(id, limit: 30)) }
        var resumed = Self.request(5)
        resumed.answered = [[Token(UInt8(ascii: "a"))]]
        try pipeline.submit(resumed)
        #expect(pipeline.core.queuedCount == 4)
        #expect(pipeline.events[RequestID(5)]?.last == .queued(position: 1, predictedWaitSeconds: nil))
        #expect(pipeline.events[RequestID(2)]?.last == .queued(position: 2, predictedWaitSeconds: nil))
        // Others are told to come back after 60 s.
        pipeline.wait(.seconds(61))
        #expect(pipeline.failure(RequestID(2)) != nil && pipeline.failure(RequestID(4)) != nil)
        #expect(pipeline.failure(RequestID(5)) == nil)
        pipeline.run()
        #expect(pipeline.completion(RequestID(5)) != nil)
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `several choices go on, each from where it was`() throws {
        var whole = Self.pipeline()
        try whole.submit(Self.request(1, choices: 3, temperature: 1))
        whole.run()
        let pieces = Self.pieces(whole, 1)
        let told = Array(pieces.prefix(pieces.count / 2))
        var again = Self.pipeline()
        var request = Self.request(2, choices: 3, temperature: 1)
        request.answered = (0..<3).map { choice in told.filter { $0.choice == choice }.flatMap(\.journal) }
        try again.submit(request)
        again.run()
        let rest = Self.pieces(again, 2)
        for choice in 0..<3 {
            #expect(
                Self.text(told, choice: choice) + Self.text(rest, choice: choice) == Self.text(pieces, choice: choice))
        }
        again.checkQuiescence()
    }

    @Test func `a long answer is read a few times only before it goes on`() {
        let renderer = CountingRenderer()
        let shape = StageShape(
            layers: LayerRange(first: 0, end: 4), layerCount: 4, width: 4, cellCount: 4096, laneCount: 2, rowLimit: 16)
        var core = EngineCore(
            settings: EngineSettings(shapes: [shape], window: 4096, seed: 1), tokenizer: ReferenceTokenizer(),
            renderer: renderer)
        var request = Requests.text(1, limit: 3000)
        request.answered = [Array(repeating: 97, count: 2000)]
        let prepared = PreparedPrompt(
            tokens: [65, 66], format: AnswerFormat(notation: "reference", parsesTools: true))
        _ = core.handle(.submit(request: request, prepared: prepared), now: Instant(nanoseconds: 0))
        #expect(core.activeCount == 1)
        #expect((1...Limits.replayedReadings + 1).contains(renderer.readings))
    }

    @Test func `an answer that had ended only tells its end`() throws {
        var whole = Self.pipeline()
        try whole.submit(Self.request(1))
        whole.run()
        var again = Self.pipeline()
        var request = Self.request(2)
        request.answered = [Self.pieces(whole, 1).flatMap(\.journal)]
        try again.submit(request)
        again.run()
        #expect(Self.pieces(again, 2).isEmpty)
        #expect(
            again.completion(RequestID(2))?.finishReasons == whole.completion(RequestID(1))?.finishReasons)
    }

    @Test func `tokens that cannot be are refused by name`() throws {
        var pipeline = Self.pipeline()
        var request = Self.request(1)
        request.answered = [[1], [2]]
        try pipeline.submit(request)
        var other = Self.request(2)
        other.answered = [[.max]]
        try pipeline.submit(other)
        pipeline.run()
        for id in [1, 2] as [UInt64] {
            guard case .failed(.invalidField(name: "answered", _, _))? = pipeline.events[RequestID(id)]?.last else {
                Issue.record("request \(id) was not refused: \(pipeline.events[RequestID(id)] ?? [])")
                continue
            }
        }
    }

    @Test func `nobody gets a journal unasked`() throws {
        var pipeline = Self.pipeline()
        var request = Self.request(1)
        request.keepsJournal = false
        try pipeline.submit(request)
        pipeline.run()
        #expect(Self.pieces(pipeline, 1).flatMap(\.journal).isEmpty)
    }
}
