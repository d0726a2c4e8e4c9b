import Vocabulary

extension EngineCore {
    /// A microbatch left the pipe: its lanes may go again, and its tokens join their answers.
    mutating func land(_ id: StepID, _ tokens: [SampledToken], now: Instant) {
        guard let index = steps.firstIndex(where: { $0.id == id }) else { return }
        let step = steps.remove(at: index)
        // The direct return may overtake stage 0's own report.
        leaveStageZero(id)
        if archive.fetch?.step == id { restored() }
        if step.wasAlone, step.rowCount > 0, !step.isDeferred,
            let expected = settings.policy.expectedNanoseconds(rows: step.rowCount)
        {
            let took = now.since(step.startedAt).inSeconds * 1e9
            // What guesses take is no part of the way; as a cost of the rows it is too long to count.
            if !step.makesGuesses { hops.record(took - expected) }
            settings.policy.observe(rows: step.rowCount, nanoseconds: took)
        }
        if step.rowCount > 0,
            let round = rounds.land(step.grouping, tokens: step.passengers.count, now: now),
            let grouping = step.grouping
        {
            settings.policy.observe(grouping, nanoseconds: round, hop: hops.nanoseconds)
        }
        for passenger in step.passengers {
            lanes.land(passenger.lane)
            if step.isDeferred { landDeferred(passenger.lane) }
            if let owner = lanes[passenger.lane].owner {
                active[owner.request].choices[owner.choice].landed = passenger.end
            }
            shareIfPrefilled(passenger.lane)
        }
        let isUndisturbed = step.onlyDecodes && !step.isBesideDeferred && deferredInFlight == 0
        let time = isUndisturbed ? now.since(step.startedAt).inSeconds * 1e9 : nil
        var next = 0
        for passenger in step.passengers where !passenger.answers.isEmpty {
            let first = next
            for position in passenger.answers {
                guard next < tokens.count, tokens[next].lane == passenger.lane, tokens[next].position == position else {
                    break
                }
                next += 1
            }
            guard let owner = lanes[passenger.lane].owner else { continue }
            if first < next {
                accept(tokens[first..<next], for: owner, tookNanoseconds: time, now: now)
            } else {
                let position = passenger.answers.lowerBound
                let reason = "the last stage's answer to step \(id) lacks the token at position \(position)"
                fail(owner.request, .engineFailed(reason: reason))
            }
        }
    }

    /// The oldest of a lane's deferred microbatches came back, whatever became of it.
    mutating func landDeferred(_ lane: Lane) {
        guard let owner = lanes[lane].owner else { return }
        active[owner.request].choices[owner.choice].deferred.land()
    }

    /// Adds the tokens of a window to their choice's answer: as long as the row a token was sampled from holds what the
    /// answer has become, and the answer goes on. `time` is what the step took, when it is one to learn from.
    private mutating func accept(
        _ tokens: ArraySlice<SampledToken>, for owner: LaneTable.Owner, tookNanoseconds time: Double?, now: Instant
    ) {
        let (request, choice) = (owner.request, owner.choice)
        let drafts = active[request].choices[choice].drafts
        let source = active[request].choices[choice].draftSource
        active[request].choices[choice].drafts = []
        let right = zip(drafts, tokens).prefix { $0.0 == $0.1.token }.count
        learn(request, choice, drafts: drafts.count, tokens: min(right + 1, tokens.count), tookNanoseconds: time)
        if right > 0 {
            active[request].choices[choice].assembler.foresee(
                tokens.prefix(right + 1).map(\.token), tokenizer: tokenizer, renderer: renderer)
        }
        let wished = active[request].choices[choice].makesGuesses
        var guesses: [TokenGuess] = []
        for (index, sampled) in tokens.enumerated() {
            let isGuessed = index < drafts.count && drafts[index] == sampled.token
            if isGuessed { speculated[source, default: SpeculationCounts()].accepted += 1 }
            guard accept(sampled, for: owner, now: now) else { return }
            guesses = sampled.guesses
            guard isGuessed else { break }
        }
        if settings.usesHeads { take(guesses, request, choice, wished: wished) }
        cutWindow(request, choice: choice)
    }

    /// What a step with guesses, or without, brought by the clock; the time the draft model took is part of it.
    private mutating func learn(
        _ request: Int, _ choice: Int, drafts: Int, tokens: Int, tookNanoseconds time: Double?
    ) {
        let guessing = active[request].choices[choice].draftTime
        active[request].choices[choice].draftTime = 0
        let source = drafts > 0 ? active[request].choices[choice].draftSource : modelSource
        if drafts > 0 { speculated[source, default: SpeculationCounts()].drafted += drafts }
        guard let time, active[request].isGuessed else { return }
        let isWindow = drafts > 0 || guessing > 0 || active[request].choices[choice].makesGuesses
        if isWindow, let rate = active[request].choices[choice].gain.plainRate {
            speculated[source, default: SpeculationCounts()].windowTokens += Double(tokens)
            let plainTokens = rate * (time + guessing)
            speculated[source, default: SpeculationCounts()].plainTokens += plainTokens
            if source != .ngram { guessTrial.record(tokens: Double(tokens), plainTokens: plainTokens) }
        }
        active[request].choices[choice].gain.record(
            tokens: tokens, nanoseconds: time + guessing, isWindow: isWindow)
    }

