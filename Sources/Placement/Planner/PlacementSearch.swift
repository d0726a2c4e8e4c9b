import Vocabulary

/// Finds the best contiguous placement by dynamic programming over boundaries.
///
/// A *label* is a placement of the layers before a boundary that ends on one seat. Labels of the same boundary and seat
/// compete: one that is no better in anything that can still matter, and uses a superset of the seats, is dropped
/// (dominance), and of the rest at most `labelLimit` stay. Hops and runs are separate steps, so the work is
/// layers · seats² · labels + layers² · seats · labels; no subset or order of seats is ever enumerated.
struct PlacementSearch {
    /// What is minimised first; stages, missed preferences, bytes to fetch and evenness decide between equals.
    enum Objective {
        /// Time per token of a typical request.
        case time
        /// Memory of the seats used, which leaves most for what follows: finds a placement when memory is tight.
        case room
    }

    /// One stage of the result.
    struct Stage: Hashable {
        var seat: Int
        var layers: LayerRange
    }

    /// The best placement.
    struct Found {
        var stages: [Stage]
        /// The objective. **Units:** nanoseconds, or KiB.
        var cost: Int64
    }

    private struct Label {
        var cost: Int64
        var fetch: Int64
        /// Bytes taken on the last seat, where seats are shared.
        var taken: Int64
        /// Sum of the squares of the stages' layers: among equals the most even cut wins.
        var squares: Int64 = 0
        var used: SIMD4<UInt64>
        var stages: Int32
        var misses: Int32
        var entry: Int32
        var seat: Int32
        var first: Int32
        var end: Int32
        var parent: Int32
    }

    /// A label that has come to another seat, and the one it came from.
    private struct Arrival {
        var label: Label
        var parent: Int32
    }

    /// A label that is to come to other seats. What decides most often stands here, so that labels are not looked up.
    private struct Waiting {
        var cost: Int64
        var label: Int32
        var seat: Int32
    }

    private let space: SearchSpace
    private let objective: Objective
    private let labelLimit: Int
    /// What a placement may cost at most.
    private let ceiling: Int64
    private let width: Int
    private let layerCount: Int
    private let depth: Int
    /// The least time that the layers from each one on can take on any seats.
    private let bound: [Int64]
    /// Time of a hop to each seat from each other one, `hopTo[to][from]`: zero where room is what counts.
    private let hopTo: [[Int64]]
    /// The cheapest hop to each seat.
    private let leastHop: [Int64]
    /// The most that a token's way back to one entry is longer than to another.
    private let backGap: [[Int64]]

    private var arena: [Label] = []
    private var slots: [Int32]
    private var counts: [Int32]
    /// What the dearest label of a state costs whose places are all taken.
    private var dearest: [Int64]
    private var best: Int32 = -1

    init(_ space: SearchSpace, _ objective: Objective, labelLimit: Int?, ceiling: Int64 = .max) {
        self.space = space
        self.ceiling = ceiling
        self.objective = objective
        width = space.seats.count
        layerCount = space.layerCount
        depth = space.stageCount ?? 0
        let states = (depth + 1) * (layerCount + 1) * width
        let share = Self.labelBudget / max(1, states)
        self.labelLimit = labelLimit ?? min(Self.labelsMax, max(Self.labelsMin, share))
        slots = [Int32](repeating: -1, count: states * self.labelLimit)
        counts = [Int32](repeating: 0, count: states)
        dearest = [Int64](repeating: .max, count: states)
        bound = Self.bound(space, objective)
        backGap = Self.backGap(space, objective)
        let hopTo = space.seats.indices.map { to in
            space.seats.indices.map { objective == .time ? space.hop[$0][to] : 0 }
        }
        self.hopTo = hopTo
        leastHop = hopTo.indices.map { to in
            // Staying on a seat is a hop, too, where seats are shared.
            hopTo[to].indices.compactMap { $0 == to && !space.sharesSeats ? nil : hopTo[to][$0] }.min() ?? 0
        }
    }

    /// Labels of a whole search, roughly; more seats and layers leave fewer per state.
    private static let labelBudget = 30_000
    private static let labelsMin = 3
    private static let labelsMax = 48

    private static func bound(_ space: SearchSpace, _ objective: Objective) -> [Int64] {
        var bound = [Int64](repeating: 0, count: space.layerCount + 1)
        guard objective == .time else { return bound }
        bound[space.layerCount] = 0
        for layer in (0..<space.layerCount).reversed() {
            let least = space.run.map { $0[layer + 1] - $0[layer] }.min() ?? 0
            bound[layer] = bound[layer + 1] + least
        }
        // Whoever runs the last layer computes the head.
        let head = space.head.min() ?? 0
        for layer in 0..<space.layerCount { bound[layer] += head }
        return bound
    }

