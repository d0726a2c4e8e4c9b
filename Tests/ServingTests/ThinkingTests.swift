import ReferenceEngine
import Serving
import Testing
import Vocabulary

@Suite struct `Bounded thinking` {
    private static let end = Array("</think>".utf8)

    private static func thinking(_ budget: Int32?, isOpen: Bool = true) -> LaneThinking {
        LaneThinking(
            start: "<think>", ends: ["</think>", "<call>"],
            closings: end.indices.map { end[$0...].map { Token($0) } }, isOpen: isOpen, budget: budget)
    }

    /// The bytes a model gets written that wants to write `wish`, and the meter afterwards.
    private static func write(_ wish: [UInt8], _ thinking: LaneThinking) -> (text: String, meter: ThinkingMeter) {
        var meter = ThinkingMeter(thinking)
        var written: [UInt8] = []
        var rest = wish[...]
        while let byte = rest.first {
            let token = meter.correction(of: Token(byte), bytes: [byte]) ?? Token(byte)
            // What was wanted in place of a forced token is lost, as with a model.
            rest = rest.dropFirst()
            written.append(UInt8(token))
            meter.push(token, bytes: [UInt8(token)])
        }
        while let token = meter.forced {
            written.append(UInt8(token))
            meter.push(token, bytes: [UInt8(token)])
        }
        // A replay of the same tokens leads to the same place.
        var replay = ThinkingMeter(thinking)
        for byte in written { replay.push(Token(byte), bytes: [byte]) }
        #expect(replay.count == meter.count && replay.forced == meter.forced)
        return (String(decoding: written, as: UTF8.self), meter)
    }

    @Test func `ends when the budget is used up, by all of the mark and nothing else`() {
        for budget in 0...12 as ClosedRange<Int32> {
            let (text, meter) = Self.write(Array("goose and gander, the lead".utf8), Self.thinking(budget))
            let thought = text.prefix { $0 != "<" }
            #expect(text.hasPrefix(thought + "</think>"))
            #expect(thought.utf8.count == Int(budget) && meter.count == Int(budget))
            #expect(text.components(of: "</think>") == 2)
        }
    }

    @Test func `an ending of the model's own is left alone and its tokens are not counted`() {
        for mark in ["</think>", "<call>"] {
            let wish = "goose" + mark + "answer <think> that is only spoken of, longer than any budget"
            let (text, meter) = Self.write(Array(wish.utf8), Self.thinking(30))
            #expect(text == wish)
            #expect(meter.count == 5)
        }
    }

    @Test func `a mark that the model has begun is finished, not begun anew`() {
        let (text, meter) = Self.write(Array("goose</thXXXXXXXX".utf8), Self.thinking(9))
        #expect(text.hasPrefix("goose</think>"))
        #expect(meter.count == 5)
    }

    @Test func `thinking is looked for at the beginning of the answer only`() {
        let late = "Well, <think> is a mark that goes on for a long time"
        #expect(Self.write(Array(late.utf8), Self.thinking(3, isOpen: false)).text == late)
        let (text, meter) = Self.write(Array("\n <think>goose and gander".utf8), Self.thinking(3, isOpen: false))
        #expect(text.hasPrefix("\n <think>goo</think>"))
        #expect(meter.count == 3)
    }

    @Test func `no character is cut in two by the end of the budget`() {
        for budget in 0...20 as ClosedRange<Int32> {
            for wish in ["🪿🪿🪿🪿🪿🪿🪿🪿", "éa漢é漢a🪿éé漢漢漢🪿🪿🪿", "aé🪿é🪿a漢🪿🪿🪿🪿🪿"] {
                let (text, meter) = Self.write(Array(wish.utf8), Self.thinking(budget))
                #expect(!text.prefix { $0 != "<" }.contains("\u{FFFD}"), "\(budget): \(text)")
                #expect(meter.count <= Int(budget) && meter.count > Int(budget) - 4)
            }
        }
    }

    @Test func `without a budget nothing is forced and tokens are counted all the same`() {
        let wish = String(repeating: "goose ", count: 100) + "</think>done"
        let (text, meter) = Self.write(Array(wish.utf8), Self.thinking(nil))
        #expect(text == wish)
        #expect(meter.count == 600)
    }

    // MARK: Through the brain

    private func request(_ id: UInt64, budget: Int?, temperature: Float = 0.9) -> GenerationRequest {
        Requests.text(id, limit: 40, temperature: temperature, seed: id) { request in
            request.prompt = .chat([Message(role: .user, text: "go goose go goose ")])
            request.reasoning = .init(enabled: true, budget: budget)
            request.choiceCount = id.isMultiple(of: 3) ? 2 : 1
            request.topLogprobs = id.isMultiple(of: 2) ? 1 : nil
            Requests.restrict(&request, to: "ab ")
            request.sampling.ignoreEndOfGeneration = true
        }
    }

