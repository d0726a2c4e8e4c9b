import Vocabulary

/// What the reconcilers of a leader remember between passes. It may be lost: everything follows anew from the state.
struct ReconcilerMemory: Sendable {
    struct Question: Sendable {
        var id: UInt64
        var replica: ReplicaKey
        var wish: Stamp
        /// What serves, where only something better is wanted.
        var serving: Epoch?
        var answer: PlanAnswer?
        var askedAt: Instant
    }

    struct Credit: Sendable {
        var node: NodeID
        var bytes: UInt64
        /// Readings up to this stamp do not show the memory as free.
        var stamp: Stamp
        var endsAt: Instant
    }

    struct Seen: Sendable {
        var phase: PlacementPhase
        var since: Instant
        /// Readings up to this stamp may be older than the phase.
        var stamp: Stamp
        /// Since when one of its stages has been without a neighbour.
        var tornSince: Instant?
    }

    var seen = OrderedTable<Epoch, Seen>()
    /// Replicas whose last try came to nothing, and when the next one comes.
    var waits = OrderedTable<ReplicaKey, Instant>()
    /// Tries in a row that ended because a stage did not reach its neighbour, of replicas that did not serve since.
    private var tears = OrderedTable<ReplicaKey, Int>()
    var questions: [Question] = []
    var credits: [Credit] = []
    var nextQuestion: UInt64 = 0
    /// The replica a planner was asked about last.
    var lastAsked: ReplicaKey?
    /// The same for replicas that serve, and when the next of them is looked at.
    var lastReplanned: ReplicaKey?
    var nextReplan: Instant?
    var nextPass: Instant?

    /// Notes which epochs are in which phase, and which are torn.
    mutating func see(_ view: ReconcilerView, stamp: Stamp) {
        let placements = view.state.placements
        seen.removeAll { placements[$0.key] == nil }
        for row in placements.elements {
            if seen[row.key]?.phase != row.value.phase {
                let tornSince = seen[row.key]?.tornSince
                seen[row.key] = Seen(phase: row.value.phase, since: view.now, stamp: stamp, tornSince: tornSince)
            }
            if let index = seen.index(of: row.key), seen[row.key]?.tornSince == nil, view.isTorn(row.value) {
                seen.update(at: index) { $0.tornSince = view.now }
            }
            if row.value.phase == .active { tears[row.value.replica] = nil }
        }
        tears.removeAll { view.state.deployments[$0.key.deployment] == nil }
        waits.removeAll { $0.value <= view.now }
    }

    /// When the next torn epoch is judged.
    func settles(after settling: Duration, now: Instant) -> Instant? {
        seen.values.compactMap { $0.tornSince?.advanced(by: settling) }.filter { $0 > now }.min()
    }

    /// An epoch ended before it served; the next try comes later. Stages that do not reach each other are no crash and
    /// may be able to in a minute, so these tries go on, ever more rarely.
    mutating func failed(_ placement: PlacedReplica, _ view: ReconcilerView) {
        var pause = view.timings.planRetry
        if case .failed(_, let report) = view.verdict(on: placement), report.status == .detached {
            let tries = tears[placement.replica] ?? 0
            tears[placement.replica] = min(tries + 1, Limits.retryDoublings)
            pause = pause.times(1 << tries)
        }
        waits[placement.replica] = view.now.advanced(by: pause)
    }

    /// The replicas behind the last one asked about before the others, so that none waits for those that come to
    /// nothing again and again.
    static func inTurn(_ keys: [ReplicaKey], after last: ReplicaKey?) -> [ReplicaKey] {
        guard let last, let next = keys.firstIndex(where: { $0 > last }) else { return keys }
        return Array(keys[next...] + keys[..<next])
    }

    mutating func answered(_ question: UInt64, _ answer: PlanAnswer) {
        guard let index = questions.firstIndex(where: { $0.id == question }) else { return }
        questions[index].answer = answer
        nextPass = nil
    }

