import Vocabulary

extension EngineCore {
    /// The first broken invariant in words, or nil. O(lanes + waiting line); called after every input in debug builds.
    package var brokenInvariant: String? {
        brokenBound ?? brokenLane ?? brokenStep ?? brokenCells ?? stall
    }

    private var brokenBound: String? {
        let waiting = queue.count { !$0.isResumed }
        if waiting > settings.queueLimit { return "\(waiting) requests wait, limit \(settings.queueLimit)" }
        if active.count > settings.laneCount { return "\(active.count) requests run on \(settings.laneCount) lanes" }
        let depth = max(1, settings.policy.depth(stageCount: settings.stageCount))
        let (ordinary, deferred) = (stepsInFlight - deferredInFlight, deferredInFlight)
        if ordinary > depth { return "\(ordinary) microbatches in flight, limit \(depth)" }
        if deferred > deferredLimit { return "\(deferred) deferred microbatches in flight, limit \(deferredLimit)" }
        if archive.entries.count > Limits.archivedSequences { return "\(archive.entries.count) sequences are on disk" }
        for own in Dictionary(grouping: (active + queue).filter { !$0.isResumed }, by: \.caller).values {
            let arrivals = own.map(\.arrival)
            if zip(arrivals, arrivals.dropFirst()).contains(where: { $0 >= $1 }) { return "arrivals are out of order" }
        }
        return nil
    }

    private var brokenLane: String? {
        var owned = 0
        for (request, state) in active.enumerated() {
            if state.unfinishedCount == 0 { return "request \(state.id) is complete and still active" }
            for choice in state.choices {
                let shouldHold = state.isSeated && choice.finish == nil
                guard let lane = choice.lane else {
                    if shouldHold { return "choice \(choice.index) of \(state.id) has no lane" }
                    continue
                }
                if !shouldHold { return "choice \(choice.index) of \(state.id) keeps lane \(lane.index)" }
                if lanes[lane].owner != LaneTable.Owner(request: request, choice: choice.index) {
                    return "lane \(lane.index) does not know its owner \(state.id)"
                }
                if choice.sent > state.prompt.count + choice.answer.count + choice.drafts.count {
                    return "choice \(choice.index) of \(state.id) sent more than it has"
                }
                owned += 1
            }
        }
        for (index, slot) in lanes.slots.enumerated() where slot.owner != nil || slot.inFlight > 0 {
            if shelf.residents[index] != nil { return "lane \(index) keeps a sequence and is in use" }
        }
        return owned == ownedLaneCount ? nil : "\(ownedLaneCount) lanes are owned, \(owned) are known"
    }

    private var brokenStep: String? {
        var aboard = Array(repeating: 0, count: lanes.slots.count)
        for step in steps {
            if Set(step.passengers.map(\.lane)).count != step.passengers.count {
                return "a lane is twice in step \(step.id)"
            }
            for passenger in step.passengers { aboard[Int(passenger.lane.index)] += 1 }
        }
        for (index, slot) in lanes.slots.enumerated() where slot.inFlight != aboard[index] {
            return "lane \(index) thinks it is in \(slot.inFlight) microbatches, it is in \(aboard[index])"
        }
        for step in [stageZeroStep, stageZeroDeferred].compactMap({ $0 })
        where !steps.contains(where: { $0.id == step }) {
            return "stage 0 computes step \(step), which is not in flight"
        }
        for choice in active.flatMap(\.choices) {
            let own = steps.filter { $0.isDeferred && $0.passengers.first?.lane == choice.lane }
            if choice.lane != nil, choice.deferred.chunks != own.map(\.rowCount) {
                return "choice \(choice.index) has deferred \(choice.deferred.chunks), in flight \(own.map(\.rowCount))"
            }
        }
        return nil
    }

    private var brokenCells: String? {
        for state in active {
            for choice in state.choices {
                guard let lane = choice.lane, cells.length(of: lane) != choice.sent else { continue }
                return "lane \(lane.index) fills \(cells.length(of: lane)) cells, it sent \(choice.sent)"
            }
            if state.heldCells > state.promisedCells {
                return "request \(state.id) holds \(state.heldCells) cells, promised \(state.promisedCells)"
            }
            if !state.isSeated, state.promisedCells != 0 { return "request \(state.id) keeps a promise without lanes" }
        }
        // After an engine ran out early the limit may lie below what was promised before.
        guard cellLimit == settings.cellCount else { return nil }
        if promisedCells > cellLimit { return "\(promisedCells) cells are promised of \(cellLimit)" }
        guard promisedCells + cells.idleCount > cellLimit else { return nil }
        return "\(cells.idleCount) cells of kept sequences stand in the way of \(promisedCells) promised ones"
    }

    /// Work exists, nothing is in flight and nothing was sent: nobody would ever call again.
    private var stall: String? {
        guard loss == nil, steps.isEmpty, mirror.inFlight == nil else { return nil }
        if !operations.isEmpty { return "\(operations.count) operations were not sent" }
        if active.isEmpty, queue.isEmpty { return nil }
        // The next one waits for its sequence to be read; reports or the timer come.
        if active.isEmpty, let fetch = archive.fetch, fetch.request == queue.first?.id, wake != nil { return nil }
        return "\(active.count) running and \(queue.count) waiting requests stall"
    }
}
