package import Cluster
import GGUF
package import Placement
import Vocabulary

/// Answers the control plane's questions with the planner: members become machines, and a placement becomes stages.
///
/// A node runs one stage of a placement at most, so plans never use more stages than there are candidates.
package struct ClusterPlanner: Sendable {
    /// Longest reason of a refusal; it is kept in the replicated state. **Units:** bytes.
    private static let reasonBytes = 900
    /// Excluded nodes that a reason names.
    private static let namedExclusions = 4
    /// Sequences at once where the deployment leaves it open.
    private static let lanes: UInt64 = 4

    private let model: @Sendable (Deployment) async throws -> ModelFootprint
    private let draft: @Sendable (Deployment) async throws -> ModelFootprint?
    private let projector: @Sendable (Deployment) async throws -> ProjectorNeed?
    private let policy: PlacementPolicy

    /// Plans with what `model` knows of a deployment's model, and `draft` and `projector` of its draft model and its
    /// projector, when it names them; what they throw becomes the reason of a refusal.
    package init(
        policy: PlacementPolicy = PlacementPolicy(),
        model: @escaping @Sendable (Deployment) async throws -> ModelFootprint,
        draft: @escaping @Sendable (Deployment) async throws -> ModelFootprint? = { _ in nil },
        projector: @escaping @Sendable (Deployment) async throws -> ProjectorNeed? = { _ in nil }
    ) {
        self.projector = projector
        self.policy = policy
        self.draft = draft
        self.model = model
    }

    /// A placement for the question, or why there is none.
    package func plan(_ question: PlanQuestion) async -> PlanAnswer {
        do {
            let footprint = try await model(question.deployment)
            try question.deployment.checkHead(footprint.headObstacle)
            let draft = try await draft(question.deployment)
            let projector = try await projector(question.deployment)
            let question = Self.heeding(footprint.tags.required, question)
            func planner(_ question: PlanQuestion) throws -> Planner {
                let inventory = Self.inventory(question, layerCount: footprint.layerCount)
                return try Planner(model: footprint, inventory: inventory, policy: policy)
            }
            func answer(_ question: PlanQuestion) throws -> Outcome {
                try self.answer(planner(question), question, beside: draft, projector)
            }
            let wished = question.deployment.preferredTags + footprint.tags.preferred
            var outcome = Outcome(.kept)
            if let favourites = Self.preferring(wished, question) { outcome = try answer(favourites) }
            if outcome.plan == nil { outcome = try answer(question) }
            guard let serving = question.serving else { return outcome.answer }
            guard let new = outcome.plan,
                let current = try Self.priced(
                    serving, question.deployment, planner(Self.crediting(serving, question)), projector),
                case .move = Replanning.decide(current, new: new)
            else { return .kept }
            return outcome.answer
        } catch {
            if question.serving != nil { return .kept }
            return .refused(reason: Self.clipped("'\(question.deployment.name)' cannot be planned: \(error)"))
        }
    }

    /// An answer, and the plan behind it when it is one.
    private struct Outcome {
        var answer: PlanAnswer
        var plan: PlacementPlan?

        init(_ answer: PlanAnswer, _ plan: PlacementPlan? = nil) {
            self.answer = answer
            if case .placed = answer { self.plan = plan }
        }
    }

    /// The question with the memory that what serves has as free: for what it would cost today, not for what may be
    /// loaded beside it.
    private static func crediting(_ serving: PlacedReplica, _ question: PlanQuestion) -> PlanQuestion {
        var credited = question
        for stage in serving.stages {
            guard let index = credited.candidates.firstIndex(where: { $0.member.node == stage.node }) else { continue }
            let (sum, isBeyond) = credited.candidates[index].creditedBytes.addingReportingOverflow(stage.bytes.bytes)
            credited.candidates[index].creditedBytes = isBeyond ? .max : sum
        }
        return credited
    }

    /// What serves, planned again as it is; nil when it could not be placed so today.
    private static func priced(
        _ serving: PlacedReplica, _ deployment: Deployment, _ planner: Planner, _ projector: ProjectorNeed?
    ) throws -> PlacementPlan? {
        var request = request(
            for: deployment, of: planner.model, context: serving.contextTokens, lanes: serving.lanes, projector)
        request.stages = serving.stages.count
        request.boundaries = serving.stages.dropFirst().map(\.layers.first)
        request.pins = serving.stages.map { .init(layers: $0.layers, node: "\($0.node)") }
        guard case .placed(let plan) = try planner.plan(request) else { return nil }
        return plan
    }

    /// What is asked of the planner for a deployment.
    private static func request(
        for deployment: Deployment, of model: ModelFootprint, context: UInt64?, lanes: UInt64,
        _ projector: ProjectorNeed?
    ) -> PlacementRequest {
        let cache = model.stores.chosen(keys: deployment.cacheKeys, values: deployment.cacheValues)
        var request = PlacementRequest(
            context: context.map { Int(clamping: $0) }, lanes: Int(clamping: lanes), keys: cache.keys,
            values: cache.values)
        request.projector = projector?.footprint.total ?? request.projector
        request.kept = DeploymentSpec.keptUnasked
        if deployment.usesHeads { request.head = .ofEngine }
        return request
    }

    /// The question without the candidates that lack a tag which the model's card asks for.
    private static func heeding(_ required: [String], _ question: PlanQuestion) -> PlanQuestion {
        var heeding = question
        heeding.candidates.removeAll { candidate in
            guard let tag = required.first(where: { !candidate.member.tags.contains($0) }) else { return false }
            heeding.excluded.append(
                .init(
                    node: candidate.member.node, code: "tags",
                    reason: "lacks the tag \(tag), which the model's card asks for"))
            return true
        }
        return heeding
    }

    /// The question with only the candidates that have every one of `tags`; nil when those are all or none.
    private static func preferring(_ tags: [String], _ question: PlanQuestion) -> PlanQuestion? {
        var few = question
        few.candidates.removeAll { candidate in !tags.allSatisfy(candidate.member.tags.contains) }
        return few.candidates.isEmpty || few.candidates.count == question.candidates.count ? nil : few
    }

    private func answer(
        _ planner: Planner, _ question: PlanQuestion, beside draft: ModelFootprint?, _ projector: ProjectorNeed?
    ) throws -> Outcome {
        var request = Self.request(
            for: question.deployment, of: planner.model, context: question.deployment.contextTokens,
            lanes: question.deployment.lanes ?? Self.lanes, projector)
        // As many as the user asked for, but more when nodes refused for memory.
        let asked = question.deployment.stages.map { Int(clamping: $0) }
        let width = max(question.width, asked ?? 1)
        if projector?.isWhole == true {
            guard width == 1 else { throw ProjectorObstacle.stagesReadTokens(stages: width) }
            request.stages = 1
        }
        let free = try planner.plan(request)
        if case .placed(let plan) = free, Self.isSpread(plan),
            asked == nil ? plan.stages.count >= width : plan.stages.count == width
        {
            return Outcome(Self.placed(plan, request, planner, draft), plan)
        }
        // A node refused for memory, so more stages share the model; or two stages fell on one node.
        let most = projector?.isWhole == true ? 1 : min(planner.model.layerCount, question.candidates.count)
        for count in Self.stageCounts(after: free, width: width, asked: asked, most: most) {
            request.stages = count
            if case .placed(let plan) = try planner.plan(request), Self.isSpread(plan) {
                return Outcome(Self.placed(plan, request, planner, draft), plan)
            }
        }
        if let asked, asked > most {
            return Self.refused(
                "\(asked) stages are asked for, but \(question.candidates.count) nodes can take part and the model "
                    + "has \(planner.model.layerCount) layers; add nodes or ask for fewer stages."
                    + Self.excluded(question))
        }
        switch free {
        case .shortfall(let shortfall): return Outcome(.refused(reason: Self.reason(shortfall, question, projector)))
        case .placed(let plan):
            return Self.refused(
                "\(plan.architecture) fits \(plan.stages.count) stages, but nodes refused for memory "
                    + "and it now needs \(width) of them on \(question.candidates.count) nodes; "
                    + "add a node or ask for less context." + Self.excluded(question))
        }
    }

    private static func refused(_ text: String) -> Outcome { Outcome(.refused(reason: clipped(text))) }

    /// The numbers of stages to plan again with, after a plan that was free to choose. What that one found no room for
    /// has none with a number given either; only for a number the user gave is it looked for once more.
    static func stageCounts(after free: PlacementAnswer, width: Int, asked: Int?, most: Int) -> Range<Int> {
        if case .shortfall = free, asked == nil { return width..<width }
        return width..<max(width, most + 1)
    }

    private static func isSpread(_ plan: PlacementPlan) -> Bool {
        Set(plan.stages.map(\.node)).count == plan.stages.count
    }

    /// The plan as an answer; a draft model takes its room beside the entry stage.
    private static func placed(
        _ plan: PlacementPlan, _ request: PlacementRequest, _ planner: Planner, _ draft: ModelFootprint?
    ) -> PlanAnswer {
        var stages = plan.stages.compactMap { stage in
            UInt64(stage.node, radix: 16).map {
                StageAssignment(
                    node: NodeID($0), layers: stage.layers, bytes: stage.footprint.total,
                    projector: stage.footprint.projector)
            }
        }
        if let draft {
            switch planner.placeDraft(draft, beside: plan, request) {
            case .besideEntry(let place):
                guard !stages.isEmpty else { break }
                stages[0].bytes = ByteCount(stages[0].bytes.bytes + place.footprint.total.bytes)
            case .remote(let place):
                return .refused(
                    reason: clipped(
                        "the draft model needs \(place.footprint.total) beside the entry stage, where there is less; "
                            + "ask for less context, for more stages, or deploy with --draft auto."))
            case .none(let required, let mostFree):
                return .refused(
                    reason: clipped(
                        "the draft model needs \(required), and at most \(mostFree) are free; deploy with --draft auto."
                    ))
            case .vocabularyDiffers(let draft, let model):
                return .refused(
                    reason: clipped(
                        "the draft model has \(draft) tokens and the model has \(model); name a draft model of "
                            + "the same vocabulary."))
            }
        }
        return .placed(
            stages, contextTokens: UInt64(plan.context), lanes: UInt64(request.lanes),
            forecast: PlanForecast(plan, promptTokens: planner.policy.promptTokens))
    }

    // MARK: Inventory

    /// The candidates as machines: what they offer is what was measured, less what is promised, plus what was freed.
    /// Members say what they like, so every figure is brought within the planner's limits.
    static func inventory(_ question: PlanQuestion, layerCount: Int) -> Inventory {
        let names = Set(question.candidates.map(\.member.node))
        var links: [LinkInventory] = []
        let nodes = question.candidates.map { candidate in
            let reading = candidate.reading
            for link in reading?.links ?? [] where names.contains(link.peer) {
                links.append(
                    LinkInventory(
                        from: "\(candidate.member.node)", to: "\(link.peer)",
                        roundTripMilliseconds: link.roundTripMicroseconds.map { Double($0) / 1000 },
                        bytesPerSecond: link.bytesPerSecond.flatMap { $0 > 0 ? Double($0) : nil }))
            }
            let usable = reading?.usableBytes.map { bytes in
                let offered = bytes.addingReportingOverflow(candidate.creditedBytes)
                let sum = min(offered.overflow ? .max : offered.partialValue, PlacementLimits.memoryMax)
                return ByteCount(sum - min(sum, candidate.promisedBytes))
            }
            let total = reading?.totalBytes.map { ByteCount(min($0, PlacementLimits.memoryMax)) }
            let speed = reading?.speed ?? DeviceSpeed()
            let holdsAll =
                !question.deployment.digest.isEmpty
                && reading?.holds.contains(question.deployment.digest) == true
            return NodeInventory(
                name: "\(candidate.member.node)",
                devices: [
                    DeviceInventory(
                        usableMemory: usable, totalMemory: total, speed: speed, tilesWeights: reading?.tilesWeights)
                ],
                tags: candidate.member.tags,
                heldLayers: holdsAll ? [LayerRange(first: 0, end: layerCount)] : [])
        }
        return Inventory(nodes: nodes, links: links).clamped()
    }

    // MARK: Reasons

    private static func reason(
        _ shortfall: Shortfall, _ question: PlanQuestion, _ projector: ProjectorNeed?
    ) -> String {
        var reason = shortfall.description
        if let projector {
            reason += " \(projector.footprint.total) of it are for the projector, beside the first stage."
            if projector.isWhole { reason += " With one, this model runs in one stage only." }
        }
        if question.deployment.usesHeads {
            reason += " The model's own head for several tokens is part of it; without it, deploy with --draft auto."
        }
        let remedies = shortfall.remedies.filter { remedy in
            switch remedy {
            case .anyStages: projector?.isWhole != true
            case .smallerContext, .smallerCache, .oneMoreNode, .noPins: true
            }
        }
        if let remedy = remedies.first { reason += " Next step: \(remedy)." }
        let unknown = question.candidates.count { $0.reading?.usableBytes == nil }
        if unknown > 0 { reason += " \(unknown) nodes have not told their memory yet." }
        return clipped(reason + excluded(question))
    }

    private static func excluded(_ question: PlanQuestion) -> String {
        guard !question.excluded.isEmpty else { return "" }
        let named = question.excluded.prefix(namedExclusions).map { "\($0.node) (\($0.code): \($0.reason))" }
        let more = question.excluded.count - named.count
        return " Not used: \(named.joined(separator: ", "))" + (more > 0 ? " and \(more) more." : ".")
    }

    private static func clipped(_ text: String) -> String {
        guard text.utf8.count > reasonBytes else { return text }
        return String(decoding: text.utf8.prefix(reasonBytes - 3), as: UTF8.self) + "…"
    }
}

