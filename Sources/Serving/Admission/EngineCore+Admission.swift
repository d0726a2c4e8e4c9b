import Vocabulary

extension EngineCore {
    mutating func submit(_ request: GenerationRequest, _ prepared: PreparedPrompt, now: Instant) {
        precondition(
            !queue.contains { $0.id == request.id } && !active.contains { $0.id == request.id },
            "request \(request.id) was submitted twice")
        guard request.maxOutputTokens != 0 else { return count(request, prepared) }
        let check = RequestCheck(
            window: settings.window, cellCount: settings.cellCount, laneCount: settings.laneCount,
            vocabularySize: tokenizer.vocabularySize)
        if let refusal = check.refusal(of: request, prepared) {
            effects.emit(request.id, .failed(refusal))
            return
        }
        let state = makeState(request, prepared, check: check, now: now)
        if !canSeatNewcomer(state), let refusal = overload(for: state, now: now) {
            effects.emit(request.id, .failed(refusal))
            return
        }
        guard state.unfinishedCount > 0 else {
            // It had ended when it was lost; only its end was not told.
            effects.emit(
                request.id, .started(promptTokens: prepared.tokens.count, cachedTokens: prepared.tokens.count))
            active.append(state)
            complete(active.count - 1)
            return
        }
        queue.append(state)
        queueChanged = true
    }

    /// Ends a request that generates nothing: it needs no lane, and its prompt may be longer than the window.
    private mutating func count(_ request: GenerationRequest, _ prepared: PreparedPrompt) {
        effects.emit(request.id, .started(promptTokens: prepared.tokens.count, cachedTokens: 0))
        let completion = Completion(
            finishReasons: Array(repeating: .length, count: request.choiceCount),
            stopTexts: Array(repeating: nil, count: request.choiceCount),
            usage: Usage(promptTokens: prepared.tokens.count, outputTokens: 0),
            timings: Timings(queueSeconds: 0, prefillSeconds: 0, decodeSeconds: 0))
        effects.emit(request.id, .finished(completion))
    }

    private mutating func makeState(
        _ request: GenerationRequest, _ prepared: PreparedPrompt, check: RequestCheck, now: Instant
    ) -> RequestState {
        let seed = request.sampling.seed ?? random.next()
        let room = check.outputRoom(promptCount: prepared.tokens.count, choiceCount: request.choiceCount)
        let isGenerated = prepared.pooling == nil
        let limit = isGenerated ? min(request.maxOutputTokens ?? room, room) : 1
        let stops = StopMatcher(request.stop + prepared.stop)
        let choices = (0..<request.choiceCount).map { index in
            var choice = Choice(
                index: index,
                assembler: OutputAssembler(
                    request: request.id, choice: index, tokenLimit: limit,
                    ignoresEndOfGeneration: request.sampling.ignoreEndOfGeneration, stops: stops,
                    stopTokens: Set(request.stopTokens ?? []), format: prepared.format, thinking: prepared.thinking,
                    marks: prepared.marks, keepsJournal: request.keepsJournal))
            if !request.answered.isEmpty { resume(&choice, behind: request.answered[index]) }
            return choice
        }
        arrivalCount += 1
        let isGuessed = isGenerated && settings.speculation.covers(seeded: request.sampling.seed != nil)
        let asksModel = isGuessed && prepared.images.isEmpty && settings.asksModel && guessTrial.admits()
        return RequestState(
            id: request.id, arrival: arrivalCount, model: request.model, prompt: prepared.tokens,
            images: prepared.images,
            sampling: request.sampling.allowing(request.stopTokens ?? [], tokenizer: tokenizer), seed: seed,
            reusesPrefix: isGenerated && request.reusesPrefix ?? (request.sampling.seed == nil),
            isGuessed: isGuessed, asksModel: asksModel, pooling: prepared.pooling, grammar: prepared.grammar,
            topLogprobs: request.topLogprobs,
            thinking: check.laneThinking(of: prepared),
            outputLimit: limit, reservesOutput: request.maxOutputTokens != nil,
            echo: request.echo && request.answered.isEmpty ? echoText(of: request.prompt, prepared.tokens) : "",
            caller: request.caller,
            deadline: request.timeoutSeconds.map { seconds in
                (now.advanced(by: .seconds(max(0, seconds - max(0, request.elapsedSeconds ?? 0)))), seconds)
            },
            isResumed: !request.answered.isEmpty, submittedAt: now, startedAt: now, choices: choices)
    }

    /// Puts a choice where it was elsewhere: its tokens are replayed, and what they told is not told again.
    private func resume(_ choice: inout Choice, behind tokens: [Token]) {
        let replayed = choice.assembler.replay(tokens, tokenizer: tokenizer, renderer: renderer)
        choice.answer += tokens.prefix(replayed.count)
        choice.finish = replayed.finish
    }

    private func echoText(of prompt: GenerationRequest.Prompt, _ tokens: [Token]) -> String {
        if case .text(let text) = prompt { return text }
        return String(decoding: tokens.flatMap { tokenizer.bytes(of: $0) }, as: UTF8.self)
    }

