import GGUF
import Vocabulary

extension Planner {
    /// Why a request does not fit, and what would help.
    func shortfall(_ request: PlacementRequest, _ entrants: Entrants, context: Int) -> Shortfall {
        let share = request.context == nil ? policy.cacheShare : 1
        let settings = request.settings(cells: context)
        let required = UInt64(model.stage(model.whole, settings).needed(share: share))
        let available = entrants.seats.reduce(0) { $0 + UInt64($1.memory) }
        var shortfall = Shortfall(
            architecture: model.architecture, reason: .memory, context: context, lanes: request.lanes,
            layerCount: model.layerCount, required: ByteCount(required), available: ByteCount(available),
            short: ByteCount(required - min(required, available)), placeableLayers: 0,
            participants: participants(entrants), excluded: entrants.excluded, remedies: [])
        let missing = oneMoreNode(request, entrants, context: context, share: share)
        shortfall.placeableLayers = missing.layers
        if shortfall.short.bytes == 0, let bytes = missing.bytes { shortfall.short = ByteCount(bytes) }
        shortfall.remedies = remedies(request, entrants, context: context, share: share)
        if let bytes = missing.bytes { shortfall.remedies.append(.oneMoreNode(ByteCount(bytes))) }
        shortfall.reason = reason(request, entrants, shortfall)
        return shortfall
    }

    private func reason(
        _ request: PlacementRequest, _ entrants: Entrants, _ shortfall: Shortfall
    ) -> Shortfall.Reason {
        if entrants.seats.isEmpty { return .noParticipants }
        if shortfall.remedies.contains(.anyStages) || shortfall.remedies.contains(.noPins) { return .constraints }
        if shortfall.required > shortfall.available { return .memory }
        return model.obstacle == nil ? .fragmentation : .cut
    }

    private func participants(_ entrants: Entrants) -> [Shortfall.Participant] {
        let links = LinkTable(inventory)
        let shared = model.sharedFetchedByteCount(model.whole, hasHead: false)
        return entrants.seats.map { seat in
            let node = inventory.nodes[seat.node]
            let held = HeldLayers(node, layerCount: model.layerCount)
            var cached: UInt64 = 0
            for layer in 0..<model.layerCount where held.isHeld[layer] {
                cached += model.fetchedBefore[layer + 1] - model.fetchedBefore[layer]
            }
            if held.end[0] == model.layerCount { cached += shared }
            let whole = model.fetchedBefore[model.layerCount] + shared
            let trips = entrants.seats.filter { $0.node != seat.node }.compactMap {
                links.link(seat.node, $0.node)?.roundTripMilliseconds
            }
            return Shortfall.Participant(
                node: node.name, device: node.devices[seat.device].name, capacity: ByteCount(UInt64(seat.memory)),
                cached: ByteCount(cached), missing: ByteCount(whole - min(whole, cached)),
                roundTripMilliseconds: trips.min())
        }
    }

    /// A search that only asks whether there is room.
    private func roomy(
        _ request: PlacementRequest, _ entrants: Entrants, context: Int, share: Double
    ) -> (fits: Bool, reached: [Int], space: SearchSpace) {
        var space = SearchSpace(model, inventory, seats: entrants.seats, request, policy)
        space.stageCount = request.boundaries.map { $0.count + 1 } ?? request.stages
        if let stages = space.stageCount { space.sharesSeats = stages > entrants.seats.count }
        space.setNeed(model, request, cells: context, share: share)
        var search = PlacementSearch(space, .room, labelLimit: policy.labelsPerState)
        let fits = search.run() != nil
        return (fits, search.reached, space)
    }

    /// How many layers can be placed, and how much one more machine must offer to hold the rest as one last stage.
    private func oneMoreNode(
        _ request: PlacementRequest, _ entrants: Entrants, context: Int, share: Double
    ) -> (layers: Int, bytes: UInt64?) {
        var request = request
        // One more machine may change the number of stages.
        request.stages = nil
        let settings = request.settings(cells: context)
        var boundaries: [Int] = []
        if !entrants.seats.isEmpty {
            boundaries = roomy(request, entrants, context: context, share: share).reached
        }
        var least: UInt64?
        for first in [0] + boundaries {
            let rest = LayerRange(first: first, end: model.layerCount)
            guard model.isLegal(rest) else { continue }
            let bytes = UInt64(model.stage(rest, settings).needed(share: share))
            least = min(least ?? bytes, bytes)
        }
        return (boundaries.max() ?? 0, least)
    }

    private func remedies(
        _ request: PlacementRequest, _ entrants: Entrants, context: Int, share: Double
    ) -> [Shortfall.Remedy] {
        guard !entrants.seats.isEmpty else { return [] }
        func fits(_ change: (inout PlacementRequest) -> Void, context: Int) -> Bool {
            var changed = request
            change(&changed)
            return roomy(changed, entrants, context: context, share: share).fits
        }
        var remedies: [Shortfall.Remedy] = []
        if request.stages != nil || request.boundaries != nil,
            fits({ ($0.stages, $0.boundaries) = (nil, nil) }, context: context)
        {
            remedies.append(.anyStages)
        }
        if !request.pins.isEmpty, fits({ $0.pins = [] }, context: context) { remedies.append(.noPins) }
        for format in [CacheFormat.q8_0, .q4_0] where isSmaller(format, request) {
            if fits({ ($0.keys, $0.values) = (format, format) }, context: context) {
                remedies.append(.smallerCache(keys: format, values: format))
                break
            }
        }
        if let tokens = largestContext(below: context, fits: { fits({ _ in }, context: $0) }) {
            remedies.append(.smallerContext(tokens))
        }
        return remedies
    }

    private func isSmaller(_ format: CacheFormat, _ request: PlacementRequest) -> Bool {
        guard model.stores.obstacle(keys: format, values: format) == nil else { return false }
        return format.byteCount(elements: 1024) < request.keys.byteCount(elements: 1024)
            || format.byteCount(elements: 1024) < request.values.byteCount(elements: 1024)
    }

    /// The largest multiple of 256 below a context that fits, when the smallest does.
    private func largestContext(below context: Int, fits: (Int) -> Bool) -> Int? {
        var low = 1
        var high = (context - 1) / 256
        guard high >= 1, fits(256) else { return nil }
        while low < high {
            let middle = (low + high + 1) / 2
            if fits(middle * 256) { low = middle } else { high = middle - 1 }
        }
        return low * 256
    }
}