    /// Memory that an ended epoch held is credited until its nodes' readings show it.
    mutating func credit(_ placement: PlacedReplica, _ readings: OrderedTable<NodeID, NodeReading>, until: Instant) {
        for stage in placement.stages where credits.count < Limits.stageCount {
            let stamp = readings[stage.node]?.stamp ?? .zero
            credits.append(Credit(node: stage.node, bytes: stage.bytes.bytes, stamp: stamp, endsAt: until))
        }
    }
}

/// Sees that every wanted replica has a placement, and that a better one replaces one that has to move.
enum ReplicaReconciler {
    /// Replicas that need a placement, in order.
    static func wanting(_ view: ReconcilerView) -> [ReplicaKey] {
        var wanting: [ReplicaKey] = []
        for deployment in view.state.deployments.values where view.state.sleeping[deployment.name] == nil {
            for index in 0..<deployment.replicas {
                let key = ReplicaKey(deployment: deployment.name, index: index)
                if isWanting(key, deployment, view) { wanting.append(key) }
            }
        }
        return wanting
    }

    private static func isWanting(_ key: ReplicaKey, _ deployment: Deployment, _ view: ReconcilerView) -> Bool {
        if let record = view.state.replicas[key], !record.failure.isEmpty { return false }
        let placements = view.state.placements(of: key)
        if placements.contains(where: { $0.phase < .active }) { return false }
        guard let active = placements.last(where: { $0.phase == .active }) else { return true }
        return hasToMove(active, deployment, view)
    }

    /// Placements that have served for a while and might serve better elsewhere, in order.
    static func settled(_ view: ReconcilerView) -> [PlacedReplica] {
        view.state.placements.values.filter { placement in
            guard placement.phase == .active, view.state.placements(of: placement.replica).count == 1,
                let deployment = view.state.deployments[placement.replica.deployment],
                !hasToMove(placement, deployment, view), view.isWanted(placement.replica),
                case .sound = view.verdict(on: placement)
            else { return false }
            return view.hasPassed(view.timings.replanSettling, in: placement)
        }.sorted { $0.replica < $1.replica }
    }

    /// It serves on until the new epoch has taken over.
    private static func hasToMove(_ active: PlacedReplica, _ deployment: Deployment, _ view: ReconcilerView) -> Bool {
        if active.wish != deployment.wish { return true }
        return active.stages.contains { view.state.members[$0.node]?.isDraining ?? true }
    }

    /// The question for the planner.
    static func question(
        _ id: UInt64, _ key: ReplicaKey, _ view: ReconcilerView, credits: [ReconcilerMemory.Credit]
    ) -> PlanQuestion? {
        guard let deployment = view.state.deployments[key.deployment] else { return nil }
        var candidates: [PlanQuestion.PlanCandidate] = []
        var excluded: [PlanQuestion.PlanExclusion] = []
        for member in view.state.members.values {
            if let (code, reason) = exclusion(member, deployment, view) {
                excluded.append(.init(node: member.node, code: code, reason: reason))
                continue
            }
            let reading = view.readings[member.node]
            let credited = credits.filter { $0.node == member.node && (reading?.stamp ?? .zero) <= $0.stamp }
            candidates.append(
                .init(
                    member: member, reading: reading, promisedBytes: promised(member.node, view),
                    creditedBytes: credited.reduce(0) { $0 + $1.bytes }))
        }
        let width = view.state.replicas[key]?.width ?? 1
        return PlanQuestion(
            id: id, deployment: deployment, replica: key, width: width, candidates: candidates, excluded: excluded)
    }

    /// Memory of stages on their way to a node.
    private static func promised(_ node: NodeID, _ view: ReconcilerView) -> UInt64 {
        var bytes: UInt64 = 0
        for placement in view.state.placements.values where placement.phase == .loading {
            guard let stage = placement.stages.first(where: { $0.node == node }) else { continue }
            let status = view.report(placement.epoch, node)?.status
            if status == nil || status == .fetching || status == .loading { bytes += stage.bytes.bytes }
        }
        return bytes
    }

