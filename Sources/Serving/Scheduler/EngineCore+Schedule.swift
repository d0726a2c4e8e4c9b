import Vocabulary

extension EngineCore {
    /// What goes into the next microbatch.
    private struct Load {
        var boardings: [Boarding] = []
        var slice: SliceBoarding?
        /// How the decoding lanes are grouped, when nothing but their newest tokens goes.
        var grouping: Grouping?
    }

    /// Rows of a lane that begin their way through the layers, or are on it.
    private struct SliceBoarding {
        let lane: Lane
        /// Rows that begin; 0 for those that are on their way.
        let rows: Int
        let duration: Duration
    }

    /// A lane that may go into the next microbatch.
    private struct Candidate {
        let lane: Lane
        let lastStep: UInt64
    }

    /// Sends the next microbatch when stage 0 is free and the pipe is not full.
    mutating func schedule(now: Instant) {
        guard loss == nil, stageZeroStep == nil else { return }
        guard steps.count < max(1, settings.policy.depth(stageCount: settings.stageCount)) else { return }
        let id = StepID(stepCount + 1)
        var rows: [StageRow] = []
        var passengers: [StepInFlight.Passenger] = []
        // A restore that fails must not take rows along.
        let restores = archive.awaitsRestore
        let load = restores ? Load() : chooseLanes()
        for boarding in load.boardings {
            guard let owner = lanes[boarding.lane].owner else { continue }
            board(owner, boarding, step: id, rows: &rows, passengers: &passengers)
        }
        let slice = load.slice.flatMap { board($0, step: id, passengers: &passengers) }
        guard !rows.isEmpty || slice != nil || hasUrgentOperations else { return }
        stepCount += 1
        stageZeroStep = id
        if restores { archive.fetch?.step = id }
        let isGuessing = passengers.contains { makesGuesses($0.lane) }
        steps.append(
            StepInFlight(
                id: id, passengers: passengers, sliced: slice?.rows.first?.lane,
                rowCount: rows.count + (slice?.rows.count ?? 0), startedAt: now, wasAlone: steps.isEmpty,
                makesGuesses: isGuessing, grouping: isGuessing ? nil : load.grouping))
        effects.list.append(.run(Microbatch(id: id, operations: operations, rows: rows, slice: slice)))
        operations.removeAll(keepingCapacity: true)
    }

    /// The lanes of the next microbatch with the rows each sends, their cells assured.
    ///
    /// Cells are assured from the oldest request to the youngest, but for one that overtakes: room is made by
    /// preempting the youngest, so what was assured before stays, or has no lane any more when it would board.
    private mutating func chooseLanes() -> Load {
        var decodes: [Candidate] = []
        var prefills: [Candidate] = []
        var load = BatchLoad(
            stageCount: settings.stageCount, rowLimit: settings.rowLimit, seatedLanes: 0, decodingLanes: 0,
            readyDecodes: 0, readyPrefills: 0, inFlight: steps.count)
        load.decodedSincePrefill = decodedSincePrefill
        load.hopNanoseconds = hops.nanoseconds
        for request in active.indices {
            for choice in active[request].choices.indices {
                guard let lane = active[request].choices[choice].lane else { continue }
                load.seatedLanes += 1
                let isDecoding = active[request].isDecoding(choice) && !settings.runsWholePrompts
                if isDecoding { load.decodingLanes += 1 }
                let sendable = active[request].sendableCount(choice)
                // Rows on their way cannot be sent, and are prefill all the same.
                let isSliced = active[request].choices[choice].slice != nil
                if !isDecoding { load.prefillRowsLeft += isSliced ? 1 : sendable }
                // A prompt's chunks follow each other down the chain; a decoding lane has nothing to send until its
                // token is back.
                guard sendable > 0, active[request].choices[choice].awaitedDraft == nil else { continue }
                let candidate = Candidate(lane: lane, lastStep: active[request].choices[choice].lastStep)
                guard !isDecoding else {
                    decodes.append(candidate)
                    continue
                }
                prefills.append(candidate)
            }
        }
        load.isSlicing = slicedLane != nil
        load.overtakes = letShorterOvertake(&prefills)
        guard !decodes.isEmpty || !prefills.isEmpty || load.isSlicing else { return Load() }
        load.isTimed = rounds.isWatching && load.prefillRowsLeft == 0
        load.readyDecodes = decodes.count
        load.readyPrefills = prefills.count
        if let owner = prefills.first.flatMap({ lanes[$0.lane].owner }) {
            load.firstPromptRows = active[owner.request].sendableCount(owner.choice)
            load.firstPromptDepth = active[owner.request].choices[owner.choice].sent
            if mayPause(owner) { load.pausableLayers = settings.pausableLayers }
        }
        return fill(quota(for: load), load: load, decodes: decodes, prefills: prefills)
    }

