import CLlama
import CLlamaExtras
import Serving
import Vocabulary

/// A model's own heads for several tokens (multi-token prediction, NextN), on its last stage: one more layer behind the
/// model's own, with cells of its own, that guesses what follows the tokens the stage samples.
///
/// Its row at position p is made of the token at p and of the hidden row at p − 1: what the model's output head read
/// there. So it reads along behind the stage's rows, in batches; and the token that was just sampled is read ahead of
/// its own row, because its hidden row is there already. A guess goes on from its own row with the hidden row the head
/// itself made. Only the first of a model's heads is used, over and over.
///
/// What goes wrong here ends guesses, never an answer: after a few failures the heads are given up.
///
/// **Isolation:** the compute thread.
/// **Source:** docs/decisions/0024-heads-guess-on-the-last-stage.md.
@safe final class DraftHeads {
    private let context: LlamaContext
    private let batch: StageBatch
    private let batchLimit: Int
    private let width: Int
    private let vocabulary: OpaquePointer
    private let vocabularySize: Int
    private var lanes: [HeadLane]
    /// Where in the step's samples the newest token of a lane is whose guesses are wanted, by lane.
    private var wanted: [Int: Int] = [:]
    private var failures = 0

    /// Makes the heads of a model that was loaded with them, beside the context that runs its last layers; with other
    /// than as many cells as they could need, answers go on without guesses while they have none.
    ///
    /// **Throws:** `failed` when the family's heads are not supported by the library or there is no memory for them.
    init(
        beside target: borrowing LlamaContext, options: ContextOptions, cellCount: Int? = nil
    ) throws(EngineError) {
        var own = options
        own.cellCount =
            cellCount
            ?? Int(unsafe llama_n_ctx(target.handle)) + options.laneCount * LlamaStageEngine.headSpareCells
        own.rowLimit = min(options.rowLimit, Limits.draftFeed)
        let model = target.model
        context = try LlamaContext(
            model: model, options: own, recipe: .whole(width: model.model.width), part: .heads(target.threadPool))
        unsafe extras_give_hidden_rows(context.handle)
        unsafe extras_give_hidden_rows(target.handle)
        batch = StageBatch(rowLimit: own.rowLimit, positionsPerRow: 1)
        batchLimit = own.rowLimit
        width = model.model.vectorWidth
        unsafe vocabulary = unsafe llama_model_get_vocab(model.model.handle)
        vocabularySize = model.model.vocabularySize
        lanes = (0..<options.laneCount).map { HeadLane(Lane(UInt16($0)), width: model.model.vectorWidth) }
    }

    /// Bytes the heads take beside the model's weights.
    var memory: StageMemory { context.memoryBreakdown }

    /// Whether they have failed too often to be asked again.
    private var isGivenUp: Bool { failures > Limits.stepRetries }

    // MARK: Lanes

    /// Follows a change of the stage's lanes.
    func apply(_ operation: SequenceOperation) {
        guard operation.lanes.allSatisfy({ Int($0.index) < lanes.count }) else { return }
        switch operation {
        case .open(let lane, _), .free(let lane): forget(Int(lane.index))
        case .trim(let lane, let position): cut(Int(lane.index)) { $0.trim(from: position) }
        case .copy(let from, let to, let length):
            let (source, target) = (Int(from.index), Int(to.index))
            let known = min(length, lanes[source].known)
            unsafe llama_memory_seq_cp(context.memory, Int32(source), Int32(target), 0, known)
            let wish = lanes[target].wish
            lanes[target] = lanes[source].beginning(length: length, in: to)
            lanes[target].wish = wish
        case .guess(let lane, let wish?): lanes[Int(lane.index)].wish = isGivenUp ? nil : wish
        case .guess(let lane, nil): forget(Int(lane.index))
        case .archive: break
        }
    }

    private func forget(_ lane: Int) {
        _ = unsafe llama_memory_seq_rm(context.memory, Int32(lane), -1, -1)
        lanes[lane] = HeadLane(Lane(UInt16(lane)), width: width)
    }

