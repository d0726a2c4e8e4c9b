import Vocabulary

/// Who answers: failure detection by probes, suspicion with objection, and gossip that rides on the probes.
///
/// Only members that the log admitted take part, so gossip can neither add a node nor bring a removed one back.
/// **Source:** Das, Gupta, Motivala, "SWIM", DSN 2002; Dadgar, Phillips, Currey, "Lifeguard", DSN-W 2018.
struct Membership: Sendable {
    struct Peer: Sendable {
        var status = Liveness.alive
        var incarnation: UInt64 = 0
        /// When the status began.
        var since: Instant
        var hint = LeaderHint()
        /// Heard of it in this life of ours; before that its status is a guess.
        var isConfirmed = false
    }

    struct Probe: Sendable {
        var target: NodeID
        var sequence: UInt64
        var sentAt: Instant
        var askOthersAt: Instant?
        var endsAt: Instant
        /// Helpers that have not even answered that they failed.
        var silentHelpers = 0
    }

    struct Suspicion: Sendable {
        var node: NodeID
        var began: Instant
        /// Who shares it, the first one included.
        var accusers: [NodeID]
        var deadline: Instant
    }

    struct Relay: Sendable {
        var sequence: UInt64
        var target: NodeID
        var asker: NodeID
        var askersSequence: UInt64
        var endsAt: Instant
    }

    /// What a piece of telemetry is about.
    struct ReadingKey: Hashable, Sendable {
        var node: NodeID
        var part: ReadingPart
    }

    let node: NodeID
    let timings: Timings
    var incarnation: UInt64 = 0
    /// Every other member.
    var peers = OrderedTable<NodeID, Peer>()
    /// Peers to be probed in this round, the last one next.
    var round: [NodeID] = []
    var probe: Probe?
    var suspicions: [Suspicion] = []
    var relays: [Relay] = []
    var statusQueue = GossipQueue<NodeID, StatusUpdate>()
    /// What stages do goes before other telemetry: people wait for it.
    var stageQueue = GossipQueue<NodeID, ReadingNews>()
    var readingQueue = GossipQueue<ReadingKey, ReadingNews>()
    /// How slow this node itself seems to be; stretches its timeouts.
    var health = 0
    var sequence: UInt64 = 0
    var nextProbe: Instant?
    var nextRevive: Instant?
    var nextSync: Instant?
    /// Members that answer again, to be asked what they know.
    var returned: [NodeID] = []

    init(node: NodeID, timings: Timings) {
        self.node = node
        self.timings = timings
    }

    /// Members including this node.
    var count: Int { peers.count + 1 }

    func status(of other: NodeID) -> Liveness? { other == node ? .alive : peers[other]?.status }

    func isAlive(_ other: NodeID) -> Bool { status(of: other) == .alive }

    /// Alive or suspect: not given up.
    func isPresent(_ other: NodeID) -> Bool { status(of: other).map { $0 <= .suspect } ?? false }

    /// Times a piece of news is passed on: enough to reach everybody with high probability.
    var retransmissions: Int { Limits.gossipFactor * max(2, Int.bitWidth - count.leadingZeroBitCount) }

    /// Time between a node's readings on the gossip: as many more members, so much longer, so that everybody passes on
    /// as much as with ten.
    var readingPeriod: Duration { timings.readingPeriod * max(count, 10) / 10 }

    /// The same for links, which change less than memory and disk: as many times longer as a node tells of, so that
    /// they take as much in a large cluster, where it has measured more.
    var linkPeriod: Duration { readingPeriod * min(max(1, count - 1), Limits.reportedLinks) }

    /// Passes a part of somebody's telemetry on. Each is told a fixed number of times, however many members there are:
    /// 98 of 100 hear it, and the next one, or an exchange, tells the others. What a fetch depends on goes on until
    /// everybody has heard it.
    mutating func tell(_ news: ReadingNews) {
        guard let part = news.part else { return }
        let size = news.encoded.count + 2
        // It would wait for ever, and what is behind it, too.
        guard size <= Limits.gossipBytes else { return }
        let isRare = part == .holds || part == .devices
        let times = isRare ? max(Limits.readingTellings, retransmissions / Limits.gossipFactor) : Limits.readingTellings
        if part == .stages {
            stageQueue.add(news, about: news.reading.node, size: size, times: times)
        } else {
            readingQueue.add(news, about: ReadingKey(node: news.reading.node, part: part), size: size, times: times)
        }
    }

    /// A time of `period` on the average, so that members that started together do not stay in step.
    static func around(_ period: Duration, _ random: inout SeededRandom) -> Duration {
        period / 2 + .milliseconds(random.below(Int(clamping: max(1, period.milliseconds))))
    }

    private var logCount: Int {
        // Rounded up, as the timeout grows with the time that news takes: 1 up to 10 members, 2 up to 100, …
        var (power, digits) = (10, 1)
        while power < count {
            power *= 10
            digits += 1
        }
        return digits
    }

