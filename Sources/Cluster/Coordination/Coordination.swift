import Vocabulary

/// What a node knows of its coordinator, and has asked it.
struct Coordination: Sendable {
    /// What is asked one after the other; different slots go on side by side.
    enum Slot: Int, Comparable, CaseIterable, Sendable {
        case way
        case renewal
        case append
        case compaction

        static func < (left: Slot, right: Slot) -> Bool { left.rawValue < right.rawValue }
    }

    struct Asked: Sendable {
        var number: UInt64
        var at: Instant
    }

    /// The leadership as this node holds it.
    struct Tenure: Sendable {
        var id: UInt64
        /// Until when nobody else can have it, by this node's clock.
        var until: Instant
        var nextRenewal: Instant
    }

    /// What is known when leadership begins.
    struct Opening: Sendable {
        var charter: CoordinatorCharter
        var reading: CoordinatorReading
    }

    let settings: CoordinationSettings
    var lastNumber: UInt64 = 0
    var asked = OrderedTable<Slot, Asked>()
    var tenure: Tenure?
    var opening: Opening?
    /// The end of the coordinator's log, as far as this leader knows.
    var head = LogPlace()
    var snapshotPlace = LogPlace()
    var nextAppend: Instant?
    var nextCompaction: Instant?
    var nextInspection: Instant?
    /// Why this node cannot use it, one sentence; nil while it can.
    var trouble: String?
    /// Why what it holds cannot be this cluster's log, until somebody leads by it.
    var contradiction: String?

    init(_ settings: CoordinationSettings) { self.settings = settings }
}

extension ControlPlane {
    /// The setting of the cluster's log that names its kind of coordinator, so that nobody votes beside it.
    static let coordinatorSetting = "coordinator"

    /// Whether votes decide who leads. They do not with a coordinator, also where only others were told of it.
    var isLedByVotes: Bool { coordination == nil && !isCoordinatedElsewhere }

    /// Whether the log says that a coordinator decides, and this node was told of none.
    var isCoordinatedElsewhere: Bool {
        coordination == nil && (remembersCoordinator || state.settings[Self.coordinatorSetting]?.value != nil)
    }

    /// The cluster this node belongs to, committed or not; 0 when it does not know.
    private var ownCluster: UInt64 {
        if state.cluster != 0 { return state.cluster }
        for record in log.entries.first?.events ?? [] {
            if case .founded(let cluster, _) = record.event { return cluster }
        }
        return settings.foundedCluster
    }

    // MARK: Asking

    /// Asks, when nothing is asked in this slot.
    func mayAsk(_ slot: Coordination.Slot) -> Bool { coordination.map { $0.asked[slot] == nil } ?? false }

    mutating func ask(_ slot: Coordination.Slot, _ request: CoordinatorRequest, now: Instant) {
        guard mayAsk(slot) else { return }
        let number = tell(request)
        coordination?.asked[slot] = Coordination.Asked(number: number, at: now)
    }

    /// Asks without waiting for the answer.
    @discardableResult
    private mutating func tell(_ request: CoordinatorRequest) -> UInt64 {
        let number = (coordination?.lastNumber ?? 0) + 1
        coordination?.lastNumber = number
        effects.coordinator.append(CoordinatorQuestion(number: number, request: request))
        return number
    }

    /// What a failed write kept from being asked.
    mutating func regainCoordinator(_ lost: [CoordinatorQuestion]) {
        for question in lost {
            if case .resign = question.request { effects.coordinator.append(question) }
            for slot in Coordination.Slot.allCases where coordination?.asked[slot]?.number == question.number {
                coordination?.asked[slot] = nil
            }
        }
    }

    // MARK: When

    /// Whether this node should try to lead, as soon as `electionAt` is past.
    private var isCandidate: Bool {
        guard let coordination, coordination.tenure == nil, leading == nil, storage == nil, !isRemoved else {
            return false
        }
        guard (state.members[node] ?? settings.member).role != .worker else { return false }
        return log.last.index > 0 || ownCluster != 0
    }

