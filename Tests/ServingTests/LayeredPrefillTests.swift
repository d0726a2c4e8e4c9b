import ReferenceEngine
import Serving
import Testing
import Vocabulary

/// Prompts that go through the layers a few at a time, beside lanes that decode.
@Suite struct `Layered prefill` {
    private static let long = String(repeating: "the geese fly north ", count: 3)

    private static func options(
        rows: Int = 8, layers: Int = 1, cells: Int = 512, policy: any BatchPolicy = EvenBatchPolicy()
    ) -> LocalPipeline.Options {
        var options = LocalPipeline.Options(laneCount: 3, cellCount: cells, window: 128, rowLimit: 16)
        options.policy = ForcedSlices(policy, rows: rows, layers: layers)
        return options
    }

    /// Goes on to its limit.
    private static func talkative(_ request: inout GenerationRequest) { Requests.restrict(&request, to: "gh") }

    /// A request that answers, and a long prompt that comes meanwhile.
    private static func pair(_ options: LocalPipeline.Options) throws -> LocalPipeline {
        var pipeline = LocalPipeline(options)
        try pipeline.submit(Requests.text(1, "Hi", limit: 40, change: talkative))
        while pipeline.microbatches.count < 6, pipeline.step() {}
        try pipeline.submit(Requests.text(2, long, limit: 4))
        return pipeline
    }

    private static func alone(_ id: UInt64, _ prompt: String, limit: Int) throws -> LocalPipeline.Answer? {
        var pipeline = LocalPipeline(.init(cellCount: 512, window: 128, rowLimit: 16))
        try pipeline.submit(Requests.text(id, prompt, limit: limit, change: id == 1 ? talkative : { _ in }))
        pipeline.run()
        return pipeline.answer(RequestID(id))
    }

    @Test(arguments: [1, 3, 4])
    func `a prompt's chunk takes several microbatches, and a token of the others comes with each`(layers: Int) throws {
        var pipeline = try Self.pair(Self.options(layers: layers))
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
        let slices = pipeline.microbatches.filter { $0.slice?.rows.first?.lane == Lane(1) }
        // 60 tokens in chunks of 8 go through four layers.
        let parts = (4 + layers - 1) / layers
        let chunks = (Self.long.utf8.count + 7) / 8
        #expect(slices.count >= parts * (chunks - 1))
        #expect(slices.prefix(parts * (chunks - 1)).allSatisfy { $0.rows.count == 1 })
        for start in stride(from: 0, to: parts * (chunks - 1), by: parts) {
            #expect(Set(slices[start..<start + parts].map { $0.slice?.rows }).count == 1, "one chunk at a time")
        }
        #expect(pipeline.answer(RequestID(1)) == (try Self.alone(1, "Hi", limit: 40)))
        #expect(pipeline.answer(RequestID(2)) == (try Self.alone(2, Self.long, limit: 4)))
    }

