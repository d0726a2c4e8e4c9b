import GGUF
import Placement
import Testing
import Vocabulary

@Suite struct `The planner` {
    private func whole(_ model: ModelFootprint, _ cells: Int = 4096) -> UInt64 {
        model.stage(model.whole, MemorySettings(cells: cells)).total.bytes
    }

    /// What either half of a model needs, and a little more.
    private func half(_ model: ModelFootprint) -> UInt64 {
        let middle = model.layerCount / 2
        let settings = MemorySettings(cells: 4096)
        let halves = [LayerRange(first: 0, end: middle), LayerRange(first: middle, end: model.layerCount)]
        return halves.map { model.stage($0, settings).total.bytes }.max().map { $0 + (1 << 16) } ?? 0
    }

    private func plan(
        _ model: ModelFootprint, _ inventory: Inventory, _ request: PlacementRequest = PlacementRequest()
    ) throws -> PlacementPlan {
        try #require(try Planner(model: model, inventory: inventory).plan(request).plan)
    }

    private func shortfall(
        _ model: ModelFootprint, _ inventory: Inventory, _ request: PlacementRequest
    ) throws -> Shortfall {
        try #require(try Planner(model: model, inventory: inventory).plan(request).shortfall)
    }

    @Test func `one machine serves alone when that is faster`() throws {
        let model = try Models.even(layers: 8)
        let plan = try plan(
            model, .meshed([.simple("a", memory: 8 << 30), .simple("b", memory: 8 << 30, reads: 10e9)]))
        #expect(plan.stages.map(\.node) == ["a"])
        #expect(plan.soloTime?.milliseconds == plan.tokenTime.milliseconds)
        #expect(plan.returnHop.milliseconds == 0)
    }

    @Test func `a slow machine that holds all loses to two fast ones that do not`() throws {
        let model = try Models.even(layers: 8)
        let half = half(model)
        let nodes: [NodeInventory] = [
            .simple("slow", memory: 8 << 30, reads: 0.5e9, operations: 5e9), .simple("b", memory: half),
            .simple("c", memory: half),
        ]
        let request = PlacementRequest(context: 4096)
        let near = try plan(model, .meshed(nodes, roundTrip: 0.2), request)
        #expect(Set(near.stages.map(\.node)) == ["b", "c"])
        let far = try plan(model, .meshed(nodes, roundTrip: 200), request)
        #expect(far.stages.map(\.node) == ["slow"])
    }

    @Test func `the faster of two machines gets as many layers as it holds`() throws {
        let model = try Models.even(layers: 12)
        let memory = model.stage(LayerRange(first: 0, end: 9), MemorySettings(cells: 4096)).total.bytes
        let plan = try plan(
            model, .meshed([.simple("a", memory: memory, reads: 5e9), .simple("b", memory: memory, reads: 20e9)]),
            PlacementRequest(context: 4096))
        let fast = try #require(plan.stages.first { $0.node == "b" })
        let slow = try #require(plan.stages.first { $0.node == "a" })
        #expect(fast.layers.count > slow.layers.count)
    }

    @Test func `a link is asked in the direction rows travel`() throws {
        let model = try Models.even(layers: 8)
        let half = half(model)
        let links = [
            LinkInventory(from: "a", to: "b", roundTripMilliseconds: 1, bytesPerSecond: 1e6),
            LinkInventory(from: "b", to: "a", roundTripMilliseconds: 1, bytesPerSecond: 1e9),
        ]
        let inventory = Inventory(
            nodes: [.simple("a", memory: half), .simple("b", memory: half)], links: links)
        let plan = try plan(model, inventory, PlacementRequest(context: 4096))
        #expect(plan.stages.map(\.node) == ["b", "a"])
    }

    @Test func `stages asked for share one machine when there is but one`() throws {
        let model = try Models.even(layers: 8)
        let inventory = Inventory(nodes: [.simple("a", memory: 8 << 30)])
        let three = try plan(model, inventory, PlacementRequest(stages: 3))
        #expect(three.stages.count == 3)
        #expect(three.stages.allSatisfy { $0.node == "a" })
        #expect(three.stages.map(\.layers.count).sorted() == [2, 3, 3])
        // What one stage takes is gone for the next.
        #expect(three.stages[1].freeBefore < three.stages[0].freeBefore)
        #expect(three.stages[0].hopTime?.milliseconds ?? 0 < 0.1)
        let cut = try plan(model, inventory, PlacementRequest(boundaries: [2, 7]))
        #expect(cut.cut.boundaries == [2, 7])
    }

