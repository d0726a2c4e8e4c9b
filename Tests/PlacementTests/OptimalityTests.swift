import GGUF
import Testing
import Vocabulary

@testable import Placement

/// The search against every placement there is, on inventories small enough to try them all.
@Suite struct `The search` {
    private struct Case {
        var model: ModelFootprint
        var inventory: Inventory
        var request: PlacementRequest
    }

    private static func random(_ seed: UInt64) throws -> Case {
        var random = SeededRandom(seed: seed)
        let layers = 3 + random.below(4)
        let model = try Models.even(layers: layers) { $0.vocabularySize = 512 + 512 * random.below(8) }
        let whole = model.stage(model.whole, MemorySettings(cells: 4096)).total.bytes
        let count = 2 + random.below(3)
        let nodes = (0..<count).map { index in
            NodeInventory.simple(
                "n\(index)", memory: whole / 8 + UInt64(random.below(Int(whole))),
                reads: Double(1 + random.below(40)) * 1e9, operations: Double(1 + random.below(40)) * 1e10)
        }
        let links = nodes.flatMap { from in
            nodes.filter { $0.name != from.name }.map { to in
                LinkInventory(
                    from: from.name, to: to.name, roundTripMilliseconds: Double(random.below(60)) / 10,
                    bytesPerSecond: Double(1 + random.below(50)) * 1e7)
            }
        }
        var request = PlacementRequest(context: 4096)
        if random.below(3) == 0 { request.stages = 1 + random.below(min(layers, count)) }
        if random.below(4) == 0 {
            let first = random.below(layers)
            request.pins = [.init(layers: LayerRange(first: first, end: first + 1), node: "n\(random.below(count))")]
        }
        return Case(model: model, inventory: Inventory(nodes: nodes, links: links), request: request)
    }

    /// Tries every order of every subset with every cut.
    private static func bruteForce(_ space: SearchSpace, _ asked: Int?) -> Int64? {
        var best: Int64?
        func extend(_ first: Int, _ used: [Int], _ cost: Int64) {
            for seat in space.seats.indices where !used.contains(seat) {
                for end in first + 1...space.layerCount {
                    let need = space.needed(seat, first, end)
                    let node = space.seats[seat].node
                    guard need >= 0, need <= space.seats[seat].memory,
                        (first..<end).allSatisfy({ space.pinned[$0] < 0 || space.pinned[$0] == node })
                    else { continue }
                    var total = cost + space.run[seat][end] - space.run[seat][first] + space.stage
                    if let last = used.last { total += space.hop[last][seat] }
                    guard end == space.layerCount else {
                        extend(end, used + [seat], total)
                        continue
                    }
                    total += space.head[seat]
                    if let entry = used.first { total += space.back[seat][entry] }
                    if let asked, used.count + 1 != asked { continue }
                    best = min(best ?? total, total)
                }
            }
        }
        extend(0, [], 0)
        return best
    }

    @Test(arguments: Seeds.first(60)) func `finds the fastest placement there is`(seed: UInt64) throws {
        let example = try Self.random(seed)
        let policy = PlacementPolicy()
        let entrants = Entrants(example.model, example.inventory, example.request, without: [], occupied: [])
        var space = SearchSpace(example.model, example.inventory, seats: entrants.seats, example.request, policy)
        space.stageCount = example.request.stages
        space.setNeed(example.model, example.request, cells: 4096, share: 1)
        var search = PlacementSearch(space, .time, labelLimit: nil)
        let found = search.run()
        #expect(found?.cost == Self.bruteForce(space, example.request.stages), "SEED=\(seed)")
        var roomy = PlacementSearch(space, .room, labelLimit: nil)
        #expect((roomy.run() != nil) == (found != nil), "SEED=\(seed)")
    }

    @Test(arguments: Seeds.first(40)) func `answers keep what they promise`(seed: UInt64) throws {
        let example = try Self.random(seed)
        let planner = try Planner(model: example.model, inventory: example.inventory)
        switch try planner.plan(example.request) {
        case .placed(let plan):
            #expect(plan.stages.map(\.layers) == plan.cut.stages, "SEED=\(seed)")
            #expect(Set(plan.stages.map(\.node)).count == plan.stages.count, "SEED=\(seed)")
            for stage in plan.stages {
                #expect(stage.footprint.total <= stage.freeBefore, "SEED=\(seed)")
                #expect(stage.freeAfter.bytes == stage.freeBefore.bytes - stage.footprint.total.bytes)
                #expect(stage.cached.bytes + stage.missing.bytes == stage.footprint.fetched.bytes)
            }
            let parts = plan.stages.reduce(plan.returnHop.milliseconds) {
                $0 + $1.tokenTime.milliseconds + ($1.hopTime?.milliseconds ?? 0)
            }
            #expect(abs(parts - plan.tokenTime.milliseconds) < 1e-9)
        case .shortfall(let shortfall):
            try Self.check(shortfall, example, planner, seed)
        }
    }

    /// Everything that is said to help must help.
    private static func check(_ shortfall: Shortfall, _ example: Case, _ planner: Planner, _ seed: UInt64) throws {
        #expect(!shortfall.remedies.isEmpty, "SEED=\(seed)")
        for remedy in shortfall.remedies {
            var request = example.request
            var inventory = example.inventory
            switch remedy {
            case .smallerContext(let tokens): request.context = tokens
            case .oneMoreNode(let bytes):
                inventory.nodes.append(.simple("more", memory: bytes.bytes))
                request.stages = nil
                // The rest may go to the new machine, pinned or not.
                request.pins = []
            case .smallerCache(let keys, let values): (request.keys, request.values) = (keys, values)
            case .anyStages: (request.stages, request.boundaries) = (nil, nil)
            case .noPins: request.pins = []
            }
            let helped = try Planner(model: example.model, inventory: inventory).plan(request)
            #expect(helped.plan != nil, "\(remedy), SEED=\(seed)")
        }
        if shortfall.reason == .memory {
            #expect(shortfall.short.bytes == shortfall.required.bytes - shortfall.available.bytes, "SEED=\(seed)")
        }
    }

    @Test func `many equal machines are filled one after the other`() throws {
        let model = try Models.even(layers: 24)
        // The first stage is the largest: whoever holds four layers there holds at least four anywhere.
        let four = model.stage(LayerRange(first: 0, end: 4), MemorySettings(cells: 4096)).total.bytes
        let nodes = (0..<(Seeds.isDebug ? 16 : 40)).map { NodeInventory.simple("n\($0)", memory: four) }
        let plan = try #require(
            try Planner(model: model, inventory: .meshed(nodes)).plan(PlacementRequest(context: 4096)).plan)
        #expect((2...6).contains(plan.stages.count))
    }

    @Test func `the same question has the same answer`() throws {
        let example = try Self.random(11)
        let planner = try Planner(model: example.model, inventory: example.inventory)
        #expect(try planner.plan(example.request) == planner.plan(example.request))
    }
}