    /// Those who vote elsewhere go first; the others only when nobody seems to lead.
    private var campaignAt: Instant? {
        guard isCandidate else { return nil }
        if voters.contains(node) { return electionAt }
        if let leader, membership.isPresent(leader) { return nil }
        return electionAt.advanced(by: timings.degradedAfter)
    }

    var coordinationWake: Instant? {
        guard let coordination else { return nil }
        var wake: Instant?
        func sooner(_ instant: Instant?) {
            if let instant { wake = wake.map { min($0, instant) } ?? instant }
        }
        for row in coordination.asked.elements { sooner(row.value.at.advanced(by: timings.coordinatorPatience)) }
        if let tenure = coordination.tenure {
            sooner(tenure.until)
            if mayAsk(.renewal) { sooner(tenure.nextRenewal) }
            if leading != nil, mayAsk(.append), coordination.head.index < log.last.index {
                sooner(coordination.nextAppend)
            }
        } else if mayAsk(.way) {
            sooner(coordination.nextInspection)
            sooner(campaignAt)
        }
        return wake
    }

    /// Everything about the coordinator that is due, except what a leader does.
    mutating func tickCoordination(now: Instant) {
        guard let current = coordination else { return }
        for row in current.asked.elements where row.value.at.advanced(by: timings.coordinatorPatience) <= now {
            take(row.value.number, .unreachable("no answer came"), now: now)
        }
        if let tenure = coordination?.tenure {
            if tenure.until <= now {
                loseTenure(now: now)
            } else if storage != nil || (leading == nil && mayAsk(.way)) {
                // A leader of a higher term was heard, or the way to leadership broke off.
                giveUpTenure(now: now)
            } else if tenure.nextRenewal <= now {
                ask(.renewal, .renew(tenure: tenure.id), now: now)
            }
            return
        }
        let isDue = campaignAt.map { $0 <= now } ?? false
        // Whoever led is silent.
        if isDue { leader = nil }
        if isDue || coordination?.nextInspection.map({ $0 <= now }) ?? true { ask(.way, .inspect, now: now) }
    }

    // MARK: Answers

    mutating func take(_ number: UInt64, _ answer: CoordinatorAnswer, now: Instant) {
        guard let current = coordination else { return }
        guard let slot = Coordination.Slot.allCases.first(where: { current.asked[$0]?.number == number }),
            let asked = current.asked[slot]
        else {
            // Nobody waits for this leadership any more.
            if case .won(let tenure) = answer, current.tenure?.id != tenure { tell(.resign(tenure: tenure)) }
            return
        }
        coordination?.asked[slot] = nil
        switch answer {
        case .unreachable(let reason):
            failed(
                slot,
                "This node does not reach the coordinator \(current.settings.name) (\(reason)) and keeps trying; what "
                    + "serves goes on, and while no leader reaches it nothing new is decided.", now: now)
            return
        case .refused(let reason):
            failed(slot, "The coordinator \(current.settings.name) refuses: \(reason)", now: now)
            return
        case .fenced:
            loseTenure(now: now)
            return
        default: coordination?.trouble = nil
        }
        switch slot {
        case .way: wayLed(to: answer, askedAt: asked.at, now: now)
        case .renewal:
            let until = asked.at.advanced(by: timings.coordinatorTrust)
            coordination?.tenure?.until = max(until, current.tenure?.until ?? until)
            coordination?.tenure?.nextRenewal = asked.at.advanced(by: timings.coordinatorRenewal)
        case .append:
            guard case .appended(let place) = answer else { return }
            appended(place, now: now)
        case .compaction:
            guard case .compacted(let place) = answer else { return }
            coordination?.snapshotPlace = place
        }
    }