    private static func backGap(_ space: SearchSpace, _ objective: Objective) -> [[Int64]] {
        let range = space.seats.indices
        guard objective == .time else { return range.map { _ in range.map { _ in 0 } } }
        return range.map { one in
            range.map { other in
                var gap = Int64.min
                for last in range { gap = max(gap, space.back[last][one] - space.back[last][other]) }
                return gap
            }
        }
    }

    /// Runs the search; nil when nothing fits.
    mutating func run() -> Found? {
        guard width > 0 else { return nil }
        for layer in 0..<layerCount {
            for count in 0...max(0, depth - 1) { advance(layer, count) }
        }
        guard best >= 0 else { return nil }
        var stages: [Stage] = []
        var place = best
        while place >= 0 {
            let label = arena[Int(place)]
            stages.append(
                Stage(seat: Int(label.seat), layers: LayerRange(first: Int(label.first), end: Int(label.end))))
            place = label.parent
        }
        return Found(stages: stages.reversed(), cost: arena[Int(best)].cost)
    }

    /// The boundaries that a placement of the layers before them reaches.
    var reached: [Int] {
        (1..<layerCount).filter { end in
            (0...depth).contains { count in (0..<width).contains { counts[state(count, end, $0)] > 0 } }
        }
    }

    private func state(_ count: Int, _ layer: Int, _ seat: Int) -> Int {
        (count * (layerCount + 1) + layer) * width + seat
    }

    /// Extends every placement of the layers before `first` with `count` stages by one more stage.
    private mutating func advance(_ first: Int, _ count: Int) {
        if first == 0 {
            guard count == 0 else { return }
            for seat in 0..<width { runStages(root(seat), from: -1, first, count) }
            return
        }
        let waiting = waiting(first, count)
        guard !waiting.isEmpty else { return }
        var arrivals: [Arrival] = []
        for seat in 0..<width {
            arrivals.removeAll(keepingCapacity: true)
            let hops = hopTo[seat]
            // The cost of the worst arrival that is kept, once there are as many as may be.
            var worst = Int64.max
            for one in waiting {
                // They come in order of their cost, so no later one can be better.
                if one.cost + leastHop[seat] > worst { break }
                if one.cost + hops[Int(one.seat)] > worst { continue }
                guard let label = hopped(one.label, to: seat) else { continue }
                if label.cost > worst { continue }
                insert(Arrival(label: label, parent: one.label), into: &arrivals)
                if arrivals.count == labelLimit { worst = arrivals.reduce(Int64.min) { max($0, $1.label.cost) } }
            }
            for arrival in arrivals { runStages(arrival.label, from: arrival.parent, first, count) }
        }
    }

    /// The placements of the layers before `first` with `count` stages, cheapest first.
    private func waiting(_ first: Int, _ count: Int) -> [Waiting] {
        var waiting: [Waiting] = []
        for seat in 0..<width {
            let from = state(count, first, seat)
            for slot in 0..<Int(counts[from]) {
                let place = slots[from * labelLimit + slot]
                waiting.append(Waiting(cost: arena[Int(place)].cost, label: place, seat: Int32(seat)))
            }
        }
        waiting.sort { ($0.cost, $0.label) < ($1.cost, $1.label) }
        return waiting
    }

    private func root(_ seat: Int) -> Label {
        Label(
            cost: objective == .room ? space.seats[seat].memory >> 10 : 0, fetch: 0, taken: 0,
            used: Self.bit(seat), stages: 0, misses: space.seats[seat].misses, entry: Int32(seat), seat: Int32(seat),
            first: 0, end: 0, parent: -1)
    }

    /// The label after the hop to another seat; nil when it was used before.
    private func hopped(_ place: Int32, to seat: Int) -> Label? {
        let bit = Self.bit(seat)
        let from = Int(arena[Int(place)].seat)
        if from == seat {
            guard space.sharesSeats else { return nil }
        } else {
            guard (arena[Int(place)].used & bit) == .zero else { return nil }
        }
        var label = arena[Int(place)]
        if from != seat {
            label.used |= bit
            label.taken = 0
            label.misses += space.seats[seat].misses
            if objective == .room { label.cost += space.seats[seat].memory >> 10 }
        }
        label.cost += hopTo[seat][from]
        label.seat = Int32(seat)
        return label
    }

