import Vocabulary

/// The draft model: one piece of work at a time, for all lanes that wait for guesses, and beside them what it has to
/// take in of prompts. A lane waits for its guesses before it sends its newest token; lanes that do not wait go on.
extension EngineCore {
    /// Decides which lanes ask the draft model and, when it is free, sends it work.
    mutating func orderDrafts(now: Instant) {
        guard settings.usesModel, loss == nil else { return }
        let load = loneDraftLoad
        for request in active.indices where active[request].asksModel {
            for choice in active[request].choices.indices { decideToAsk(request, choice, load, now: now) }
        }
        guard mirror.inFlight == nil else { return }
        var work = DraftWork(id: mirror.workCount + 1, operations: [], rows: [], wishes: [])
        var orders: [DraftMirror.Order] = []
        for request in active.indices where active[request].asksModel {
            for choice in active[request].choices.indices { order(request, choice, &work, &orders) }
        }
        feedPrompts(load, &work, now: now)
        work.operations = mirror.takeOperations()
        // What the mirror counts as told has to be told, also when there is nothing to compute.
        guard !work.rows.isEmpty || !work.operations.isEmpty else { return }
        mirror.workCount += 1
        mirror.inFlight = (work.id, orders)
        effects.list.append(.draft(work))
    }

    /// A lane that could go now waits instead when what the draft model would guess is worth it.
    private mutating func decideToAsk(_ request: Int, _ choice: Int, _ load: DraftLoad, now: Instant) {
        let state = active[request]
        let position = state.prompt.count + state.choices[choice].answer.count
        guard let lane = state.choices[choice].lane, state.choices[choice].draftedFor != position,
            !state.choices[choice].awaitsCopy, state.unsentCount(choice) == 1, position > state.prompt.count
        else { return }
        active[request].choices[choice].draftedFor = position
        makeDrafter(request, choice)
        guard position - 1 - mirror[lane].known <= Limits.draftCatchUp,
            let (width, floor) = worthGuessing(request, choice, load)
        else { return }
        active[request].choices[choice].awaitedDraft = (width, floor, now)
    }

    /// How many tokens are worth being guessed by a model, and the chance of all so far at which to stop; nil when none
    /// are, or the text alone promises as many. `load` tells what a guess takes.
    mutating func worthGuessing(_ request: Int, _ choice: Int, _ load: DraftLoad) -> (width: Int, floor: Double)? {
        let state = active[request]
        guard state.choices[choice].gain.allowsWindows, let drafter = state.choices[choice].drafter else { return nil }
        let output = state.outputLimit - state.choices[choice].answer.count - 1
        var load = load
        load.chances = Array(repeating: drafter.modelChance, count: Limits.draftWidth)
        var width = settings.policy.draftWidth(for: load)
        var floor = settings.policy.draftFloor(for: load, width: width)
        if width > 0 {
            if textPromises(drafter, load, atLeast: load.expectedTokens(width: width)) { return nil }
            active[request].choices[choice].drafter?.modelPays()
            // Confident guesses go on for longer; the floor ends the others.
            width = min(2 * width + 1, Limits.draftWidth)
        } else {
            guard drafter.isTimeToProbe, couldPay(load) else { return nil }
            active[request].choices[choice].drafter?.probe()
            (width, floor) = (Limits.draftProbe, 0)
        }
        width = min(width, output)
        return width > 0 ? (width, floor) : nil
    }

    /// Whether guesses by the text, which cost nothing, promise as many tokens.
    private func textPromises(_ drafter: Drafter, _ load: DraftLoad, atLeast expected: Double) -> Bool {
        let guesses = drafter.guess(tokenizer: tokenizer)
        var load = load
        load.chances = drafter.chances(of: guesses, .ngram)
        load.guessNanoseconds = 0
        return load.expectedTokens(width: settings.policy.draftWidth(for: load)) >= expected
    }

