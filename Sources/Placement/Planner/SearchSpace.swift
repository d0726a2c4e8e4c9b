import Vocabulary

/// A device that may run a stage.
struct Seat: Sendable {
    var node: Int
    var device: Int
    var memory: Int64
    var layout: WeightLayout
    /// Preferred tags it lacks.
    var misses: Int32
}

/// Everything the search adds up, as whole numbers: nanoseconds and bytes. Indexed by seats and layers.
struct SearchSpace: Sendable {
    let layerCount: Int
    var seats: [Seat]
    /// Stages asked for; nil takes any number.
    var stageCount: Int?
    /// Whether neighbouring stages may share a seat.
    var sharesSeats = false
    /// Time of the layers before each one: `run[seat][layer]`, as a typical request weighs it.
    var run: [[Int64]] = []
    /// Time of the head.
    var head: [Int64] = []
    /// Time a stage costs beside its layers.
    var stage: Int64 = 0
    /// Time of a hop: `hop[from][to]`.
    var hop: [[Int64]] = []
    /// Time of a token's way back: `back[last][entry]`.
    var back: [[Int64]] = []
    /// Bytes to fetch of the layers before each one, for what the seat's node does not hold.
    var missing: [[Int64]] = []
    /// Up to where a seat's node holds, without a gap, the layers from each one on.
    var heldEnd: [[Int]] = []
    /// Bytes of shared tensors a stage fetches: as first, middle, last and whole.
    var shared: [Int64] = []
    /// The seat each layer is pinned to, as the node's index; -1 when it is not.
    var pinned: [Int] = []
    /// Bytes a stage needs, at `(layout * (layerCount + 1) + first) * (layerCount + 1) + end`; -1 where it is not legal
    /// or nobody's weights lie so. One array, because the search asks it most.
    var need: [Int64] = []

    /// The most that one of these times counts: 13 days. A chain has a time per layer, and one per stage and hop, of
    /// which there are no more than layers, and two for head and way back: with 512 layers less than 2^61 together.
    private static let timeMax: Int64 = 1 << 50

    func needed(_ seat: Int, _ first: Int, _ end: Int) -> Int64 {
        need[(seats[seat].layout.rawValue * (layerCount + 1) + first) * (layerCount + 1) + end]
    }

    func fetched(_ seat: Int, _ first: Int, _ end: Int) -> Int64 {
        let layers = missing[seat][end] - missing[seat][first]
        guard heldEnd[seat][first] < end else { return layers }
        return layers + shared[(first == 0 ? 1 : 0) + (end == layerCount ? 2 : 0)]
    }
}

extension SearchSpace {
    /// Puts together what does not depend on the context.
    init(
        _ model: ModelFootprint, _ inventory: Inventory, seats: [Seat], _ request: PlacementRequest,
        _ policy: PlacementPolicy
    ) {
        layerCount = model.layerCount
        self.seats = seats
        let speed = SpeedModel(model: model, request: request, policy: policy)
        let answerShare = Double(speed.prefillSteps) / Double(max(1, policy.answerTokens))
        func nanoseconds(_ milliseconds: Double) -> Int64 { Int64(milliseconds * 1e6, atMost: Self.timeMax) }
        let figures = seats.map { inventory.nodes[$0.node].devices[$0.device].speed }
        run = figures.map { figure in
            var before = [Int64](repeating: 0, count: model.layerCount + 1)
            for layer in 0..<model.layerCount {
                let stream = model.streams[layer]
                let reading = speed.time(stream, rows: 1, on: figure) + speed.cacheTime(layer, on: figure)
                let decode = reading.milliseconds + speed.elementMilliseconds(layer, on: figure)
                let prefill = speed.time(stream, rows: speed.prefillRows, on: figure)
                before[layer + 1] = before[layer] + nanoseconds(decode + prefill.milliseconds * answerShare)
            }
            return before
        }
        head = figures.map { nanoseconds(speed.time(model.headStream, rows: 1, on: $0).milliseconds) }
        stage = nanoseconds(policy.stageMilliseconds)
        let links = LinkTable(inventory)
        hop = seats.map { from in
            seats.map { to in
                let link = links.link(from.node, to.node)
                let isLocal = from.node == to.node
                let prefill = speed.hop(link, isLocal: isLocal, rows: speed.prefillRows).milliseconds * answerShare
                return nanoseconds(speed.hop(link, isLocal: isLocal, rows: 1).milliseconds + prefill)
            }
        }
        back = seats.map { last in
            seats.map { entry in
                nanoseconds(
                    speed.returnHop(links.link(last.node, entry.node), isLocal: last.node == entry.node).milliseconds)
            }
        }
        let held = seats.map { HeldLayers(inventory.nodes[$0.node], layerCount: model.layerCount) }
        missing = held.map { held in
            var before = [Int64](repeating: 0, count: model.layerCount + 1)
            for layer in 0..<model.layerCount {
                let bytes = held.isHeld[layer] ? 0 : model.fetchedBefore[layer + 1] - model.fetchedBefore[layer]
                before[layer + 1] = before[layer] + Int64(bytes)
            }
            return before
        }
        heldEnd = held.map(\.end)
        let count = model.layerCount
        let ends = count == 1 ? [(0, 1), (0, 1), (0, 1), (0, 1)] : [(1, 2), (0, 1), (count - 1, count), (0, count)]
        shared = ends.map { first, end in
            // In a model of two layers no stage is in the middle.
            let layers = LayerRange(first: min(first, count - 1), end: min(end, count))
            return Int64(model.sharedFetchedByteCount(layers, hasHead: request.head != nil))
        }
        pinned = [Int](repeating: -1, count: count)
        for pin in request.pins {
            let node = inventory.nodes.firstIndex { $0.name == pin.node } ?? inventory.nodes.count
            for layer in pin.layers.indices where layer < count { pinned[layer] = node }
        }
    }

