import ReferenceEngine
import Serving
import Testing
import Vocabulary

@Suite struct `The reference stage` {
    private let sizes = ReferenceModel.Sizes(layerCount: 5, width: 8, headCount: 2, hidden: 12)

    private func stage(_ range: LayerRange? = nil, cells: Int = 64, lanes: Int = 3, rows: Int = 32) -> ReferenceStage {
        ReferenceStage(
            model: ReferenceModel(sizes: sizes, seed: 3, range: range), cellCount: cells, laneCount: lanes,
            rowLimit: rows)
    }

    private func chain(_ boundaries: [Int]) throws -> [ReferenceStage] {
        try #require(Cut(layerCount: 5, boundaries: boundaries)).stages.map { stage($0) }
    }

    private func sampling(_ promptLength: Int32, temperature: Float = 1, top: Int? = nil) -> LaneSampling {
        var parameters = SamplingParameters()
        parameters.temperature = temperature
        parameters.seed = 11
        return LaneSampling(parameters: parameters, topLogprobs: top, promptLength: promptLength)
    }

    private func rows(_ lane: UInt16, _ tokens: [Token], from position: Int32 = 0, samples: Bool = false) -> [StageRow]
    {
        tokens.enumerated().map { index, token in
            StageRow(
                lane: Lane(lane), position: position + Int32(index), token: token,
                samples: samples || index == tokens.count - 1)
        }
    }

    /// Runs rows through all stages; gives the samples and the activations that entered each stage.
    private func run(_ rows: [StageRow], _ stages: inout [ReferenceStage]) throws -> ([SampledToken], [[Float]]) {
        var hops: [[Float]] = [[]]
        var output = StageOutput()
        for index in stages.indices {
            let input = hops[index]
            try stages[index].execute(rows, activations: input.span, into: &output)
            hops.append(output.activations)
        }
        return (output.samples, hops)
    }

    private func feed(
        _ stage: inout ReferenceStage, _ rows: [StageRow], _ output: inout StageOutput, activations: [Float] = []
    ) throws(EngineError) {
        try stage.execute(rows, activations: activations.span, into: &output)
    }

    private let prompt: [Token] = [72, 101, 108, 108, 111, 44, 32, 119, 111]

    @Test func `every cut equals the uncut model bit for bit, in one chunk and in several`() throws {
        var uncut = [stage()]
        try uncut[0].apply(.open(lane: Lane(0), sampling: sampling(9, top: 5)))
        let expected = try run(rows(0, prompt, samples: true), &uncut).0
        #expect(expected.count == 9)
        let cuts = (0..<16).map { bits in (1...4).filter { bits & (1 << ($0 - 1)) != 0 } }
        for cut in cuts {
            var stages = try chain(cut)
            for index in stages.indices { try stages[index].apply(.open(lane: Lane(0), sampling: sampling(9, top: 5))) }
            var samples = try run(rows(0, Array(prompt[..<4]), samples: true), &stages).0
            samples += try run(rows(0, Array(prompt[4..<5]), from: 4, samples: true), &stages).0
            samples += try run(rows(0, Array(prompt[5...]), from: 5, samples: true), &stages).0
            #expect(samples == expected, "cut \(cut)")
        }
    }

    @Test func `what leaves one stage is what the uncut model has inside`() throws {
        var two = try chain([2])
        var three = try chain([2, 3])
        for lane in two.indices { try two[lane].apply(.open(lane: Lane(0), sampling: sampling(9))) }
        for lane in three.indices { try three[lane].apply(.open(lane: Lane(0), sampling: sampling(9))) }
        let first = try run(rows(0, prompt), &two).1
        let second = try run(rows(0, prompt), &three).1
        #expect(first[1] == second[1])
        #expect(first[1].count == 9 * 8)
        #expect(first[2].isEmpty && second[3].isEmpty)
    }

    @Test func `strangers in the batch change nothing`() throws {
        var alone = try chain([3])
        var shared = try chain([3])
        for index in alone.indices { try alone[index].apply(.open(lane: Lane(1), sampling: sampling(9))) }
        for index in shared.indices {
            for lane in 0..<3 as Range<UInt16> {
                try shared[index].apply(.open(lane: Lane(lane), sampling: sampling(9)))
            }
        }
        let expected = try run(rows(1, prompt), &alone)
        let mixed = rows(0, [1, 2, 3]) + rows(1, prompt) + rows(2, [9])
        let got = try run(mixed, &shared)
        #expect(got.0.filter { $0.lane == Lane(1) } == expected.0)
        #expect(Array(got.1[1][(3 * 8)..<(12 * 8)]) == expected.1[1])
    }

