import Vocabulary

extension Planner {
    /// A placement with the context it gets.
    struct Choice {
        var found: PlacementSearch.Found
        var context: Int
        var reason: ContextReason
        /// The share of what weights leave that the cache may fill.
        var share: Double
        /// The seat whose memory bounds the context.
        var boundingSeat: Int?
    }

    /// The smallest and the largest context given unasked.
    func contextRange(_ request: PlacementRequest) -> (floor: Int, cap: Int, reason: ContextReason) {
        if let asked = request.context { return (asked, asked, .asked) }
        let trained = model.trainedContext > 0 ? model.trainedContext : policy.contextFloor
        let cap = min(trained, PlacementLimits.contextUnaskedMax)
        return (min(policy.contextFloor, cap), cap, cap < trained ? .unaskedLimit : .trained)
    }

    /// Finds the fastest placement, and among those that are about as fast the one with the most context.
    func chooseContext(_ request: PlacementRequest, _ space: SearchSpace) -> Choice? {
        let range = contextRange(request)
        let share = request.context == nil ? policy.cacheShare : 1
        guard let fastest = search(space, request, context: range.floor, share: share) else { return nil }
        guard range.cap > range.floor else {
            return Choice(found: fastest, context: range.cap, reason: range.reason, share: share)
        }
        let limit = Int64(Double(fastest.cost) * (1 + policy.contextTolerance), atMost: .max)
        if let whole = search(space, request, context: range.cap, share: share, ceiling: limit) {
            return Choice(found: whole, context: range.cap, reason: range.reason, share: share)
        }
        // Needs grow with the context, so the ladder is searched by halves.
        let ladder = Self.ladder(range.floor, range.cap)
        var best = Choice(found: fastest, context: range.floor, reason: .memory, share: share)
        var low = 0
        var high = ladder.count
        while low < high {
            let middle = (low + high) / 2
            if let found = search(space, request, context: ladder[middle], share: share, ceiling: limit) {
                best.found = found
                best.context = ladder[middle]
                low = middle + 1
            } else {
                high = middle
            }
        }
        stretch(&best, to: range.cap, request, space)
        if best.context == range.cap {
            best.reason = range.reason
        } else if best.found.stages.count < space.seats.count,
            isRoom(space, request, context: min(range.cap, best.context * 2), share: share)
        {
            // With more machines more context would fit, only not as fast.
            best.reason = .speed
        }
        return best
    }

    private func isRoom(_ space: SearchSpace, _ request: PlacementRequest, context: Int, share: Double) -> Bool {
        var space = space
        space.setNeed(model, request, cells: context, share: share)
        var search = PlacementSearch(space, .room, labelLimit: policy.labelsPerState)
        return search.run() != nil
    }

    /// Contexts between the two, powers of two.
    private static func ladder(_ floor: Int, _ cap: Int) -> [Int] {
        var steps: [Int] = []
        var step = 512
        while step < cap {
            if step > floor { steps.append(step) }
            step *= 2
        }
        return steps
    }

    /// Gives a placement all the context its machines have room for, in steps of 256.
    private func stretch(_ choice: inout Choice, to cap: Int, _ request: PlacementRequest, _ space: SearchSpace) {
        var low = choice.context / 256
        var high = cap / 256
        while low < high {
            let middle = (low + high + 1) / 2
            if firstTight(choice, context: middle * 256, request, space) == nil {
                low = middle
            } else {
                high = middle - 1
            }
        }
        choice.context = max(choice.context, low * 256)
        if choice.context >= cap / 256 * 256, firstTight(choice, context: cap, request, space) == nil {
            choice.context = cap
        }
        choice.boundingSeat = firstTight(choice, context: choice.context + 256, request, space)
    }

    /// The first seat whose memory a context would exceed.
    private func firstTight(
        _ choice: Choice, context: Int, _ request: PlacementRequest, _ space: SearchSpace
    ) -> Int? {
        var taken = [Int64](repeating: 0, count: space.seats.count)
        for stage in choice.found.stages {
            let seat = space.seats[stage.seat]
            let settings = request.settings(cells: context, seat.layout)
            taken[stage.seat] += model.stage(stage.layers, settings).needed(share: choice.share)
            if taken[stage.seat] > seat.memory { return stage.seat }
        }
        return nil
    }
}