    @Test func `choices share a prompt that went so`() throws {
        var pipeline = LocalPipeline(Self.options())
        try pipeline.submit(Requests.text(1, Self.long, limit: 6) { $0.choiceCount = 3 })
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil && pipeline.microbatches.contains { $0.slice != nil })
        var plain = LocalPipeline(.init(laneCount: 3, window: 128, rowLimit: 16))
        try plain.submit(Requests.text(1, Self.long, limit: 6) { $0.choiceCount = 3 })
        plain.run()
        #expect(pipeline.answer(RequestID(1)) == plain.answer(RequestID(1)))
    }

    @Test func `one whose client leaves between its layers leaves nothing behind`() throws {
        var pipeline = try Self.pair(Self.options())
        while pipeline.microbatches.last?.slice == nil, pipeline.step() {}
        pipeline.cancel(RequestID(2))
        try pipeline.submit(Requests.text(3, Self.long, limit: 4))
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
        #expect(pipeline.answer(RequestID(1)) == (try Self.alone(1, "Hi", limit: 40)))
        #expect(pipeline.answer(RequestID(3)) == (try Self.alone(3, Self.long, limit: 4)))
    }

    @Test func `where there are no cells to spare prompts go as ever`() throws {
        // 63 cells for the long prompt and its answer, 41 for the other one: the last rows find no spare ones.
        var pipeline = try Self.pair(Self.options(cells: 104))
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
        let sliced = Set(pipeline.microbatches.flatMap { $0.slice?.rows ?? [] })
        #expect(!sliced.isEmpty && sliced.count < Self.long.utf8.count)
        #expect(pipeline.answer(RequestID(2)) == (try Self.alone(2, Self.long, limit: 4)))
    }

    @Test func `kept sequences do not give way for the cells of large chunks`() throws {
        var options = LocalPipeline.Options(laneCount: 2, cellCount: 760, window: 700, rowLimit: 256)
        options.policy = ForcedSlices(rows: 256, layers: 1)
        (options.shelfCount, options.prefixReuse) = (2, .beginnings)
        var pipeline = LocalPipeline(options)
        let kept = "You are a goose. Fly south when it gets cold, and tell the others."
        try pipeline.submit(Requests.text(1, kept, limit: 4))
        pipeline.run()
        // 603 cells are promised; the last 200 rows would want as many beside their own.
        try pipeline.submit(Requests.text(2, String(repeating: Self.long, count: 10), limit: 4))
        pipeline.run()
        #expect(pipeline.microbatches.contains { ($0.slice?.rows.count ?? 0) > 64 })
        try pipeline.submit(Requests.text(3, kept, limit: 4))
        pipeline.run()
        #expect(pipeline.completion(RequestID(3))?.usage.cachedTokens == kept.utf8.count - 2)
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `a part that fails is computed again`() throws {
        var pipeline = try Self.pair(Self.options())
        pipeline.fault = { _, microbatch in microbatch.slice != nil && microbatch.id.value % 7 == 0 ? .cancelled : nil }
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
        #expect(
            pipeline.answer(RequestID(1)) == (try Self.alone(1, "Hi", limit: 40))
                || pipeline.failure(RequestID(1)) != nil)
    }

    @Test func `where pausing fails nobody's answer does, and prompts go as ever`() throws {
        var pipeline = try Self.pair(Self.options())
        let slices = pipeline.microbatches.count { $0.slice != nil }
        pipeline.fault = { _, microbatch in
            microbatch.slice == nil ? nil : .failed(operation: "pausing", code: 1, reason: "planned")
        }
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil && pipeline.microbatches.count { $0.slice != nil } == slices + 1)
        #expect(pipeline.answer(RequestID(1)) == (try Self.alone(1, "Hi", limit: 40)))
        #expect(pipeline.answer(RequestID(2)) == (try Self.alone(2, Self.long, limit: 4)))
    }

    // MARK: The policy

    private static func policy() throws -> CostBatchPolicy {
        let costs = try #require(
            StepCosts(
                [(1, 24), (2, 35), (3, 40), (4, 48), (64, 350), (512, 2800)].map {
                    .init(rows: $0, nanoseconds: $1 * 1e6)
                }))
        return CostBatchPolicy([costs])
    }

    private static func load(_ change: (inout BatchLoad) -> Void) -> BatchLoad {
        var load = BatchLoad(
            stageCount: 1, rowLimit: 512, seatedLanes: 4, decodingLanes: 3, readyDecodes: 3, readyPrefills: 1,
            inFlight: 0)
        (load.prefillRowsLeft, load.firstPromptRows) = (4000, 4000)
        (load.decodedSincePrefill, load.pausableLayers) = (3, 28)
        change(&load)
        return load
    }

    @Test func `a long prompt takes a round and a half of the others' time, layer by layer`() throws {
        let policy = try Self.policy()
        let begun = policy.quota(for: Self.load { _ in })
        #expect(begun.slice == .milliseconds(60) && begun.decodeLanes == 3)
        // A layer of 256 rows takes 50 ms, one of 512 would take 100.
        #expect(begun.prefillRows == 256)
        let deep = policy.quota(for: Self.load { $0.firstPromptDepth = 3500 })
        #expect(deep.prefillRows == 128, "there a row takes twice as long")
        let going = policy.quota(for: Self.load { ($0.isSlicing, $0.readyPrefills) = (true, 0) })
        #expect(going.slice == .milliseconds(60) && going.prefillRows == 0)
        let early = policy.quota(for: Self.load { ($0.isSlicing, $0.decodedSincePrefill) = (true, 0) })
        #expect(early.slice == nil, "once per round")
    }

    @Test func `alone it takes whole chunks, and is left between layers for who comes meanwhile`() throws {
        let policy = try Self.policy()
        func quota(_ change: (inout BatchLoad) -> Void) -> BatchQuota {
            policy.quota(
                for: Self.load {
                    ($0.decodingLanes, $0.readyDecodes, $0.seatedLanes) = (0, 0, 1)
                    change(&$0)
                })
        }
        let begun = quota { _ in }
        #expect(begun.slice == Limits.longestSlice && begun.prefillRows == 512)
        #expect(quota { ($0.isSlicing, $0.readyPrefills) = (true, 0) }.slice == Limits.longestSlice)
        let last = quota { ($0.prefillRowsLeft, $0.firstPromptRows, $0.firstPromptDepth) = (80, 80, 3920) }
        #expect(last.slice == nil && last.prefillRows == 80, "80 rows take less than two slices")
    }

    @Test(arguments: [
        ("a short prompt", 300, 28, 3), ("a model that cannot pause", 4000, 0, 3),
        ("a short prompt alone", 300, 28, 0), ("a model that cannot pause, alone", 4000, 0, 0),
    ])
    func `other prompts go at once`(why: String, rows: Int, layers: Int, decoding: Int) throws {
        let quota = try Self.policy().quota(
            for: Self.load {
                ($0.prefillRowsLeft, $0.firstPromptRows, $0.pausableLayers) = (rows, rows, layers)
                ($0.decodingLanes, $0.readyDecodes, $0.seatedLanes) = (decoding, decoding, decoding + 1)
            })
        #expect(quota.slice == nil && quota.prefillRows > 0, "\(why)")
    }

    @Test func `where a tile of rows is quick it goes beside the others`() throws {
        let costs = try #require(StepCosts([.init(rows: 1, nanoseconds: 20e6), .init(rows: 512, nanoseconds: 60e6)]))
        #expect(CostBatchPolicy([costs]).quota(for: Self.load { _ in }).slice == nil)
    }

    @Test func `a shorter prompt goes before a long one's layers, by chunks`() throws {
        let policy = try Self.policy()
        func quota(_ rows: Int, overtakes: Bool) -> BatchQuota {
            policy.quota(
                for: Self.load {
                    ($0.isSlicing, $0.overtakes, $0.firstPromptRows) = (true, overtakes, rows)
                    $0.seatedLanes = 5
                })
        }
        #expect(quota(20, overtakes: true).prefillRows == 20 && quota(20, overtakes: true).slice == nil)
        #expect(quota(20, overtakes: false).prefillRows == 0 && quota(20, overtakes: false).slice != nil)
        let chunk = quota(300, overtakes: true)
        #expect(chunk.slice == nil && (20...61) ~= chunk.prefillRows)
        // Between two chunks of the long one, none of its rows come along.
        let between = policy.quota(
            for: Self.load { ($0.overtakes, $0.firstPromptRows, $0.seatedLanes) = (true, 20, 5) })
        #expect(between.slice == nil && between.prefillRows == 20)
    }

    // MARK: Whose turn it is

    /// Ends for those who wait while a long prompt is computed.
    private struct Reader: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let stages: Int
        /// Whether somebody decodes all the while.
        let isBusy: Bool
        /// Characters of the prompt that comes meanwhile.
        let prompt: Int
        /// Milliseconds by rows of a step.
        let costs: [(rows: Int, milliseconds: Double)]

        static let slow: [(rows: Int, milliseconds: Double)] = [(1, 10), (4, 12), (8, 14), (16, 100), (128, 800)]
        static let quick: [(rows: Int, milliseconds: Double)] = [(1, 1), (128, 2)]
        static let all = [
            Reader(testDescription: "a word", stages: 1, isBusy: true, prompt: 5, costs: slow),
            Reader(testDescription: "a page", stages: 1, isBusy: true, prompt: 120, costs: slow),
            Reader(testDescription: "a word, nobody decoding", stages: 1, isBusy: false, prompt: 5, costs: slow),
            Reader(testDescription: "a page, nobody decoding", stages: 1, isBusy: false, prompt: 120, costs: slow),
            Reader(testDescription: "a page on a quick machine", stages: 1, isBusy: true, prompt: 120, costs: quick),
            Reader(testDescription: "a page in two stages", stages: 2, isBusy: true, prompt: 120, costs: slow),
        ]
    }

    /// Stages whose steps take so long, with somebody who decodes all the while when it is busy.
    private static func library(
        _ costs: [(rows: Int, milliseconds: Double)], stages: Int = 1, isBusy: Bool = false
    ) throws -> LocalPipeline {
        let costs = try #require(StepCosts(costs.map { .init(rows: $0.rows, nanoseconds: $0.milliseconds * 1e6) }))
        var options = LocalPipeline.Options(
            stageCount: stages, laneCount: 3, cellCount: 4096, window: 2048, rowLimit: 128)
        options.policy = CostBatchPolicy(Array(repeating: costs, count: stages))
        var pipeline = LocalPipeline(options)
        guard isBusy else { return pipeline }
        try pipeline.submit(Requests.text(1, "Hi", limit: 1000, change: talkative))
        while pipeline.microbatches.count < 6, pipeline.step() {}
        return pipeline
    }

    @Test(arguments: Reader.all)
    private func `a shorter prompt is answered while a book is read`(reader: Reader) throws {
        var pipeline = try Self.library(reader.costs, stages: reader.stages, isBusy: reader.isBusy)
        let book = String(repeating: Self.long, count: 20)
        try pipeline.submit(Requests.text(2, book, limit: 4))
        var before = pipeline.microbatches.count
        while pipeline.microbatches.count < before + 4, pipeline.step() {}
        let prompt = String(book.prefix(reader.prompt))
        try pipeline.submit(Requests.text(3, prompt, limit: 2))
        before = pipeline.microbatches.count
        while pipeline.answer(RequestID(3)) == nil, pipeline.step() {}
        #expect(pipeline.microbatches.count - before < 16)
        #expect(pipeline.answer(RequestID(2)) == nil)
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil && pipeline.answer(RequestID(2)) != nil)
        #expect(pipeline.answer(RequestID(3)) == (try Self.alone(3, prompt, limit: 2)))
    }

    @Test(arguments: [Reader.slow, Reader.quick])
    private func `a book is read while one word comes after the other`(
        costs: [(rows: Int, milliseconds: Double)]
    ) throws {
        var pipeline = try Self.library(costs)
        try pipeline.submit(Requests.text(1, String(repeating: Self.long, count: 20), limit: 4))
        var newest: UInt64 = 1
        while pipeline.answer(RequestID(1)) == nil, newest < 300 {
            while newest < 3 || pipeline.answer(RequestID(newest - 1)) != nil {
                newest += 1
                try pipeline.submit(Requests.text(newest, "Hello", limit: 1))
            }
            guard pipeline.step() else { break }
        }
        #expect(pipeline.answer(RequestID(1)) != nil, "\(newest) words were before it")
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test func `of two books neither goes as rows of the others' steps`() throws {
        var pipeline = try Self.library(Reader.slow, isBusy: true)
        let book = String(repeating: Self.long, count: 24)
        try pipeline.submit(Requests.text(2, book, limit: 4))
        while pipeline.microbatches.last?.slice == nil, pipeline.step() {}
        try pipeline.submit(Requests.text(3, String(book.prefix(590)), limit: 4))
        while pipeline.answer(RequestID(3)) == nil, pipeline.step() {}
        #expect(pipeline.answer(RequestID(2)) == nil, "the shorter one is through first")
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
        for (lane, rows) in [(Lane(1), book.utf8.count), (Lane(2), 590)] {
            let ordinary = pipeline.microbatches.flatMap(\.rows).filter { $0.lane == lane }
            #expect(ordinary.allSatisfy { Int($0.position) >= rows - Limits.attentionTile }, "\(lane)")
        }
    }
}
