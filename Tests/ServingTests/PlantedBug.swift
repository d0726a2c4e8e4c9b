import Vocabulary

@testable import Serving

/// A bug of a scheduler that tests plant to see that their checks find it.
enum Mutation: String, CaseIterable {
    /// A lane that nobody uses any more is not freed on the stages.
    case droppedFree
    /// A wrong guess stays in the stages' caches.
    case droppedTrim
    /// What choices share, or a kept beginning, lacks its last position.
    case shortCopy
    /// An answer that is computed again goes on with the randomness of another seed.
    case otherSeed
    /// An answer that is computed again goes on with the randomness of the position before.
    case otherPosition
    /// Two lanes of a microbatch get each other's token.
    case swappedAnswers
    /// A microbatch that could not be run counts as done.
    case failureTakenForSuccess
    /// On its way to the second stage a microbatch overtakes one that is about the same lane.
    case overtakingMicrobatch
    /// A piece of an answer is not told.
    case droppedPiece
    /// A piece of an answer is told twice.
    case doubledPiece
    /// A piece of an answer is told after the one behind it.
    case latePiece
    /// The end of a request is not told.
    case droppedEnd
    /// The end of a request is told twice.
    case secondEnd
    /// A lane counts as being on its way for ever.
    case lostLane
    /// A cell counts as used that holds nothing.
    case lostCell
    /// One more request waits than may.
    case longerLine
}

/// A planted bug, which strikes once: between a brain and its stages and clients, or in what the brain believes.
struct PlantedBug {
    private let mutation: Mutation
    /// Chances to strike that are left out.
    private var turn: Int
    /// Seeds of lanes that were opened.
    private var opened: Set<UInt64> = []
    /// A piece that comes too late.
    private var late: (id: RequestID, piece: OutputDelta)?

    init(_ mutation: Mutation, turn: Int) {
        self.mutation = mutation
        self.turn = turn
    }

    private mutating func strikes() -> Bool {
        defer { turn -= 1 }
        return turn == 0
    }

    // MARK: What the brain hears and believes

    /// What the brain hears in place of an input.
    mutating func heard(_ input: EngineCore.Input) -> EngineCore.Input {
        switch input {
        case .sampled(let step, let tokens) where mutation == .swappedAnswers:
            return .sampled(step, swapped(tokens))
        case .stepFailed(let step, _, _) where mutation == .failureTakenForSuccess:
            return strikes() ? .sampled(step, []) : input
        default:
            return input
        }
    }

    private mutating func swapped(_ tokens: [SampledToken]) -> [SampledToken] {
        let other = tokens.indices.first { index in
            tokens[index].lane != tokens[0].lane && tokens[index].token != tokens[0].token
        }
        guard let other, strikes() else { return tokens }
        var swapped = tokens
        (swapped[0].token, swapped[other].token) = (tokens[other].token, tokens[0].token)
        (swapped[0].logprob, swapped[other].logprob) = (tokens[other].logprob, tokens[0].logprob)
        return swapped
    }

    /// Changes what the brain believes, after an input.
    mutating func disturb(_ core: inout EngineCore) {
        switch mutation {
        case .lostLane, .lostCell:
            guard let lane = core.active.first?.choices.first?.lane, strikes() else { return }
            if mutation == .lostLane { core.lanes.board(lane) } else { core.cells.extend(lane, by: 1) }
        case .longerLine:
            if strikes() { core.settings.queueLimit += 1 }
        default:
            break
        }
    }

    // MARK: What it tells

    /// What stages and clients get in place of the effects.
    mutating func told(_ effects: [EngineCore.Effect]) -> [EngineCore.Effect] {
        var told: [EngineCore.Effect] = []
        for effect in effects {
            switch effect {
            case .run(var microbatch):
                var operations: [SequenceOperation] = []
                for operation in microbatch.operations { operations += self.told(operation) }
                microbatch.operations = operations
                told.append(.run(microbatch))
            case .emit(let id, let event):
                for event in self.told(event, of: id) { told.append(.emit(id, event)) }
            case .draft, .commit, .retract, .archived, .wakeAt:
                told.append(effect)
            }
        }
        return told
    }

    private mutating func told(_ operation: SequenceOperation) -> [SequenceOperation] {
        switch operation {
        case .free where mutation == .droppedFree, .trim where mutation == .droppedTrim:
            return strikes() ? [] : [operation]
        case .copy(let from, let to, let length) where mutation == .shortCopy:
            return [.copy(from: from, to: to, length: strikes() ? length - 1 : length)]
        case .open(let lane, var sampling) where mutation == .otherSeed || mutation == .otherPosition:
            let seed = sampling.parameters.seed ?? 0
            let isAgain = !opened.insert(seed).inserted
            guard isAgain, !sampling.parameters.isGreedy, strikes() else { return [operation] }
            if mutation == .otherSeed { sampling.parameters.seed = seed &+ 1 } else { sampling.promptLength += 1 }
            return [.open(lane: lane, sampling: sampling)]
        default:
            return [operation]
        }
    }

    private mutating func told(_ event: GenerationEvent, of id: RequestID) -> [GenerationEvent] {
        switch event {
        case .output(let piece) where mutation == .latePiece:
            return told(piece, of: id)
        case .output where mutation == .droppedPiece, .finished where mutation == .droppedEnd:
            return strikes() ? [] : [event]
        case .output where mutation == .doubledPiece, .finished where mutation == .secondEnd:
            return strikes() ? [event, event] : [event]
        case .finished, .failed:
            guard let late, late.id == id else { return [event] }
            self.late = nil
            return [.output(late.piece), event]
        default:
            return [event]
        }
    }

    private mutating func told(_ piece: OutputDelta, of id: RequestID) -> [GenerationEvent] {
        if let late, late.id == id, late.piece.choice == piece.choice {
            self.late = nil
            return [.output(piece), .output(late.piece)]
        }
        guard strikes() else { return [.output(piece)] }
        late = (id, piece)
        return []
    }

    // MARK: On the way

    /// Changes the order of what waits for the second stage, whose newest microbatch just came.
    mutating func arrange(_ inbox: inout [LocalPipeline.Parcel]) {
        guard mutation == .overtakingMicrobatch, inbox.count > 1 else { return }
        let newest = inbox.suffix(2).map(\.microbatch)
        let lanes = newest.map { Set($0.rows.map(\.lane) + $0.operations.flatMap(\.lanes)) }
        guard !newest.contains(where: \.isDeferred), !lanes[0].isDisjoint(with: lanes[1]), strikes() else { return }
        inbox.swapAt(inbox.count - 2, inbox.count - 1)
    }
}