    /// What the policy sees of a lane whose guesses are still to be made: beside as many others as usual.
    var loneDraftLoad: DraftLoad {
        var load = BatchLoad(
            stageCount: settings.stageCount, rowLimit: settings.rowLimit, seatedLanes: 0, decodingLanes: 0,
            readyDecodes: 0, readyPrefills: 0, inFlight: 0)
        load.hopNanoseconds = hops.nanoseconds
        for state in active {
            for choice in state.choices.indices where state.choices[choice].lane != nil {
                load.seatedLanes += 1
                if state.isDecoding(choice) { load.decodingLanes += 1 }
            }
        }
        load.readyDecodes = load.decodingLanes
        let together = max(1, settings.policy.quota(for: load).decodeLanes)
        var draft = DraftLoad(
            stageCount: settings.stageCount, decodingLanes: load.decodingLanes, decodeLanes: together, rows: together,
            tokens: Double(together), chances: [], hopNanoseconds: hops.nanoseconds,
            guessNanoseconds: settings.guessCosts?.nanoseconds(rows: together) ?? 0)
        draft.guessesLast = settings.usesHeads
        return draft
    }

    /// Adds a lane that waits to the work.
    private mutating func order(
        _ request: Int, _ choice: Int, _ work: inout DraftWork, _ orders: inout [DraftMirror.Order]
    ) {
        guard let wish = active[request].choices[choice].awaitedDraft, let lane = active[request].choices[choice].lane
        else { return }
        let end = active[request].prompt.count + active[request].choices[choice].answer.count
        feed(request, choice, lane, to: end, samples: true, into: &work)
        work.wishes.append(DraftWork.Wish(lane: lane, width: wish.width, floor: wish.floor))
        orders.append(
            DraftMirror.Order(
                lane: lane, opening: mirror[lane].opening, request: active[request].id, choice: choice))
    }

    /// Gives the draft model what it has to know of prompts and answers before it can guess: oldest requests first, a
    /// little at a time, because lanes that wait for guesses wait for it, too.
    private mutating func feedPrompts(_ load: DraftLoad, _ work: inout DraftWork, now: Instant) {
        var room = Limits.draftFeed
        for request in active.indices where active[request].asksModel {
            for choice in active[request].choices.indices where room > 0 {
                let state = active[request]
                guard let lane = state.choices[choice].lane, state.choices[choice].awaitedDraft == nil,
                    isWorthFeeding(request, choice, lane, load, now: now)
                else { continue }
                let end = state.prompt.count + max(0, state.choices[choice].answer.count - 1)
                guard end - mirror[lane].known > Limits.draftCatchUp || state.choices[choice].answer.isEmpty,
                    end > mirror[lane].known, sharesPrompt(request, choice, lane, work)
                else { continue }
                let before = work.rows.count
                feed(
                    request, choice, lane, to: min(end, mirror[lane].known + room), samples: false, into: &work)
                let rows = work.rows.count - before
                room -= rows
                let time = feedTime(rows: rows)
                active[request].choices[choice].drafter?.feedTime += time
            }
        }
    }

    /// Whether guesses are believed to pay. Where they are not, to see whether they do is worth a small part of the
    /// answer's time.
    private func isWorthFeeding(
        _ request: Int, _ choice: Int, _ lane: Lane, _ load: DraftLoad, now: Instant
    ) -> Bool {
        let state = active[request]
        let drafter = state.choices[choice].drafter
        let chance = drafter?.modelChance ?? draftPrior.chance(temperature: state.sampling.temperature)
        var load = load
        load.chances = Array(repeating: chance, count: Limits.draftWidth)
        if settings.policy.draftWidth(for: load) > 0 { return true }
        guard let drafter, drafter.isTimeToProbe, couldPay(load) else { return false }
        let missing = state.prompt.count + state.choices[choice].answer.count - 1 - mirror[lane].known
        let answering = state.firstTokenAt.map { now.since($0).inSeconds * 1e9 } ?? 0
        return drafter.feedTime + feedTime(rows: missing) <= Limits.draftProbeShare * answering
    }

