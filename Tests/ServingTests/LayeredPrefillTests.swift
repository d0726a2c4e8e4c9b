import ReferenceEngine
import Serving
import Testing
import Vocabulary

/// Prompts that go through the layers a few at a time, beside lanes that decode.
@Suite struct `Layered prefill` {
    private static let long = String(repeating: "the geese fly north ", count: 3)

    private static func options(
        rows: Int = 8, layers: Int = 1, cells: Int = 512, stages: Int = 1, policy: any BatchPolicy = EvenBatchPolicy()
    ) -> LocalPipeline.Options {
        var options = LocalPipeline.Options(
            stageCount: stages, laneCount: 3, cellCount: cells, window: 128, rowLimit: 16)
        options.policy = ForcedDeferral(policy, rows: rows, layers: layers)
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

    @Test(arguments: [(1, 1), (1, 3), (1, 4), (2, 1), (4, 1)])
    func `a prompt's chunks are left between layers, and the others' tokens come meanwhile`(
        stages: Int, layers: Int
    ) throws {
        var pipeline = try Self.pair(Self.options(layers: layers, stages: stages))
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
        let (lane, all) = (Lane(1), pipeline.deferredMicrobatches)
        let chunks = all.filter { $0.rows.first?.lane == lane }
        // 60 tokens in chunks of 8 go through four layers.
        #expect(chunks.count == (Self.long.utf8.count + 7) / 8)
        #expect(all.allSatisfy { Set($0.rows.map(\.lane)).count == 1 && $0.operations.isEmpty })
        let parts = (4 / stages + layers - 1) / layers * stages
        #expect(pipeline.partCount == all.count * (parts - stages))
        let begin = pipeline.microbatches.drop { !$0.isDeferred || $0.rows.first?.lane != lane }
        let ordinary = begin.filter { !$0.isDeferred }
        #expect(ordinary.count { $0.rows.contains { $0.lane == Lane(0) } } >= chunks.count)
        let prompt = ordinary.flatMap(\.rows).filter { $0.lane == lane && $0.position < Self.long.utf8.count }
        #expect(prompt.isEmpty)
        #expect(pipeline.answer(RequestID(1)) == (try Self.alone(1, "Hi", limit: 40)))
        #expect(pipeline.answer(RequestID(2)) == (try Self.alone(2, Self.long, limit: 4)))
    }

    @Test func `what guesses bring is not learnt from steps that waited for deferred rows`() throws {
        var options = Self.options(policy: ForcedWindows(EvenBatchPolicy(), width: 2))
        options.speculation = .ngram
        var pipeline = LocalPipeline(options)
        try pipeline.submit(Requests.text(1, "Hi", limit: 100, change: Self.talkative))
        while pipeline.microbatches.count < 30, pipeline.step() {}
        let early = try #require(pipeline.core.speculated[.ngram])
        #expect(early.plainTokens > 0)
        try pipeline.submit(Requests.text(2, Self.long, limit: 4))
        while pipeline.core.deferredInFlight == 0, pipeline.step() {}
        let before = try #require(pipeline.core.speculated[.ngram])
        while pipeline.core.deferredInFlight > 0, pipeline.step() {}
        let after = try #require(pipeline.core.speculated[.ngram])
        #expect(after.drafted > before.drafted && after.plainTokens == before.plainTokens)
    }

    @Test func `as many chunks are under way as there are stages, and one more`() throws {
        var pipeline = try Self.pair(Self.options(stages: 4))
        var most = 0
        while pipeline.step() { most = max(most, pipeline.core.deferredInFlight) }
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil && (4...5) ~= most)
    }

    @Test func `in any order of what happens nothing is lost`() throws {
        for seed in 0..<60 {
            var options = Self.options(rows: 4 + seed % 9, cells: 200, stages: 1 + seed % 4)
            options.interleaving = UInt64(seed)
            var pipeline = try Self.pair(options)
            try pipeline.submit(Requests.text(3, String(Self.long.dropFirst(7)), limit: 5) { $0.choiceCount = 2 })
            pipeline.run()
            pipeline.checkQuiescence()
            #expect(pipeline.violation == nil, "seed \(seed)")
            #expect(!pipeline.deferredMicrobatches.isEmpty)
            #expect(pipeline.answer(RequestID(2)) == (try Self.alone(2, Self.long, limit: 4)), "seed \(seed)")
        }
    }

