import Vocabulary

extension EngineCore {
    /// Lanes that may go, and what the policy is told of them.
    private struct Choices {
        var load: BatchLoad
        var decodes: [Candidate] = []
        var prefills: [Candidate] = []
    }

    /// What goes into the next microbatch.
    private struct Load {
        var boardings: [Boarding] = []
        /// How the decoding lanes are grouped, when nothing but their newest tokens goes.
        var grouping: Grouping?
    }

    /// What goes into a deferred microbatch.
    private struct DeferredLoad {
        let lane: Lane
        let rows: Int
        let slice: Duration
        let overtakes: Bool
    }

    /// A lane that may go into the next microbatch.
    private struct Candidate {
        let lane: Lane
        let lastStep: UInt64
    }

    /// Sends the next microbatch when stage 0 is free and the pipe is not full, and a deferred one behind it when it
    /// has none of those.
    mutating func schedule(now: Instant) {
        guard loss == nil else { return }
        // First, because kept sequences that make room for it are freed with the next microbatch.
        let deferred = chooseDeferred()
        if mayCompose {
            // A restore that fails must not take rows along.
            var load = archive.awaitsRestore ? Load() : chooseLanes()
            // Those that had to give way to others.
            load.boardings.removeAll { lanes[$0.lane].owner == nil }
            let isWaitedFor = deferred != nil && !operations.isEmpty
            if !load.boardings.isEmpty || hasUrgentOperations || isWaitedFor { send(load, now: now) }
        }
        if let deferred { send(deferred, now: now) }
    }

    /// Stage 0 is free and the pipe not full.
    private var mayCompose: Bool {
        let depth = max(1, settings.policy.depth(stageCount: settings.stageCount))
        return stageZeroStep == nil && stepsInFlight - deferredInFlight < depth
    }

    private mutating func send(_ load: Load, now: Instant) {
        let id = StepID(stepCount + 1)
        stepCount += 1
        stageZeroStep = id
        if archive.awaitsRestore { archive.fetch?.step = id }
        var rows: [StageRow] = []
        var passengers: [StepInFlight.Passenger] = []
        for boarding in load.boardings {
            guard let owner = lanes[boarding.lane].owner else { continue }
            board(owner, boarding, step: id, rows: &rows, passengers: &passengers)
        }
        let isGuessing = passengers.contains { makesGuesses($0.lane) }
        steps.append(
            StepInFlight(
                id: id, passengers: passengers, isDeferred: false, isBesideDeferred: isDeferring, rowCount: rows.count,
                startedAt: now, wasAlone: steps.isEmpty, makesGuesses: isGuessing,
                grouping: isGuessing ? nil : load.grouping))
        var microbatch = Microbatch(id: id, operations: operations, rows: rows)
        if isDeferring { microbatch.slice = settings.policy.slice(for: choices.load) }
        effects.list.append(.run(microbatch))
        operations.removeAll(keepingCapacity: true)
    }

    /// The lanes of the next microbatch with the rows each sends, their cells assured.
    ///
    /// Cells are assured from the oldest request to the youngest, but for one that overtakes: room is made by
    /// preempting the youngest, so what was assured before stays, or has no lane any more when it would board.
    private mutating func chooseLanes() -> Load {
        var choices = choices
        // Nothing overtakes what its own lane has deferred.
        choices.prefills.removeAll { isDeferred($0.lane) }
        choices.load.readyPrefills = choices.prefills.count
        choices.load.overtakes =
            isDeferring ? letShortOvertake(&choices.prefills) : letShorterOvertake(&choices.prefills)
        guard !choices.decodes.isEmpty || !choices.prefills.isEmpty else { return Load() }
        describeFirst(&choices)
        return fill(quota(for: choices.load), choices)
    }