    /// Follows the log: admits new members and forgets removed ones.
    mutating func follow(_ members: [NodeID], now: Instant) {
        let wanted = members.filter { $0 != node }
        guard wanted != peers.keys else { return }
        for gone in peers.keys where !Self.contains(wanted, gone) {
            peers[gone] = nil
            statusQueue.remove(gone)
            stageQueue.remove(gone)
            for part in ReadingPart.allCases { readingQueue.remove(ReadingKey(node: gone, part: part)) }
            suspicions.removeAll { $0.node == gone }
            relays.removeAll { $0.target == gone || $0.asker == gone }
            if probe?.target == gone { probe = nil }
        }
        for new in wanted where peers[new] == nil { peers[new] = Peer(since: now) }
    }

    /// Whether an ascending list contains a node.
    private static func contains(_ list: [NodeID], _ node: NodeID) -> Bool {
        var (low, high) = (0, list.count)
        while low < high {
            let middle = (low + high) / 2
            if list[middle] < node { low = middle + 1 } else { high = middle }
        }
        return low < list.count && list[low] == node
    }

    // MARK: Status

    /// Takes what somebody says about a member.
    mutating func learn(_ update: StatusUpdate, from accuser: NodeID, now: Instant) {
        guard update.node != node else {
            object(to: update)
            return
        }
        guard let index = peers.index(of: update.node) else { return }
        let peer = peers.element(at: index).value
        if update.status == .suspect, peer.status == .suspect, update.incarnation == peer.incarnation {
            confirm(update.node, by: accuser, now: now)
        }
        guard Self.replaces(update, peer) else { return }
        peers.update(at: index) { peer in
            peer.incarnation = update.incarnation
            peer.isConfirmed = true
            guard peer.status != update.status else { return }
            peer.status = update.status
            peer.since = now
        }
        suspicions.removeAll { $0.node == update.node }
        if update.status == .suspect { suspect(update.node, by: accuser, now: now) }
        tell(update)
    }

    /// A higher incarnation comes from the member itself; within one, bad news is newer than good news.
    private static func replaces(_ update: StatusUpdate, _ peer: Peer) -> Bool {
        if update.incarnation != peer.incarnation { return update.incarnation > peer.incarnation }
        return update.status > peer.status
    }

    private mutating func object(to update: StatusUpdate) {
        guard update.status != .alive else { return }
        if update.incarnation >= incarnation {
            // Never one that the others would not read.
            incarnation = min(update.incarnation, Limits.largestNumber - 1) + 1
            worsen()
        }
        // Who still believes an older accusation has not heard the objection to it.
        tell(StatusUpdate(node: node, status: .alive, incarnation: incarnation))
    }

    mutating func tell(_ update: StatusUpdate) {
        // Identity, status and incarnation in a record behind its length.
        statusQueue.add(update, about: update.node, size: 16, times: retransmissions)
    }

    /// This node has heard from a member directly; that is more than any rumour.
    ///
    /// A member that is held for dead is told so, and objects with a higher incarnation: only that raises it again.
    mutating func heard(from other: NodeID, now: Instant) {
        guard let index = peers.index(of: other) else { return }
        let peer = peers.element(at: index).value
        if !peer.isConfirmed { peers.update(at: index) { $0.isConfirmed = true } }
        guard peer.status != .alive else { return }
        tell(StatusUpdate(node: other, status: peer.status, incarnation: peer.incarnation))
    }

    mutating func improve() { health = max(0, health - 1) }

    mutating func worsen() { health = min(Limits.localHealthLimit, health + 1) }

    // MARK: Suspicion

    /// Independent accusers that end a suspicion early; nobody waits for more than there are.
    private var accusersWanted: Int { min(3, max(0, count - 2)) }

    mutating func suspect(_ other: NodeID, by accuser: NodeID, now: Instant) {
        var suspicion = Suspicion(node: other, began: now, accusers: [accuser], deadline: now)
        suspicion.deadline = deadline(of: suspicion)
        suspicions.append(suspicion)
    }

    private mutating func confirm(_ other: NodeID, by accuser: NodeID, now: Instant) {
        guard let index = suspicions.firstIndex(where: { $0.node == other }),
            suspicions[index].accusers.count <= accusersWanted, !suspicions[index].accusers.contains(accuser)
        else { return }
        suspicions[index].accusers.append(accuser)
        suspicions[index].deadline = deadline(of: suspicions[index])
        if let peer = peers[other] {
            tell(StatusUpdate(node: other, status: .suspect, incarnation: peer.incarnation))
        }
    }

    /// Shrinks from the longest to the shortest time with the number of accusers, in logarithmic steps.
    private func deadline(of suspicion: Suspicion) -> Instant {
        let shortest = timings.suspicionBase.times(logCount)
        let wanted = accusersWanted
        guard wanted > 0 else { return suspicion.began.advanced(by: shortest) }
        let longest = shortest.times(timings.suspicionStretch)
        // log(c + 1) / log(wanted + 1) in hundredths, for c of at most 3 further accusers.
        let logarithms = [0, 69, 110, 139]
        let further = min(suspicion.accusers.count - 1, wanted)
        let saved = (longest - shortest) * logarithms[further] / logarithms[wanted]
        return suspicion.began.advanced(by: longest - saved)
    }

    mutating func expireSuspicions(now: Instant) {
        for suspicion in suspicions where suspicion.deadline <= now {
            guard let peer = peers[suspicion.node] else { continue }
            learn(
                StatusUpdate(node: suspicion.node, status: .dead, incarnation: peer.incarnation), from: node, now: now)
        }
        suspicions.removeAll { $0.deadline <= now }
    }
}