    @Test func `choices share a prompt that went so`() throws {
        var pipeline = LocalPipeline(Self.options())
        try pipeline.submit(Requests.text(1, Self.long, limit: 6) { $0.choiceCount = 3 })
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil && !pipeline.deferredMicrobatches.isEmpty)
        var plain = LocalPipeline(.init(laneCount: 3, window: 128, rowLimit: 16))
        try plain.submit(Requests.text(1, Self.long, limit: 6) { $0.choiceCount = 3 })
        plain.run()
        #expect(pipeline.answer(RequestID(1)) == plain.answer(RequestID(1)))
    }

    @Test(arguments: [1, 3])
    func `one whose client leaves between its layers leaves nothing behind`(stages: Int) throws {
        var pipeline = try Self.pair(Self.options(stages: stages))
        while pipeline.partCount == 0, pipeline.step() {}
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
        let deferred = Set(pipeline.deferredMicrobatches.flatMap(\.rows))
        #expect(!deferred.isEmpty && deferred.count < Self.long.utf8.count)
        #expect(pipeline.answer(RequestID(2)) == (try Self.alone(2, Self.long, limit: 4)))
    }

    @Test func `kept sequences do not give way for the cells of large chunks`() throws {
        var options = LocalPipeline.Options(laneCount: 2, cellCount: 760, window: 700, rowLimit: 256)
        options.policy = ForcedDeferral(rows: 256, layers: 1)
        (options.shelfCount, options.prefixReuse) = (2, .beginnings)
        var pipeline = LocalPipeline(options)
        let kept = "You are a goose. Fly south when it gets cold, and tell the others."
        try pipeline.submit(Requests.text(1, kept, limit: 4))
        pipeline.run()
        // 603 cells are promised; the last 200 rows would want as many beside their own.
        try pipeline.submit(Requests.text(2, String(repeating: Self.long, count: 10), limit: 4))
        pipeline.run()
        #expect(pipeline.deferredMicrobatches.contains { $0.rows.count > 64 })
        try pipeline.submit(Requests.text(3, kept, limit: 4))
        pipeline.run()
        #expect(pipeline.completion(RequestID(3))?.usage.cachedTokens == kept.utf8.count - 2)
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
    }

    @Test(arguments: [1, 3])
    func `rows whose part fails are computed again`(stages: Int) throws {
        var plain = try Self.pair(Self.options(stages: stages))
        plain.run()
        let second = plain.deferredMicrobatches.filter { $0.rows[0].lane == Lane(1) }[1].id
        var pipeline = try Self.pair(Self.options(stages: stages))
        pipeline.fault = { stage, microbatch in microbatch.id == second && stage == stages - 1 ? .cancelled : nil }
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
        #expect(pipeline.deferredMicrobatches.count > plain.deferredMicrobatches.count)
        #expect(pipeline.answer(RequestID(1)) == (try Self.alone(1, "Hi", limit: 40)), "nobody else notices")
        #expect(pipeline.answer(RequestID(2)) == (try Self.alone(2, Self.long, limit: 4)))
    }

    @Test(arguments: [1, 3])
    func `where pausing fails nobody's answer does, and prompts go as ever`(stages: Int) throws {
        var pipeline = try Self.pair(Self.options(stages: stages))
        pipeline.fault = { stage, microbatch in
            microbatch.isDeferred && stage == stages - 1
                ? .failed(operation: "pausing", code: 1, reason: "planned") : nil
        }
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
        #expect((2...stages + 2) ~= pipeline.deferredMicrobatches.count, "another one was deferred before")
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
        (load.decodedSincePrefill, load.pausableLayers, load.mayDefer) = (3, 28, true)
        change(&load)
        return load
    }

    @Test func `a long prompt takes little more than a round of the others' time, layer by layer`() throws {
        let policy = try Self.policy()
        let begun = Self.load { _ in }
        #expect(policy.slice(for: begun) == .milliseconds(44) && policy.quota(for: begun).decodeLanes == 3)
        // Behind none a layer of 192 rows would take 39 ms.
        #expect(policy.deferredRows(for: begun) == 192)
        #expect(policy.deferredRows(for: Self.load { $0.firstPromptDepth = 1300 }) == 96, "a row takes twice as long")
        #expect(policy.slice(for: Self.load { $0.isDeferring = true }) == .milliseconds(44))
        #expect(policy.slice(for: Self.load { $0.seatedLanes = 5 }) == .milliseconds(88), "two prompts")
    }

    @Test func `several stages share what a round may be longer by, and lanes go together`() throws {
        let costs = try #require(
            StepCosts([(1, 12), (2, 24), (3, 36), (64, 175)].map { .init(rows: $0, nanoseconds: $1 * 1e6) }))
        let policy = CostBatchPolicy([costs, costs])
        #expect(policy.groupSize(decoding: 3, hop: 0, rowLimit: 512) == 1, "three groups keep both stages busy")
        let busy = Self.load { ($0.stageCount, $0.isDeferring) = (2, true) }
        #expect(policy.quota(for: busy).decodeLanes == 3, "each group would wait for a layer on each stage")
        // A round of 36 ms, two and a half times; 72 of them take the lanes' own steps.
        #expect(policy.slice(for: busy) == .milliseconds(9))
        let waiting = policy.quota(for: Self.load { ($0.stageCount, $0.isDeferring, $0.readyDecodes) = (2, true, 2) })
        #expect(waiting.decodeLanes == 2, "nothing comes back that could join them")
        let joined = policy.quota(
            for: Self.load { ($0.stageCount, $0.isDeferring, $0.readyDecodes, $0.inFlight) = (2, true, 2, 1) })
        #expect(joined.decodeLanes == 0)
    }

    @Test func `alone it takes whole chunks, and is left between layers for who comes meanwhile`() throws {
        let policy = try Self.policy()
        func alone(_ change: (inout BatchLoad) -> Void = { _ in }) -> BatchLoad {
            Self.load {
                ($0.decodingLanes, $0.readyDecodes, $0.seatedLanes) = (0, 0, 1)
                change(&$0)
            }
        }
        #expect(policy.slice(for: alone()) == Limits.longestSlice && policy.deferredRows(for: alone()) == 512)
        let last = alone { ($0.prefillRowsLeft, $0.firstPromptRows, $0.firstPromptDepth) = (80, 80, 3920) }
        #expect(policy.deferredRows(for: last) == 0, "80 rows take less than two slices")
        #expect(policy.quota(for: last).prefillRows == 80)
    }

    @Test(arguments: [
        ("a short prompt", 300, 28, 3), ("a model that cannot pause", 4000, 0, 3),
        ("a short prompt alone", 300, 28, 0), ("a model that cannot pause, alone", 4000, 0, 0),
    ])
    func `other prompts go at once`(why: String, rows: Int, layers: Int, decoding: Int) throws {
        let policy = try Self.policy()
        let load = Self.load {
            ($0.prefillRowsLeft, $0.firstPromptRows, $0.pausableLayers) = (rows, rows, layers)
            ($0.decodingLanes, $0.readyDecodes, $0.seatedLanes) = (decoding, decoding, decoding + 1)
        }
        #expect(policy.deferredRows(for: load) == 0 && policy.quota(for: load).prefillRows > 0, "\(why)")
    }

    @Test func `the rest of a prompt does not wait for its own deferred rows`() throws {
        let policy = try Self.policy()
        func rest(_ rows: Int, decoding: Int, hasDeferred: Bool) -> Int {
            policy.deferredRows(
                for: Self.load {
                    ($0.firstPromptRows, $0.firstPromptDepth, $0.hasDeferred) = (rows, 4000 - rows, hasDeferred)
                    ($0.decodingLanes, $0.readyDecodes, $0.isDeferring) = (decoding, decoding, hasDeferred)
                })
        }
        for decoding in [0, 3] {
            #expect(rest(30, decoding: decoding, hasDeferred: true) == 30)
            #expect(rest(30, decoding: decoding, hasDeferred: false) == 0, "it goes with the others")
        }
    }

    @Test func `where a tile of rows is quick it goes beside the others`() throws {
        let costs = try #require(StepCosts([.init(rows: 1, nanoseconds: 20e6), .init(rows: 512, nanoseconds: 60e6)]))
        #expect(CostBatchPolicy([costs]).deferredRows(for: Self.load { _ in }) == 0)
    }

    @Test func `a shorter prompt goes before a long one's layers, by chunks`() throws {
        let policy = try Self.policy()
        func rows(_ rows: Int, isDeferring: Bool) -> Int {
            policy.quota(
                for: Self.load {
                    ($0.isDeferring, $0.overtakes, $0.firstPromptRows) = (isDeferring, true, rows)
                    $0.seatedLanes = 5
                }
            ).prefillRows
        }
        #expect(rows(20, isDeferring: true) == 20)
        #expect((20...61) ~= rows(300, isDeferring: true))
        // Between two chunks of the long one, none of its rows come along.
        #expect(rows(20, isDeferring: false) == 20)
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
        while pipeline.deferredMicrobatches.isEmpty, pipeline.step() {}
        try pipeline.submit(Requests.text(3, String(book.prefix(590)), limit: 4))
        while pipeline.answer(RequestID(3)) == nil, pipeline.step() {}
        #expect(pipeline.answer(RequestID(2)) == nil, "the shorter one is through first")
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
        for (lane, rows) in [(Lane(1), book.utf8.count), (Lane(2), 590)] {
            let ordinary = pipeline.microbatches.filter { !$0.isDeferred }.flatMap(\.rows).filter { $0.lane == lane }
            #expect(ordinary.allSatisfy { Int($0.position) >= rows - Limits.attentionTile }, "\(lane)")
        }
    }
}
