import GGUF
import Vocabulary

/// Places a model: the one door of this module.
///
/// A pure function of its arguments: the same question gives the same answer on every machine.
package struct Planner: Sendable {
    /// The model.
    package let model: ModelFootprint
    /// The machines.
    package let inventory: Inventory
    /// How placements are weighed.
    package let policy: PlacementPolicy

    /// Makes a planner.
    ///
    /// **Throws:** `PlacementError.invalid` when the inventory or the policy has a figure no arithmetic is right for.
    package init(
        model: ModelFootprint, inventory: Inventory, policy: PlacementPolicy = PlacementPolicy()
    ) throws(PlacementError) {
        try inventory.check()
        try policy.check()
        self.model = model
        self.inventory = inventory
        self.policy = policy
    }

    /// Places the model once.
    ///
    /// **Throws:** `PlacementError.invalid` when the request has a figure outside its limits.
    package func plan(_ request: PlacementRequest) throws(PlacementError) -> PlacementAnswer {
        try request.check(model, inventory)
        return plan(request, without: [], occupied: [])
    }

    /// Places `request.replicas` copies, each on machines of its own as long as that is possible, then in what the
    /// others leave. Answers the placed ones, and a shortfall when not all fit.
    ///
    /// **Throws:** `PlacementError.invalid` when the request has a figure outside its limits.
    package func planReplicas(
        _ request: PlacementRequest
    ) throws(PlacementError) -> (plans: [PlacementPlan], shortfall: Shortfall?) {
        try request.check(model, inventory)
        var plans: [PlacementPlan] = []
        var taken: [TakenMemory] = []
        for _ in 0..<request.replicas {
            var answer = plan(request, without: taken.map(\.node), occupied: taken)
            if case .shortfall = answer, !taken.isEmpty { answer = plan(request, without: [], occupied: taken) }
            switch answer {
            case .placed(let plan):
                plans.append(plan)
                taken += plan.stages.map {
                    TakenMemory(
                        node: $0.node, device: $0.device, bytes: $0.footprint.total.bytes + $0.reserve.bytes)
                }
            case .shortfall(let shortfall): return (plans, shortfall)
            }
        }
        return (plans, nil)
    }

    /// Memory that other stages have been given.
    struct TakenMemory {
        var node: String
        var device: String
        var bytes: UInt64
    }

    private func plan(_ request: PlacementRequest, without: [String], occupied: [TakenMemory]) -> PlacementAnswer {
        let entrants = Entrants(model, inventory, request, without: without, occupied: occupied)
        guard !entrants.seats.isEmpty else {
            return .shortfall(shortfall(request, entrants, context: firstContext(request)))
        }
        var space = SearchSpace(model, inventory, seats: entrants.seats, request, policy)
        space.stageCount = request.boundaries.map { $0.count + 1 } ?? request.stages
        if let stages = space.stageCount { space.sharesSeats = stages > entrants.seats.count }
        guard let choice = chooseContext(request, space) else {
            return .shortfall(shortfall(request, entrants, context: firstContext(request)))
        }
        return .placed(describe(choice, request, entrants, space))
    }

    /// The context that decides whether the model fits at all.
    private func firstContext(_ request: PlacementRequest) -> Int { request.context ?? contextRange(request).floor }

    /// Searches with a context; nil when it does not fit, or only at more than `ceiling`.
    func search(
        _ space: SearchSpace, _ request: PlacementRequest, context: Int, share: Double, ceiling: Int64? = nil
    ) -> PlacementSearch.Found? {
        var space = space
        space.setNeed(model, request, cells: context, share: share)
        var search = PlacementSearch(
            space, .time, labelLimit: policy.labelsPerState, ceiling: ceiling ?? .max)
        if let found = search.run() { return found }
        guard ceiling == nil else { return nil }
        // The fastest placements may have filled the wrong machines: ask for room alone, too.
        var roomy = PlacementSearch(space, .room, labelLimit: policy.labelsPerState)
        guard var found = roomy.run() else { return nil }
        found.cost = cost(of: found.stages, space)
        return found
    }

    /// What the search minimises, for stages found otherwise.
    private func cost(of stages: [PlacementSearch.Stage], _ space: SearchSpace) -> Int64 {
        var cost: Int64 = 0
        for (place, stage) in stages.enumerated() {
            let run = space.run[stage.seat]
            cost += run[stage.layers.end] - run[stage.layers.first] + space.stage
            if place > 0 { cost += space.hop[stages[place - 1].seat][stage.seat] }
        }
        if let last = stages.last, let first = stages.first {
            cost += space.head[last.seat]
            if stages.count > 1 { cost += space.back[last.seat][first.seat] }
        }
        return cost
    }
}

