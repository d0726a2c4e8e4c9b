import GGUF
import Placement
import Testing
import Vocabulary

/// Headers whose writer wishes harm to whoever plans with them.
@Suite struct `A hostile header` {
    private typealias Limit = (key: String, limit: UInt64)
    private typealias Entry = (key: String, value: MetadataValue)

    private static func limits(_ keys: [String], _ limit: UInt64) -> [Limit] { keys.map { ($0, limit) } }

    private static let lengths = limits(
        [
            "attention.head_count", "attention.head_count_kv", "attention.indexer.key_length", "attention.key_length",
            "attention.key_length_mla", "attention.key_length_swa", "attention.value_length",
            "attention.value_length_mla", "attention.value_length_swa", "embedding_length", "expert_used_count",
            "ssm.inner_size",
        ], PlacementLimits.lengthMax)
    private static let stateLengths = limits(
        [
            "kda.head_dim", "shortconv.l_cache", "ssm.conv_kernel", "ssm.group_count", "ssm.state_size",
            "token_shift_count", "wkv.head_size",
        ], PlacementLimits.stateLengthMax)
    private static let counts = limits(
        [
            "attention.indexer.top_k", "attention.shared_kv_layers", "attention.sliding_window",
            "leading_dense_block_count",
        ], PlacementLimits.countMax)
    /// What planning reads of a header, and the most it may be.
    private static let numbers = lengths + stateLengths + counts

    /// Three layers with every matrix the formula looks at, and a vocabulary of as many tokens as may be.
    private static func cutter(
        _ architecture: String, _ entries: [Entry] = [], tensors: [TensorPlan] = []
    ) throws -> ModelCutter {
        let usual: [Entry] = [
            ("block_count", .uint32(3)), ("embedding_length", .uint32(64)), ("context_length", .uint64(.max)),
            ("vocab_size", .uint64(PlacementLimits.vocabularyMax)), ("expert_count", .uint32(2)),
        ]
        var all = entries
        for entry in usual where !entries.contains(where: { $0.key == entry.key }) { all.append(entry) }
        let roles = ["attn_q.weight", "ffn_down.weight", "ffn_down_exps.weight", "ssm_in.weight"]
        var names = ["token_embd.weight"]
        for layer in 0..<3 { names += roles.map { "blk.\(layer).\($0)" } }
        let metadata = all.map { MetadataEntry(key: "\(architecture).\($0.key)", value: $0.value) }
        let writer = GGUFWriter(
            metadata: [MetadataEntry(key: GGUFFormat.architectureKey, value: .text(architecture))] + metadata,
            tensors: names.map { TensorPlan(name: $0, dimensions: [1 << 20, 1 << 10], type: .f16) } + tensors)
        return try ModelCutter(try writer.layout().file, allowsUnknownFamilies: true)
    }

