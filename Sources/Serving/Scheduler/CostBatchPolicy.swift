import Vocabulary

/// Composes microbatches by what steps cost: as many decoding lanes together as make a token cheapest, and as much of a
/// prompt beside them as leaves the others' tokens flowing.
///
/// **Source:** docs/internals/serving.md, Costs.
package struct CostBatchPolicy: BatchPolicy, Hashable {
    /// For each prompt that waits, a round of decoding may take longer by this many times one without prefill.
    package static let prefillStretch = 1.1
    /// ... or take this long for each of them, whichever is longer: small steps prefill badly on slow machines.
    /// **Units:** nanoseconds.
    package static let prefillRound = 250e6
    /// ... or this many times that when all prompts end with it, which saves them a round.
    package static let prefillEnd = 1.5
    /// A long prompt goes by whole tiles of attention while one costs no more than this many times what it may.
    package static let deepPrefill = 3.0
    /// Behind so many rows of its prompt a row takes about twice as long as steps are timed with, behind none: of the
    /// 0.6B shape, whose layers of 128 to 256 rows did so behind 3,000 when products took twice as long. Where they are
    /// slower, chunks become smaller than they need be.
    package static let deepening = 1300.0
    /// What of a slice goes by until deferred rows are where they were left.
    package static let entering = 0.05
    /// While nobody decodes, a chunk of a long prompt is left between layers when it takes this many times as long as
    /// its layers may be run for at a time.
    package static let pausedChunk = 2.0
    /// Guesses have to make a microbatch bring this many times its tokens per time: what is expected of them is a
    /// guess itself.
    package static let draftGain = 1.05
    /// Microbatches in flight per stage, at most.
    package static let microbatchesPerStage = 4

    /// So often lanes that do not seem to pay together go together all the same: steps may have been timed while
    /// something else kept the machine busy, and what is never done is never seen to be cheaper.
    private static let trialCount = 2
    /// Steps after which trials begin anew, as the machine may have been busy then, too.
    private static let trialPeriod = 4096

    /// What a step costs on each stage, entry stage first.
    private var stages: [StepCosts]
    /// Steps seen by their rows, since trials began.
    private var seen: [Int: Int] = [:]
    private var seenCount = 0
    /// What rounds take beyond that.
    private var factors = RoundFactors()

    /// Makes the policy; the caller MUST pass every stage's costs.
    package init(_ stages: [StepCosts]) {
        precondition(!stages.isEmpty, "a placement has no stages")
        self.stages = stages
    }

    /// Enough to fill the stages and the links between them. How many are used is decided by the quota.
    package func depth(stageCount: Int) -> Int { stageCount == 1 ? 1 : Self.microbatchesPerStage * stageCount }

    /// What all stages together take for a step.
    package func expectedNanoseconds(rows: Int) -> Double? {
        stages.reduce(0) { $0 + $1.nanoseconds(rows: rows) }
    }

    /// What the slowest stage takes for a step: it sets the pace of a full pipe.
    private func pace(rows: Int) -> Double { stages.reduce(0) { max($0, $1.nanoseconds(rows: rows)) } }

    /// Corrects what steps cost: all stages together take no longer than the way through them. Of a stage that is alone
    /// that is what it takes; of several those were timed too long that seem dearest, as far as it takes.
    package mutating func observe(rows: Int, nanoseconds: Double) {
        var (left, bound) = (nanoseconds, Double.infinity)
        for (index, time) in stages.map({ $0.boundNanoseconds(rows: rows) }).sorted().enumerated() {
            let share = left / Double(stages.count - index)
            guard time <= share else {
                bound = share
                break
            }
            left -= time
        }
        for index in stages.indices { stages[index].see(rows: rows, took: bound) }
        seenCount += 1
        if seenCount % Self.trialPeriod == 0 { seen = [:] }
        seen[rows, default: 0] += 1
    }

    /// Learns what the steps' costs do not tell. In one stage nothing competes, and one lane goes as it goes.
    package mutating func observe(_ grouping: Grouping, nanoseconds: Double, hop: Double) {
        guard nanoseconds > 0, stages.count > 1, grouping.lanes > 1 else { return }
        factors.record(nanoseconds / foretold(grouping, hop: hop), of: grouping, stages: stages.count)
    }

    /// Whether all decoding lanes go together, and alone, to see what it costs.
    private func isTrial(_ load: BatchLoad) -> Bool {
        load.inFlight == 0 && load.readyDecodes == load.decodingLanes && load.readyDecodes <= load.rowLimit
            && load.prefillRowsLeft == 0 && seen[load.readyDecodes, default: 0] < Self.trialCount
    }

    /// See the type.
    package func quota(for load: BatchLoad) -> BatchQuota {
        let group = isTrial(load) ? max(1, load.readyDecodes) : groupSize(for: load)
        var decodes = min(load.readyDecodes, group)
        let grouping = Grouping(lanes: load.decodingLanes, size: group)
        // The stages behind have work for now: rather a whole group in a moment than a part of one at once. While
        // nothing but tokens is on its way, as many groups as are meant are enough: else two would never become one.
        let enough = load.isTimed ? min(grouping.groups, max(2, load.stageCount)) : max(2, load.stageCount)
        if decodes < group, load.inFlight >= (load.isDeferring ? 1 : enough) { decodes = 0 }
        var quota = BatchQuota(decodeLanes: decodes, prefillLanes: load.readyPrefills, prefillRows: 0)
        quota.grouping = grouping
        if load.overtakes {
            // Before a short prompt nobody else's rows.
            var short = load
            short.prefillRowsLeft = load.firstPromptRows
            quota.prefillRows = prefillRows(for: short, beside: decodes, group: group)
        } else {
            quota.prefillRows = prefillRows(for: load, beside: decodes, group: group)
        }
        return quota
    }

    private func groupSize(for load: BatchLoad) -> Int {
        guard !load.isDeferring else { return groupSize(besideDeferred: load) }
        return groupSize(
            decoding: load.decodingLanes, hop: load.hopNanoseconds, rowLimit: load.rowLimit, tries: load.isTimed)
    }

    /// Decoding lanes per microbatch while rows are deferred: no stage stands idle then, and each microbatch may have
    /// to wait for a layer of a tile of them on every stage. So what counts is what all of them take together.
    private func groupSize(besideDeferred load: BatchLoad) -> Int {
        let wait = layerNanoseconds(rows: Limits.attentionTile, of: load) * Double(stages.count)
        var best = (size: 1, time: Double.infinity)
        for size in 1...max(1, min(load.decodingLanes, load.rowLimit)) {
            let (groups, rest) = load.decodingLanes.quotientAndRemainder(dividingBy: size)
            var time = Double(groups + (rest > 0 ? 1 : 0)) * wait
            for stage in stages {
                time += stage.boundNanoseconds(rows: size) * Double(groups)
                time += rest > 0 ? stage.boundNanoseconds(rows: rest) : 0
            }
            if time < best.time * 0.99 { best = (size, time) }
        }
        return best.size
    }

    /// What one layer of so many rows takes on average, by what is timed with an empty cache.
    private func layerNanoseconds(rows: Int, of load: BatchLoad) -> Double {
        stages.reduce(0) { $0 + $1.nanoseconds(rows: rows) } / Double(max(1, load.pausableLayers))
    }

    /// What one layer of the next rows of the first prompt takes; the last ones see the first ones, too.
    private func deepNanoseconds(rows: Int, of load: BatchLoad) -> Double {
        let depth = Double(load.firstPromptDepth) + Double(rows) / 2
        return layerNanoseconds(rows: rows, of: load) * (1 + depth / Self.deepening)
    }

    /// Decoding lanes per microbatch: those with which a round of all lanes is shortest, by what is foretold and by
    /// what was seen. When it `tries`, nothing that was not seen is taken to be slower than foretold, so what promises
    /// most is tried, and what was hardly slower is tried again; else all that was not seen is taken to be as slow as
    /// the best of what was.
    package func groupSize(decoding count: Int, hop: Double, rowLimit: Int, tries: Bool = false) -> Int {
        let known = candidates(max(1, count), hop: hop, rowLimit: rowLimit).map { candidate in
            (candidate, seen: factors.known(candidate.grouping, stages: stages.count))
        }
        let unseen = tries ? 1 : known.compactMap(\.seen?.factor).min() ?? 1
        var best = (size: 1, round: Double.infinity)
        var stale: [(size: Int, round: Double)] = []
        for (candidate, seen) in known {
            let round = candidate.foretold * (seen?.factor ?? unseen)
            if tries, seen?.isStale ?? false { stale.append((candidate.grouping.size, round)) }
            // A hundredth faster is worth no longer step.
            if round < best.round * 0.99 { best = (candidate.grouping.size, round) }
        }
        return stale.first { $0.round <= best.round * Limits.roundTie }?.size ?? best.size
    }

    /// By ascending size, of those that make as many groups the one that is foretold to be quickest.
    private func candidates(
        _ lanes: Int, hop: Double, rowLimit: Int
    ) -> [(grouping: Grouping, foretold: Double)] {
        var result: [(grouping: Grouping, foretold: Double)] = []
        for size in 1...max(1, min(lanes, rowLimit)) {
            let grouping = Grouping(lanes: lanes, size: size)
            let time = foretold(grouping, hop: hop)
            guard let last = result.last, last.grouping.groups == grouping.groups else {
                result.append((grouping, time))
                continue
            }
            if time < last.foretold * 0.99 { result[result.count - 1] = (grouping, time) }
        }
        return result
    }

    /// A round of all lanes takes the slowest stage as long as all groups, the smaller one that is left over included,
    /// and no less than a group's way through all stages and links. **Units:** nanoseconds.
    private func foretold(_ grouping: Grouping, hop: Double) -> Double {
        let (groups, rest) = grouping.lanes.quotientAndRemainder(dividingBy: grouping.size)
        var (slowest, way) = (0.0, stages.count > 1 ? hop : 0)
        for stage in stages {
            let time = stage.boundNanoseconds(rows: grouping.size)
            let last = rest > 0 ? stage.boundNanoseconds(rows: rest) : 0
            slowest = max(slowest, time * Double(groups) + last)
            way += time
        }
        return max(slowest, way)
    }

    /// The width that brings most tokens per time. As with groups, the slowest stage limits the rate of a full pipe,
    /// and the way through all stages and links limits that of few lanes: those leave stages idle, and their guesses
    /// cost little.
    package func draftWidth(for load: DraftLoad) -> Int {
        var best = (width: 0, rate: rate(load, load.tokens, width: 0) * Self.draftGain)
        var (tokens, all) = (load.tokens, 1.0)
        for (index, chance) in load.chances.enumerated() {
            all *= chance
            tokens += all
            let rate = rate(load, tokens, width: index + 1)
            // A hundredth faster is worth no longer step.
            if rate > best.rate * (best.width == 0 ? 1 : 1.01) { best = (index + 1, rate) }
            // This is asked several times for each token. If all others were right, and cost nothing, it would not pay.
            let others = Double(load.chances.count - index - 1)
            guard rate * (tokens + all * others) > best.rate * tokens else { break }
        }
        return best.width
    }

    /// A guess has to bring more of a token than the stages would in the time it takes: to be made, and as a row.
    package func draftFloor(for load: DraftLoad, width: Int) -> Double {
        let tokens = load.tokens + load.expectedTokens(width: width)
        let row = (way(load, width: max(1, width)) - way(load, width: 0)) / Double(max(1, width))
        return min(0.9, row * tokens / way(load, width: width))
    }

    /// Tokens per time with so many guesses of one lane.
    private func rate(_ load: DraftLoad, _ tokens: Double, width: Int) -> Double {
        let groups = Double(max(1, load.decodingLanes)) / Double(max(1, load.decodeLanes))
        let guessing = load.guessNanoseconds * Double(width)
        let guesser = load.guessesLast ? stages.count - 1 : 0
        var pace = 0.0
        for (index, stage) in stages.enumerated() {
            pace = max(pace, stage.boundNanoseconds(rows: load.rows + width) + (index == guesser ? guessing : 0))
        }
        return min(tokens / max(1, pace), max(1, groups) * tokens / way(load, width: width))
    }

    /// A microbatch's way through all stages and links, the time to guess for it included.
    private func way(_ load: DraftLoad, width: Int) -> Double {
        let times = stages.reduce(0) { $0 + $1.boundNanoseconds(rows: load.rows + width) }
        return max(1, times + (stages.count > 1 ? load.hopNanoseconds : 0) + load.guessNanoseconds * Double(width))
    }

    /// What a round of all decoding lanes takes, without prefill. **Units:** nanoseconds.
    private func round(_ load: BatchLoad, group: Int) -> Double {
        pace(rows: group) * Double(load.decodingLanes) / Double(group)
    }

    /// Prompts that wait, one at least.
    private func waiting(_ load: BatchLoad) -> Double { Double(max(1, load.seatedLanes - load.decodingLanes)) }

    /// By how much a round may take longer for the prompts that wait. **Units:** nanoseconds.
    private func stretch(_ load: BatchLoad, group: Int) -> Double {
        Self.prefillStretch * waiting(load) * round(load, group: group)
    }

    /// Prefill goes once per round of all decoding lanes, in what the round may take longer; or when stages would stand
    /// idle.
    private func isTurnOfPrefill(_ load: BatchLoad) -> Bool {
        let isIdle = load.readyDecodes == 0 && load.inFlight < load.stageCount
        return isIdle || load.decodedSincePrefill >= load.decodingLanes
    }

    /// A whole tile of attention is deferred where it takes longer than a round may; short prompts are not, as rows
    /// that share a step share its weights.
    package func deferredRows(for load: BatchLoad) -> Int {
        let tile = Limits.attentionTile
        let room = min(load.rowLimit, load.firstPromptRows)
        let isLong = room >= tile && load.firstPromptDepth + load.firstPromptRows >= Limits.deepPrompt
        guard load.pausableLayers > 1, isLong || load.hasDeferred else { return 0 }
        guard load.decodingLanes > 0 else {
            // No tokens flow yet; who comes meanwhile should not wait for all of a large chunk.
            let rows = chunk(of: load.firstPromptRows, limit: load.rowLimit)
            let isSlow = pace(rows: rows) > Self.pausedChunk * Double(Limits.longestSlice.inNanoseconds)
            return isSlow || load.hasDeferred ? rows : 0
        }
        let group = groupSize(for: load)
        guard load.hasDeferred || pace(rows: group + tile) - pace(rows: group) > stretch(load, group: group) else {
            return 0
        }
        // As many rows as one layer of fits into a slice.
        let slice = sliceNanoseconds(for: load) * (1 - Self.entering)
        let step = Limits.productTile
        var rows = min(step, room)
        while rows + step <= room, deepNanoseconds(rows: rows + step, of: load) <= slice { rows += step }
        // The rest of a prompt that is less than a tile of products would cost one.
        return load.firstPromptRows - rows < step && load.firstPromptRows <= load.rowLimit ? load.firstPromptRows : rows
    }

    /// See the type.
    package func slice(for load: BatchLoad) -> Duration {
        guard load.decodingLanes > 0 else { return Limits.longestSlice }
        return .nanoseconds(Int64(sliceNanoseconds(for: load)))
    }

    /// What each stage may take behind each group of a round, so that the round is longer by `prefillStretch` of one
    /// without prefill for each prompt that waits: groups may go one by one through all stages meanwhile. Bounded
    /// whatever steps cost.
    private func sliceNanoseconds(for load: BatchLoad) -> Double {
        let usual = Grouping(
            lanes: load.decodingLanes,
            size: groupSize(decoding: load.decodingLanes, hop: load.hopNanoseconds, rowLimit: load.rowLimit))
        let round = foretold(usual, hop: load.hopNanoseconds)
        let group = groupSize(for: load)
        let groups = Double((load.decodingLanes + group - 1) / group)
        let parts = groups * Double(stages.count)
        let way = stages.reduce(stages.count > 1 ? load.hopNanoseconds : 0) {
            $0 + $1.nanoseconds(rows: group) * groups
        }
        let wished = (1 + Self.prefillStretch * waiting(load)) * round - way
        return min(max(wished, round / 2) / parts, Double(Limits.longestSlice.inNanoseconds))
    }

    private func prefillRows(for load: BatchLoad, beside decodes: Int, group: Int) -> Int {
        let room = load.rowLimit - decodes
        guard load.prefillRowsLeft > 0, room > 0 else { return 0 }
        guard load.decodingLanes > 0 else { return min(room, chunk(of: load.prefillRowsLeft, limit: room)) }
        guard isTurnOfPrefill(load) else { return 0 }
        let budget = max(stretch(load, group: group), Self.prefillRound * waiting(load) - round(load, group: group))
        let alone = decodes > 0 ? pace(rows: decodes) : 0
        if load.prefillRowsLeft <= room, pace(rows: decodes + load.prefillRowsLeft) - alone <= Self.prefillEnd * budget
        {
            return load.prefillRowsLeft
        }
        var rows = 1
        while rows < min(room, load.prefillRowsLeft), pace(rows: decodes + rows + 1) - alone <= budget { rows += 1 }
        guard rows < load.prefillRowsLeft else { return rows }
        guard decodes + rows > Limits.attentionTile else {
            // Steps are timed with an empty cache: deep in a prompt fewer rows than a tile take longer than the tile.
            let tile = Limits.attentionTile - decodes
            let isDeep = load.firstPromptDepth >= Limits.deepPrompt && (rows...min(room, load.prefillRowsLeft)) ~= tile
            return isDeep && pace(rows: decodes + tile) - alone <= Self.deepPrefill * budget ? tile : rows
        }
        // A tile that was begun costs as much as a whole one. But a prompt that can end with this chunk ends with it:
        // its answer would wait a whole round for the few rows a tile leaves over.
        let whole = rows - (decodes + rows) % Limits.attentionTile
        return max(1, whole, load.firstPromptRows <= rows ? load.firstPromptRows : 0)
    }

    /// Rows per chunk of a prompt that has the stages for itself: large ones compute well, small ones let the stages
    /// behind begin early. But for the last one they are whole tiles of attention.
    package func chunk(of rows: Int, limit: Int) -> Int {
        let most = min(rows, limit)
        guard stages.count > 1, most > Limits.attentionTile else { return most }
        var best = (size: most, time: Double.infinity)
        for size in stride(from: most - most % Limits.attentionTile, to: 0, by: -Limits.attentionTile) {
            let chunks = Double((rows + size - 1) / size)
            let time = (expectedNanoseconds(rows: size) ?? 0) + (chunks - 1) * pace(rows: size)
            if time < best.time * 0.99 { best = (size, time) }
        }
        return best.size
    }
}