    /// What the draft model takes for rows of known tokens; nothing while that is not known. **Units:** nanoseconds.
    private func feedTime(rows: Int) -> Double {
        (settings.draft?.costs?.nanoseconds(rows: Limits.draftFeed) ?? 0) * Double(rows) / Double(Limits.draftFeed)
    }

    /// Whether guesses that are always right would be worth their time.
    func couldPay(_ load: DraftLoad) -> Bool {
        var load = load
        load.chances = Array(repeating: 1, count: Limits.draftWidth)
        return settings.policy.draftWidth(for: load) > 0
    }

    /// Choices share a prompt: the first one's is taken in, the others copy it. False while that has to be waited for.
    private mutating func sharesPrompt(_ request: Int, _ choice: Int, _ lane: Lane, _ work: DraftWork) -> Bool {
        let state = active[request]
        guard mirror[lane].known < state.sharedLength else { return true }
        for other in state.choices.indices where other < choice {
            guard let source = state.choices[other].lane else { continue }
            // Operations come before rows, so what is on its way in this work cannot be copied by it.
            guard mirror[source].settled >= state.sharedLength, !work.rows.contains(where: { $0.lane == source })
            else { return false }
            mirror.copy(
                from: source, to: lane, length: state.sharedLength, sampling: draftSampling(request, choice))
            return true
        }
        return true
    }

    func draftSampling(_ request: Int, _ choice: Int) -> LaneSampling {
        var own = sampling(active[request], choice: choice)
        // A grammar costs more to follow than it gains; the last stage knows it.
        own.grammar = nil
        // The probability of what is drawn.
        own.topLogprobs = 0
        return own
    }

    private mutating func feed(
        _ request: Int, _ choice: Int, _ lane: Lane, to end: Int, samples: Bool, into work: inout DraftWork
    ) {
        let state = active[request]
        let first = mirror.settle(
            lane, limit: samples ? end - 1 : end, sampling: draftSampling(request, choice),
            token: { state.token(choice, at: $0) })
        for position in first..<max(first, end) {
            work.rows.append(
                StageRow(
                    lane: lane, position: Int32(position), token: state.token(choice, at: position),
                    samples: samples && position == end - 1))
        }
        mirror.fed(lane, to: end)
    }

    // MARK: Answers

    /// The draft model did its work: lanes that waited may go, with guesses or without.
    mutating func drafted(_ id: UInt64, _ lanes: [DraftedLane], now: Instant) {
        guard let (work, orders) = mirror.inFlight, work == id else { return }
        mirror.inFlight = nil
        mirror.failures = 0
        for order in orders {
            let answer = lanes.first { $0.lane == order.lane }
            if let answer { mirror.guessed(answer, order) }
            deliver(answer?.guesses ?? Guesses(), order, now: now)
        }
    }

    /// The draft model could not do its work: everything it holds is forgotten, and what waited goes without guesses.
    mutating func draftFailed(_ id: UInt64, _ error: EngineError) {
        guard let (work, orders) = mirror.inFlight, work == id else { return }
        mirror.inFlight = nil
        mirror.clear()
        if case .outOfCells = error {} else { mirror.failures += 1 }
        if mirror.failures > Limits.stepRetries { settings.draft = nil }
        for order in orders { deliver(Guesses(), order, now: nil) }
        for request in active.indices {
            for choice in active[request].choices.indices {
                if !settings.usesModel { active[request].choices[choice].awaitedDraft = nil }
                active[request].choices[choice].drafter?.probe()
            }
        }
    }

    private mutating func deliver(_ guesses: Guesses, _ order: DraftMirror.Order, now: Instant?) {
        guard let request = active.firstIndex(where: { $0.id == order.request }),
            let wish = active[request].choices[order.choice].awaitedDraft,
            active[request].choices[order.choice].lane == order.lane, mirror.isCurrent(order) || now == nil
        else { return }
        active[request].choices[order.choice].awaitedDraft = nil
        active[request].choices[order.choice].guesses = sendable(guesses)
        if let now { active[request].choices[order.choice].draftTime = now.since(wish.since).inSeconds * 1e9 }
    }
}