    /// All lanes that have something to send.
    private var choices: Choices {
        var choices = Choices(
            load: BatchLoad(
                stageCount: settings.stageCount, rowLimit: settings.rowLimit, seatedLanes: 0, decodingLanes: 0,
                readyDecodes: 0, readyPrefills: 0, inFlight: stepsInFlight - deferredInFlight))
        choices.load.decodedSincePrefill = decodedSincePrefill
        choices.load.hopNanoseconds = hops.nanoseconds
        for request in active.indices {
            for choice in active[request].choices.indices {
                guard let lane = active[request].choices[choice].lane else { continue }
                choices.load.seatedLanes += 1
                let isDecoding = active[request].isDecoding(choice) && !settings.runsWholePrompts
                if isDecoding { choices.load.decodingLanes += 1 }
                let sendable = active[request].sendableCount(choice)
                // Rows on their way cannot be sent, and are prefill all the same.
                let isDeferred = !active[request].choices[choice].deferred.isEmpty
                if !isDecoding { choices.load.prefillRowsLeft += max(sendable, isDeferred ? 1 : 0) }
                // A prompt's chunks follow each other down the chain; a decoding lane has nothing to send until its
                // token is back.
                guard sendable > 0, active[request].choices[choice].awaitedDraft == nil else { continue }
                let candidate = Candidate(lane: lane, lastStep: active[request].choices[choice].lastStep)
                if isDecoding { choices.decodes.append(candidate) } else { choices.prefills.append(candidate) }
            }
        }
        choices.load.isDeferring = isDeferring
        choices.load.pausableLayers = settings.pausableLayers
        choices.load.isTimed = rounds.isWatching && choices.load.prefillRowsLeft == 0
        choices.load.readyDecodes = choices.decodes.count
        choices.load.readyPrefills = choices.prefills.count
        return choices
    }

    /// Tells the policy of the prompt whose turn it is.
    private func describeFirst(_ choices: inout Choices) {
        guard let owner = choices.prefills.first.flatMap({ lanes[$0.lane].owner }) else { return }
        choices.load.firstPromptRows = active[owner.request].sendableCount(owner.choice)
        choices.load.firstPromptDepth = active[owner.request].choices[owner.choice].sent
        choices.load.mayDefer = mayDefer(owner)
        choices.load.hasDeferred = !active[owner.request].choices[owner.choice].deferred.isEmpty
    }

    /// The policy's quota, held within the row limit; with an empty pipe at least one lane goes.
    private func quota(for load: BatchLoad) -> BatchQuota {
        var quota = settings.policy.quota(for: load)
        quota.decodeLanes = min(max(0, quota.decodeLanes), load.readyDecodes, load.rowLimit)
        quota.prefillLanes = min(max(0, quota.prefillLanes), load.readyPrefills)
        quota.prefillRows = min(max(0, quota.prefillRows), load.rowLimit - quota.decodeLanes)
        if settings.runsWholePrompts {
            return BatchQuota(decodeLanes: 0, prefillLanes: load.readyPrefills, prefillRows: load.rowLimit)
        }
        // Rows that are deferred, or are going to be, do not go with others.
        let isDeferred = load.isDeferring ? !load.overtakes : deferredRows(for: load) > 0
        if isDeferred { quota.prefillRows = 0 }
        let isEmpty = quota.decodeLanes == 0 && min(quota.prefillLanes, quota.prefillRows) == 0
        if isEmpty, load.inFlight == 0 {
            if load.readyDecodes > 0 {
                quota.decodeLanes = 1
            } else if !isDeferred {
                (quota.prefillLanes, quota.prefillRows) = (1, 1)
            }
        }
        return quota
    }

    private mutating func fill(_ quota: BatchQuota, _ choices: Choices) -> Load {
        let load = choices.load
        var chosen = choices.decodes
        if quota.decodeLanes < chosen.count {
            chosen.sort { ($0.lastStep, $0.lane) < ($1.lastStep, $1.lane) }
            chosen.removeLast(chosen.count - quota.decodeLanes)
            chosen.sort { ownerIndex($0.lane) < ownerIndex($1.lane) }
        }
        var result: [Boarding] = []
        result.reserveCapacity(chosen.count + quota.prefillLanes)
        var planned = Array(repeating: 0, count: active.count)
        for candidate in chosen where assureCells(candidate.lane, rows: 1, planned: &planned) {
            result.append(Boarding(lane: candidate.lane, rows: 1))
        }
        let decodeCount = result.count
        var rowsLeft = quota.prefillRows
        var lanesLeft = quota.prefillLanes
        for candidate in choices.prefills where rowsLeft > 0 && lanesLeft > 0 {
            guard let owner = lanes[candidate.lane].owner else { continue }
            let sendable = active[owner.request].sendableCount(owner.choice)
            let count = min(rowsLeft, sendable)
            if settings.runsWholePrompts, count < sendable { continue }
            guard count > 0, assureCells(candidate.lane, rows: count, planned: &planned) else { continue }
            result.append(Boarding(lane: candidate.lane, rows: count))
            rowsLeft -= count
            lanesLeft -= 1
            if !load.isDeferring { hasOvertaken = load.overtakes }
        }
        // Those that go beside prefill are the first of the next round.
        decodedSincePrefill = decodeCount + (result.count > decodeCount ? 0 : decodedSincePrefill)
        addDrafts(to: &result, decodes: decodeCount, load: load, planned: &planned)
        wishGuesses(for: result.prefix(decodeCount))
        let isPlain = load.prefillRowsLeft == 0 && result.allSatisfy { $0.drafts.isEmpty && !hasWaited($0.lane) }
        return Load(boardings: result, grouping: isPlain ? quota.grouping : nil)
    }