    @Test func `a trimmed lane goes on as if the rest had never been`() throws {
        var stages = try chain([1, 4])
        var fresh = try chain([1, 4])
        for index in stages.indices {
            try stages[index].apply(.open(lane: Lane(0), sampling: sampling(4)))
            try fresh[index].apply(.open(lane: Lane(0), sampling: sampling(4)))
        }
        _ = try run(rows(0, [5, 6, 7, 8, 9, 10]), &stages)
        for index in stages.indices { try stages[index].apply(.trim(lane: Lane(0), from: 3)) }
        #expect(stages[0].length(of: Lane(0)) == 3)
        let again = try run(rows(0, [20, 21], from: 3), &stages)
        let expected = try run(rows(0, [5, 6, 7, 20, 21]), &fresh)
        #expect(again.0 == expected.0)
    }

    @Test func `a verify window is sampled up to its first wrong guess`() throws {
        var stage = [stage()]
        try stage[0].apply(.open(lane: Lane(0), sampling: sampling(3)))
        var answer = try run(rows(0, [5, 6, 7]), &stage).0.map(\.token)
        for position in 3..<8 as Range<Int32> {
            answer += try run(rows(0, [answer[answer.count - 1]], from: position), &stage).0.map(\.token)
        }
        for wrong in 1...4 {
            var again = [self.stage()]
            try again[0].apply(.open(lane: Lane(0), sampling: sampling(3)))
            _ = try run(rows(0, [5, 6, 7]), &again)
            var window = Array(answer.prefix(5))
            window[wrong] = (window[wrong] + 1) % 250
            let samples = try run(rows(0, window, from: 3, samples: true), &again).0
            #expect(samples.map(\.token) == Array(answer[1...wrong]))
            try again[0].apply(.trim(lane: Lane(0), from: Int32(3 + wrong)))
            let rest = try run(rows(0, Array(answer[wrong..<5]), from: Int32(3 + wrong), samples: true), &again).0
            #expect(rest.map(\.token) == Array(answer[(wrong + 1)..<6]))
        }
    }

    @Test func `penalties look back on the lane's tokens`() throws {
        var penal = sampling(3, temperature: 0)
        penal.parameters.presencePenalty = 1000
        var stage = [stage()]
        try stage[0].apply(.open(lane: Lane(0), sampling: penal))
        var sequence: [Token] = [5, 6, 7]
        sequence += try run(rows(0, sequence), &stage).0.map(\.token)
        for position in 3..<20 as Range<Int32> {
            sequence += try run(rows(0, [sequence[sequence.count - 1]], from: position), &stage).0.map(\.token)
        }
        #expect(Set(sequence).count == sequence.count)
    }

    @Test func `a copy shares cells until both lanes let go`() throws {
        var stage = stage()
        var output = StageOutput()
        try stage.apply(.open(lane: Lane(0), sampling: sampling(5)))
        try feed(&stage, rows(0, [1, 2, 3, 4, 5]), &output)
        try stage.apply(.open(lane: Lane(2), sampling: sampling(5)))
        try stage.apply(.copy(from: Lane(0), to: Lane(2), length: 4))
        #expect(stage.freeCellCount == 59)
        let expected = output.samples.map(\.token)
        try stage.apply(.free(lane: Lane(0)))
        #expect(stage.freeCellCount == 60)
        try feed(&stage, rows(2, [5], from: 4), &output)
        #expect(output.samples.map(\.token) == expected)
        try stage.apply(.free(lane: Lane(2)))
        #expect(stage.freeCellCount == 64)
        #expect(stage.openLaneCount == 0)
    }