    @Test func `names, tags and pins are obeyed`() throws {
        let model = try Models.even(layers: 8)
        var gpu = NodeInventory.simple("gpu", memory: 8 << 30, reads: 1e9)
        gpu.devices[0].kind = "cuda"
        let inventory = Inventory.meshed([.simple("a", memory: 8 << 30), .simple("b", memory: 8 << 30), gpu])
        let on = try plan(model, inventory, PlacementRequest(on: ["b"]))
        #expect(on.stages.map(\.node) == ["b"])
        #expect(on.excluded.map(\.reason) == [.notNamed, .notNamed])
        let without = try plan(model, inventory, PlacementRequest(exclude: ["a"]))
        #expect(without.stages.map(\.node) == ["b"])
        let tagged = try plan(model, inventory, PlacementRequest(requiredTags: ["cuda"]))
        #expect(tagged.stages.map(\.node) == ["gpu"])
        #expect(tagged.excluded.allSatisfy { $0.reason == .missingTag && $0.detail == "cuda" })
        var card = try ModelShape(.llama).writer()
        card.set(PlacementTags(required: ["llama-cuda"]))
        let carded = try plan(try ModelFootprint(ModelCutter(card.layout().file)), inventory)
        #expect(carded.stages.map(\.node) == ["gpu"])
        let pinned = try plan(
            model, inventory, PlacementRequest(pins: [.init(layers: LayerRange(first: 7, end: 8), node: "gpu")]))
        #expect(pinned.stages.last?.node == "gpu")
        let preferred = try plan(
            model,
            .meshed([
                .simple("a", memory: 8 << 30),
                NodeInventory(
                    name: "b", devices: NodeInventory.simple("b", memory: 8 << 30).devices, tags: ["wired"]),
            ]),
            PlacementRequest(preferredTags: ["wired"]))
        #expect(preferred.stages.map(\.node) == ["b"])
    }

    @Test func `among equals the machine that holds the model already wins`() throws {
        let model = try Models.even(layers: 8)
        var holder = NodeInventory.simple("z", memory: 8 << 30)
        holder.heldLayers = [LayerRange(first: 0, end: 8)]
        let plan = try plan(model, .meshed([.simple("a", memory: 8 << 30), holder]))
        #expect(plan.stages.map(\.node) == ["z"])
        #expect(plan.fetchByteCount.bytes == 0)
        #expect(plan.stages[0].cached == plan.stages[0].footprint.fetched)
    }

    @Test func `the context is what the model was trained for when it fits`() throws {
        let model = try Models.even(layers: 4)
        let plan = try plan(model, Inventory(nodes: [.simple("a", memory: 8 << 30)]))
        #expect(plan.context == 8192)
        #expect(plan.contextReason == .trained)
        let long = try Models.even(layers: 4) { $0.contextLength = 1 << 20 }
        let capped = try self.plan(long, Inventory(nodes: [.simple("a", memory: 64 << 30)]))
        #expect(capped.context == 131_072)
        #expect(capped.contextReason == .unaskedLimit)
        let asked = try self.plan(
            long, Inventory(nodes: [.simple("a", memory: 64 << 30)]), PlacementRequest(context: 200_000))
        #expect(asked.context == 200_000)
    }

    @Test func `a context bounded by memory leaves its reserve and names the machine`() throws {
        let model = try Models.even(layers: 8) { $0.contextLength = 131_072 }
        let memory = whole(model, 20_000)
        let plan = try plan(model, Inventory(nodes: [.simple("a", memory: memory)]))
        let stage = plan.stages[0]
        #expect(plan.contextReason == .memory)
        #expect(plan.contextNode == "a")
        #expect(plan.context % 256 == 0)
        #expect(plan.context > 12_000 && plan.context < 20_000)
        let left = stage.freeBefore.bytes - stage.footprint.withoutCache.bytes
        #expect(Double(stage.footprint.cache.bytes) <= 0.85 * Double(left))
        // The next step would not fit.
        let next = model.stage(model.whole, MemorySettings(cells: plan.context + 256))
        #expect(Double(next.cache.bytes) > 0.85 * Double(memory - next.withoutCache.bytes))
    }

    @Test func `what was never measured is said to be unknown`() throws {
        let model = try Models.even(layers: 4)
        let unknown = NodeInventory.simple("a", memory: 8 << 30, reads: nil, operations: nil)
        let plan = try plan(model, Inventory(nodes: [unknown]))
        #expect(!plan.tokenTime.isMeasured)
        #expect(!plan.stages[0].tokenTime.isMeasured)
        let blind = NodeInventory(name: "b", devices: [DeviceInventory(usableMemory: nil)])
        let short = try shortfall(model, Inventory(nodes: [blind]), PlacementRequest())
        #expect(short.reason == .noParticipants)
        #expect(short.excluded.map(\.reason) == [.memoryUnknown])
    }

