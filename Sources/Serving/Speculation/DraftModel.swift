import Vocabulary

/// A small whole model that guesses what follows: one engine, a sequence per lane of the stages, and the guesses of all
/// lanes in one step per token.
///
/// **Isolation:** owned by one compute thread.
package struct DraftModel<Engine: StageEngine & ~Copyable>: ~Copyable {
    /// The engine; nobody else may change its lanes.
    package private(set) var engine: Engine
    private var output = StageOutput()

    /// Takes over an engine that holds a whole model and whose lanes are empty.
    package init(_ engine: consuming Engine) {
        precondition(engine.shape.isFirst && engine.shape.isLast, "a draft model has all its layers in one stage")
        self.engine = engine
    }

    /// Does a piece of work and answers one entry per wish, in order.
    ///
    /// **Throws:** as the engine; all lanes are to be freed then.
    package mutating func run(_ work: DraftWork) throws(EngineError) -> [DraftedLane] {
        for operation in work.operations { try engine.apply(operation) }
        var drafted = work.wishes.map { DraftedLane(lane: $0.lane) }
        var start = 0
        while start < work.rows.count {
            let end = min(start + engine.shape.rowLimit, work.rows.count)
            try execute(Array(work.rows[start..<end]))
            take(work.wishes, &drafted)
            start = end
        }
        while true {
            var rows: [StageRow] = []
            for (index, wish) in work.wishes.enumerated() where goesOn(drafted[index], wish) {
                guard let newest = drafted[index].tokens.last,
                    let first = work.rows.last(where: { $0.lane == wish.lane })
                else { continue }
                let position = first.position + Int32(drafted[index].tokens.count)
                rows.append(StageRow(lane: wish.lane, position: position, token: newest, samples: true))
            }
            guard !rows.isEmpty else { return drafted }
            for start in stride(from: 0, to: rows.count, by: engine.shape.rowLimit) {
                try execute(Array(rows[start..<min(start + engine.shape.rowLimit, rows.count)]))
                take(work.wishes, &drafted)
            }
        }
    }

    private func goesOn(_ drafted: DraftedLane, _ wish: DraftWork.Wish) -> Bool {
        drafted.tokens.count < wish.width && drafted.probabilities.reduce(1, *) >= wish.floor
    }

    private mutating func execute(_ rows: [StageRow]) throws(EngineError) {
        try engine.execute(rows, activations: [Float]().span, into: &output)
    }

    private func take(_ wishes: [DraftWork.Wish], _ drafted: inout [DraftedLane]) {
        // Below 0 is a `LaneFailure`, after which nothing can be guessed.
        for sample in output.samples where sample.token >= 0 {
            guard let index = wishes.firstIndex(where: { $0.lane == sample.lane }) else { continue }
            drafted[index].tokens.append(sample.token)
            drafted[index].probabilities.append(Self.probability(sample))
        }
    }

    private static func probability(_ sample: SampledToken) -> Double {
        guard let logprob = sample.logprob?.chosen.logprob else { return 0.5 }
        return max(0, min(1, exponential(Double(logprob))))
    }

    /// e to the power of a number that is not positive: pure targets link no mathematics library. The series of a
    /// sixty-fourth, squared six times; good to nine digits where a probability is not nothing.
    private static func exponential(_ x: Double) -> Double {
        guard x < 0 else { return 1 }
        guard x > -40 else { return 0 }
        let part = x / 64
        var sum = 1.0
        for n in stride(from: 12.0, to: 0, by: -1) { sum = 1 + part / n * sum }
        for _ in 0..<6 { sum *= sum }
        return sum
    }
}

extension DraftModel: Copyable where Engine: Copyable {}