    /// The policy's quota, held within the row limit; with an empty pipe at least one lane goes.
    private func quota(for load: BatchLoad) -> BatchQuota {
        var quota = settings.policy.quota(for: load)
        quota.decodeLanes = min(max(0, quota.decodeLanes), load.readyDecodes, load.rowLimit)
        quota.prefillLanes = min(max(0, quota.prefillLanes), load.readyPrefills)
        // A slice is decoded by itself.
        quota.prefillRows = min(
            max(0, quota.prefillRows), load.rowLimit - (quota.slice == nil ? quota.decodeLanes : 0))
        if settings.runsWholePrompts {
            return BatchQuota(decodeLanes: 0, prefillLanes: load.readyPrefills, prefillRows: load.rowLimit)
        }
        if load.isSlicing {
            if quota.slice != nil { quota.prefillRows = 0 }
        } else if load.pausableLayers == 0 {
            quota.slice = nil
        }
        let isEmpty = quota.decodeLanes == 0 && min(quota.prefillLanes, quota.prefillRows) == 0
        if isEmpty, load.isSlicing {
            quota.slice = quota.slice ?? .zero
        } else if isEmpty, load.inFlight == 0 {
            if load.readyDecodes > 0 { quota.decodeLanes = 1 } else { (quota.prefillLanes, quota.prefillRows) = (1, 1) }
        }
        return quota
    }

    private mutating func fill(
        _ quota: BatchQuota, load: BatchLoad, decodes: [Candidate], prefills: [Candidate]
    ) -> Load {
        var chosen = decodes
        if quota.decodeLanes < decodes.count {
            chosen.sort { ($0.lastStep, $0.lane) < ($1.lastStep, $1.lane) }
            chosen.removeLast(decodes.count - quota.decodeLanes)
            chosen.sort { ownerIndex($0.lane) < ownerIndex($1.lane) }
        }
        var result: [Boarding] = []
        result.reserveCapacity(chosen.count + quota.prefillLanes)
        var planned = Array(repeating: 0, count: active.count)
        for candidate in chosen where assureCells(candidate.lane, rows: 1, planned: &planned) {
            result.append(Boarding(lane: candidate.lane, rows: 1))
        }
        let decodeCount = result.count
        var slice: SliceBoarding?
        if let duration = quota.slice {
            slice = chooseSlice(quota, duration, prefills, overtakes: load.overtakes, planned: &planned)
        }
        var rowsLeft = quota.slice == nil ? quota.prefillRows : 0
        var lanesLeft = quota.prefillLanes
        for candidate in prefills where rowsLeft > 0 && lanesLeft > 0 {
            guard let owner = lanes[candidate.lane].owner else { continue }
            let sendable = active[owner.request].sendableCount(owner.choice)
            let count = min(rowsLeft, sendable)
            if settings.runsWholePrompts, count < sendable { continue }
            guard count > 0, assureCells(candidate.lane, rows: count, planned: &planned) else { continue }
            result.append(Boarding(lane: candidate.lane, rows: count))
            rowsLeft -= count
            lanesLeft -= 1
            if load.isSlicing { hasGivenWay = true } else { hasOvertaken = load.overtakes }
        }
        // Those that go beside prefill are the first of the next round.
        let hasPrefill = slice != nil || result.count > decodeCount
        decodedSincePrefill = decodeCount + (hasPrefill ? 0 : decodedSincePrefill)
        addDrafts(to: &result, decodes: decodeCount, load: load, planned: &planned)
        wishGuesses(for: result.prefix(decodeCount))
        let isPlain = load.prefillRowsLeft == 0 && result.allSatisfy { $0.drafts.isEmpty && !hasWaited($0.lane) }
        return Load(boardings: result, slice: slice, grouping: isPlain ? quota.grouping : nil)
    }

    /// The rows that go on through the layers, or those of the prompt whose turn it is that begin to, when there are
    /// cells for them without anybody giving way. Kept sequences give way for a tile of them, not for more.
    private mutating func chooseSlice(
        _ quota: BatchQuota, _ duration: Duration, _ prefills: [Candidate], overtakes: Bool, planned: inout [Int]
    ) -> SliceBoarding? {
        if let slicedLane {
            guard lanes[slicedLane].inFlight == 0 else { return nil }
            hasGivenWay = false
            return SliceBoarding(lane: slicedLane, rows: 0, duration: duration)
        }
        guard let lane = prefills.first?.lane, let owner = lanes[lane].owner, quota.prefillLanes > 0 else { return nil }
        let free = freeCells(for: owner.request) - planned[owner.request]
        let own = ownCells(of: owner.request) - planned[owner.request]
        let common = cellLimit - promisedCells - cells.idleCount
        let unused = max(own + (common < Limits.cellGrant ? 0 : common), 2 * Limits.attentionTile)
        let rows = min(
            quota.prefillRows, active[owner.request].sendableCount(owner.choice), min(free, unused) / 2)
        guard rows > 0, assureCells(lane, rows: 2 * rows, planned: &planned) else { return nil }
        hasOvertaken = overtakes
        return SliceBoarding(lane: lane, rows: rows, duration: duration)
    }