    private mutating func runStages(_ start: Label, from parent: Int32, _ first: Int, _ count: Int) {
        let seat = Int(start.seat)
        let memory = space.seats[seat].memory
        let node = space.seats[seat].node
        var end = first
        while end < layerCount {
            end += 1
            guard space.pinned[end - 1] < 0 || space.pinned[end - 1] == node else { return }
            let need = space.needed(seat, first, end)
            guard need >= 0 else { continue }
            guard start.taken + need <= memory else {
                // Longer stages need more, but for the last one, which has no rows to hand on.
                if end < layerCount { end = layerCount - 1 }
                continue
            }
            var label = start
            if objective == .time {
                label.cost += space.run[seat][end] - space.run[seat][first] + space.stage
                if end == layerCount {
                    label.cost += space.head[seat]
                    // A single stage hands its tokens on within the process.
                    if first > 0 { label.cost += space.back[seat][Int(label.entry)] }
                }
            }
            let least = label.cost + (end < layerCount ? bound[end] : 0)
            if least > ceiling || (best >= 0 && least > arena[Int(best)].cost) { continue }
            label.stages += 1
            label.squares += Int64((end - first) * (end - first))
            label.fetch += space.fetched(seat, first, end)
            label.taken = space.sharesSeats ? start.taken + need : 0
            label.first = Int32(first)
            label.end = Int32(end)
            label.parent = parent
            end == layerCount ? finish(label, count + 1) : store(label, space.stageCount == nil ? 0 : count + 1)
        }
    }

    private mutating func finish(_ label: Label, _ count: Int) {
        if let asked = space.stageCount, count != asked { return }
        if best >= 0, !Self.isBetter(label, than: arena[Int(best)], gap: 0) { return }
        arena.append(label)
        best = Int32(arena.count - 1)
    }

    private mutating func store(_ label: Label, _ count: Int) {
        if let asked = space.stageCount, count >= asked { return }
        let state = state(count, Int(label.end), Int(label.seat))
        guard label.cost <= dearest[state] else { return }
        let base = state * labelLimit
        var kept = 0
        let present = Int(counts[state])
        for slot in 0..<present where dominates(arena[Int(slots[base + slot])], label) { return }
        for slot in 0..<present {
            let index = slots[base + slot]
            if dominates(label, arena[Int(index)]) { continue }
            slots[base + kept] = index
            kept += 1
        }
        if kept == labelLimit {
            // The worst of all makes room, unless that is the new one.
            var worst = 0
            for slot in 1..<max(1, kept)
            where Self.isBetter(arena[Int(slots[base + worst])], than: arena[Int(slots[base + slot])], gap: 0) {
                worst = slot
            }
            counts[state] = Int32(kept)
            guard Self.isBetter(label, than: arena[Int(slots[base + worst])], gap: 0) else { return }
            arena.append(label)
            slots[base + worst] = Int32(arena.count - 1)
            return remember(state)
        }
        arena.append(label)
        slots[base + kept] = Int32(arena.count - 1)
        counts[state] = Int32(kept + 1)
        remember(state)
    }

    /// What a label of this state may cost to find a place, from now on.
    private mutating func remember(_ state: Int) {
        let (base, count) = (state * labelLimit, Int(counts[state]))
        guard count == labelLimit else {
            dearest[state] = .max
            return
        }
        dearest[state] = slots[base..<base + count].reduce(Int64.min) { max($0, arena[Int($1)].cost) }
    }

    /// Whether nothing can come of `other` that does not come of `label` at least as well.
    private func dominates(_ label: Label, _ other: Label) -> Bool {
        (label.used & ~other.used) == .zero && label.taken <= other.taken
            && !Self.isBetter(other, than: label, gap: -backGap[Int(label.entry)][Int(other.entry)])
    }

    /// Whether `label` comes before `other` when its cost is `gap` higher than it says.
    private static func isBetter(_ label: Label, than other: Label, gap: Int64) -> Bool {
        let cost = label.cost + gap
        if cost != other.cost { return cost < other.cost }
        if label.stages != other.stages { return label.stages < other.stages }
        if label.misses != other.misses { return label.misses < other.misses }
        if label.fetch != other.fetch { return label.fetch < other.fetch }
        return label.squares < other.squares
    }

    private func insert(_ arrival: Arrival, into arrivals: inout [Arrival]) {
        for present in arrivals where dominates(present.label, arrival.label) { return }
        arrivals.removeAll { dominates(arrival.label, $0.label) }
        if arrivals.count < labelLimit { return arrivals.append(arrival) }
        var worst = 0
        for place in 1..<arrivals.count
        where Self.isBetter(arrivals[worst].label, than: arrivals[place].label, gap: 0) {
            worst = place
        }
        if Self.isBetter(arrival.label, than: arrivals[worst].label, gap: 0) { arrivals[worst] = arrival }
    }

    private static func bit(_ seat: Int) -> SIMD4<UInt64> {
        var bits = SIMD4<UInt64>.zero
        bits[seat >> 6] = 1 << UInt64(seat & 63)
        return bits
    }
}