    /// Changes what is known of a lane, and forgets the cells that it thereby lost.
    private func cut(_ lane: Int, _ change: (inout HeadLane) -> Void) {
        change(&lanes[lane])
        guard let first = lanes[lane].takeLost() else { return }
        _ = unsafe llama_memory_seq_rm(context.memory, Int32(lane), first, -1)
    }

    // MARK: Reading along

    /// A step begins whose hidden rows will be read.
    func begin() { wanted.removeAll(keepingCapacity: true) }

    /// Reads a row of the step that was just computed. `hidden` is the row's own. **Shape:** `[width]`.
    func read(_ row: StageRow, hidden: UnsafeBufferPointer<Float>) {
        let lane = Int(row.lane.index)
        guard lanes[lane].wish != nil else { return }
        cut(lane) { unsafe $0.read(row, hidden: hidden) }
    }

    /// A token was sampled from the row that was read last. `index` is its place in the step's samples.
    func sampled(_ token: SampledToken, at index: Int) {
        let lane = Int(token.lane.index)
        guard let wish = lanes[lane].wish else { return }
        cut(lane) { $0.readAhead(token.token, at: token.position) }
        if wish.width > 0, !(unsafe llama_vocab_is_eog(vocabulary, token.token)) { wanted[lane] = index }
    }

    // MARK: Guessing

    /// Guesses what follows the newest tokens, as their lanes wish, and reads what has been gathered otherwise.
    func guess(_ samples: inout [SampledToken], _ samplers: [LaneSampler?], _ candidates: inout CandidateBuffer) {
        var heads: [Head] = wanted.keys.sorted().compactMap { lane in
            guard let index = wanted[lane], let wish = lanes[lane].wish, let sampler = samplers[lane],
                lanes[lane].isReadAhead
            else { return nil }
            return Head(lane: lane, sample: index, wish: wish, sampler: sampler, position: lanes[lane].end)
        }
        let idle = lanes.indices.filter {
            wanted[$0] == nil && lanes[$0].waiting.count >= LlamaStageEngine.headGatheredRows
        }
        guard !heads.isEmpty || !idle.isEmpty else { return }
        do throws(Refusal) {
            try take(idle, &heads, &candidates)
            while heads.contains(where: \.goesOn) { try takeFurther(&heads, &candidates) }
        } catch {
            return fail(error)
        }
        for head in heads {
            samples[head.sample].guesses = head.guesses
            // The cells of guesses: what comes true is read again, with the model's own hidden rows.
            if head.guesses.count > 1 {
                _ = unsafe llama_memory_seq_rm(context.memory, Int32(head.lane), head.position, -1)
            }
        }
        failures = 0
    }

    /// The library did not decode what the heads were to read.
    private enum Refusal: Error {
        case noCells
        case failed
    }

    /// A lane that guesses.
    private struct Head {
        let lane: Int
        let sample: Int
        let wish: GuessWish
        let sampler: LaneSampler
        /// Of the first guess.
        let position: Int32
        var guesses: [TokenGuess] = []
        var chance: Float = 1
        /// What the newest guess's row is made of beside its token.
        var hidden: [Float] = []

        var goesOn: Bool { !guesses.isEmpty && guesses.count < wish.width && chance >= wish.floor }
    }

    /// Makes one guess for each of the first lanes, from nothing; false when the library refuses.
    func rehearse(_ count: Int, _ sampler: LaneSampler, _ candidates: inout CandidateBuffer) -> Bool {
        let lanes = 0..<min(count, self.lanes.count)
        var heads = lanes.map {
            Head(lane: $0, sample: 0, wish: GuessWish(width: 1, floor: 0), sampler: sampler, position: 1)
        }
        let rows = lanes.map { StageRow(lane: Lane(UInt16($0)), position: 0, token: 0, samples: true) }
        defer { for lane in lanes { forget(lane) } }
        let hidden = [Float](repeating: 0.1, count: rows.count * width)
        return (try? decode(rows, hidden, Array(lanes), &heads, &candidates)) != nil
    }