    // MARK: Deferred rows

    /// Rows are on their way that others overtake.
    private var isDeferring: Bool { deferredInFlight > 0 }

    /// Deferred microbatches in flight at most: one for each stage, and one that waits for a stage to be done.
    var deferredLimit: Int { settings.stageCount + 1 }

    /// Whether a lane has rows on their way that others overtake.
    private func isDeferred(_ lane: Lane) -> Bool {
        guard let owner = lanes[lane].owner else { return false }
        return !active[owner.request].choices[owner.choice].deferred.isEmpty
    }

    /// Rows of the prompt whose turn it is for stage 0 to compute when nothing else is to be done, their cells assured.
    private mutating func chooseDeferred() -> DeferredLoad? {
        guard settings.pausableLayers > 0, stageZeroDeferred == nil, !archive.awaitsRestore,
            deferredInFlight < deferredLimit, active.contains(where: \.hasPrompt)
        else { return nil }
        var choices = choices
        var overtakes = letShorterOvertake(&choices.prefills)
        while let lane = choices.prefills.first?.lane {
            describeFirst(&choices)
            let wanted = deferredRows(for: choices.load)
            if wanted > 0 {
                guard let rows = assureDeferred(lane, rows: wanted) else { return nil }
                return DeferredLoad(
                    lane: lane, rows: rows, slice: settings.policy.slice(for: choices.load), overtakes: overtakes)
            }
            // Behind those that overtake, or have to wait for their own rows, the next one's turn has come.
            guard isDeferring, isDeferred(lane) || mayOvertakeDeferred(lane) else { return nil }
            choices.prefills.removeFirst()
            overtakes = false
        }
        return nil
    }

    /// Operations go before a deferred microbatch with another one, because all stages have to be told of them at once:
    /// while there are some it waits.
    private mutating func send(_ load: DeferredLoad, now: Instant) {
        guard operations.isEmpty, let owner = lanes[load.lane].owner else { return }
        // Some may have gone with the other microbatch, before what somebody else has deferred.
        let count = min(load.rows, active[owner.request].sendableCount(owner.choice))
        let choice = active[owner.request].choices[owner.choice]
        let cells = count + max(0, count - choice.deferred.spareCells)
        guard count > 0, cells <= ownCells(of: owner.request) else { return }
        let id = StepID(stepCount + 1)
        stepCount += 1
        stageZeroDeferred = id
        hasOvertaken = load.overtakes
        var rows: [StageRow] = []
        var passengers: [StepInFlight.Passenger] = []
        active[owner.request].choices[owner.choice].deferred.send(count)
        board(owner, Boarding(lane: load.lane, rows: count), step: id, rows: &rows, passengers: &passengers)
        steps.append(
            StepInFlight(
                id: id, passengers: passengers, isDeferred: true, isBesideDeferred: true, rowCount: count,
                startedAt: now, wasAlone: false,
                makesGuesses: false, grouping: nil))
        effects.list.append(
            .run(Microbatch(id: id, operations: [], rows: rows, slice: load.slice, isDeferred: true)))
    }

    /// What the policy would have deferred of the prompt whose turn it is.
    private func deferredRows(for load: BatchLoad) -> Int {
        guard load.mayDefer, load.firstPromptRows > 0 else { return 0 }
        return min(settings.policy.deferredRows(for: load), load.firstPromptRows, load.rowLimit)
    }

    /// As many of the rows as there are cells for without anybody giving way, and spare ones for the time they are on
    /// their way; nil when there are none. Kept sequences give way for a tile of them, not for more.
    private mutating func assureDeferred(_ lane: Lane, rows wanted: Int) -> Int? {
        guard let owner = lanes[lane].owner else { return nil }
        // Chunks before have spare cells that these use behind them.
        let spare = active[owner.request].choices[owner.choice].deferred.spareCells
        let common = cellLimit - promisedCells - cells.idleCount
        let unused = max(
            ownCells(of: owner.request) + (common < Limits.cellGrant ? 0 : common),
            2 * Limits.attentionTile - min(spare, Limits.attentionTile))
        let room = min(freeCells(for: owner.request), unused)
        let rows = min(wanted, room <= spare ? room : (room + spare) / 2)
        guard rows > 0 else { return nil }
        let needed = rows + max(0, rows - spare)
        // What makes room goes with another microbatch, and before.
        let growth = promise(to: owner.request, for: needed) - active[owner.request].promisedCells
        guard mayCompose || promisedCells + growth + cells.idleCount <= cellLimit else { return nil }
        var planned = Array(repeating: 0, count: active.count)
        return assureCells(lane, rows: needed, planned: &planned) ? rows : nil
    }