extension PlacementPolicy {
    fileprivate func check() throws(PlacementError) {
        let positives: [(String, Double)] = [
            ("assumedReadBytesPerSecond", assumedReadBytesPerSecond),
            ("assumedOperationsPerSecond", assumedOperationsPerSecond),
            ("assumedLinkBytesPerSecond", assumedLinkBytesPerSecond), ("promptTokens", Double(promptTokens)),
            ("answerTokens", Double(answerTokens)), ("contextFloor", Double(contextFloor)),
        ]
        for (field, value) in positives where !(value.isFinite && value > 0 && value < 1e18) {
            throw .invalid(field: "policy.\(field)", value: "\(value)", limit: "it must be a positive number")
        }
        let times: [(String, Double)] = [
            ("stageMilliseconds", stageMilliseconds), ("localHopMilliseconds", localHopMilliseconds),
            ("hopMilliseconds", hopMilliseconds), ("assumedRoundTripMilliseconds", assumedRoundTripMilliseconds),
            ("contextTolerance", contextTolerance),
        ]
        for (field, value) in times where !(value.isFinite && value >= 0 && value < 1e9) {
            throw .invalid(field: "policy.\(field)", value: "\(value)", limit: "it must be 0 or more")
        }
        guard cacheShare > 0, cacheShare <= 1 else {
            throw .invalid(field: "policy.cacheShare", value: "\(cacheShare)", limit: "it is above 0 and at most 1")
        }
        if let labelsPerState, !(1...1024).contains(labelsPerState) {
            throw .invalid(field: "policy.labelsPerState", value: "\(labelsPerState)", limit: "1 … 1024 are allowed")
        }
    }
}

extension PlacementRequest {
    fileprivate func check(_ model: ModelFootprint, _ inventory: Inventory) throws(PlacementError) {
        func require(_ value: Int, _ range: ClosedRange<Int>, _ field: String) throws(PlacementError) {
            guard range.contains(value) else {
                throw .invalid(
                    field: field, value: "\(value)", limit: "\(range.lowerBound) … \(range.upperBound) are allowed")
            }
        }
        try require(lanes, 1...PlacementLimits.lanesMax, "lanes")
        try require(kept, 0...MemorySettings.sequenceLimit, "kept prefixes")
        try require(rows, 1...PlacementLimits.rowsMax, "rows")
        try require(replicas, 1...PlacementLimits.replicaCountMax, "replicas")
        try require(pins.count, 0...PlacementLimits.pinCountMax, "pins")
        if let context { try require(context, 2...PlacementLimits.contextMax, "ctx") }
        if let stages { try require(stages, 1...model.layerCount, "stages") }
        guard wireBytesPerElement.isFinite, wireBytesPerElement > 0, wireBytesPerElement <= 8 else {
            throw .invalid(field: "wire", value: "\(wireBytesPerElement)", limit: "0 … 8 bytes per element are sent")
        }
        guard projector.bytes <= PlacementLimits.memoryMax else {
            throw .invalid(
                field: "projector", value: "\(projector)", limit: "at most \(ByteCount(PlacementLimits.memoryMax))")
        }
        if let head {
            if let obstacle = model.headObstacle {
                throw .invalid(
                    field: "draft", value: "mtp", limit: "\(obstacle); use auto, ngram, off or a draft model")
            }
            let cells = max(head.spareCells, head.gatheredRows)
            try require(cells, 0...PlacementLimits.rowsMax, "cells of the head for several tokens")
            try require(head.rows, 1...PlacementLimits.rowsMax, "rows of the head for several tokens")
        }
        if let boundaries, Cut(layerCount: model.layerCount, boundaries: boundaries) == nil {
            throw .invalid(
                field: "cut", value: boundaries.map(String.init).joined(separator: ","),
                limit: "ascending layers in 1 … \(model.layerCount - 1) are allowed")
        }
        for name in on + exclude + pins.map(\.node) where !inventory.nodes.contains(where: { $0.name == name }) {
            throw .invalid(
                field: "node", value: "'\(name)'",
                limit: "known nodes are \(inventory.nodes.map(\.name).joined(separator: ", "))")
        }
        for pin in pins where pin.layers.end > model.layerCount {
            throw .invalid(
                field: "pin", value: "\(pin.layers)", limit: "the model has \(model.layerCount) layers")
        }
        if let obstacle = model.stores.obstacle(keys: keys, values: values) {
            throw .invalid(field: obstacle.field, value: obstacle.value, limit: obstacle.limit)
        }
    }
}