    @Test(arguments: ["deepseek2", "gemma4", "hy_v4", "kimi-linear", "llama", "mamba", "minimax-01", "rwkv6"])
    func `is refused with the number, its value and the limit`(architecture: String) throws {
        for (key, limit) in Self.numbers {
            var values = [limit + 1, UInt64(Int64.max)]
            // The cutter itself takes no width beyond Int64.
            if key != "embedding_length" { values.append(.max) }
            for value in values {
                let cutter = try Self.cutter(architecture, [(key, .uint64(value))])
                let field = "\(architecture).\(key)"
                #expect(throws: PlacementError.beyondLimit(field: field, value: value, limit: limit)) {
                    try ModelFootprint(cutter)
                }
            }
        }
    }

    @Test(arguments: FamilyRules.families)
    func `adds up to a stage that fits nowhere when every number is as large as may be`(architecture: String) throws {
        let beyond = try Self.cutter(architecture, Self.numbers.map { ($0.key, .uint64($0.limit + 1)) })
        #expect(throws: PlacementError.self) { try ModelFootprint(beyond) }
        // One kind of state hides the next one, and latent attention the values.
        let hiding = [["wkv.head_size"], ["shortconv.l_cache"], ["kda.head_dim", "attention.key_length_mla"]]
        for count in 0...hiding.count {
            let missing = hiding.prefix(count).joined()
            let present = Self.numbers.filter { !missing.contains($0.key) }
            let model = try ModelFootprint(
                try Self.cutter(architecture, present.map { ($0.key, .uint64($0.limit)) }))
            #expect(model.layerWeights.count == 3)
            checkStages(of: model)
            if count == 0 { try checkPlans(of: model) }
        }
    }

    private func checkStages(of model: ModelFootprint) {
        for layout in WeightLayout.allCases {
            for isLean in [true, false] {
                let settings = MemorySettings(
                    cells: PlacementLimits.contextMax, lanes: PlacementLimits.lanesMax,
                    kept: MemorySettings.sequenceLimit, rows: PlacementLimits.rowsMax, keys: .f32, values: .f32,
                    usesFlashAttention: isLean, keepsWholeWindows: !isLean, layout: layout,
                    projector: ByteCount(PlacementLimits.memoryMax),
                    head: HeadSettings(
                        spareCells: PlacementLimits.rowsMax, gatheredRows: PlacementLimits.rowsMax,
                        rows: PlacementLimits.rowsMax))
                let stage = model.stage(model.whole, settings)
                #expect(stage.total >= stage.cache && stage.total >= stage.weights)
            }
        }
    }

    private func checkPlans(of model: ModelFootprint) throws {
        let slowest = PlacementLimits.rates.lowerBound
        let slow = NodeInventory.simple("a", memory: PlacementLimits.memoryMax, reads: slowest, operations: slowest)
        let other = NodeInventory.simple("b", memory: PlacementLimits.memoryMax, reads: nil, operations: nil)
        let planner = try Planner(
            model: model,
            inventory: .meshed([slow, other], roundTrip: PlacementLimits.roundTripMax, rate: slowest))
        for context in [nil, PlacementLimits.contextMax] {
            let request = PlacementRequest(
                context: context, lanes: PlacementLimits.lanesMax, rows: PlacementLimits.rowsMax, keys: .f32,
                values: .f32)
            switch try planner.plan(request) {
            case .placed(let plan): #expect(plan.stages.allSatisfy { $0.footprint.total <= $0.freeBefore })
            case .shortfall(let shortfall): #expect(shortfall.required.bytes > PlacementLimits.memoryMax)
            }
        }
    }

    @Test func `is refused for the number of any layer, and not only of the first`() throws {
        let heads: [UInt64] = [8, 8, PlacementLimits.lengthMax + 1]
        let cutter = try Self.cutter("deci", [("attention.head_count_kv", .array(.uint64(heads)))])
        #expect(
            throws: PlacementError.beyondLimit(
                field: "deci.attention.head_count_kv", value: heads[2], limit: PlacementLimits.lengthMax)
        ) { try ModelFootprint(cutter) }
    }

    @Test func `is refused for streams and tokens without end`() throws {
        let streams = try Self.cutter("hy_v4", [("hyper_connection.count", .uint64(1 << 40))])
        #expect(
            throws: PlacementError.beyondLimit(
                field: "The width of rows between stages", value: 64 << 40, limit: PlacementLimits.lengthMax)
        ) { try ModelFootprint(streams) }
        let tokens = try Self.cutter("llama", [("vocab_size", .uint64(UInt64(Int64.max)))])
        #expect(
            throws: PlacementError.beyondLimit(
                field: "The size of the vocabulary", value: UInt64(Int64.max), limit: PlacementLimits.vocabularyMax)
        ) { try ModelFootprint(tokens) }
    }

    @Test func `is refused for tensors that no machine holds`() throws {
        func footprint(_ dimensions: [UInt64]) throws -> ModelFootprint {
            let tensor = TensorPlan(name: "blk.0.ffn_up.weight", dimensions: dimensions, type: .f32)
            return try ModelFootprint(try Self.cutter("llama", tensors: [tensor]))
        }
        #expect(try footprint([64, 64]).layerCount == 3)
        #expect(
            throws: PlacementError.beyondLimit(
                field: "A dimension of blk.0.ffn_up.weight", value: 1 << 40, limit: PlacementLimits.dimensionMax)
        ) { try footprint([1 << 40]) }
        // Nothing of it is in the file, so its other dimensions could be anything.
        #expect(throws: PlacementError.incomplete(field: "blk.0.ffn_up.weight", problem: "is empty")) {
            try footprint([UInt64(Int64.max), 0])
        }
        let error = #expect(throws: PlacementError.self) { try footprint([1 << 30, 1 << 30]) }
        guard case .beyondLimit(let field, let bytes, let limit)? = error else {
            Issue.record("\(error.map(\.description) ?? "no error")")
            return
        }
        #expect(field == "The size of all tensors" && bytes > 1 << 62 && limit == PlacementLimits.memoryMax)
        #expect(error?.description.contains("do not load it") == true)
    }
}