    /// Puts the prompt with the fewest rows left in front when it is its turn before a longer one: when it has no more
    /// than half of that one's, and every other time, so that a row of short ones holds none up for ever.
    private func letShorterOvertake(_ prefills: inout [Candidate]) -> Bool {
        guard !hasOvertaken, let longer = prefills.first.map({ rowsLeft($0.lane) }), longer >= Limits.deepPrompt else {
            return false
        }
        return letOvertake(longer, those: Array(prefills.indices), of: &prefills)
    }

    /// ... before deferred rows, when it would not be deferred itself.
    private func letShortOvertake(_ prefills: inout [Candidate]) -> Bool {
        let longer = active.flatMap(\.choices).filter { !$0.deferred.isEmpty }.compactMap(\.lane).map { rowsLeft($0) }
            .max()
        let those = prefills.indices.filter { mayOvertakeDeferred(prefills[$0].lane) }
        return letOvertake(longer ?? 0, those: those, of: &prefills)
    }

    private func letOvertake(_ longer: Int, those: [Int], of prefills: inout [Candidate]) -> Bool {
        let rows = prefills.map { rowsLeft($0.lane) }
        guard let shortest = those.min(by: { rows[$0] < rows[$1] }), rows[shortest] <= longer / 2 else { return false }
        prefills.insert(prefills.remove(at: shortest), at: 0)
        return true
    }

    /// Rows of a lane that were not sent, or are deferred.
    private func rowsLeft(_ lane: Lane) -> Int {
        guard let owner = lanes[lane].owner else { return .max }
        return active[owner.request].unsentCount(owner.choice)
            + active[owner.request].choices[owner.choice].deferred.rowCount
    }

    /// Whether a lane's prompt would not be deferred itself, or these are its last few rows.
    private func mayOvertakeDeferred(_ lane: Lane) -> Bool {
        guard let owner = lanes[lane].owner, !isDeferred(lane) else { return false }
        let (state, left) = (active[owner.request], active[owner.request].unsentCount(owner.choice))
        return left < Limits.attentionTile || state.choices[owner.choice].sent + left < Limits.deepPrompt
    }

    /// Whether a lane's rows may be left between layers: rows that sample nothing but a token of a text.
    private func mayDefer(_ owner: LaneTable.Owner) -> Bool {
        let state = active[owner.request]
        let rows = min(settings.rowLimit, state.sendableCount(owner.choice), Limits.attentionTile)
        let spare = state.choices[owner.choice].deferred.spareCells
        return settings.pausableLayers > 0 && state.images.isEmpty && state.pooling == nil
            && freeCells(for: owner.request) >= rows + max(0, rows - spare)
    }

    /// Operations that do not wait for rows. A trim does: nobody has a use for it before its lane goes again, except
    /// that nothing else would send it.
    private var hasUrgentOperations: Bool {
        guard !operations.isEmpty, !steps.isEmpty else { return !operations.isEmpty }
        return operations.contains { if case .trim = $0 { false } else { true } }
    }

    /// Whether the model's own heads guess what follows in a lane, which takes the last stage time of its own.
    private func makesGuesses(_ lane: Lane) -> Bool {
        guard settings.usesHeads, let owner = lanes[lane].owner else { return false }
        return active[owner.request].choices[owner.choice].makesGuesses
    }

    /// Whether a lane has waited for guesses, though none came of it.
    private func hasWaited(_ lane: Lane) -> Bool {
        guard let owner = lanes[lane].owner else { return false }
        return active[owner.request].choices[owner.choice].draftTime > 0
    }

    private func ownerIndex(_ lane: Lane) -> Int { lanes[lane].owner?.request ?? Int.max }

