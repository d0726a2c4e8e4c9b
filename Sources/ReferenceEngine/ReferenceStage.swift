package import Serving
package import Vocabulary

/// One stage of a `ReferenceModel`: the engine that needs no C library.
///
/// Every row is computed by itself, in the same order of operations, whatever shares its microbatch: so a cut model
/// equals the uncut one, and a batched sequence equals a lone one, bit for bit.
package struct ReferenceStage: StageEngine, Sendable {
    /// Fixed facts about the stage.
    package let shape: StageShape
    let model: ReferenceModel
    var pool: CellPool
    /// Sampling state of open lanes.
    var open: [LaneSampling?]
    /// What shall be guessed behind the lanes' tokens.
    private var wishes: [GuessWish?]
    /// Rows gathered so far of lanes that become a vector.
    private var poolers: [LanePooler?]
    /// Tokens of each lane, by position: penalties look back on them.
    var tokens: [[Token]]
    private var windows = VerifyWindows()
    /// Rows that are through some layers only, and through how many.
    private var paused: (rows: [StageRow], layers: Int)?
    /// **Shape:** `[layers, cells, width]`.
    var keys: [Float]
    var values: [Float]
    private var work: Workspace

    private struct Workspace: Sendable {
        var normed, query, mixed, projected: [Float]
        var gate, up: [Float]
        var scores: [Float] = []
        var logits: [Float]
    }

    /// Makes an empty stage over the model's layers.
    package init(model: ReferenceModel, cellCount: Int, laneCount: Int, rowLimit: Int) {
        shape = StageShape(
            layers: model.range, layerCount: model.sizes.layerCount, width: model.sizes.width, cellCount: cellCount,
            laneCount: laneCount, rowLimit: rowLimit)
        self.model = model
        pool = CellPool(cellCount: cellCount, laneCount: laneCount)
        open = Array(repeating: nil, count: laneCount)
        wishes = Array(repeating: nil, count: laneCount)
        poolers = Array(repeating: nil, count: laneCount)
        tokens = Array(repeating: [], count: laneCount)
        keys = Array(repeating: 0, count: model.range.count * cellCount * model.sizes.width)
        values = keys
        let row = Array(repeating: Float(0), count: model.sizes.width)
        let wide = Array(repeating: Float(0), count: model.sizes.hidden)
        work = Workspace(
            normed: row, query: row, mixed: row, projected: row, gate: wide, up: wide,
            logits: Array(repeating: 0, count: ReferenceTokenizer.size))
    }

    /// KV cells that hold nothing.
    package var freeCellCount: Int { pool.freeCount }
    /// Lanes that are open.
    package var openLaneCount: Int { open.count { $0 != nil } }
    /// Positions a lane holds.
    package func length(of lane: Lane) -> Int { pool.lanes[Int(lane.index)].count }

    /// Applies a sequence operation.
    ///
    /// **Throws:** `invalidRow` for a lane outside the shape; `failed` for an operation that contradicts the lane's
    /// state, and for grammars, which this engine does not know.
    package mutating func apply(_ operation: SequenceOperation) throws(EngineError) {
        switch operation {
        case .open(let lane, let sampling):
            let index = try index(of: lane)
            guard open[index] == nil, pool.lanes[index].isEmpty else {
                throw refused("open", "lane \(index) is in use")
            }
            guard sampling.grammar == nil else { throw refused("open", "the reference engine has no grammars") }
            open[index] = sampling
            wishes[index] = nil
            poolers[index] = sampling.pooling.map(LanePooler.init)
        case .trim(let lane, let position):
            let index = try index(of: lane)
            forgetLayers(of: lane)
            guard position >= 0 else { throw refused("trim", "position \(position) is negative") }
            guard position == 0 || !isPart(position, of: index) else {
                throw refused("trim", "a state of \(pool.lanes[index].count) positions cannot forget some of them")
            }
            pool.trim(index, from: Int(position))
            tokens[index].removeLast(max(0, tokens[index].count - Int(position)))
        case .copy(let from, let to, let length):
            let (source, target) = (try index(of: from), try index(of: to))
            guard pool.lanes[target].isEmpty else { throw refused("copy", "lane \(target) is not empty") }
            guard (0...pool.lanes[source].count).contains(Int(length)) else {
                throw refused("copy", "lane \(source) has \(pool.lanes[source].count) positions, not \(length)")
            }
            guard !isPart(length, of: source) else {
                throw refused("copy", "a state of \(pool.lanes[source].count) positions is none of \(length)")
            }
            pool.share(from: source, to: target, length: Int(length))
            tokens[target] = Array(tokens[source].prefix(Int(length)))
            // A lane that samples nothing has no history of tokens to give.
            if open[source].map({ $0.pooling != nil }) ?? true { open[target] = nil }
        case .free(let lane):
            let index = try index(of: lane)
            forgetLayers(of: lane)
            pool.trim(index, from: 0)
            tokens[index] = []
            open[index] = nil
            wishes[index] = nil
            poolers[index] = nil
        case .guess(let lane, let wish): wishes[try index(of: lane)] = wish
        case .archive:
            throw .archiveIsTheRunners
        }
    }

    /// Runs the stage's layers over `rows`.
    ///
    /// **Shape:** `activations` is `[rows.count, width]`, row-major f32, ignored on the first stage.
    /// **Throws:** `outOfCells` and `invalidRow`, both before anything changed.
    package mutating func execute(
        _ rows: [StageRow], activations: Span<Float>, into output: inout StageOutput
    ) throws(EngineError) {
        output.activations.removeAll(keepingCapacity: true)
        output.samples.removeAll(keepingCapacity: true)
        try check(rows, activationCount: activations.count)
        run(rows, activations, into: &output)
    }

    /// It may stop between its layers.
    package var canPause: Bool { true }

    /// Runs the layers of a prompt's rows a few at a time; a layer takes `layerDuration`.
    ///
    /// The rows are computed all at once in the last part, which nobody can tell; until then there must be room for
    /// twice their cells. **Shape:** `activations` is `[rows.count, width]`. **Throws:** as `execute`, and `failed` for
    /// other rows than those on their way.
    package mutating func advance(
        _ rows: [StageRow], activations: Span<Float>, for duration: Duration, into output: inout StageOutput
    ) throws(EngineError) -> Bool {
        guard Set(rows.map(\.lane)).count == 1 else { throw refused("advance", "the rows cannot be paused") }
        let layers = paused?.rows == rows ? paused?.layers ?? 0 : 0
        if let paused, paused.rows != rows { throw refused("advance", "other rows are on their way") }
        try check(rows, activationCount: activations.count)
        guard 2 * rows.count <= pool.freeCount else {
            throw .outOfCells(rows: 2 * rows.count, cellCount: shape.cellCount)
        }
        let done = layers + max(1, Int(duration / Self.layerDuration))
        paused = done < shape.layers.count ? (rows, done) : nil
        guard paused == nil else { return false }
        try execute(rows, activations: activations, into: &output)
        return true
    }

    /// What `advance` believes a layer to take.
    package static let layerDuration = Duration.nanoseconds(10)

    private mutating func forgetLayers(of lane: Lane) {
        if paused?.rows.first?.lane == lane { paused = nil }
    }

    private mutating func run(_ rows: [StageRow], _ activations: Span<Float>, into output: inout StageOutput) {
        windows.begin()
        var stream = Array(repeating: Float(0), count: shape.width)
        for (index, row) in rows.enumerated() {
            let lane = Int(row.lane.index)
            if row.token < 0, shape.isFirst {
                stream = Array(open[lane]?.images.row(at: Int(row.position)) ?? [])
            } else {
                let start = (shape.isFirst ? Int(row.token) : index) * shape.width
                for column in 0..<shape.width {
                    stream[column] =
                        if let embedding = model.embedding { embedding.values[start + column] } else {
                            activations[start + column]
                        }
                }
            }
            let cell = pool.extend(lane)
            tokens[lane].append(row.token)
            for layer in model.layers.indices { run(layer, lane: lane, cell: cell, stream: &stream) }
            guard let head = model.head else {
                output.activations.append(contentsOf: stream)
                continue
            }
            if var pooler = poolers[lane] {
                normalise(stream)
                pooler.add(work.normed.span)
                poolers[lane] = pooler
                guard row.samples else { continue }
                var answer = SampledToken(lane: row.lane, position: row.position + 1, token: 0)
                answer.vector = pooler.vector
                output.samples.append(answer)
                continue
            }
            guard windows.admits(row), row.samples, let sampling = open[lane] else { continue }
            normalise(stream)
            head.multiply(work.normed, into: &work.logits)
            var sample = ReferenceSampler.sample(work.logits, row: row, history: tokens[lane], sampling: sampling)
            windows.follow(sample, promptLength: sampling.promptLength)
            if let wish = wishes[lane] { sample.guesses = guesses(behind: sample, wish) }
            output.samples.append(sample)
        }
    }

    /// What heads for several tokens would expect behind a token: what the whole model goes on with, but wrong now and
    /// then; of a stage that is not the whole model, the token itself.
    private func guesses(behind sample: SampledToken, _ wish: GuessWish) -> [TokenGuess] {
        var guesses: [TokenGuess] = []
        var ahead = self
        ahead.wishes[Int(sample.lane.index)] = nil
        var output = StageOutput()
        var newest = sample
        while guesses.count < wish.width {
            if shape.isFirst {
                let row = StageRow(lane: newest.lane, position: newest.position, token: newest.token, samples: true)
                guard (try? ahead.execute([row], activations: [Float]().span, into: &output)) != nil,
                    let next = output.samples.first
                else { break }
                newest = next
            }
            let isWrong = (Int(newest.position) &* 31 &+ Int(newest.token)) % 5 == 0
            let token = isWrong ? (newest.token + 1) % Token(ReferenceTokenizer.size) : newest.token
            guesses.append(TokenGuess(token: token, probability: 0.8))
        }
        return guesses
    }

    // MARK: Checks

    /// Whether so many positions are less than what a lane holds, of a model that has a state for all of it only.
    private func isPart(_ length: Int32, of lane: Int) -> Bool {
        model.sizes.isRecurrent && Int(length) < pool.lanes[lane].count
    }

    func index(of lane: Lane) throws(EngineError) -> Int {
        guard lane.index < shape.laneCount else {
            throw .invalidRow(field: "lane", value: Int(lane.index), limit: shape.laneCount)
        }
        return Int(lane.index)
    }

    func refused(_ operation: String, _ reason: String) -> EngineError {
        .failed(operation: operation, code: 1, reason: reason)
    }

    private func check(_ rows: [StageRow], activationCount: Int) throws(EngineError) {
        guard rows.count <= shape.rowLimit else {
            throw .invalidRow(field: "row count", value: rows.count, limit: shape.rowLimit)
        }
        guard shape.isFirst || activationCount == rows.count * shape.width else {
            throw .invalidRow(field: "activations", value: activationCount, limit: rows.count * shape.width)
        }
        var lengths = pool.lanes.map(\.count)
        for row in rows {
            let lane = try index(of: row.lane)
            guard open[lane] != nil else {
                throw .invalidRow(field: "unopened lane", value: lane, limit: shape.laneCount)
            }
            guard Int(row.position) == lengths[lane] else {
                throw .invalidRow(field: "position of lane \(lane)", value: Int(row.position), limit: lengths[lane])
            }
            guard (0..<ReferenceTokenizer.size).contains(Int(row.token)) || isImage(row, lane) else {
                throw .invalidRow(field: "token", value: Int(row.token), limit: ReferenceTokenizer.size)
            }
            lengths[lane] += 1
        }
        guard rows.count <= pool.freeCount else {
            throw .outOfCells(rows: rows.count, cellCount: shape.cellCount)
        }
    }

    /// Whether the row is one of an image, which the first stage has to know.
    private func isImage(_ row: StageRow, _ lane: Int) -> Bool {
        guard row.token < 0 else { return false }
        return !shape.isFirst || open[lane]?.images.row(at: Int(row.position))?.count == shape.width
    }

    // MARK: Layers

    /// Root-mean-square norm of `stream` into `work.normed`.
    private mutating func normalise(_ stream: [Float]) {
        var squares: Float = 0
        for value in stream { squares += value * value }
        let scale = 1 / ExactMath.squareRoot(squares / Float(shape.width) + 1e-5)
        for column in stream.indices { work.normed[column] = stream[column] * scale }
    }

    private mutating func run(_ index: Int, lane: Int, cell: Int, stream: inout [Float]) {
        let layer = model.layers[index]
        let base = index * shape.cellCount * shape.width
        normalise(stream)
        layer.query.multiply(work.normed, into: &work.query)
        layer.key.multiply(work.normed, into: &work.projected)
        let own = base + cell * shape.width
        for column in 0..<shape.width { keys[own + column] = work.projected[column] }
        layer.value.multiply(work.normed, into: &work.projected)
        for column in 0..<shape.width { values[own + column] = work.projected[column] }
        attend(lane: lane, base: base)
        layer.output.multiply(work.mixed, into: &work.projected)
        for column in 0..<shape.width { stream[column] += work.projected[column] }
        normalise(stream)
        layer.gate.multiply(work.normed, into: &work.gate)
        layer.up.multiply(work.normed, into: &work.up)
        for column in work.gate.indices {
            let gate = work.gate[column]
            work.gate[column] = gate / (1 + ExactMath.exp(-gate)) * work.up[column]
        }
        layer.down.multiply(work.gate, into: &work.projected)
        for column in 0..<shape.width { stream[column] += work.projected[column] }
    }

    /// Causal attention over the lane's cells; the newest one is the row itself.
    ///
    /// Positions enter as a penalty linear in the distance, of another slope per head.
    /// **Source:** Press, Smith, Lewis, "Train Short, Test Long", ICLR 2022.
    private mutating func attend(lane: Int, base: Int) {
        let cells = pool.lanes[lane]
        let (count, width) = (cells.count, shape.width)
        let size = width / model.sizes.headCount
        let scale = 1 / ExactMath.squareRoot(Float(size))
        if work.scores.count < count { work.scores += Array(repeating: 0, count: count) }
        var head = 0
        while head < model.sizes.headCount {
            let offset = head * size
            let slope = 1 / Float(2 << (2 * head))
            var largest = -Float.infinity
            var position = 0
            while position < count {
                let at = base + Int(cells[position]) * width + offset
                var score: Float = 0
                var column = 0
                while column < size {
                    score += work.query[offset + column] * keys[at + column]
                    column &+= 1
                }
                score = score * scale - slope * Float(count - 1 - position)
                work.scores[position] = score
                if score > largest { largest = score }
                position &+= 1
            }
            weigh(cells, largest: largest, base: base + offset, offset: offset, size: size)
            head &+= 1
        }
    }

    /// Mixes the values of `cells` by the softmax of their scores.
    private mutating func weigh(_ cells: [Int32], largest: Float, base: Int, offset: Int, size: Int) {
        var total: Float = 0
        var column = 0
        while column < size {
            work.mixed[offset + column] = 0
            column &+= 1
        }
        var position = 0
        while position < cells.count {
            let weight = ExactMath.exp(work.scores[position] - largest)
            total += weight
            let at = base + Int(cells[position]) * shape.width
            column = 0
            while column < size {
                work.mixed[offset + column] += weight * values[at + column]
                column &+= 1
            }
            position &+= 1
        }
        column = 0
        while column < size {
            work.mixed[offset + column] /= total
            column &+= 1
        }
    }
}