    /// Sets what stages need with a context of which the cache may fill `share` of what everything else leaves.
    mutating func setNeed(
        _ model: ModelFootprint, _ request: PlacementRequest, cells: Int, share: Double
    ) {
        var starts: [Bool]?
        if let boundaries = request.boundaries {
            var isStart = [Bool](repeating: false, count: layerCount + 1)
            for boundary in [0] + boundaries + [layerCount] where boundary <= layerCount { isStart[boundary] = true }
            starts = isStart
        }
        func table(_ layout: WeightLayout) -> [Int64] {
            var table = [Int64](repeating: -1, count: (layerCount + 1) * (layerCount + 1))
            let settings = request.settings(cells: cells, layout)
            for first in 0..<layerCount where starts?[first] ?? true {
                let next = starts.map { starts in (first + 1...layerCount).first { starts[$0] } ?? layerCount }
                model.stages(startingAt: first, settings) { footprint in
                    if let next, footprint.layers.end != next { return }
                    table[first * (layerCount + 1) + footprint.layers.end] = footprint.needed(share: share)
                }
            }
            return table
        }
        need = WeightLayout.allCases.flatMap { layout in
            seats.contains { $0.layout == layout }
                ? table(layout) : [Int64](repeating: -1, count: (layerCount + 1) * (layerCount + 1))
        }
    }
}

extension StageFootprint {
    /// Bytes a stage needs when its cache may fill only `share` of what everything else leaves; at most `needMax`.
    func needed(share: Double) -> Int64 {
        let cache = share < 1 ? Double(self.cache.bytes) / share : Double(self.cache.bytes)
        let rest = min(Int64(clamping: withoutCache.bytes), Self.needMax)
        return min(rest + Int64(cache.rounded(.up), atMost: Self.needMax), Self.needMax)
    }

    /// Twice what any device has: no stage that needs it is placed, and sums of two such needs stay within 64 bits.
    private static let needMax = Int64(2 * PlacementLimits.memoryMax)
}

/// Which layers of the model a node has.
struct HeldLayers {
    let isHeld: [Bool]
    /// For every layer, the end of the longest held range it is in; the layer itself when it is in none.
    let end: [Int]

    init(_ node: NodeInventory, layerCount: Int) {
        var end = Array(0...layerCount)
        for range in node.heldLayers {
            for layer in range.indices where layer < layerCount {
                end[layer] = max(end[layer], min(range.end, layerCount))
            }
        }
        self.end = end
        isHeld = (0..<layerCount).map { end[$0] > $0 }
    }
}

/// Links by the places of their nodes.
struct LinkTable {
    private let count: Int
    private var links: [Int: LinkInventory] = [:]

    init(_ inventory: Inventory) {
        count = inventory.nodes.count
        var places: [String: Int] = [:]
        for (place, node) in inventory.nodes.enumerated() { places[node.name] = place }
        for link in inventory.links {
            guard let from = places[link.from], let to = places[link.to] else { continue }
            links[from * count + to] = link
        }
    }

    /// The link in this direction. Where only the other direction was measured its round trip counts here too, for it
    /// is one; its rate does not.
    func link(_ from: Int, _ to: Int) -> LinkInventory? {
        let other = links[to * count + from]
        guard var link = links[from * count + to] else {
            return other.map {
                LinkInventory(
                    from: $0.to, to: $0.from, roundTripMilliseconds: $0.roundTripMilliseconds, bytesPerSecond: nil)
            }
        }
        link.roundTripMilliseconds = link.roundTripMilliseconds ?? other?.roundTripMilliseconds
        return link
    }
}