    /// Why the request may not even wait; nil when it may.
    private func overload(for state: RequestState, now: Instant) -> GenerationError? {
        // Its client was told the beginning, and sees a pause.
        guard !state.isResumed else { return nil }
        let own = queue.count { $0.caller == state.caller }
        let places = FairOrder.places(of: state.caller, taken: queue.count, limit: settings.queueLimit)
        if queue.count >= settings.queueLimit || own >= places {
            let isFull = queue.count >= settings.queueLimit
            let wait = predictedWait(behind: queue.prefix(1), now: now) ?? oldestAge(now: now)
            return .overloaded(
                queued: isFull ? queue.count : own, limit: isFull ? settings.queueLimit : own,
                retryAfterSeconds: Self.wholeSeconds(wait))
        }
        var line = queue + [state]
        FairOrder.sort(&line, held: heldLanes)
        guard loss == nil, let wait = predictedWait(behind: line.prefix { $0.id != state.id }, now: now) else {
            return nil
        }
        let limit = settings.waitLimit.inSeconds
        return wait > limit ? overloaded(after: wait - limit) : nil
    }

    private func overloaded(after seconds: Double) -> GenerationError {
        .overloaded(queued: queue.count, limit: settings.queueLimit, retryAfterSeconds: Self.wholeSeconds(seconds))
    }

    /// Lanes by whose requests have them, or have a claim on them.
    private var heldLanes: [String?: Int] {
        active.reduce(into: [:]) { $0[$1.caller, default: 0] += $1.unfinishedCount }
    }

    /// Puts the waiting request whose turn it is in front.
    private mutating func orderQueue() {
        // Nobody's turn comes while no lane is free, but places are told.
        guard queue.count > 1, queueChanged || lanes.availableCount > 0 else { return }
        let before = queue.first?.id
        FairOrder.sort(&queue, held: heldLanes)
        // Places behind the first one move with it.
        if queue.first?.id != before { queueChanged = true }
    }

    /// Whole seconds for a `Retry-After`, at least 1, at most an hour.
    static func wholeSeconds(_ seconds: Double) -> Int {
        guard seconds < 3600 else { return 3600 }
        let whole = Int(max(seconds, 0))
        return max(1, Double(whole) < seconds ? whole + 1 : whole)
    }

    /// Age of the oldest running request: without a finished one to learn from, a place takes at least that long.
    private func oldestAge(now: Instant) -> Double {
        active.first.map { now.since($0.startedAt).inSeconds } ?? 0
    }

    /// Expected seconds until everything running and the `waiting` requests have left; nil before the first request has
    /// ended.
    private func predictedWait(behind waiting: ArraySlice<RequestState>, now: Instant) -> Double? {
        var work = 0.0
        for state in active {
            guard let total = expectedSeconds(state) else { return nil }
            let age = now.since(state.startedAt).inSeconds
            // What lasts longer than expected is expected to last as long again, if it may have so many tokens.
            let left = total > age ? total - age : min(age, longestLeft(state))
            work += left * Double(max(1, state.unfinishedCount))
        }
        for state in waiting {
            guard let total = expectedSeconds(state) else { return nil }
            work += total * Double(state.choices.count)
        }
        return work / Double(settings.laneCount)
    }

    /// Seconds each lane of a request is held.
    private func expectedSeconds(_ state: RequestState) -> Double? {
        let computed = state.prompt.count - state.cachedTokens
        if state.pooling != nil { return estimator.seconds(promptTokens: computed) }
        return estimator.seconds(promptTokens: computed, outputLimit: state.outputLimit)
    }

    /// Seconds until a running request has all the tokens it may have.
    private func longestLeft(_ state: RequestState) -> Double {
        let told = state.choices.map(\.answer.count).min() ?? 0
        return (estimator.decodeSecondsPerToken ?? 0) * Double(max(0, state.outputLimit - told))
    }

    // MARK: Waiting

    /// Ends requests whose time is up, wherever they are.
    mutating func expireDeadlines(now: Instant) {
        for state in queue {
            guard let deadline = state.deadline, now >= deadline.at else { continue }
            queue.removeAll { $0.id == state.id }
            queueChanged = true
            effects.emit(state.id, .failed(.deadlineExceeded(seconds: deadline.seconds)))
        }
        for index in active.indices.reversed() {
            guard let deadline = active[index].deadline, now >= deadline.at else { continue }
            fail(index, .deadlineExceeded(seconds: deadline.seconds))
        }
    }

    /// Ends the wait of requests that waited too long.
    mutating func expireWaiting(now: Instant) {
        func isDue(_ state: RequestState) -> Bool {
            !state.isResumed && now >= state.submittedAt.advanced(by: settings.waitLimit)
        }
        while let index = queue.firstIndex(where: isDue) {
            let head = queue.remove(at: index)
            queueChanged = true
            if let loss {
                let reason = "stage \(loss.stage) was lost (\(loss.reason)) and is not back yet"
                let retry = Self.wholeSeconds(settings.waitLimit.inSeconds)
                effects.emit(
                    head.id, .failed(.modelNotReady(name: head.model, reason: reason, retryAfterSeconds: retry)))
            } else {
                let wait = predictedWait(behind: queue.prefix(1), now: now) ?? oldestAge(now: now)
                effects.emit(head.id, .failed(overloaded(after: wait)))
            }
        }
    }

