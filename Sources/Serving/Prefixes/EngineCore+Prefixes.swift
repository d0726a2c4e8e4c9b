import Vocabulary

/// The prefix cache: lanes keep the sequences of ended requests until their room is needed, and a new request copies
/// what it has in common with one of them. The brain alone decides; its operations reach every stage in the same order
/// as the microbatches, so all stages agree without being asked.
extension EngineCore {
    /// What a new request can take over.
    struct PrefixMatch {
        let lane: Lane
        let length: Int
    }

    /// The longest beginning of the prompt that stands in a lane already: of an ended request, or of a running one as
    /// far as its rows have come back.
    func longestPrefix(of state: RequestState) -> PrefixMatch? {
        guard settings.prefixReuse != .off, state.reusesPrefix else { return nil }
        let prompt = state.prompt.dropLast(Limits.rowsComputedAnew)
        var best: PrefixMatch?
        func consider(_ lane: Lane, _ length: Int) {
            if length >= Limits.smallestPrefix, length > best?.length ?? 0 {
                best = PrefixMatch(lane: lane, length: length)
            }
        }
        for (index, resident) in shelf.residents.enumerated() {
            guard let resident else { continue }
            let length = PrefixShelf.sharedLength(resident.tokens, prompt)
            if settings.prefixReuse == .whole, length < resident.tokens.count { continue }
            consider(Lane(UInt16(index)), length)
        }
        guard settings.prefixReuse == .beginnings else { return best }
        // What becomes a vector has no history of tokens that a sampler could take over.
        for other in active where other.pooling == nil {
            let common = PrefixShelf.sharedLength(other.prompt, prompt)
            for choice in other.choices {
                guard let lane = choice.lane else { continue }
                // Not all of an image's rows may have come back.
                let landed = other.prompt.prefix(min(common, choice.landed))
                consider(lane, PrefixShelf.sharedLength(landed, prompt))
            }
        }
        return best
    }

    /// An empty lane for the owner; when all are taken, the sequence that was not used for longest makes way.
    mutating func takeLane(for owner: LaneTable.Owner, sparing spared: Lane?) -> Lane? {
        if let lane = lanes.take(for: owner, unless: { shelf[$0] != nil }) { return lane }
        guard let oldest = shelf.oldest(sparing: spared) ?? shelf.oldest() else { return nil }
        evict(oldest)
        return lanes.take(for: owner, unless: { shelf[$0] != nil })
    }

    /// A lane that nobody owns and nothing is kept in; when there is none, a kept sequence makes way.
    mutating func emptyLane() -> Lane? {
        if let lane = lanes.spare(unless: { shelf[$0] != nil }) { return lane }
        guard let oldest = shelf.oldest() else { return nil }
        evict(oldest)
        return lanes.spare(unless: { shelf[$0] != nil })
    }

    /// Copies the matched beginning into the first lane of a request that was just seated.
    mutating func adopt(_ match: PrefixMatch, request: Int, choice: Int, lane: Lane) {
        change(.copy(from: match.lane, to: lane, length: Int32(match.length)))
        cells.share(from: match.lane, to: lane, length: match.length)
        active[request].choices[choice].sent = match.length
        active[request].choices[choice].landed = match.length
        guard let resident = shelf[match.lane] else { return }
        // The new sequence will hold all of it and more, and can give it where sequences give beginnings.
        let isSpare = resident.tokens.count == match.length && settings.prefixReuse == .beginnings
        if isSpare { evict(match.lane) } else { shelf.touch(match.lane) }
    }

    /// Ends a choice's hold on its lane and leaves the sequence there when it may be of use again.
    mutating func retireLane(_ index: Int, choice: Int) {
        guard let lane = active[index].choices[choice].lane else { return }
        let state = active[index].choices[choice]
        let isWhole = lanes[lane].inFlight == 0 && state.landed == state.sent && state.sent >= Limits.smallestPrefix
        // Further choices differ in their answers only, and of those one is enough.
        guard settings.prefixReuse != .off, isWhole, choice == 0 else { return releaseLane(index, choice: choice) }
        let tokens = Array((active[index].prompt + state.answer).prefix(state.sent))
        if settings.prefixReuse == .beginnings {
            for (other, resident) in shelf.residents.enumerated() {
                guard let resident else { continue }
                let common = PrefixShelf.commonLength(resident.tokens, tokens)
                if common == tokens.count {
                    shelf.touch(Lane(UInt16(other)))
                    return releaseLane(index, choice: choice)
                }
                if common == resident.tokens.count { evict(Lane(UInt16(other))) }
            }
        }
        cells.rest(lane)
        shelf.put(tokens, on: lane, hasPrompt: shelf.contains(active[index].prompt))
        leaveLane(lane, index, choice: choice)
    }

    /// Keeps prompts that were just read, of models that give whole sequences only: a template often renders an answer
    /// otherwise than it was sampled, and then the next turn begins like the prompt and not like the sequence.
    ///
    /// The copy goes before the first row of the answer. It shares the prompt's cells, so all it takes is a lane.
    mutating func keepPrompts() {
        guard settings.prefixReuse == .whole else { return }
        for state in active where state.pooling == nil {
            guard let choice = state.choices.first, let lane = choice.lane, lanes[lane].inFlight == 0,
                choice.sent == state.prompt.count, choice.landed == choice.sent,
                choice.sent >= Limits.smallestPrefix, !shelf.contains(state.prompt)
            else { continue }
            // Its conversation has left the earlier ones behind.
            for (index, resident) in shelf.residents.enumerated() {
                guard let tokens = resident?.tokens,
                    PrefixShelf.commonLength(tokens, state.prompt) == tokens.count
                else { continue }
                evict(Lane(UInt16(index)))
            }
            guard let kept = emptyLane() else { continue }
            let length = Int32(choice.sent)
            operations.append(.open(lane: kept, sampling: .keeping(length: length)))
            change(.copy(from: lane, to: kept, length: length))
            cells.share(from: lane, to: kept, length: choice.sent)
            cells.rest(kept)
            shelf.put(state.prompt, on: kept)
            // On disk the sequence with the answer is enough.
            shelf.markArchived(kept)
        }
    }

    /// Forgets a kept sequence. The operation goes with the next microbatch, behind whatever copies from it.
    mutating func evict(_ lane: Lane) {
        shelf.remove(lane)
        cells.clear(lane)
        change(.free(lane: lane))
    }

    /// Forgets kept sequences, oldest use first, until what is promised has its room.
    mutating func makeRoom() {
        while promisedCells + cells.idleCount > cellLimit, let oldest = shelf.oldest() { evict(oldest) }
    }

    /// Forgets all kept sequences.
    mutating func forgetPrefixes() {
        while let oldest = shelf.oldest() { evict(oldest) }
    }
}
