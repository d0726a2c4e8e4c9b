import Vocabulary

/// Speculation: a decoding lane sends guesses behind its newest token, one verify window crosses the stages once, and
/// the last stage answers the tokens it sampled up to the first wrong guess. Every token is sampled from the same
/// logits with the same randomness as without guesses, so the answer is the same.
extension EngineCore {
    /// A lane in the microbatch that is being composed.
    struct Boarding {
        let lane: Lane
        /// Rows of tokens that are known.
        let rows: Int
        /// Guesses that follow them.
        var drafts: [Token] = []
    }

    /// Adds guesses to the first `decodes` lanes of a microbatch, as many as the policy finds worth their time. They
    /// get what rows and cells all others have left: nobody gives way to a guess.
    mutating func addDrafts(
        to boardings: inout [Boarding], decodes: Int, load: BatchLoad, planned: inout [Int]
    ) {
        guard settings.speculates, decodes > 0 else { return }
        if settings.speculation.needsCosts, settings.policy.expectedNanoseconds(rows: 1) == nil { return }
        let rows = boardings.reduce(0) { $0 + $1.rows }
        var draftLoad = DraftLoad(
            stageCount: load.stageCount, decodingLanes: load.decodingLanes, decodeLanes: decodes, rows: rows,
            tokens: Double(decodes), chances: [], hopNanoseconds: load.hopNanoseconds)
        for index in boardings.indices.prefix(decodes) {
            guard let owner = lanes[boardings[index].lane].owner, boardings[index].rows == 1,
                active[owner.request].isGuessed
            else { continue }
            makeDrafter(owner.request, owner.choice)
            let room = draftRoom(owner, rows: load.rowLimit - draftLoad.rows, planned: planned[owner.request])
            guard let best = bestGuesses(owner, &draftLoad, room: room) else { continue }
            let isSent = best.width > 0 && assureCells(boardings[index].lane, rows: best.width, planned: &planned)
            active[owner.request].choices[owner.choice].drafter?.watch(best.guesses, best.source, isSent: isSent)
            active[owner.request].choices[owner.choice].draftSource = best.source
            guard isSent else { continue }
            boardings[index].drafts = Array(best.guesses.tokens.prefix(best.width))
            draftLoad.rows += best.width
            draftLoad.tokens += draftLoad.expectedTokens(width: best.width)
        }
    }

    /// Of what the draft model and the text suggest, what is expected to bring more, and how much of it is sent; the
    /// other is only compared with what comes. Leaves the chances of what it answers in `load`.
    private mutating func bestGuesses(
        _ owner: LaneTable.Owner, _ load: inout DraftLoad, room: Int
    ) -> (guesses: Guesses, source: GuessSource, width: Int)? {
        let choice = active[owner.request].choices[owner.choice]
        guard let drafter = choice.drafter else { return nil }
        active[owner.request].choices[owner.choice].guesses = Guesses()
        var best: (guesses: Guesses, source: GuessSource, width: Int)?
        var (chances, most) = ([Double](), -1.0)
        for (guesses, source) in [
            (choice.guesses, modelSource), (drafter.guess(tokenizer: tokenizer), .ngram),
        ] where !guesses.tokens.isEmpty {
            load.chances = drafter.chances(of: guesses, source)
            let width =
                choice.gain.allowsWindows
                ? min(settings.policy.draftWidth(for: load), room, guesses.tokens.count) : 0
            let expected = load.expectedTokens(width: width)
            if let other = expected > most ? best : (guesses, source, width) {
                active[owner.request].choices[owner.choice].drafter?.watch(other.guesses, other.source, isSent: false)
            }
            if expected > most { (best, chances, most) = ((guesses, source, width), load.chances, expected) }
        }
        load.chances = chances
        return best
    }

    /// Where guesses come from that are not the text's.
    var modelSource: GuessSource { settings.usesHeads ? .mtp : .draft }

    /// Makes what guesses a choice's tokens, when it is not there yet.
    mutating func makeDrafter(_ request: Int, _ choice: Int) {
        guard active[request].choices[choice].drafter == nil else { return }
        var drafter = Drafter(
            settings.speculation.makeSource(), prompt: active[request].prompt,
            modelChance: draftPrior.chance(temperature: active[request].sampling.temperature))
        for token in active[request].choices[choice].answer { drafter.push(token) }
        active[request].choices[choice].drafter = drafter
    }

    /// Guesses up to the first token that is none or would end the answer.
    func sendable(_ guesses: Guesses) -> Guesses {
        guesses.before { token in
            !(0..<tokenizer.vocabularySize).contains(Int(token)) || tokenizer.endsGeneration(token)
        }
    }

    /// Guesses a choice may send: so many that, all of them right, the answer is full; within the rows of the
    /// microbatch; and in cells that are promised to the request or to nobody.
    private func draftRoom(_ owner: LaneTable.Owner, rows: Int, planned: Int) -> Int {
        let state = active[owner.request]
        let output = state.outputLimit - state.choices[owner.choice].answer.count - 1
        let promise = state.promisedCells + max(0, cellLimit - promisedCells)
        return max(0, min(output, rows, promise - state.heldCells - planned))
    }

    /// Forgets what a choice computed beyond its answer: its newest token is the last one that is known, and its
    /// sequence ends before it.
    mutating func cutWindow(_ request: Int, choice: Int) {
        let length = active[request].prompt.count + active[request].choices[choice].answer.count - 1
        guard let lane = active[request].choices[choice].lane, active[request].choices[choice].sent > length else {
            return
        }
        operations.append(.trim(lane: lane, from: Int32(length)))
        cells.trim(lane, to: length)
        active[request].choices[choice].sent = length
        active[request].choices[choice].landed = length
    }
}
