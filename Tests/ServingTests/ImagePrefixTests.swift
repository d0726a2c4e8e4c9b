import ReferenceEngine
import Serving
import Testing
import Vocabulary

/// Rows of images among tokens: what is compared by ids below 0.
@Suite struct `Rows of images` {
    private static func rows(_ image: UInt8, _ count: Int, part: Int = 0, projector: UInt8 = 1) -> ImageRows {
        ImageRows(
            image: [image], part: part, projector: [projector], width: 2,
            values: (0..<2 * count).map { Float($0) + Float(image) })
    }

    @Test func `ids follow from image, part, projector and row, and are below 0`() {
        let rows = Self.rows(1, 100)
        #expect(rows.ids.count == 100 && rows.ids.allSatisfy { $0 < 0 } && Set(rows.ids).count == 100)
        #expect(rows.ids == Self.rows(1, 100).ids)
        #expect(Array(rows.ids.prefix(50)) == Self.rows(1, 50).ids)
        for other in [Self.rows(2, 100), Self.rows(1, 100, part: 1), Self.rows(1, 100, projector: 2)] {
            #expect(Set(other.ids).isDisjoint(with: rows.ids))
        }
        #expect(Array(rows.row(3)) == [7, 8])
    }

    @Test func `a span knows its positions`() {
        let spans = [ImageSpan(start: 3, rows: Self.rows(1, 4)), ImageSpan(start: 9, rows: Self.rows(2, 5))]
        #expect(spans.map(\.positions) == [3..<7, 9..<14])
        #expect((0..<16).filter { spans.row(at: $0) != nil } == Array(3..<7) + Array(9..<14))
        #expect(spans.row(at: 10).map(Array.init) == [4, 5])
        #expect(spans[0] == ImageSpan(start: 3, rows: Self.rows(1, 4)))
        #expect(spans[0] != ImageSpan(start: 3, rows: Self.rows(2, 4)))
    }

    // MARK: In the brain

    private static let width = LocalPipeline.Options().sizes.width

    /// A picture as rows of the reference model's width.
    private static func picture(_ image: UInt8, _ count: Int = 6) -> ImageRows {
        var random = SeededRandom(seed: UInt64(image))
        let values = (0..<count * width).map { _ in Float(random.below(2000)) / 1000 - 1 }
        return ImageRows(image: [image], part: 0, projector: [1], width: width, values: values)
    }

    private static func prompt(_ before: String, _ picture: ImageRows, _ after: String) -> PreparedPrompt {
        let head = before.utf8.map { Token($0) }
        var prepared = PreparedPrompt(tokens: head + picture.ids + after.utf8.map { Token($0) })
        prepared.images = [ImageSpan(start: head.count, rows: picture)]
        return prepared
    }

    private static func pipeline(
        stages: Int, cells: Int = 512, lanes: Int = 2, shelf: Int = 2, speculation: Speculation = .off
    ) -> LocalPipeline {
        var options = LocalPipeline.Options(stageCount: stages, laneCount: lanes, cellCount: cells)
        options.window = min(256, cells)
        (options.shelfCount, options.prefixReuse, options.speculation) = (shelf, .beginnings, speculation)
        return LocalPipeline(options)
    }

    private static func cached(_ pipeline: LocalPipeline, _ id: UInt64) -> Int? {
        for case .started(_, let cached) in pipeline.events[RequestID(id)] ?? [] { return cached }
        return nil
    }

    private static let question = "Look at this, please: "

    @Test func `stages, guesses and preemption change nothing in answers about images`() throws {
        func answers(_ pipeline: LocalPipeline) throws -> [LocalPipeline.Answer] {
            var pipeline = pipeline
            for id in 1...4 as ClosedRange<UInt64> {
                let request = Requests.text(id, limit: 40) {
                    $0.sampling.ignoreEndOfGeneration = true
                    // Few rows move the likeliest letters of so small a model little.
                    $0.topLogprobs = 1
                    $0.sampling.repeatPenalty = 1.1
                    Requests.restrict(&$0, to: "ab")
                }
                pipeline.submit(request, Self.prompt(Self.question, Self.picture(UInt8(id)), " abababab"))
            }
            pipeline.run()
            pipeline.checkQuiescence()
            #expect(pipeline.violation == nil)
            return try (1...4).map { try #require(pipeline.answer(RequestID($0))) }
        }
        let expected = try answers(Self.pipeline(stages: 1, lanes: 1, shelf: 0))
        #expect(Set(expected.map { $0.logprobs[0][0].chosen.logprob }).count == 4, "the pictures differ")
        #expect(try answers(Self.pipeline(stages: 3)) == expected)
        #expect(try answers(Self.pipeline(stages: 2, speculation: .ngram)) == expected)
        // Room for one and a half of them.
        #expect(try answers(Self.pipeline(stages: 2, cells: 120)) == expected)
    }

    @Test func `the same image is found again, another one is not`() throws {
        var pipeline = Self.pipeline(stages: 2, shelf: 3)
        func ask(_ id: UInt64, _ picture: ImageRows, _ text: String) -> Int? {
            pipeline.submit(Requests.text(id, limit: 6), Self.prompt(Self.question, picture, text))
            pipeline.run()
            return Self.cached(pipeline, id)
        }
        let start = Self.question.utf8.count
        #expect(ask(1, Self.picture(1), " What is it? And why?") == 0)
        #expect(ask(2, Self.picture(1), " What is it? Who was that?") == start + 6 + " What is it? ".utf8.count)
        #expect(ask(3, Self.picture(2), " What is it? Who was that?") == start)
        // Its ids could be another image's: the text in front of it is all that is taken over.
        #expect(ask(4, Self.picture(3, 3), " What is it? Who was that?") == start)
        #expect(ask(5, Self.picture(3, 3), " What is it? Who was that?") == start)
        // A longer image that begins with the same rows is another one.
        #expect(ask(6, Self.picture(1, 7), " What is it? Who was that?") == start)
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `ids below 0 that are no image's are refused`() {
        var pipeline = Self.pipeline(stages: 1)
        pipeline.submit(Requests.text(1), PreparedPrompt(tokens: [1, 2, -7, 3]))
        #expect(pipeline.events[RequestID(1)]?.last?.isTerminal == true)
        guard case .failed(.invalidField("prompt[2]", _, _)) = pipeline.events[RequestID(1)]?.last else {
            Issue.record("\(pipeline.events)")
            return
        }
    }
}