    private static func exclusion(
        _ member: Member, _ deployment: Deployment, _ view: ReconcilerView
    ) -> (code: String, reason: String)? {
        if member.role == .management { return ("management", "runs no stages by its own choice") }
        if member.isDraining { return ("draining", "is being drained") }
        if view.liveness(member.node).map({ $0 != .alive }) ?? true { return ("dead", "does not answer") }
        if deployment.excluded.contains(member.node) { return ("excluded", "is excluded by the deployment") }
        if !deployment.pinned.isEmpty, !deployment.pinned.contains(member.node) {
            return ("pinned", "is not among the nodes the deployment is pinned to")
        }
        if let tag = deployment.requiredTags.first(where: { !member.tags.contains($0) }) {
            return ("tags", "lacks the tag \(tag)")
        }
        let hosted = view.state.placements.values.count { $0.stages.contains { $0.node == member.node } }
        if hosted >= Limits.hostedStages {
            return ("full", "runs \(hosted) stages, and a node may run \(Limits.hostedStages)")
        }
        let failure = view.state.exclusions.first {
            $0.deployment == deployment.name && $0.node == member.node && $0.until > view.wall
        }
        return failure.map { ("failed", $0.reason) }
    }

    /// What follows from a planner's answer.
    static func action(
        _ key: ReplicaKey, wish: Stamp, _ answer: PlanAnswer, _ view: ReconcilerView
    ) -> Command.Action? {
        switch answer {
        case .placed(let stages, let contextTokens, let lanes, _):
            // The world may have changed while the planner thought.
            let nodes = stages.map(\.node)
            let isDraining = nodes.contains { view.state.members[$0]?.isDraining ?? false }
            guard !stages.isEmpty, stages.count <= Limits.stageCount, !nodes.contains(where: view.isLost), !isDraining,
                zip(nodes.sorted(), nodes.sorted().dropFirst()).allSatisfy({ $0 < $1 })
            else { return nil }
            var placement = PlacedReplica(
                epoch: Epoch(term: 0, number: 0), replica: key, stages: stages, contextTokens: contextTokens,
                lanes: lanes)
            placement.wish = wish
            return .begin(placement)
        case .kept: return nil
        case .refused(let reason):
            var record = view.state.replicas[key] ?? ReplicaRecord()
            record.note = String(reason.prefix(Limits.textBytes / 4))
            record.isShortfall = true
            // What a wider plan could not do either is tried from the start when the cluster changes.
            record.width = 1
            return .remember(key, record)
        }
    }

    /// Deployments nobody has asked for longer than they wish to be kept, and first requests that came to nothing.
    static func idle(_ view: ReconcilerView) -> [Command.Action] {
        view.state.deployments.values.compactMap { deployment in
            if isAbandoned(deployment, view) { return .sleep(deployment.name) }
            guard let keepAlive = deployment.keepAliveMilliseconds, view.state.sleeping[deployment.name] == nil else {
                return nil
            }
            let active = view.state.placements.values.filter {
                $0.replica.deployment == deployment.name && $0.phase == .active
            }
            guard !active.isEmpty else { return nil }
            let isIdle = active.allSatisfy { placement in
                guard let entry = placement.stages.first,
                    let idle = view.report(placement.epoch, entry.node)?.idleMilliseconds
                else { return false }
                return idle >= keepAlive
            }
            return isIdle ? .sleep(deployment.name) : nil
        }
    }

    /// Nobody but a request wished for it, and what kept it from being served was told for a while.
    private static func isAbandoned(_ deployment: Deployment, _ view: ReconcilerView) -> Bool {
        guard deployment.isAutomatic, view.hasPassed(view.timings.failedDemand, since: deployment.wish.milliseconds),
            !view.state.placements.values.contains(where: { $0.replica.deployment == deployment.name })
        else { return false }
        return view.state.replicas.elements.contains { row in
            row.key.deployment == deployment.name && (row.value.isShortfall || !row.value.failure.isEmpty)
        }
    }
}
