import Vocabulary

extension EngineCore {
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
        for boarding in restores ? [] : chooseLanes() {
            guard let owner = lanes[boarding.lane].owner else { continue }
            board(owner, boarding, step: id, rows: &rows, passengers: &passengers)
        }
        guard !rows.isEmpty || hasUrgentOperations else { return }
        stepCount += 1
        stageZeroStep = id
        if restores { archive.fetch?.step = id }
        steps.append(
            StepInFlight(
                id: id, passengers: passengers, rowCount: rows.count, startedAt: now, wasAlone: steps.isEmpty))
        effects.list.append(.run(Microbatch(id: id, operations: operations, rows: rows)))
        operations.removeAll(keepingCapacity: true)
    }

    /// The lanes of the next microbatch with the rows each sends, their cells assured.
    ///
    /// Cells are assured from the oldest request to the youngest: room is made by preempting the youngest, so what was
    /// assured before stays.
    private mutating func chooseLanes() -> [Boarding] {
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
                let isDecoding = active[request].unsentCount(choice) <= 1 && !settings.runsWholePrompts
                if isDecoding { load.decodingLanes += 1 }
                let sendable = active[request].sendableCount(choice)
                if !isDecoding { load.prefillRowsLeft += sendable }
                // A prompt's chunks follow each other down the chain; a decoding lane has nothing to send until its
                // token is back.
                guard sendable > 0, active[request].choices[choice].awaitedDraft == nil else { continue }
                let candidate = Candidate(lane: lane, lastStep: active[request].choices[choice].lastStep)
                if isDecoding { decodes.append(candidate) } else { prefills.append(candidate) }
            }
        }
        guard !decodes.isEmpty || !prefills.isEmpty else { return [] }
        load.readyDecodes = decodes.count
        load.readyPrefills = prefills.count
        if let owner = prefills.first.flatMap({ lanes[$0.lane].owner }) {
            load.firstPromptRows = active[owner.request].sendableCount(owner.choice)
            load.firstPromptDepth = active[owner.request].choices[owner.choice].sent
        }
        return fill(quota(for: load), load: load, decodes: decodes, prefills: prefills)
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
        let isEmpty = quota.decodeLanes == 0 && min(quota.prefillLanes, quota.prefillRows) == 0
        if isEmpty, load.inFlight == 0 {
            if load.readyDecodes > 0 { quota.decodeLanes = 1 } else { (quota.prefillLanes, quota.prefillRows) = (1, 1) }
        }
        return quota
    }

    private mutating func fill(
        _ quota: BatchQuota, load: BatchLoad, decodes: [Candidate], prefills: [Candidate]
    ) -> [Boarding] {
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
        decodedSincePrefill += decodeCount
        var rowsLeft = quota.prefillRows
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
            decodedSincePrefill = 0
        }
        addDrafts(to: &result, decodes: decodeCount, load: load, planned: &planned)
        return result
    }

    /// Operations that do not wait for rows. A trim does: nobody has a use for it before its lane goes again, except
    /// that nothing else would send it.
    private var hasUrgentOperations: Bool {
        guard !operations.isEmpty, !steps.isEmpty else { return !operations.isEmpty }
        return operations.contains { if case .trim = $0 { false } else { true } }
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

    /// Makes sure the lane's request may fill `rows` more cells beside those planned for this microbatch, preempting
    /// the youngest requests when there are too few. False when the lane's own request had to give way.
    mutating func assureCells(_ lane: Lane, rows: Int, planned: inout [Int]) -> Bool {
        while let owner = lanes[lane].owner {
            let needed = active[owner.request].heldCells + planned[owner.request] + rows
            let promised = active[owner.request].promisedCells
            let room = cellLimit - promisedCells
            if needed - promised <= max(0, room) {
                if needed > promised {
                    active[owner.request].promisedCells = min(
                        max(needed, promised + Limits.cellGrant), promised + room)
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
        active[index].choices[choice].drafts = []
        active[index].choices[choice].awaitedDraft = nil
        active[index].choices[choice].guesses = Guesses()
        active[index].choices[choice].draftTime = 0
        active[index].choices[choice].draftedFor = 0
        active[index].choices[choice].sent = 0
        active[index].choices[choice].landed = 0
        active[index].choices[choice].awaitsCopy = false
    }
}