    private mutating func board(
        _ owner: LaneTable.Owner, _ boarding: Boarding, step: StepID, rows: inout [StageRow],
        passengers: inout [StepInFlight.Passenger]
    ) {
        let (request, choice) = (owner.request, owner.choice)
        let lane = boarding.lane
        let first = active[request].choices[choice].sent
        let samples = boarding.rows == active[request].unsentCount(choice)
        let newest = first + boarding.rows - 1
        active[request].choices[choice].drafts = boarding.drafts
        let count = boarding.rows + boarding.drafts.count
        for position in first..<first + count {
            rows.append(
                StageRow(
                    lane: lane, position: Int32(position), token: active[request].token(choice, at: position),
                    samples: samples && position >= newest))
        }
        active[request].choices[choice].sent += count
        active[request].choices[choice].lastStep = step.value
        lanes.board(lane)
        cells.extend(lane, by: count)
        passengers.append(
            StepInFlight.Passenger(
                lane: lane,
                answers: Int32(samples ? newest + 1 : first + count)..<Int32(first + count + (samples ? 1 : 0)),
                end: first + count))
    }

    /// An operation for all stages, which the draft model's lanes follow.
    mutating func change(_ operation: SequenceOperation) {
        operations.append(operation)
        guard settings.usesModel else { return }
        var sampling: LaneSampling?
        if case .copy(_, let lane, _) = operation, let owner = lanes[lane].owner, active[owner.request].asksModel {
            sampling = draftSampling(owner.request, owner.choice)
        }
        mirror.follow(operation, sampling: sampling)
    }

    // MARK: Cells

    /// Cells a request may fill beyond those it has without another one giving way.
    private func freeCells(for request: Int) -> Int {
        ownCells(of: request) + max(0, cellLimit - promisedCells)
    }

    /// ... those of its promise.
    private func ownCells(of request: Int) -> Int { active[request].promisedCells - active[request].heldCells }

    /// What a request has to be promised to fill so many cells more.
    private func promise(to request: Int, for rows: Int) -> Int {
        let (needed, promised) = (active[request].heldCells + rows, active[request].promisedCells)
        guard needed > promised else { return promised }
        return min(max(needed, promised + Limits.cellGrant), promised + cellLimit - promisedCells)
    }

    /// Makes sure the lane's request may fill `rows` more cells beside those planned for this microbatch, preempting
    /// the youngest requests when there are too few. False when the lane's own request had to give way.
    mutating func assureCells(_ lane: Lane, rows: Int, planned: inout [Int]) -> Bool {
        while let owner = lanes[lane].owner {
            if planned[owner.request] + rows <= freeCells(for: owner.request) {
                let promise = promise(to: owner.request, for: planned[owner.request] + rows)
                if promise > active[owner.request].promisedCells {
                    active[owner.request].promisedCells = promise
                    makeRoom()
                }
                planned[owner.request] += rows
                return true
            }
            guard let youngest = active.lastIndex(where: \.isSeated) else { return false }
            preempt(youngest)
        }
        return false
    }

    /// Takes a request's lanes and cells away; it is computed again from its journal when there is room.
    ///
    /// Answers of its microbatches in flight find lanes without an owner and are dropped: the same tokens are
    /// sampled again, because a token's randomness depends on seed and position only.
    mutating func preempt(_ index: Int) {
        releaseLanes(index)
        active[index].isSeated = false
        active[index].promisedCells = 0
    }

    /// Frees all lanes of a request.
    mutating func releaseLanes(_ index: Int) {
        for choice in active[index].choices.indices { releaseLane(index, choice: choice) }
    }

    /// Frees a choice's lane. The operation goes with the next microbatch: the chain keeps the order, so every stage
    /// has run what is in flight by then.
    mutating func releaseLane(_ index: Int, choice: Int) {
        guard let lane = active[index].choices[choice].lane else { return }
        change(.free(lane: lane))
        cells.clear(lane)
        leaveLane(lane, index, choice: choice)
    }

    /// Ends a choice's hold on a lane; what becomes of the sequence there is the caller's.
    mutating func leaveLane(_ lane: Lane, _ index: Int, choice: Int) {
        lanes.release(lane)
        active[index].choices[choice].lane = nil
        active[index].choices[choice].deferred = DeferredRows()
        active[index].choices[choice].drafts = []
        active[index].choices[choice].awaitedDraft = nil
        active[index].choices[choice].guesses = Guesses()
        active[index].choices[choice].headWish = nil
        active[index].choices[choice].draftTime = 0
        active[index].choices[choice].draftedFor = 0
        active[index].choices[choice].sent = 0
        active[index].choices[choice].landed = 0
        active[index].choices[choice].awaitsCopy = false
    }
}
