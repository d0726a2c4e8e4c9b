import GGUF
import ModelStore
import Placement
import Testing
import Vocabulary

@testable import Cluster
@testable import Node

@Suite struct `Cluster planner` {
    private static func model(layers: Int = 12, card: PlacementTags = PlacementTags()) throws -> ModelFootprint {
        var shape = ModelShape(.llama)
        shape.layerCount = layers
        shape.width = 512
        shape.headCount = 8
        shape.headCountKV = 2
        shape.headSize = 64
        shape.feedForward = 2048
        shape.contextLength = 8192
        var writer = try shape.writer()
        writer.set(card)
        return try ModelFootprint(try ModelCutter(try writer.layout().file))
    }

    private static func planner() throws -> ClusterPlanner {
        let model = try model()
        return ClusterPlanner { _ in model }
    }

    private static func candidate(
        _ number: UInt64, usable: UInt64?, promised: UInt64 = 0, credited: UInt64 = 0
    ) -> PlanQuestion.PlanCandidate {
        var reading = NodeReading(node: NodeID(number))
        reading.usableBytes = usable
        return PlanQuestion.PlanCandidate(
            member: Member(node: NodeID(number), name: "n\(number)"), reading: reading, promisedBytes: promised,
            creditedBytes: credited)
    }

    private static func question(
        _ candidates: [PlanQuestion.PlanCandidate], width: Int = 1, excluded: [PlanQuestion.PlanExclusion] = []
    ) -> PlanQuestion {
        var deployment = Deployment(name: "m", model: "model")
        deployment.contextTokens = 512
        return PlanQuestion(
            id: 1, deployment: deployment, replica: ReplicaKey(deployment: "m", index: 0), width: width,
            candidates: candidates, excluded: excluded)
    }

