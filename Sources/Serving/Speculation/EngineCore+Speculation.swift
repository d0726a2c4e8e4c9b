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
            guard let owner = lanes[boardings[index].lane].owner, boardings[index].rows == 1 else { continue }
            let draft = guess(owner.request, owner.choice)
            guard !draft.tokens.isEmpty, let drafter = active[owner.request].choices[owner.choice].drafter else {
                continue
            }
            draftLoad.chances = drafter.chances(of: draft)
            let isAllowed = active[owner.request].choices[owner.choice].gain.allowsWindows
            let room = draftRoom(owner, rows: load.rowLimit - draftLoad.rows, planned: planned[owner.request])
            let width = !isAllowed ? 0 : min(settings.policy.draftWidth(for: draftLoad), room, draft.tokens.count)
            let isSent = width > 0 && assureCells(boardings[index].lane, rows: width, planned: &planned)
            active[owner.request].choices[owner.choice].drafter?.watch(draft, isSent: isSent)
            guard isSent else { continue }
            boardings[index].drafts = Array(draft.tokens.prefix(width))
            draftLoad.rows += width
            draftLoad.tokens += draftLoad.expectedTokens(width: width)
        }
    }

    /// What may follow the tokens of a choice.
    private mutating func guess(_ request: Int, _ choice: Int) -> Draft {
        guard active[request].isGuessed else { return Draft() }
        if active[request].choices[choice].drafter == nil {
            guard let source = settings.speculation.makeSource() else { return Draft() }
            var drafter = Drafter(source, prompt: active[request].prompt)
            for token in active[request].choices[choice].answer { drafter.push(token) }
            active[request].choices[choice].drafter = drafter
        }
        return active[request].choices[choice].drafter?.draft(tokenizer: tokenizer) ?? Draft()
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