    private func pipeline(
        _ requests: [GenerationRequest], _ options: LocalPipeline.Options
    ) throws -> LocalPipeline {
        var pipeline = LocalPipeline(options)
        for request in requests { try pipeline.submit(request) }
        pipeline.run()
        pipeline.checkQuiescence()
        #expect(pipeline.violation == nil)
        return pipeline
    }

    @Test func `the bound is kept exactly, in every number of stages, with guesses and after preemption`() throws {
        let budgets = [0, 1, 5, 17, nil] as [Int?]
        let requests = budgets.enumerated().map { request(UInt64($0.offset) + 1, budget: $0.element) }
        let plain = try pipeline(requests, .init())
        let expected = requests.map { plain.answer($0.id) }
        for (request, budget) in zip(requests, budgets) {
            let answer = try #require(plain.answer(request.id))
            let usage = try #require(plain.completion(request.id)?.usage)
            for choice in 0..<request.choiceCount {
                #expect(answer.reasoning[choice].utf8.count == budget ?? 40)
                #expect(answer.texts[choice].utf8.count == (budget.map { 40 - $0 - Self.end.count } ?? 0))
            }
            #expect(usage.reasoningTokens == (budget ?? 40) * request.choiceCount)
        }
        for stageCount in 1...4 {
            for seed in [nil, 5] as [UInt64?] {
                var options = LocalPipeline.Options(stageCount: stageCount, interleaving: seed)
                #expect(try requests.map { try pipeline(requests, options).answer($0.id) } == expected)
                options.speculation = .ngram
                options.policy = ForcedWindows(width: 7)
                let guessed = try pipeline(requests, options)
                #expect(requests.map { guessed.answer($0.id) } == expected)
                #expect(guessed.core.acceptedTokens > 0)
            }
        }
        var small = LocalPipeline.Options(stageCount: 2, cellCount: 150)
        small.headroom = 4
        small.reservation = 4
        let preempted = try pipeline(requests, small)
        #expect(requests.map { preempted.answer($0.id) } == expected)
        let opened = preempted.microbatches.flatMap(\.operations).count { if case .open = $0 { true } else { false } }
        #expect(opened > requests.reduce(0) { $0 + $1.choiceCount })
    }

    @Test func `an answer that goes on elsewhere keeps to the same bound`() throws {
        var first = request(1, budget: 9)
        first.keepsJournal = true
        let whole = try pipeline([first], .init(stageCount: 2))
        let pieces = (whole.events[first.id] ?? []).compactMap {
            if case .output(let delta) = $0 { delta } else { nil }
        }
        let text = pieces.map { $0.reasoning + "|" + $0.text }
        for told in 1..<pieces.count {
            var again = first
            again.id = RequestID(2)
            again.answered = [pieces.prefix(told).flatMap(\.journal)]
            let rest = try pipeline([again], .init())
            let later = (rest.events[again.id] ?? []).compactMap {
                if case .output(let delta) = $0 { delta } else { nil }
            }
            #expect(later.map { $0.reasoning + "|" + $0.text } == Array(text.dropFirst(told)), "after \(told) pieces")
            #expect(rest.completion(again.id)?.usage.reasoningTokens == 9)
        }
    }

    @Test func `the last stage hears of thinking where it has to follow it`() throws {
        let eager = LaneGrammar(text: "root ::= \"a\"")
        let lazy = LaneGrammar(text: "root ::= \"a\"", triggers: [.token(1)])
        let cases: [(budget: Int32?, grammar: LaneGrammar?, isTold: Bool)] = [
            (nil, nil, false), (3, nil, true), (nil, eager, false), (nil, lazy, true),
        ]
        for (budget, grammar, isTold) in cases {
            var pipeline = LocalPipeline()
            pipeline.submit(
                Requests.text(1), PreparedPrompt(tokens: [65, 66], grammar: grammar, thinking: Self.thinking(budget)))
            let opened = pipeline.microbatches.flatMap(\.operations).compactMap { operation -> LaneSampling? in
                if case .open(_, let sampling) = operation { sampling } else { nil }
            }
            #expect(opened.map { $0.thinking != nil } == [isTold])
        }
    }

    @Test func `a budget below nothing is refused`() throws {
        let pipeline = try pipeline([request(1, budget: -3)], .init())
        guard case .invalidField(name: "reasoning_budget_tokens", _, _)? = pipeline.failure(RequestID(1)) else {
            Issue.record("\(String(describing: pipeline.failure(RequestID(1))))")
            return
        }
    }
}

extension String {
    /// Parts between the occurrences of a text.
    fileprivate func components(of text: String) -> Int { ranges(of: text).count + 1 }
}