    /// Puts the prompt with the fewest rows left in front when it is its turn before a longer one: when it has no more
    /// than half of that one's, and every other time, so that a row of short ones holds none up for ever. Before rows
    /// that are on their way through the layers only prompts go that would not do so themselves, or a prompt's last few
    /// rows.
    private func letShorterOvertake(_ prefills: inout [Candidate]) -> Bool {
        guard slicedLane == nil ? !hasOvertaken : !hasGivenWay else { return false }
        let rows = prefills.map { lanes[$0.lane].owner.map { active[$0.request].unsentCount($0.choice) } ?? .max }
        var (longer, those) = (rows.first ?? 0, Array(rows.indices))
        if let owner = slicedLane.flatMap({ lanes[$0].owner }) {
            let onTheirWay = active[owner.request].choices[owner.choice].slice?.count ?? 0
            longer = active[owner.request].unsentCount(owner.choice) + onTheirWay
            those.removeAll { rows[$0] >= Limits.attentionTile && !isShort(prefills[$0].lane) }
        } else if longer < Limits.deepPrompt {
            return false
        }
        guard let shortest = those.min(by: { rows[$0] < rows[$1] }), rows[shortest] <= longer / 2 else { return false }
        prefills.insert(prefills.remove(at: shortest), at: 0)
        return true
    }

    /// Whether a lane's prompt would not go through the layers bit by bit.
    private func isShort(_ lane: Lane) -> Bool {
        guard let owner = lanes[lane].owner else { return false }
        let state = active[owner.request]
        return state.choices[owner.choice].sent + state.unsentCount(owner.choice) < Limits.deepPrompt
    }

    /// Whether a lane's rows may be left between layers: rows that sample nothing but a token of a text.
    private func mayPause(_ owner: LaneTable.Owner) -> Bool {
        let state = active[owner.request]
        let rows = min(settings.rowLimit, state.sendableCount(owner.choice), Limits.attentionTile)
        return settings.pausableLayers > 0 && settings.stageCount == 1 && state.images.isEmpty && state.pooling == nil
            && freeCells(for: owner.request) >= 2 * rows
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

    /// Rows that begin to go through the layers bit by bit have been sent, whatever becomes of their parts.
    private mutating func board(
        _ boarding: SliceBoarding, step: StepID, passengers: inout [StepInFlight.Passenger]
    ) -> PrefillSlice? {
        guard let owner = lanes[boarding.lane].owner else { return nil }
        let (request, choice) = (owner.request, owner.choice)
        if boarding.rows > 0 {
            let first = active[request].choices[choice].sent
            active[request].choices[choice].slice = first..<first + boarding.rows
            active[request].choices[choice].sent += boarding.rows
            slicedLane = boarding.lane
            cells.extend(boarding.lane, by: boarding.rows)
        }
        guard let positions = active[request].choices[choice].slice else { return nil }
        let samples = active[request].unsentCount(choice) == 0
        active[request].choices[choice].lastStep = step.value
        lanes.board(boarding.lane)
        let end = positions.upperBound
        passengers.append(
            StepInFlight.Passenger(
                lane: boarding.lane, answers: Int32(end)..<Int32(end + (samples ? 1 : 0)), end: end))
        let rows = positions.map { position in
            StageRow(
                lane: boarding.lane, position: Int32(position), token: active[request].token(choice, at: position),
                samples: samples && position == end - 1)
        }
        return PrefillSlice(rows: rows, duration: boarding.duration)
    }

    // MARK: Cells

    /// Cells a request may fill beyond those it has without another one giving way.
    private func freeCells(for request: Int) -> Int {
        ownCells(of: request) + max(0, cellLimit - promisedCells)
    }

    /// ... those of its promise.
    private func ownCells(of request: Int) -> Int { active[request].promisedCells - active[request].heldCells }

    /// Makes sure the lane's request may fill `rows` more cells beside those planned for this microbatch, preempting
    /// the youngest requests when there are too few. False when the lane's own request had to give way.
    mutating func assureCells(_ lane: Lane, rows: Int, planned: inout [Int]) -> Bool {
        while let owner = lanes[lane].owner {
            if planned[owner.request] + rows <= freeCells(for: owner.request) {
                let needed = active[owner.request].heldCells + planned[owner.request] + rows
                let promised = active[owner.request].promisedCells
                if needed > promised {
                    active[owner.request].promisedCells = min(
                        max(needed, promised + Limits.cellGrant), promised + cellLimit - promisedCells)
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
        if slicedLane == lane { slicedLane = nil }
        active[index].choices[choice].lane = nil
        active[index].choices[choice].slice = nil
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