    @Test func `too few cells are refused before anything changes`() throws {
        var stage = stage(cells: 6)
        var output = StageOutput()
        try stage.apply(.open(lane: Lane(0), sampling: sampling(9)))
        try feed(&stage, rows(0, [1, 2, 3, 4]), &output)
        #expect(throws: EngineError.outOfCells(rows: 3, cellCount: 6)) {
            try feed(&stage, rows(0, [5, 6, 7], from: 4), &output)
        }
        #expect(stage.freeCellCount == 2)
        try feed(&stage, rows(0, [5, 6], from: 4), &output)
        #expect(stage.freeCellCount == 0)
    }

    @Test func `rows outside the shape are refused`() throws {
        var stage = stage(rows: 4)
        var output = StageOutput()
        try stage.apply(.open(lane: Lane(0), sampling: sampling(9)))
        let refused: [[StageRow]] = [
            rows(0, [1, 2, 3, 4, 5]), rows(1, [1]), rows(3, [1]), rows(0, [1], from: 1), rows(0, [258]), rows(0, [-1]),
        ]
        for rows in refused {
            #expect(throws: EngineError.self) { try feed(&stage, rows, &output) }
        }
        #expect(stage.freeCellCount == 64)
        var second = self.stage(LayerRange(first: 2, end: 5))
        try second.apply(.open(lane: Lane(0), sampling: sampling(9)))
        #expect(throws: EngineError.invalidRow(field: "activations", value: 7, limit: 8)) {
            try feed(&second, rows(0, [1]), &output, activations: Array(repeating: 0, count: 7))
        }
    }

    @Test func `operations that contradict the lane's state are refused`() throws {
        var stage = stage()
        var output = StageOutput()
        try stage.apply(.open(lane: Lane(0), sampling: sampling(9)))
        try feed(&stage, rows(0, [1, 2]), &output)
        var grammar = sampling(1)
        grammar.grammar = LaneGrammar(text: "root ::= \"a\"")
        let refused: [SequenceOperation] = [
            .open(lane: Lane(0), sampling: sampling(9)), .open(lane: Lane(3), sampling: sampling(9)),
            .open(lane: Lane(1), sampling: grammar), .copy(from: Lane(0), to: Lane(1), length: 3),
            .copy(from: Lane(0), to: Lane(0), length: 1), .trim(lane: Lane(0), from: -1),
        ]
        for operation in refused {
            #expect(throws: EngineError.self, "\(operation)") { try stage.apply(operation) }
        }
        try stage.apply(.free(lane: Lane(2)))
    }

    @Test func `greedy takes the most likely token, and probabilities sum to one`() throws {
        var stage = stage()
        var output = StageOutput()
        try stage.apply(.open(lane: Lane(0), sampling: sampling(9, temperature: 0, top: 258)))
        try feed(&stage, rows(0, prompt), &output)
        let logprob = try #require(output.samples.first?.logprob)
        #expect(logprob.chosen == logprob.top[0])
        #expect(logprob.top.map(\.logprob) == logprob.top.map(\.logprob).sorted(by: >))
        let sum = logprob.top.reduce(Float(0)) { $0 + Float(power($1.logprob)) }
        #expect(abs(sum - 1) < 1e-4)
    }

    @Test func `sampled tokens come as often as they are likely`() throws {
        var stage = stage()
        var output = StageOutput()
        try stage.apply(.open(lane: Lane(0), sampling: sampling(1, temperature: 0, top: 258)))
        try feed(&stage, rows(0, [65]), &output)
        let likely = try #require(output.samples.first?.logprob?.top.prefix(3))
        var counts: [Token: Int] = [:]
        for seed in 0..<2000 as Range<UInt64> {
            var sampling = sampling(1)
            sampling.parameters.seed = seed
            try stage.apply(.free(lane: Lane(0)))
            try stage.apply(.open(lane: Lane(0), sampling: sampling))
            try feed(&stage, rows(0, [65]), &output)
            if let token = output.samples.first?.token { counts[token, default: 0] += 1 }
        }
        for candidate in likely {
            let expected = 2000 * power(candidate.logprob)
            // Five standard deviations of a binomial count.
            #expect(abs(Double(counts[candidate.token] ?? 0) - expected) < 5 * expected.squareRoot() + 1)
        }
    }

    /// e to the power of a log-probability, without a library.
    private func power(_ logprob: Float) -> Double {
        var sum = 1.0
        for n in stride(from: 60.0, through: 1, by: -1) { sum = 1 + Double(logprob) / n * sum }
        return sum
    }
}