    @Test func `a shortfall has every number`() throws {
        let model = try Models.even(layers: 8) { $0.contextLength = 131_072 }
        let needed = whole(model, 65_536)
        var offline = NodeInventory.simple("c", memory: 64 << 30)
        offline.availability = .unreachable
        let inventory = Inventory.meshed(
            [.simple("a", memory: needed / 3), .simple("b", memory: needed / 4), offline], roundTrip: 3)
        let short = try shortfall(model, inventory, PlacementRequest(context: 65_536))
        #expect(short.reason == .memory)
        #expect(short.required.bytes == needed)
        #expect(short.available.bytes == needed / 3 + needed / 4)
        #expect(short.short.bytes == short.required.bytes - short.available.bytes)
        #expect(short.participants.map(\.node) == ["a", "b"])
        #expect(short.participants.allSatisfy { $0.roundTripMilliseconds == 3 && $0.cached.bytes == 0 })
        #expect(short.excluded == [Exclusion(node: "c", device: nil, reason: .unreachable, detail: nil)])
        #expect(short.description.contains("requires \(short.required)"))
        #expect(short.remedies.contains { if case .smallerContext = $0 { true } else { false } })
        #expect(short.remedies.contains { if case .oneMoreNode = $0 { true } else { false } })
    }

    @Test func `replicas take machines of their own first`() throws {
        let model = try Models.even(layers: 4)
        let inventory = Inventory.meshed([.simple("a", memory: 8 << 30), .simple("b", memory: 8 << 30)])
        let planner = try Planner(model: model, inventory: inventory)
        let three = try planner.planReplicas(PlacementRequest(replicas: 3))
        #expect(three.plans.count == 3)
        #expect(Set(three.plans.prefix(2).flatMap { $0.stages.map(\.node) }) == ["a", "b"])
        #expect(three.shortfall == nil)
        let tight = try Planner(
            model: model,
            inventory: .meshed([.simple("a", memory: whole(model) * 3 / 2), .simple("b", memory: whole(model) * 3 / 2)])
        )
        let some = try tight.planReplicas(PlacementRequest(context: 4096, replicas: 3))
        #expect(some.plans.count == 2)
        #expect(some.shortfall != nil)
    }

