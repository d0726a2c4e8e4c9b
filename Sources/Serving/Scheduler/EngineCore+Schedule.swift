import Vocabulary

extension EngineCore {
    /// Lanes that may go, and what the policy is told of them.
    struct Choices {
        var load: BatchLoad
        var decodes: [Candidate] = []
        var prefills: [Candidate] = []
    }

    /// What goes into the next microbatch.
    private struct Load {
        var boardings: [Boarding] = []
        /// How the decoding lanes are grouped, when nothing but their newest tokens goes.
        var grouping: Grouping?
        /// For how long stages may go on with deferred rows at a time, while there are some.
        var slice: Duration?
    }

    /// A lane that may go into the next microbatch.
    struct Candidate {
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
    var mayCompose: Bool {
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
                usedCells: usedCells, startedAt: now, wasAlone: steps.isEmpty, makesGuesses: isGuessing,
                grouping: isGuessing ? nil : load.grouping))
        effects.list.append(.run(Microbatch(id: id, operations: operations, rows: rows, slice: load.slice)))
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
    var choices: Choices {
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
    func describeFirst(_ choices: inout Choices) {
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
        return Load(
            boardings: result, grouping: isPlain ? quota.grouping : nil,
            slice: load.isDeferring ? settings.policy.slice(for: load) : nil)
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

    mutating func board(
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
}