    /// Reads what the lanes have gathered, and makes the first guess of those that guess from their last row.
    private func take(
        _ idle: [Int], _ heads: inout [Head], _ candidates: inout CandidateBuffer
    ) throws(Refusal) {
        var rows: [StageRow] = []
        var hidden: [Float] = []
        var owners: [Int?] = []
        for (lane, head) in idle.map({ ($0, Int?.none) }) + heads.indices.map({ (heads[$0].lane, Int?.some($0)) }) {
            let (waiting, beside) = lanes[lane].takeWaiting()
            hidden += beside
            rows += waiting
            owners += waiting.indices.map { $0 == waiting.count - 1 ? head : nil }
            if head != nil, !waiting.isEmpty { rows[rows.count - 1].samples = true }
        }
        try decode(rows, hidden, owners, &heads, &candidates)
    }

    /// Makes one more guess of every lane that goes on.
    private func takeFurther(_ heads: inout [Head], _ candidates: inout CandidateBuffer) throws(Refusal) {
        var rows: [StageRow] = []
        var hidden: [Float] = []
        var owners: [Int?] = []
        for (index, head) in heads.enumerated() where head.goesOn {
            guard let newest = head.guesses.last else { continue }
            rows.append(
                StageRow(
                    lane: Lane(UInt16(head.lane)), position: head.position + Int32(head.guesses.count) - 1,
                    token: newest.token, samples: true))
            hidden += head.hidden
            owners.append(index)
        }
        try decode(rows, hidden, owners, &heads, &candidates)
    }

    /// Decodes rows in batches; from those with an owner a guess is made.
    ///
    /// **Shape:** `hidden` is `[rows, width]`.
    private func decode(
        _ rows: [StageRow], _ hidden: [Float], _ owners: [Int?], _ heads: inout [Head],
        _ candidates: inout CandidateBuffer
    ) throws(Refusal) {
        for start in stride(from: 0, to: rows.count, by: batchLimit) {
            let part = start..<min(start + batchLimit, rows.count)
            batch.fill(rows, part, flagsAll: false, hidesTokens: false)
            let status = unsafe hidden.withUnsafeBufferPointer { floats in
                guard let base = floats.baseAddress else { return Int32(-1) }
                return unsafe context.decode(batch.tokens(beside: base + start * width))
            }
            guard status == 0 else { throw status == 1 ? .noCells : .failed }
            // Some families make those of flagged rows only when asked to, others cannot: so of all rows.
            guard let made = unsafe extras_hidden_rows(context.handle) else { throw .failed }
            for index in part {
                guard let owner = owners[index] else { continue }
                try unsafe extend(&heads[owner], row: index - start, made, &candidates)
            }
        }
    }

    /// Adds a guess from a row of the batch that was just decoded. **Shape:** `made` is `[rows, width]`.
    private func extend(
        _ head: inout Head, row: Int, _ made: UnsafePointer<Float>, _ candidates: inout CandidateBuffer
    ) throws(Refusal) {
        guard let logits = unsafe llama_get_logits_ith(context.handle, Int32(row)) else { throw .failed }
        let guess = unsafe head.sampler.guess(
            UnsafeMutableBufferPointer(start: logits, count: vocabularySize),
            at: head.position + Int32(head.guesses.count), candidates: &candidates)
        head.guesses.append(guess)
        head.chance *= guess.probability
        unsafe head.hidden = Array(UnsafeBufferPointer(start: made + row * width, count: width))
    }

    /// Nothing the heads hold can be relied on any more. To be short of cells is no fault.
    private func fail(_ refusal: Refusal) {
        if refusal == .failed { failures += 1 }
        for lane in lanes.indices {
            let wish = lanes[lane].wish
            forget(lane)
            lanes[lane].wish = isGivenUp ? nil : wish
        }
    }
}

extension LlamaStageEngine {
    /// Cells per lane that heads for several tokens have beside as many as their stage: for rows read ahead, for
    /// guesses, and for what a copied lane has not read yet.
    package static var headSpareCells: Int { Limits.draftWidth + 2 + headGatheredRows }
    /// Rows a lane gathers before its head reads them without guessing from them.
    package static let headGatheredRows = 64
}