    @Test func `figures without a meaning are refused by their field`() throws {
        let model = try Models.even(layers: 4)
        let good = Inventory(nodes: [.simple("a", memory: 8 << 30)])
        #expect(throws: PlacementError.self) {
            try Planner(model: model, inventory: Inventory(nodes: [.simple("a", memory: 1), .simple("a", memory: 1)]))
        }
        #expect(throws: PlacementError.self) {
            try Planner(model: model, inventory: Inventory(nodes: [.simple("a", memory: 1, reads: -1)]))
        }
        #expect(throws: PlacementError.self) {
            try Planner(model: model, inventory: Inventory(nodes: [.simple("a", memory: 1, reads: .nan)]))
        }
        let planner = try Planner(model: model, inventory: good)
        for request in [
            PlacementRequest(context: 0), PlacementRequest(lanes: 0), PlacementRequest(stages: 5),
            PlacementRequest(boundaries: [4]), PlacementRequest(on: ["nobody"]), PlacementRequest(replicas: 0),
        ] {
            #expect(throws: PlacementError.self) { try planner.plan(request) }
        }
    }

    @Test(arguments: [1e14, .infinity, .nan, -1, 1e7 + 1] as [Double])
    func `a round trip of no link is refused`(trip: Double) throws {
        let model = try Models.even(layers: 4)
        let nodes = ["a", "b"].map { NodeInventory.simple($0, memory: 8 << 30) }
        let error = #expect(throws: PlacementError.self) {
            try Planner(model: model, inventory: .meshed(nodes, roundTrip: trip))
        }
        #expect(error?.description.hasPrefix("links.a→b.rtt_ms is \(trip); it is 0.0 … 10000000.0") == true)
        _ = try Planner(model: model, inventory: .meshed(nodes, roundTrip: 1e7))
    }

    @Test(arguments: [0, 999, 1e19, .infinity] as [Double])
    func `a rate of no machine is refused`(rate: Double) throws {
        let model = try Models.even(layers: 4)
        func check(_ field: String, _ change: (inout Inventory) -> Void) {
            var changed = Inventory.meshed([.simple("a", memory: 8 << 30), .simple("b", memory: 8 << 30)])
            change(&changed)
            let inventory = changed
            let error = #expect(throws: PlacementError.self) { try Planner(model: model, inventory: inventory) }
            #expect(error?.description.hasPrefix("\(field) is ") == true)
        }
        check("nodes.b.cpu.weight_read") { $0.nodes[1].devices[0].speed.weightReadBytesPerSecond = rate }
        check("nodes.b.cpu.prefill") { $0.nodes[1].devices[0].speed.prefillOperationsPerSecond = rate }
        check("nodes.b.cpu.attention") { $0.nodes[1].devices[0].speed.attentionOperationsPerSecond = rate }
        check("nodes.b.cpu.row_costs.q8_0") {
            let cost = DeviceSpeed.RowCost(type: "q8_0", rows: 1, millisecondsPerGigabyte: 1e12 / rate)
            $0.nodes[1].devices[0].speed.rowCosts = [cost]
        }
        check("links.b→a.bandwidth") { $0.links[1].bytesPerSecond = rate }
    }

    @Test func `what others told is brought within the limits, and what is no number is unknown`() throws {
        var node = NodeInventory.simple("a", memory: .max, reads: 1, operations: .infinity)
        node.devices[0].speed.attentionOperationsPerSecond = .nan
        node.devices[0].speed.rowCosts = [
            .init(type: "q8_0", rows: 1, millisecondsPerGigabyte: 1e12),
            .init(type: "f32", rows: 0, millisecondsPerGigabyte: 1),
        ]
        let told = Inventory.meshed([node, .simple("b", memory: 1 << 30)], roundTrip: 1e14, rate: 1)
        #expect(throws: PlacementError.self) { try told.check() }
        let inventory = told.clamped()
        try inventory.check()
        let device = inventory.nodes[0].devices[0]
        #expect(device.usableMemory == ByteCount(PlacementLimits.memoryMax))
        #expect(
            device.speed
                == DeviceSpeed(
                    weightReadBytesPerSecond: 1e3, prefillOperationsPerSecond: 1e18,
                    rowCosts: [.init(type: "q8_0", rows: 1, millisecondsPerGigabyte: 1e9)]))
        #expect(inventory.links.allSatisfy { $0.roundTripMilliseconds == 1e7 && $0.bytesPerSecond == 1e3 })
        let good = Inventory.meshed([.simple("a", memory: 1 << 30), .simple("b", memory: 1 << 30)])
        #expect(good.clamped() == good)
    }

    @Test func `times beyond all measure order placements still`() throws {
        // 2^45 bytes in each layer: at a kilobyte per second a thousand years.
        let names = (0..<4).map { "blk.\($0).ffn_up.weight" }
        var writer = try ModelShape(.llama).writer()
        writer.tensors += names.map { TensorPlan(name: $0 + ".more", dimensions: [1 << 24, 1 << 20], type: .f16) }
        let model = try ModelFootprint(ModelCutter(writer.layout().file))
        let nodes = [("slow", 1e3), ("less", 1e9)].map {
            NodeInventory.simple($0.0, memory: PlacementLimits.memoryMax, reads: $0.1, operations: $0.1)
        }
        let plan = try plan(model, .meshed(nodes, roundTrip: 1e7, rate: 1e3), PlacementRequest(context: 512))
        #expect(plan.stages.map(\.node) == ["less"])
        #expect(plan.tokenTime.milliseconds > 0 && plan.tokenTime.milliseconds.isFinite)
        let alone = try self.plan(model, Inventory(nodes: [nodes[0]]), PlacementRequest(context: 512))
        #expect(alone.tokenTime.milliseconds > 1e14 && alone.cost > 0)
    }

    @Test func `attention that computes longer than it reads counts with its computing`() throws {
        let model = try Models.even(layers: 4)
        func time(_ operations: Double?) throws -> Double {
            var node = NodeInventory.simple("a", memory: 8 << 30)
            node.devices[0].speed.attentionOperationsPerSecond = operations
            return try plan(model, .meshed([node]), PlacementRequest(context: 4096)).tokenTime.milliseconds
        }
        let reading = try time(nil)
        #expect(abs(try time(1e15) - reading) < 1e-4)
        // 640 tokens deep, queries and answers of 512 values each: 2 × 640 × 1024 operations in each of four layers.
        let policy = PlacementPolicy()
        let depth = Double(policy.promptTokens + policy.answerTokens / 2)
        let computing = 4 * 2 * depth * 1024 / 1e9 * 1000
        let cache = 4 * depth * 512 / 20e9 * 1000
        // Between the products: four times the width, queries, keys, values and answers, gate, up and their product.
        let elements = 4 * Double(4 * 512 + 512 + 128 + 128 + 512 + 3 * 2048) * 96 / 1e9 * 1000
        #expect(abs(try time(1e9) - (reading - cache + computing + elements)) < 1e-9)
    }

    @Test func `measured rows count more than rates`() throws {
        let model = try Models.even(layers: 4)
        var node = NodeInventory.simple("a", memory: 8 << 30)
        node.devices[0].speed.rowCosts = [
            .init(type: "q8_0", rows: 1, millisecondsPerGigabyte: 500),
            .init(type: "q8_0", rows: 512, millisecondsPerGigabyte: 5000),
            .init(type: "f32", rows: 1, millisecondsPerGigabyte: 500),
        ]
        let measured = try plan(model, Inventory(nodes: [node]))
        let rated = try plan(model, Inventory(nodes: [.simple("a", memory: 8 << 30)]))
        // 500 ms per gigabyte is a tenth of 20 GB/s.
        #expect(measured.tokenTime.milliseconds > 5 * rated.tokenTime.milliseconds)
    }

    @Test func `a prompt computes at the rate of prompts where only single rows were measured`() throws {
        let model = try Models.even(layers: 4)
        func prompt(_ operations: Double?) throws -> Double {
            var node = NodeInventory.simple("a", memory: 8 << 30, operations: operations)
            node.devices[0].speed.rowCosts = ["q8_0", "f32"].map {
                .init(type: $0, rows: 1, millisecondsPerGigabyte: 50)
            }
            return try plan(model, Inventory(nodes: [node]), PlacementRequest(context: 4096)).firstTokenTime
                .milliseconds
        }
        let (slow, twice, quick, rows) = (try prompt(1e9), try prompt(2e9), try prompt(1e18), try prompt(nil))
        #expect(abs(slow / twice - 2) < 0.05)
        // However quick it computes, the weights are read once; unmeasured it is as if every row read them again.
        #expect(quick > 0 && quick * 100 < rows)
    }

    @Test func `a stage tells what its time is made of, and a hop what is known of its link`() throws {
        let model = try Models.even(layers: 4)
        let plan = try plan(
            model,
            Inventory(
                nodes: [.simple("a", memory: 8 << 30), .simple("b", memory: 8 << 30)],
                links: ["a", "b"].map {
                    LinkInventory(
                        from: $0, to: $0 == "a" ? "b" : "a", roundTripMilliseconds: 0.4, bytesPerSecond: nil)
                }),
            PlacementRequest(
                context: 4096,
                pins: [
                    .init(layers: LayerRange(first: 0, end: 2), node: "a"),
                    .init(layers: LayerRange(first: 2, end: 4), node: "b"),
                ]))
        #expect(plan.stages.count == 2)
        for stage in plan.stages {
            let basis = stage.basis
            #expect(stage.tokenTime == basis.tokenTime && stage.tokenTime.isMeasured)
            let parts = basis.weightTime.milliseconds + basis.cacheTime.milliseconds + basis.stepMilliseconds
            #expect(abs(parts - stage.tokenTime.milliseconds) < 1e-12)
            // A simple machine reads 20 GB/s.
            #expect(abs(basis.bytesPerSecond / 20e9 - 1) < 0.001)
            #expect(stage.tokensPerSecond == 1000 / stage.tokenTime.milliseconds)
        }
        // The head is read by the last stage.
        #expect(plan.stages[1].basis.readBytes > plan.stages[0].basis.readBytes)
        #expect(plan.stages[0].hopLink?.roundTripMilliseconds == 0.4 && plan.stages[1].hopLink == nil)
        // Half a round trip is known, the time of the row's bytes is not.
        let hop = try #require(plan.stages[0].hopTime)
        #expect(hop.assumedMilliseconds > 0 && hop.assumedMilliseconds < hop.milliseconds - 0.2)
        #expect(plan.tokenTime.assumedMilliseconds == hop.assumedMilliseconds)
    }

    @Test(arguments: [(0.0, true), (0.05, true), (0.051, false), (1, false)])
    func `a prediction counts as measured while at most a twentieth of it is assumed`(share: Double, isMeasured: Bool)
        throws
    {
        var time = PredictedTime(milliseconds: 10, isMeasured: true)
        time.assumedMilliseconds = 10 * share
        #expect(time.isMeasured == isMeasured)
    }
}
