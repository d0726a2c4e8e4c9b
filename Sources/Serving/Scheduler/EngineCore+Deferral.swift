import Vocabulary

/// Rows of long prompts that stages compute between other steps.
///
/// **Source:** docs/decisions/0025-deferred-microbatches.md, docs/internals/serving.md, Long prompts, layer by layer.
extension EngineCore {
    /// What goes into a deferred microbatch.
    struct DeferredLoad {
        let lane: Lane
        let rows: Int
        let slice: Duration
        let overtakes: Bool
    }

    /// Rows are on their way that others overtake.
    var isDeferring: Bool { deferredInFlight > 0 }

    /// Deferred microbatches in flight at most: one for each stage, and one that waits for a stage to be done.
    var deferredLimit: Int { settings.stageCount + 1 }

    /// Whether a lane has rows on their way that others overtake.
    func isDeferred(_ lane: Lane) -> Bool {
        guard let owner = lanes[lane].owner else { return false }
        return !active[owner.request].choices[owner.choice].deferred.isEmpty
    }

    /// Rows of the prompt whose turn it is for stage 0 to compute when nothing else is to be done, their cells assured.
    mutating func chooseDeferred() -> DeferredLoad? {
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
    mutating func send(_ load: DeferredLoad, now: Instant) {
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
                usedCells: usedCells, startedAt: now, wasAlone: false, makesGuesses: false, grouping: nil))
        effects.list.append(
            .run(Microbatch(id: id, operations: [], rows: rows, slice: load.slice, isDeferred: true)))
    }

    /// What the policy would have deferred of the prompt whose turn it is.
    func deferredRows(for load: BatchLoad) -> Int {
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
    func letShorterOvertake(_ prefills: inout [Candidate]) -> Bool {
        guard !hasOvertaken, let longer = prefills.first.map({ rowsLeft($0.lane) }), longer >= Limits.deepPrompt else {
            return false
        }
        return letOvertake(longer, those: Array(prefills.indices), of: &prefills)
    }

    /// ... before deferred rows, when it would not be deferred itself.
    func letShortOvertake(_ prefills: inout [Candidate]) -> Bool {
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
    func mayDefer(_ owner: LaneTable.Owner) -> Bool {
        let state = active[owner.request]
        let rows = min(settings.rowLimit, state.sendableCount(owner.choice), Limits.attentionTile)
        let spare = state.choices[owner.choice].deferred.spareCells
        return settings.pausableLayers > 0 && state.images.isEmpty && state.pooling == nil
            && freeCells(for: owner.request) >= rows + max(0, rows - spare)
    }
}