extension PlanForecast {
    /// What a plan predicts.
    init(_ plan: PlacementPlan, promptTokens: Int) {
        func microseconds(_ milliseconds: Double) -> UInt64 {
            UInt64(exactly: (milliseconds * 1000).rounded()) ?? .max
        }
        self.init(
            stages: plan.stages.map { stage in
                var told = Stage()
                told.tokenMicroseconds = microseconds(stage.tokenTime.milliseconds)
                told.assumedMicroseconds = microseconds(stage.tokenTime.assumedMilliseconds)
                told.readBytes = stage.basis.readBytes.bytes
                told.bytesPerSecond = UInt64(exactly: stage.basis.bytesPerSecond.rounded()) ?? 0
                told.cacheMicroseconds = microseconds(stage.basis.cacheTime.milliseconds)
                told.promptMicroseconds = microseconds(stage.promptTime.milliseconds)
                told.hopMicroseconds = stage.hopTime.map { microseconds($0.milliseconds) }
                return told
            },
            tokenMicroseconds: microseconds(plan.tokenTime.milliseconds),
            assumedMicroseconds: microseconds(plan.tokenTime.assumedMilliseconds),
            firstTokenMicroseconds: microseconds(plan.firstTokenTime.milliseconds),
            promptTokens: UInt64(promptTokens), isMeasured: plan.tokenTime.isMeasured)
    }
}