    private static func stages(_ answer: PlanAnswer) throws -> [StageAssignment] {
        guard case .placed(let stages, let context, let lanes, _) = answer else {
            Issue.record("\(answer)")
            return []
        }
        #expect(context == 512 && lanes == 4)
        #expect(stages.first?.layers.first == 0 && stages.last?.layers.end == 12)
        for (first, second) in zip(stages, stages.dropFirst()) { #expect(first.layers.end == second.layers.first) }
        #expect(Set(stages.map(\.node)).count == stages.count)
        #expect(stages.allSatisfy { $0.bytes.bytes > 0 })
        return stages
    }

    /// Bytes the whole model takes on one node.
    private static func whole() async throws -> UInt64 {
        let answer = try await planner().plan(question([candidate(1, usable: 1 << 40)]))
        return try #require(try stages(answer).first).bytes.bytes
    }

    /// A question about what serves on node 1, beside a node 2 that reads its weights `factor` times as quickly.
    private static func replanning(_ factor: UInt64, holds: Bool = true) async throws -> PlanAnswer {
        var nodes = [candidate(1, usable: 1 << 34), candidate(2, usable: 1 << 40)]
        for (index, rate) in [10_000_000_000, 10_000_000_000 * factor].enumerated() {
            nodes[index].reading?.weightBytesPerSecond = rate
            nodes[index].reading?.prefillOperationsPerSecond = 100_000_000_000
            if holds { nodes[index].reading?.holds = ["sum"] }
        }
        let first = try stages(await planner().plan(question([nodes[0]])))
        // Its memory is taken by what serves, and is no reason not to price that.
        nodes[0].reading?.usableBytes = 1
        var asked = question(nodes)
        asked.deployment.digest = "sum"
        asked.serving = PlacedReplica(
            epoch: Epoch(term: 1, number: 1), replica: asked.replica, stages: first, contextTokens: 512, lanes: 4)
        return try await planner().plan(asked)
    }

    @Test func `what serves moves only where it is worth it`() async throws {
        #expect(try await Self.replanning(1) == .kept)
        let better = try Self.stages(await Self.replanning(4))
        #expect(better.map(\.node) == [NodeID(2)])
    }

    @Test func `what serves stays when nothing fits beside it`() async throws {
        var asked = Self.question([Self.candidate(1, usable: 1)])
        let whole = try await Self.whole()
        asked.serving = PlacedReplica(
            epoch: Epoch(term: 1, number: 1), replica: asked.replica,
            stages: [
                StageAssignment(node: NodeID(1), layers: LayerRange(first: 0, end: 12), bytes: ByteCount(whole))
            ], contextTokens: 512, lanes: 4)
        #expect(try await Self.planner().plan(asked) == .kept)
    }

    @Test func `a model's own head takes its room on the last stage, where it can guess`() async throws {
        let cutter = try ModelFile(path: Fixture.headedModel).cutter()
        let model = try ModelFootprint(cutter)
        let planner = ClusterPlanner { _ in model }
        func stages(_ draft: String) async throws -> [StageAssignment] {
            var asked = Self.question([1, 2].map { Self.candidate($0, usable: 1 << 40) }, width: 2)
            asked.deployment.draft = draft
            asked.deployment.stages = 2
            guard case .placed(let stages, _, _, _) = await planner.plan(asked) else { return [] }
            return stages
        }
        let (plain, heads) = (try await stages("off"), try await stages("mtp"))
        try #require(plain.count == 2 && heads.count == 2)
        #expect(plain.map(\.layers) == heads.map(\.layers))
        #expect(plain[0].bytes == heads[0].bytes)
        #expect(heads[1].bytes.bytes > plain[1].bytes.bytes + cutter.headTensors.reduce(0) { $0 + $1.byteCount })

        var without = Self.question([Self.candidate(1, usable: 1 << 40)])
        without.deployment.draft = "mtp"
        guard case .refused(let reason) = try await Self.planner().plan(without) else {
            Issue.record("a model without a head was placed with one")
            return
        }
        #expect(reason.contains("no head for several tokens"))
    }

    @Test func `a draft model takes its room beside the entry stage, or the answer says what it lacks`() async throws {
        let (model, small) = (try Self.model(), try Self.model(layers: 1))
        let planner = ClusterPlanner(model: { _ in model }, draft: { _ in small })
        let whole = try await Self.whole()
        let stages = try Self.stages(await planner.plan(Self.question([Self.candidate(1, usable: 1 << 40)])))
        #expect(try #require(stages.first).bytes.bytes > whole)
        // A node that has just room for the model.
        var usable = whole
        while case .refused = try await Self.planner().plan(Self.question([Self.candidate(1, usable: usable)])) {
            usable += whole / 50
        }
        let answer = await planner.plan(Self.question([Self.candidate(1, usable: usable)]))
        guard case .refused(let reason) = answer else {
            Issue.record("\(answer)")
            return
        }
        #expect(reason.contains("draft"))
    }

    private static func need(isWhole: Bool = false) throws -> ProjectorNeed {
        let facts = try ProjectorFacts(try ProjectorShape(width: 512).writer().layout().file)
        return ProjectorNeed(footprint: ProjectorFootprint(facts, rows: ByteCount(16 << 20)), isWhole: isWhole)
    }

    @Test func `a projector takes its room beside the entry stage, and the plan says how much`() async throws {
        let (model, need) = (try Self.model(), try Self.need())
        let planner = ClusterPlanner(model: { _ in model }, projector: { _ in need })
        let whole = try await Self.whole()
        let alone = try Self.stages(await planner.plan(Self.question([Self.candidate(1, usable: 1 << 40)])))
        #expect(alone.first?.projector == need.footprint.total)
        #expect(alone.first?.bytes.bytes == whole + need.footprint.total.bytes)
        let nodes = [1, 2].map { Self.candidate(UInt64($0), usable: whole * 3 / 4 + need.footprint.total.bytes) }
        let split = try Self.stages(await planner.plan(Self.question(nodes, width: 2)))
        #expect(split.map(\.projector) == [need.footprint.total, ByteCount(0)])
        // A node with just room for the model has none for both.
        let answer = await planner.plan(Self.question([Self.candidate(1, usable: whole + whole / 50)]))
        guard case .refused(let reason) = answer else {
            Issue.record("\(answer)")
            return
        }
        #expect(reason.contains("projector") && reason.contains("\(need.footprint.total)"), "\(reason)")
    }

    @Test func `a model whose stages read the tokens again sees in one stage only`() async throws {
        let (model, need) = (try Self.model(), try Self.need(isWhole: true))
        let planner = ClusterPlanner(model: { _ in model }, projector: { _ in need })
        let whole = try await Self.whole() + need.footprint.total.bytes
        let roomy = (1...2).map { Self.candidate(UInt64($0), usable: whole * 2) }
        #expect(try Self.stages(await planner.plan(Self.question(roomy))).count == 1)
        let narrow = (1...2).map { Self.candidate(UInt64($0), usable: whole * 3 / 4) }
        for question in [Self.question(narrow), Self.question(roomy, width: 2)] {
            guard case .refused(let reason) = await planner.plan(question) else {
                Issue.record("it was cut")
                continue
            }
            #expect(reason.contains("one stage"), "\(reason)")
        }
    }

    @Test func `a projector that cannot be used is refused with its reason`() async throws {
        let model = try Self.model()
        let refusal = ProjectorRefusal(projector: "0f0f…", obstacle: .threeDirections(architecture: "qwen2vl"))
        let planner = ClusterPlanner(model: { _ in model }, projector: { _ in throw refusal })
        guard case .refused(let reason) = await planner.plan(Self.question([Self.candidate(1, usable: 1 << 40)])) else {
            Issue.record("it was placed")
            return
        }
        #expect(reason.contains("0f0f…") && reason.contains("M-RoPE"))
    }

    @Test func `one node that holds the model runs it alone`() async throws {
        let stages = try Self.stages(
            try await Self.planner().plan(
                Self.question([Self.candidate(7, usable: 1 << 40), Self.candidate(8, usable: 1 << 40)])))
        #expect(stages.count == 1)
    }

    @Test func `nodes with the preferred tags run it while it fits there`() async throws {
        let whole = try await Self.whole()
        func question(favourite usable: UInt64) -> PlanQuestion {
            var favourite = Self.candidate(2, usable: usable)
            favourite.member.tags = ["llama-cpu", "llama-cuda"]
            var question = Self.question([Self.candidate(1, usable: 1 << 40), favourite])
            question.deployment.preferredTags = ["llama-cuda"]
            return question
        }
        let fits = try Self.stages(try await Self.planner().plan(question(favourite: whole * 2)))
        #expect(fits.map(\.node) == [NodeID(2)])
        let full = try Self.stages(try await Self.planner().plan(question(favourite: whole / 8)))
        #expect(full.map(\.node) == [NodeID(1)])
        // A tag nobody has is no reason to refuse.
        var nobody = question(favourite: whole * 2)
        nobody.deployment.preferredTags = ["llama-none"]
        #expect(try Self.stages(try await Self.planner().plan(nobody)).count == 1)
    }

    @Test func `a model's card keeps it off machines and prefers others, and a refusal says so`() async throws {
        let whole = try await Self.whole()
        func plan(_ card: PlacementTags, favourite usable: UInt64) async throws -> PlanAnswer {
            let model = try Self.model(card: card)
            var favourite = Self.candidate(2, usable: usable)
            favourite.member.tags = ["llama-cpu", "llama-cuda"]
            return await ClusterPlanner { _ in model }
                .plan(Self.question([Self.candidate(1, usable: 1 << 40), favourite]))
        }
        let required = PlacementTags(required: ["llama-cuda"])
        #expect(try Self.stages(await plan(required, favourite: whole * 2)).map(\.node) == [NodeID(2)])
        guard case .refused(let reason) = try await plan(required, favourite: whole / 8) else {
            Issue.record("it runs where its card forbids it")
            return
        }
        #expect(reason.contains("lacks the tag llama-cuda, which the model's card asks for"), "\(reason)")
        let preferred = PlacementTags(preferred: ["llama-cuda"])
        #expect(try Self.stages(await plan(preferred, favourite: whole * 2)).map(\.node) == [NodeID(2)])
        #expect(try Self.stages(await plan(preferred, favourite: whole / 8)).map(\.node) == [NodeID(1)])
    }

    @Test func `a model too large for one is spread, and a refusal for memory spreads it wider`() async throws {
        let whole = try await Self.whole()
        let nodes = (1...4).map { Self.candidate(UInt64($0), usable: whole * 3 / 4) }
        #expect(try Self.stages(try await Self.planner().plan(Self.question(nodes))).count >= 2)
        #expect(try Self.stages(try await Self.planner().plan(Self.question(nodes, width: 4))).count == 4)
        guard case .refused(let reason) = try await Self.planner().plan(Self.question(nodes, width: 5)) else {
            Issue.record("five stages on four nodes")
            return
        }
        #expect(reason.contains("5") && reason.contains("4"))
    }

    @Test func `promised memory is not given twice, and freed memory counts before it is read`() async throws {
        let whole = try await Self.whole()
        let planner = try Self.planner()
        guard
            case .refused = await planner.plan(
                Self.question([Self.candidate(1, usable: whole * 2, promised: whole * 3 / 2)]))
        else {
            Issue.record("promised memory was given again")
            return
        }
        let freed = await planner.plan(Self.question([Self.candidate(1, usable: whole / 8, credited: whole)]))
        #expect(try Self.stages(freed).count == 1)
    }

    @Test func `a shortfall says what is needed, what there is, what would help, and who is left out`() async throws {
        let whole = try await Self.whole()
        let excluded = (10..<20 as Range<UInt64>).map {
            PlanQuestion.PlanExclusion(node: NodeID($0), code: "draining", reason: "it is being emptied")
        }
        let answer = try await Self.planner().plan(
            Self.question(
                [Self.candidate(1, usable: whole * 3 / 4), Self.candidate(2, usable: nil)], excluded: excluded))
        guard case .refused(let reason) = answer else {
            Issue.record("\(answer)")
            return
        }
        for part in ["requires", "short by", "Next step", "draining", "6 more", "1 nodes have not told"] {
            #expect(reason.contains(part), "\(part) is missing in: \(reason)")
        }
        #expect(reason.utf8.count <= Cluster.Limits.textBytes)
    }

    @Test func `the cache is planned as it will be stored`() async throws {
        func bytes(_ keys: CacheFormat?, _ values: CacheFormat?) async throws -> UInt64 {
            var question = Self.question([Self.candidate(1, usable: 1 << 40)])
            (question.deployment.cacheKeys, question.deployment.cacheValues) = (keys, values)
            return try Self.stages(try await Self.planner().plan(question)).map(\.bytes.bytes).reduce(0, +)
        }
        // 2 heads of 64 for keys and for values, 12 layers, 512 cells: in f16 two bytes a value, in q8_0 34 per 32.
        let half: UInt64 = 12 * 512 * 128
        let standard = try await bytes(nil, nil)
        #expect(try await bytes(.q8_0, .q8_0) == standard)
        #expect(try await bytes(.f16, nil) == standard + half * (64 - 34) / 32)
        #expect(try await bytes(.f16, .f16) == standard + 2 * half * (64 - 34) / 32)
    }

    @Test func `a deployment that lacks room is told how to store its cache smaller, where that helps`() async throws {
        let whole = try await Self.whole()
        var question = Self.question([Self.candidate(1, usable: whole)])
        question.deployment.cacheKeys = .f32
        question.deployment.cacheValues = .f32
        guard case .refused(let reason) = try await Self.planner().plan(question) else {
            Issue.record("it fits")
            return
        }
        #expect(reason.contains("--cache-type-k q8_0 --cache-type-v q8_0"), "\(reason)")
    }

    @Test func `a model nobody can read is refused with its reason`() async {
        let planner = ClusterPlanner { _ in throw PlacementError.incomplete(field: "blocks", problem: "is missing") }
        guard case .refused(let reason) = await planner.plan(Self.question([Self.candidate(1, usable: 1)])) else {
            Issue.record("it was placed")
            return
        }
        #expect(reason.contains("blocks"))
    }

    @Test func `links and held models reach the planner`() async throws {
        var first = Self.candidate(1, usable: 1 << 30)
        first.reading?.links = [
            LinkReading(peer: NodeID(2), roundTripMicroseconds: 1500, bytesPerSecond: nil),
            LinkReading(peer: NodeID(9), roundTripMicroseconds: 1, bytesPerSecond: 1),
        ]
        first.reading?.holds = ["sum"]
        var question = Self.question([first, Self.candidate(2, usable: .max)])
        question.deployment.digest = "sum"
        let inventory = ClusterPlanner.inventory(question, layerCount: 12)
        #expect(inventory.links.count == 1)
        #expect(inventory.links.first?.roundTripMilliseconds == 1.5)
        #expect(inventory.nodes[0].heldLayers == [LayerRange(first: 0, end: 12)])
        #expect(inventory.nodes[1].heldLayers.isEmpty)
        #expect(inventory.nodes[1].devices[0].usableMemory == ByteCount(PlacementLimits.memoryMax))
    }

    @Test func `a node tells what its machine offers`() async {
        let reading = NodeMeasurement(node: NodeID(3), folder: "/", holds: { ["a"] }).reading()
        #expect(reading.node == NodeID(3))
        #expect(reading.usableBytes ?? 0 > 0)
        #expect(reading.freeDiskBytes ?? 0 > 0)
        #expect(reading.holds == ["a"])
        let unknown = NodeMeasurement(node: NodeID(3), folder: "/nowhere/at/all", inventory: { Inventory(nodes: []) })
            .reading()
        #expect(unknown.usableBytes == nil && unknown.freeDiskBytes == nil)
    }

    // MARK: Speed

    private static let figures = DeviceFigures(
        device: nil, threads: 2,
        speed: DeviceSpeed(
            weightReadBytesPerSecond: 12e9, prefillOperationsPerSecond: 90e9, attentionOperationsPerSecond: 7e9,
            rowCosts: [
                .init(type: "q8_0", rows: 1, millisecondsPerGigabyte: 80),
                .init(type: "q8_0", rows: 64, millisecondsPerGigabyte: 900),
                .init(type: "f16", rows: 1, millisecondsPerGigabyte: 100),
            ]),
        isDisturbed: false)

    @Test func `what a node measured of its device arrives at the planner of another`() throws {
        let measurement = NodeMeasurement(node: NodeID(3), folder: "/", figures: { Self.figures })
        let told = measurement.reading()
        let heard = try NodeReading(encoded: told.encoded)
        #expect(heard == told && heard.weightBytesPerSecond == 12_000_000_000)
        var candidate = Self.candidate(3, usable: 1 << 40)
        candidate.reading = heard
        let inventory = ClusterPlanner.inventory(Self.question([candidate]), layerCount: 12)
        var expected = Self.figures.speed
        // Times of several rows stay at home.
        expected.rowCosts.removeAll { $0.rows > 1 }
        #expect(inventory.nodes[0].devices[0].speed == expected)
        try inventory.check()
    }

    @Test func `a rate of zero is none`() throws {
        var candidate = Self.candidate(3, usable: 1 << 40)
        candidate.reading?.weightBytesPerSecond = 0
        candidate.reading?.prefillOperationsPerSecond = 0
        candidate.reading?.attentionOperationsPerSecond = 0
        candidate.reading?.weightRates = [WeightRate(type: "q8_0", bytesPerSecond: 0)]
        let inventory = ClusterPlanner.inventory(Self.question([candidate]), layerCount: 12)
        #expect(inventory.nodes[0].devices[0].speed == DeviceSpeed())
        try inventory.check()
    }

    @Test func `one member's nonsense keeps nobody from being planned with`() async throws {
        let whole = try await Self.whole()
        var liar = Self.candidate(1, usable: .max)
        liar.reading?.totalBytes = .max
        liar.reading?.weightBytesPerSecond = 1
        liar.reading?.prefillOperationsPerSecond = .max
        liar.reading?.attentionOperationsPerSecond = 1
        liar.reading?.weightRates = [
            WeightRate(type: "q8_0", bytesPerSecond: 1), WeightRate(type: "f16", bytesPerSecond: .max),
        ]
        liar.reading?.links = [LinkReading(peer: NodeID(2), roundTripMicroseconds: .max, bytesPerSecond: 1)]
        var honest = Self.candidate(2, usable: whole * 2)
        honest.reading?.weightBytesPerSecond = 1_000_000_000
        let question = Self.question([liar, honest])
        let inventory = ClusterPlanner.inventory(question, layerCount: 12)
        try inventory.check()
        #expect(inventory.links.first?.roundTripMilliseconds == PlacementLimits.roundTripMax)
        #expect(inventory.nodes[0].devices[0].speed.weightReadBytesPerSecond == PlacementLimits.rates.lowerBound)
        let stages = try Self.stages(try await Self.planner().plan(question))
        #expect(stages.map(\.node) == [NodeID(2)])
        // Alone it is taken at its word, as far as that goes; beside another there is a link of hours.
        #expect(try Self.stages(try await Self.planner().plan(Self.question([liar]))).count == 1)
        #expect(try Self.stages(try await Self.planner().plan(Self.question([liar, honest], width: 2))).count == 2)
    }

    @Test func `what fits with no number of stages is not tried with every number`() throws {
        let model = try Self.model()
        func answer(_ memory: UInt64) throws -> PlacementAnswer {
            let node = NodeInventory(name: "a", devices: [DeviceInventory(usableMemory: ByteCount(memory))])
            return try Planner(model: model, inventory: Inventory(nodes: [node])).plan(PlacementRequest(context: 512))
        }
        let (shortfall, placed) = (try answer(1 << 20), try answer(1 << 40))
        func counts(_ free: PlacementAnswer, width: Int = 1, asked: Int? = nil) -> [Int] {
            Array(ClusterPlanner.stageCounts(after: free, width: width, asked: asked, most: 4))
        }
        #expect(counts(shortfall) == [] && counts(shortfall, width: 3) == [])
        #expect(counts(shortfall, width: 3, asked: 3) == [3, 4])
        #expect(counts(placed, width: 2) == [2, 3, 4] && counts(placed, width: 4, asked: 4) == [4])
        #expect(counts(placed, width: 5) == [] && counts(placed, width: .max, asked: .max) == [])
    }

    @Test func `a plan foretells speed where it was measured, and says where not`() async throws {
        func forecast(_ nodes: [PlanQuestion.PlanCandidate], width: Int = 1) async throws -> PlanForecast {
            guard
                case .placed(let stages, _, _, let forecast) = try await Self.planner().plan(
                    Self.question(nodes, width: width))
            else { throw PlacementError.invalid(field: "plan", value: "refused", limit: "it fits") }
            let told = try #require(forecast)
            #expect(told.stages.count == stages.count)
            return told
        }
        func node(_ number: UInt64, rate: UInt64?, trip: UInt64? = nil) -> PlanQuestion.PlanCandidate {
            var node = Self.candidate(number, usable: 1 << 40)
            node.reading?.weightBytesPerSecond = rate
            node.reading?.links = (1...2).filter { $0 != number }.map {
                LinkReading(peer: NodeID($0), roundTripMicroseconds: trip, bytesPerSecond: nil)
            }
            return node
        }
        let slow = try await forecast([node(1, rate: 1_000_000_000)])
        let fast = try await forecast([node(1, rate: 1_000_000_000), node(2, rate: 4_000_000_000)])
        #expect(slow.isMeasured && slow.assumedMicroseconds == 0 && fast.isMeasured)
        #expect(slow.stages[0].bytesPerSecond == 1_000_000_000 && slow.stages[0].readBytes > 0)
        // The faster machine is taken.
        #expect(fast.stages[0].bytesPerSecond == 4_000_000_000 && fast.tokenMicroseconds < slow.tokenMicroseconds)
        #expect(try await forecast([node(1, rate: nil)]).isMeasured == false)
        // A link's rate is not measured, and moves a token's time by little.
        let split = try await forecast(
            [node(1, rate: 100_000_000, trip: 400), node(2, rate: 100_000_000, trip: 400)], width: 2)
        #expect(split.stages.count == 2 && split.isMeasured && split.assumedMicroseconds > 0)
        #expect(split.stages[0].hopMicroseconds ?? 0 >= 200 && split.stages[1].hopMicroseconds == nil)
    }
}