    private mutating func failed(_ slot: Coordination.Slot, _ sentence: String, now: Instant) {
        coordination?.trouble = sentence
        let again = now.advanced(by: timings.coordinatorRetry)
        switch slot {
        case .way:
            coordination?.nextInspection = again.advanced(by: timings.coordinatorRetry.times(3))
            if coordination?.tenure != nil { giveUpTenure(now: now) }
            postponeCampaign(now: now)
        case .renewal: coordination?.tenure?.nextRenewal = again
        case .append: coordination?.nextAppend = again
        case .compaction: coordination?.nextCompaction = again.advanced(by: timings.coordinatorInspection)
        }
    }

    private mutating func postponeCampaign(now: Instant) {
        electionAt = max(electionAt, now.advanced(by: timings.coordinatorRetry + electionDelay()))
    }

    private mutating func wayLed(to answer: CoordinatorAnswer, askedAt: Instant, now: Instant) {
        switch answer {
        case .inspected(let charter, let holder): inspected(charter, holder: holder, now: now)
        case .held: postponeCampaign(now: now)
        case .won(let id):
            coordination?.tenure = Coordination.Tenure(
                id: id, until: askedAt.advanced(by: timings.coordinatorTrust),
                nextRenewal: askedAt.advanced(by: timings.coordinatorRenewal))
            ask(.way, .read(after: commit), now: now)
        case .read(let reading): open(reading, now: now)
        case .done: beginTenure(now: now)
        default: break
        }
    }

    private mutating func inspected(_ charter: CoordinatorCharter?, holder: NodeID?, now: Instant) {
        coordination?.nextInspection = now.advanced(by: timings.coordinatorInspection)
        if let objection = objection(to: charter) {
            coordination?.trouble = objection
            postponeCampaign(now: now)
            return
        }
        if let holder, holder != node { coordination?.contradiction = nil }
        guard let due = campaignAt, due <= now else { return }
        guard holder == nil || holder == node, charter != nil || mayFound else {
            postponeCampaign(now: now)
            return
        }
        ask(.way, .campaign, now: now)
    }

    /// An empty coordinator gets the cluster of its founder, or that of the node that was told to bring it.
    var mayFound: Bool {
        (settings.founds || coordination?.settings.seeds == true) && log.last.index > 0 && ownCluster != 0
    }

    /// Why this node must not lead by what the coordinator holds; nil when it may, or knows too little yet.
    func objection(to charter: CoordinatorCharter?) -> String? {
        guard let name = coordination?.settings.name, ownCluster != 0 else { return nil }
        let own = Hexadecimal.text(of: ownCluster)
        guard let charter else {
            guard !mayFound, log.last.index > 0 else { return nil }
            return "The coordinator \(name) holds no cluster, while this node remembers \(own); start the node that "
                + "led last once with --seed-coordinator, or name the right coordinator."
        }
        guard charter.cluster == ownCluster else {
            return "The coordinator \(name) holds cluster \(Hexadecimal.text(of: charter.cluster)), and this node "
                + "belongs to \(own); name another prefix (etcd://HOST:PORT/PREFIX)."
        }
        return nil
    }

    // MARK: The end of a tenure

    /// Somebody else may lead from now on.
    mutating func loseTenure(now: Instant) {
        guard coordination?.tenure != nil else { return }
        coordination?.tenure = nil
        coordination?.opening = nil
        coordination?.asked = OrderedTable()
        if leading != nil { standDown(now: now) }
        electionAt = max(electionAt, now.advanced(by: electionDelay()))
    }

    /// The leader says that it leads no more: a learner gets no heartbeats it could miss, and would wait for it as long
    /// as it is there. No hint of a term is older than its leadership, because a tenure's term is new when it begins.
    mutating func noteEnd(_ hint: LeaderHint, of other: NodeID, now: Instant) {
        guard !isLedByVotes, leader == other, hint.leader != other, hint.term >= term else { return }
        leader = nil
        electionAt = max(electionAt, now.advanced(by: electionDelay()))
    }

    /// Ends the tenure, so that somebody can lead at once.
    mutating func giveUpTenure(now: Instant) {
        guard let tenure = coordination?.tenure else { return }
        tell(.resign(tenure: tenure.id))
        loseTenure(now: now)
    }
}