    /// When a request's first lane has computed what its choices share, the others copy it and all go on.
    ///
    /// The copy waits until every chunk came back, so a failed chunk is never copied; and it covers all of the first
    /// lane, which recurrent layers need: their state exists for the newest position only.
    private mutating func shareIfPrefilled(_ lane: Lane) {
        guard let owner = lanes[lane].owner else { return }
        let request = owner.request
        let shared = active[request].sharedLength
        guard active[request].choices[owner.choice].sent == shared, lanes[lane].inFlight == 0 else { return }
        for choice in active[request].choices.indices where active[request].choices[choice].awaitsCopy {
            guard let copy = active[request].choices[choice].lane else { continue }
            change(.copy(from: lane, to: copy, length: Int32(shared)))
            cells.share(from: lane, to: copy, length: shared)
            active[request].choices[choice].sent = shared
            active[request].choices[choice].landed = shared
            active[request].choices[choice].awaitsCopy = false
        }
    }

    /// Adds a token to its choice's answer and sends what can be told; false when the choice is over.
    private mutating func accept(_ sampled: SampledToken, for owner: LaneTable.Owner, now: Instant) -> Bool {
        let (request, choice) = (owner.request, owner.choice)
        guard active[request].pooling == nil else {
            answer(sampled.vector, for: owner, now: now)
            return false
        }
        if let failure = LaneFailure(rawValue: sampled.token) {
            fail(request, failure.error)
            return false
        }
        guard (0..<tokenizer.vocabularySize).contains(Int(sampled.token)) else {
            fail(request, .engineFailed(reason: "token \(sampled.token) is not in the vocabulary"))
            return false
        }
        active[request].choices[choice].answer.append(sampled.token)
        active[request].choices[choice].drafter?.push(sampled.token)
        if active[request].firstTokenAt == nil { active[request].firstTokenAt = now }
        active[request].lastTokenAt = now
        let progress = active[request].choices[choice].assembler.push(
            sampled.token, logprob: sampled.logprob, tokenizer: tokenizer, renderer: renderer)
        if !progress.delta.isEmpty { effects.emit(active[request].id, .output(progress.delta)) }
        guard let finish = progress.finish else { return true }
        active[request].choices[choice].finish = finish
        if settings.asksModel, active[request].asksModel {
            // Heads that were left early were not seen to be as bad as they are.
            let state = active[request].choices[choice]
            draftPrior.record(
                state.hasLeftHeads ? 0 : state.drafter?.modelShare, temperature: active[request].sampling.temperature)
        }
        active[request].choices[choice].drafter = nil
        cutWindow(request, choice: choice)
        retireLane(request, choice: choice)
        if active[request].unfinishedCount == 0 { complete(request) }
        return false
    }

    /// Ends a request that wants a vector. Its lane is of use to nobody else: it samples nothing.
    private mutating func answer(_ vector: [Float], for owner: LaneTable.Owner, now: Instant) {
        let (request, choice) = (owner.request, owner.choice)
        guard !vector.isEmpty, vector.allSatisfy(\.isFinite) else {
            let problem = vector.isEmpty ? "no vector" : "a vector that is not all finite numbers"
            return fail(request, .engineFailed(reason: "the last stage answered \(problem)"))
        }
        active[request].firstTokenAt = now
        active[request].lastTokenAt = now
        var delta = OutputDelta(choice: choice)
        delta.vector = vector
        effects.emit(active[request].id, .output(delta))
        active[request].choices[choice].finish = .stop
        releaseLane(request, choice: choice)
        complete(request)
    }

    mutating func complete(_ index: Int) {
        let state = remove(index)
        let firstToken = state.firstTokenAt ?? state.startedAt
        let timings = Timings(
            queueSeconds: state.startedAt.since(state.submittedAt).inSeconds,
            prefillSeconds: firstToken.since(state.startedAt).inSeconds,
            decodeSeconds: (state.lastTokenAt ?? firstToken).since(firstToken).inSeconds)
        let usage = Usage(
            promptTokens: state.prompt.count, cachedTokens: state.cachedTokens,
            outputTokens: state.choices.reduce(0) { $0 + $1.answer.count },
            reasoningTokens: state.choices.reduce(0) { $0 + $1.assembler.reasoningTokens })
        if !state.isResumed {
            let texts = state.pooling == nil ? usage.outputTokens / state.choices.count : nil
            estimator.record(
                computedTokens: state.prompt.count - state.cachedTokens, outputTokens: texts, timings: timings)
        }
        let completion = Completion(
            finishReasons: state.choices.map { $0.finish ?? .stop },
            stopTexts: state.choices.map(\.assembler.metStop), usage: usage, timings: timings)
        effects.emit(state.id, .finished(completion))
    }

    /// Ends a running request with an error and frees its lanes.
    mutating func fail(_ index: Int, _ error: GenerationError) {
        releaseLanes(index)
        let state = remove(index)
        effects.emit(state.id, .failed(error))
    }

    /// Takes a request without lanes off the list of active ones.
    private mutating func remove(_ index: Int) -> RequestState {
        let state = active.remove(at: index)
        lanes.requestRemoved(at: index)
        return state
    }

    mutating func cancel(_ id: RequestID) {
        if let index = queue.firstIndex(where: { $0.id == id }) {
            queue.remove(at: index)
            queueChanged = true
            effects.emit(id, .failed(.cancelled))
        } else if let index = active.firstIndex(where: { $0.id == id }) {
            fail(index, .cancelled)
        }
    }
}
