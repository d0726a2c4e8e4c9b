import GGUF
import Placement
import Testing
import Vocabulary

@Suite struct `A better plan` {
    private static func plan(
        reads: Double, context: Int = 4096, measured: Bool = true, held: Bool = true
    ) throws -> PlacementPlan {
        let model = try Models.even(layers: 4)
        var node = NodeInventory.simple("n\(Int(reads))", memory: 8 << 30, reads: measured ? reads : nil)
        if held { node.heldLayers = [LayerRange(first: 0, end: 4)] }
        let answer = try Planner(model: model, inventory: Inventory(nodes: [node]))
            .plan(PlacementRequest(context: context))
        return try #require(answer.plan)
    }

    private static func decide(
        _ old: PlacementPlan, _ new: PlacementPlan, policy: ReplanPolicy = ReplanPolicy()
    ) -> ReplanDecision {
        Replanning.decide(old, new: new, policy: policy)
    }

    @Test func `a clear gain is worth the move and a small one is not`() throws {
        let old = try Self.plan(reads: 10e9)
        guard case .move(.faster(let gain)) = Self.decide(old, try Self.plan(reads: 20e9)) else {
            Issue.record("it stayed")
            return
        }
        #expect(gain > 0.3)
        guard case .keep(.smallGain) = Self.decide(old, try Self.plan(reads: 10.5e9)) else {
            Issue.record("it moved")
            return
        }
        #expect(Self.decide(old, old) == .keep(.same))
    }

    @Test func `guesses move nothing`() throws {
        let guessed = try Self.plan(reads: 99e9, measured: false)
        #expect(Self.decide(try Self.plan(reads: 1e9), guessed) == .keep(.unmeasured))
    }

    @Test func `a fetch must be paid for by the gain`() throws {
        var policy = ReplanPolicy()
        policy.fetchBytesPerPercent = 1000
        let new = try Self.plan(reads: 20e9, held: false)
        guard case .keep(.costlyFetch(let bytes, _)) = Self.decide(try Self.plan(reads: 10e9), new, policy: policy)
        else {
            Issue.record("it moved")
            return
        }
        #expect(bytes == new.fetchByteCount)
    }

    @Test func `much more context is worth the move when nothing gets slower`() throws {
        let old = try Self.plan(reads: 10e9, context: 2048)
        let new = try Self.plan(reads: 10.5e9, context: 8192)
        #expect(Self.decide(old, new) == .move(.moreContext(from: 2048, to: 8192)))
    }
}

@Suite struct `Drafts` {
    private static func planner(_ memory: UInt64) throws -> (Planner, ModelFootprint) {
        let model = try Models.even(layers: 8)
        let inventory = Inventory.meshed([
            .simple("a", memory: memory), .simple("b", memory: 8 << 30, reads: 1e9),
        ])
        return (try Planner(model: model, inventory: inventory), try Models.even(layers: 1))
    }

    @Test func `a draft goes beside the entry stage when there is room`() throws {
        let (planner, draft) = try Self.planner(8 << 30)
        let request = PlacementRequest(context: 4096)
        let plan = try #require(try planner.plan(request).plan)
        guard case .besideEntry(let place) = planner.placeDraft(draft, beside: plan, request) else {
            Issue.record("it went elsewhere")
            return
        }
        #expect(place.node == "a")
        #expect(place.freeBefore < plan.stages[0].freeBefore)
    }

    @Test func `else to another machine, with its round trip`() throws {
        let model = try Models.even(layers: 8)
        let needed = model.stage(model.whole, MemorySettings(cells: 4096)).total.bytes
        let (planner, draft) = try Self.planner(needed + 1_000_000)
        let request = PlacementRequest(context: 4096)
        let plan = try #require(try planner.plan(request).plan)
        #expect(plan.stages.map(\.node) == ["a"])
        guard case .remote(let place) = planner.placeDraft(draft, beside: plan, request) else {
            Issue.record("it did not go elsewhere")
            return
        }
        #expect(place.node == "b")
        #expect(place.tokenTime.milliseconds > 0.5)
    }

    @Test func `a draft of another vocabulary is of no use`() throws {
        let (planner, _) = try Self.planner(8 << 30)
        let request = PlacementRequest(context: 4096)
        let plan = try #require(try planner.plan(request).plan)
        let other = try Models.even(layers: 1) { $0.vocabularySize = 600 }
        #expect(
            planner.placeDraft(other, beside: plan, request) == .vocabularyDiffers(draft: 600, model: 512))
    }
}

@Suite struct `Memory of a machine` {
    @Test func `a machine keeps a sixteenth within bounds`() {
        #expect(MachineReserve.byteCount(total: ByteCount(1 << 30)) == ByteCount(256 << 20))
        #expect(MachineReserve.byteCount(total: ByteCount(16 << 30)) == ByteCount(1 << 30))
        #expect(MachineReserve.byteCount(total: ByteCount(512 << 30)) == ByteCount(4 << 30))
    }
}
