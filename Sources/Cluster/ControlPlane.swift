package import Vocabulary

/// What a control plane is told once.
package struct ControlPlaneSettings: Sendable {
    /// The node's own record.
    package var member: Member
    /// Seed of the brain's own draws.
    package var seed: UInt64
    /// How long things take.
    package var timings = Timings()
    /// Whether an empty disk means a new cluster, with this node as its founder.
    package var founds: Bool
    /// Identity of a cluster that is founded here; 0 draws one.
    package var foundedCluster: UInt64 = 0
    /// Whether the node was in its cluster before and its disk does not know any more what it decided there.
    package var hasForgotten = false
    /// A coordinator that holds the log and gives the leadership; nil is decided by the voters.
    package var coordination: CoordinationSettings?
    /// Whether a debug build stops at a broken invariant right after the input that broke it.
    package var assertsInvariants = true

    /// Makes settings.
    package init(member: Member, seed: UInt64, founds: Bool) {
        self.member = member
        self.seed = seed
        self.founds = founds
    }
}

/// The control-plane brain of one node: membership, leadership, the event log, and what the node's stages should do.
///
/// Pure and total: `handle` reads no clock, does no IO, never throws, and for the same inputs gives the same effects.
/// Read `handle` first, then `Leadership/` (who decides), `ControlPlane+Log` (what was decided), `Reconciler/` (what
/// to do about it) and `Stages/` (doing it).
///
/// **Isolation:** owned by one actor, the node's control-plane shell.
package struct ControlPlane: Sendable {
    /// This node.
    package let node: NodeID
    let settings: ControlPlaneSettings
    let timings: Timings
    var random: SeededRandom
    var clock: HybridClock
    var membership: Membership

    // On disk before anything that follows from it is said.
    /// Newest term this node takes part in.
    package internal(set) var term: UInt64
    /// Whom it voted for in that term; also whom it follows in it without a majority.
    var vote: NodeID?
    var log: EventLog
    /// The committed state.
    package internal(set) var state: ClusterState
    var stateTerm: UInt64
    /// Entries up to here are known to be on this node's own disk.
    var storedIndex: UInt64
    var agent: StageAgent
    var branch: StoredBranch?
    /// Whether the memory of an earlier life is lost: see `ControlPlane+Amnesia`.
    package internal(set) var hasForgotten: Bool

    /// Index up to which entries are known to be committed.
    package internal(set) var commit: UInt64
    /// The leader by majority that was heard in this term.
    package internal(set) var leader: NodeID?
    var leaderHeardAt: Instant?
    var promiseUntil: Instant
    var electionAt: Instant
    var aloneSince: Instant?
    var claimAt: Instant?
    /// Highest term seen anywhere, also where nothing followed from it.
    var highestTerm: UInt64
    var campaign: Campaign?
    var leading: Leading?
    var ruling: Ruling?
    var branchHeardAt: Instant?
    var incoming: IncomingSnapshot?
    /// Why nothing lasts at the moment; nil while all is well.
    package internal(set) var storage: StoreFailure?
    var storeRetryAt: Instant?

    var readings = OrderedTable<NodeID, NodeReading>()
    /// How new each part of the readings is; kept beside them.
    var marks = OrderedTable<NodeID, ReadingMarks>()
    /// Counts what was learned about anybody's telemetry.
    var readingCount: UInt64 = 0
    var ownReading: NodeReading
    var nextReading: Instant?
    var rounds = ReadingRounds()
    var readingChanged = true
    /// Whom this node has told its reading; another leader needs it at once.
    var toldLeader: NodeID?
    var pending = OrderedTable<UInt64, PendingCommand>()
    var ownCommands: UInt64
    var mergeAt: Instant?
    /// The command that hands over all that was decided without a majority.
    var handover: CommandID?
    var reconciler = ReconcilerMemory()
    var coordination: Coordination?
    /// Entries on the disk, committed or not, say that a coordinator decides.
    let remembersCoordinator: Bool
    var joinSeed: NodeID?
    var nextJoin: Instant?
    var retirement: Retirement?
    var hasLeft = false
    var hasStarted = false
    /// Until then a member that does not answer may still be starting, as this node was.
    var othersStartUntil = Instant(nanoseconds: .min)
    var followedIndex: UInt64?
    var effects = Effects()

    /// Makes the brain of a node with what its disk holds; an empty disk is a new node.
    package init(settings: ControlPlaneSettings, stored: StoredCluster = StoredCluster()) {
        self.settings = settings
        node = settings.member.node
        timings = settings.timings
        random = SeededRandom(seed: settings.seed)
        clock = HybridClock(node: node)
        membership = Membership(node: node, timings: timings)
        term = stored.term
        vote = stored.vote
        state = stored.snapshot
        stateTerm = stored.snapshotTerm
        commit = stored.snapshot.index
        log = EventLog(base: .init(index: stored.baseIndex, term: stored.baseTerm), entries: stored.entries)
        if log.term(at: state.index) != stateTerm {
            // A write was torn between a snapshot and the entries it replaces.
            log = EventLog(base: .init(index: state.index, term: stateTerm), entries: [])
        }
        storedIndex = log.last.index
        agent = StageAgent(node: node, fences: stored.fences)
        branch = stored.branch
        hasForgotten = stored.hasForgotten
        highestTerm = stored.term
        promiseUntil = Instant(nanoseconds: .min)
        electionAt = Instant(nanoseconds: .max)
        ownReading = NodeReading(node: node)
        ownCommands = random.next() >> 1
        remembersCoordinator = stored.entries.contains { $0.sets(Self.coordinatorSetting) }
        coordination = settings.coordination.map { Coordination($0) }
    }

    /// Takes one input and returns what follows from it. Bounded work: proportional to members and bounded batches.
    package mutating func handle(_ input: Input, now: Instant) -> Effects {
        if !hasStarted { start(now: now) }
        renewOwnLease(now: now)
        switch input {
        case .wallClock(let milliseconds): clock.set(wall: milliseconds, now: now)
        case .received(let message, let sender): receive(message, from: sender, now: now)
        case .command(let number, let action): submit(number, action, now: now)
        case .reading(let reading): measured(reading)
        case .stage(let report): if agent.changed(report) { readingChanged = true }
        case .planned(let question, let answer): reconciler.answered(question, answer)
        case .stored(let index, let term): if log.term(at: index) == term { storedIndex = max(storedIndex, index) }
        case .storeFailed(let failure, let lost): storeFailed(failure, lost, now: now)
        case .storeRecovered:
            storage = nil
            storedIndex = log.last.index
        case .peerDied(let other): peerDied(other, now: now)
        case .coordinator(let number, let answer): take(number, answer, now: now)
        case .join(let seed): joinSeed = seed
        case .leave: leave(now: now)
        case .tick: break
        }
        if !hasLeft { advance(now: now) }
        if settings.assertsInvariants { assert(brokenInvariant == nil, brokenInvariant ?? "") }
        defer { effects = Effects() }
        return effects
    }

    /// What every input ends with: everything that is due, then everything that follows from it.
    private mutating func advance(now: Instant) {
        join(now: now)
        membership.tick(hint, &random, &effects, now: now)
        exchange(now: now)
        tickElection(now: now)
        tickBranch(now: now)
        applyCommitted(now: now)
        retire(now: now)
        mergeBranch(now: now)
        reconcile(now: now)
        tickLeading(now: now)
        applyCommitted(now: now)
        driveStages()
        publishReading(now: now)
        retryCommands(now: now)
        retryStore(now: now)
        effects.wakeAt = wake(now: now)
    }

    private mutating func start(now: Instant) {
        hasStarted = true
        othersStartUntil = now.advanced(by: timings.leaderGrace)
        clock.observe(state.results.floor)
        for entry in log.entries { clock.observe(entry.stamp) }
        if settings.hasForgotten, !hasForgotten { forget() }
        if settings.founds, state.cluster == 0, log.last.index == 0 { found(now: now) }
        // A promise to a leader is not on disk, so a restarted voter keeps the longest it could have made.
        promiseUntil = term == 0 ? now : now.advanced(by: timings.promise)
        electionAt = promiseUntil.advanced(by: electionDelay())
        if voters == [node] { electionAt = now }
        nextReading = now
    }

    private mutating func found(now: Instant) {
        let cluster = settings.foundedCluster == 0 ? max(1, random.next()) : settings.foundedCluster
        setTerm(1, vote: node)
        var member = settings.member
        member.stamp = clock.next(now: now)
        append(
            LogEntry(
                index: 1, term: 1, stamp: clock.next(now: now), command: nil,
                events: [EventRecord(.founded(cluster: cluster, member: member))]))
    }

    /// Asks to be admitted until the log says so.
    private mutating func join(now: Instant) {
        guard let seed = joinSeed else { return }
        guard state.cluster == 0 else {
            joinSeed = nil
            return
        }
        guard nextJoin.map({ $0 <= now }) ?? true else { return }
        nextJoin = now.advanced(by: timings.commandRetry)
        let command = Command(
            id: CommandID(origin: node, number: ownCommands), issued: clock.next(now: now),
            action: .admit(settings.member))
        effects.send(seed, .propose(command))
    }

    private mutating func receive(_ message: ClusterMessage, from sender: NodeID, now: Instant) {
        guard sender != node, !hasLeft, isCredible(message, from: sender) else { return }
        switch message {
        case .ping(let sequence, let gossip):
            hear(gossip, from: sender, now: now)
            membership.ping(sender, sequence, hint, &effects, now: now)
        case .pingRequest(let target, let sequence, let gossip):
            hear(gossip, from: sender, now: now)
            membership.pingRequest(sender, target: target, sequence, hint, &effects, now: now)
        case .ack(let sequence, let about, let gossip):
            hear(gossip, from: sender, now: now)
            membership.ack(sender, sequence, about: about, hint, &effects, now: now)
        case .nack(let sequence): membership.nack(sender, sequence, now: now)
        case .sync(let exchange): hear(exchange, from: sender, now: now)
        case .vote(let request): answer(request, from: sender, now: now)
        case .voteReply(let reply): count(reply, from: sender, now: now)
        case .append(let append): follow(append, from: sender, now: now)
        case .appendReply(let reply): progress(reply, of: sender, now: now)
        case .snapshot(let chunk): receive(chunk, from: sender, now: now)
        case .snapshotReply(let term, let index, let offset, let sentAt):
            continueSnapshot(sender, term: term, index: index, offset: offset, sentAt: sentAt, now: now)
        case .succeed(let term): succeed(term: term, now: now)
        case .branch(let beat): follow(beat, from: sender, now: now)
        case .branchReply(let reply): count(reply, from: sender, now: now)
        case .propose(let command): take(command, from: sender, now: now)
        case .refused(let id, let refusal): end(id, .refused(refusal))
        case .doneDegraded(let id): end(id, .doneDegraded)
        case .report(let reading):
            learn(reading)
            if reading.node == sender { leading?.heard.insert(sender) }
        }
    }

    /// Whether the sender may say this at all: a worker neither votes nor leads a majority. It may lead those who are
    /// cut off with it, for which it asks by a claim.
    private func isCredible(_ message: ClusterMessage, from sender: NodeID) -> Bool {
        switch message {
        case .append, .snapshot, .succeed: break
        case .vote(let request): if request.kind == .claim { return true }
        default: return true
        }
        return !isWorker(sender) || voters.contains(sender)
    }

    private mutating func hear(_ gossip: Gossip, from sender: NodeID, now: Instant) {
        for update in gossip.updates { membership.learn(update, from: sender, now: now) }
        for news in gossip.news { learn(andPassOn: news) }
        if let index = membership.peers.index(of: sender) {
            membership.peers.update(at: index) { $0.hint = gossip.hint }
        }
        noteHint(gossip.hint, now: now)
        noteEnd(gossip.hint, of: sender, now: now)
    }

    private mutating func peerDied(_ other: NodeID, now: Instant) {
        guard let peer = membership.peers[other], peer.status != .dead else { return }
        membership.learn(
            StatusUpdate(node: other, status: .dead, incarnation: peer.incarnation), from: node, now: now)
    }

    private mutating func leave(now: Instant) {
        resign(now: now)
        let farewell = StatusUpdate(node: node, status: .left, incarnation: membership.incarnation)
        let present = membership.peers.keys.filter { membership.isPresent($0) }
        for peer in present.prefix(Limits.indirectProbes * 4) {
            effects.send(peer, .sync(Exchange([farewell], isReply: true)))
        }
        hasLeft = true
    }

    /// The earliest time something is due.
    private func wake(now: Instant) -> Instant? {
        var wake = now.advanced(by: timings.reconcilePeriod)
        func sooner(_ instant: Instant?) { if let instant, instant < wake { wake = instant } }
        sooner(membership.wake)
        sooner(electionWake)
        sooner(leadingWake)
        sooner(branchWake)
        sooner(reconciler.settles(after: timings.settling, now: now))
        if state.cluster != 0 {
            sooner(nextReading)
            sooner(rounds.stagesDue)
        }
        sooner(joinSeed == nil ? nil : nextJoin)
        if hasForgotten, leader != nil { sooner(retirement?.nextTry) }
        for row in pending.elements { sooner(row.value.nextTry) }
        return max(wake, now)
    }
}