    /// Tells waiting requests their place when it changed.
    mutating func announcePositions(now: Instant) {
        guard queueChanged else { return }
        queueChanged = false
        for index in queue.indices where queue[index].announcedPosition != index + 1 {
            queue[index].announcedPosition = index + 1
            let wait = loss == nil ? predictedWait(behind: queue.prefix(index), now: now) : nil
            effects.emit(queue[index].id, .queued(position: index + 1, predictedWaitSeconds: wait))
        }
    }

    /// Asks to be woken when a request has waited too long, also for the disk, or its time is up, and when there is
    /// time to write to the disk.
    mutating func wakeForWaiting() {
        let waits = queue.lazy.filter { !$0.isResumed }.map(\.submittedAt).min()?.advanced(by: settings.waitLimit)
        let waiting = queue.lazy.compactMap { $0.deadline?.at }.min()
        let running = active.lazy.compactMap { $0.deadline?.at }.min()
        let deadline = [waits, waiting, running, archive.wake].compactMap { $0 }.min()
        if let deadline, deadline != wake { effects.list.append(.wakeAt(deadline)) }
        wake = deadline
    }

    // MARK: Lanes

    /// Gives lanes to preempted requests first, then to waiting ones, in fair order: nobody passes the first one.
    mutating func seat(now: Instant) {
        guard loss == nil else { return }
        while let index = active.firstIndex(where: { !$0.isSeated }) {
            guard canSeat(active[index]) else {
                guard neverFits(active[index]) else { return }
                fail(index, .engineFailed(reason: "the KV cache has room for \(cellLimit) tokens only"))
                continue
            }
            takeLanes(index)
        }
        orderQueue()
        while let head = queue.first {
            guard canSeat(head) else {
                guard neverFits(head) else { return }
                queue.removeFirst()
                queueChanged = true
                effects.emit(
                    head.id, .failed(.engineFailed(reason: "the KV cache has room for \(cellLimit) tokens only")))
                continue
            }
            guard !awaitsArchive(now: now) else { return }
            start(queue.removeFirst(), now: now)
            queueChanged = true
            orderQueue()
        }
    }

    private func canSeat(_ state: RequestState) -> Bool {
        lanes.availableCount >= state.unfinishedCount
            && promisedCells + state.cellsToPromise(settings) <= cellLimit
    }

    private func canSeatNewcomer(_ state: RequestState) -> Bool {
        loss == nil && queue.isEmpty && active.allSatisfy(\.isSeated) && canSeat(state)
    }

    /// Only after an engine ran out of cells below its own shape: even alone the request has too little room.
    private func neverFits(_ state: RequestState) -> Bool {
        promisedCells == 0 && state.cellsToPromise(settings) > cellLimit
    }

    private mutating func start(_ state: RequestState, now: Instant) {
        active.append(state)
        let index = active.count - 1
        active[index].startedAt = now
        takeLanes(index)
        active[index].cachedTokens = active[index].choices[0].sent
        effects.emit(
            state.id, .started(promptTokens: state.prompt.count, cachedTokens: active[index].cachedTokens))
        guard !state.echo.isEmpty else { return }
        for choice in state.choices {
            effects.emit(state.id, .output(OutputDelta(choice: choice.index, text: state.echo)))
        }
    }

    /// Opens a lane for every unfinished choice; the first one prefills what the others then copy.
    private mutating func takeLanes(_ index: Int) {
        let promise = active[index].cellsToPromise(settings)
        let match = longestPrefix(of: active[index])
        var isFirst = true
        for choice in active[index].choices.indices where active[index].choices[choice].finish == nil {
            let owner = LaneTable.Owner(request: index, choice: choice)
            guard let lane = takeLane(for: owner, sparing: match?.lane) else {
                preconditionFailure("request \(active[index].id) was seated with too few lanes")
            }
            active[index].choices[choice].lane = lane
            active[index].choices[choice].sent = 0
            active[index].choices[choice].landed = 0
            active[index].choices[choice].awaitsCopy = !isFirst && active[index].sharedLength > 0
            operations.append(.open(lane: lane, sampling: sampling(active[index], choice: choice)))
            // What matched may have had to make way for this very lane.
            if isFirst, let match, match.lane != lane, cells.length(of: match.lane) >= match.length {
                adopt(match, request: index, choice: choice, lane: lane)
            }
            followWithHeads(index, choice)
            isFirst = false
        }
        active[index].promisedCells = promise
        active[index].isSeated = true
        makeRoom()
    }

    func sampling(_ state: RequestState, choice: Int) -> LaneSampling {
        var parameters = state.sampling
        parameters.seed = state.seed &+ UInt64(choice)
        var sampling = LaneSampling(
            parameters: parameters, grammar: state.grammar, topLogprobs: state.topLogprobs, thinking: state.thinking,
            promptLength: Int32(state.prompt.count))
        sampling.pooling = state.pooling
        sampling.images = state.images
        return sampling
    }
}
