package import Cluster
package import Logging
import NIOCore
import NIOPosix
import Vocabulary

/// What the cluster service is told once.
package struct ClusterServiceSettings: Sendable {
    /// This node's own record; without addresses, the control channel's own is filled in.
    package var member: Member
    /// Whether an empty memory means a new cluster.
    package var founds: Bool
    /// Identity of a cluster that is founded here; 0 draws one.
    package var foundedCluster: UInt64 = 0
    /// Whether the node was in its cluster before this start, so that an empty memory means a lost one.
    package var isReturning = false
    /// Peers to find the cluster by.
    package var seeds: [PeerAddress] = []
    /// The control channel.
    package var fabric: FabricSettings
    /// How long things take in the brain.
    package var timings = Cluster.Timings()
    /// Host others reach this node at, where the member has no addresses.
    package var advertisedHost = "127.0.0.1"
    /// A coordinator that gives the leadership and holds the log; nil leaves that to the voters.
    package var coordination: CoordinationSettings?
    /// Time between measurements of this node.
    package var measuring = Duration.seconds(5)

    /// Makes settings.
    package init(member: Member, founds: Bool, fabric: FabricSettings) {
        self.member = member
        self.founds = founds
        self.fabric = fabric
    }
}

/// What the service uses of the world.
package struct ClusterPorts: Sendable {
    /// Runs this node's stages.
    package var tasks: any StageTasks
    /// Decides which layers run where; may take a while, as it may have to ask other nodes about a model.
    package var plan: @Sendable (PlanQuestion) async -> PlanAnswer
    /// Measures this node; the service adds its links.
    package var reading: @Sendable () -> NodeReading
    /// The machine's clocks.
    package var clocks: ServiceClocks
    /// The coordinator, where `ClusterServiceSettings.coordination` names one; closed by the service.
    package var coordinator: (any Coordinating)?
    /// Called with the members, and those that were removed, when either changed, before the control channel follows.
    /// MUST be quick.
    package var membersChanged: @Sendable ([Member], Set<NodeID>) -> Void = { _, _ in }

    /// Puts the ports together.
    package init(
        tasks: any StageTasks, clocks: ServiceClocks, plan: @escaping @Sendable (PlanQuestion) async -> PlanAnswer,
        reading: @escaping @Sendable () -> NodeReading
    ) {
        self.tasks = tasks
        self.plan = plan
        self.reading = reading
        self.clocks = clocks
    }
}

/// Why a command has no outcome.
package enum ClusterServiceError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The service has stopped, or stopped before the command ended.
    case stopped

    /// One sentence with the next step.
    package var description: String {
        switch self {
        case .stopped: "This node stops; ask another one."
        }
    }
}

/// The shell of the control plane: feeds the brain one input at a time, and carries out its effects in the order of
/// their contract. Decides nothing.
///
/// **Isolation:** an actor on a thread of its own, because writing waits for the disk.
package actor ClusterService {
    /// The thread of all control planes of this process; a write may hold it for as long as a sync takes.
    private static let thread = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    private nonisolated let loop: any EventLoop
    /// See `Actor`.
    package nonisolated var unownedExecutor: UnownedSerialExecutor { loop.executor.asUnownedSerialExecutor() }

    /// This node.
    package nonisolated let node: NodeID
    /// The control channel.
    package nonisolated let fabric: ControlFabric
    nonisolated let inbox: Inbox
    nonisolated let bells = WatchBells()
    private nonisolated let plans: AsyncStream<PlanQuestion>
    private nonisolated let planned: AsyncStream<PlanQuestion>.Continuation
    private nonisolated let questions: AsyncStream<CoordinatorQuestion>
    private nonisolated let asked: AsyncStream<CoordinatorQuestion>.Continuation
    private nonisolated let logger: Logger

    private var settings: ClusterServiceSettings
    private let ports: ClusterPorts
    /// Nil once stopped, so that the next start finds it free.
    private var store: (any EventStore & Sendable)?
    private var brain: ControlPlane
    private var waiting: [UInt64: CheckedContinuation<CommandOutcome, any Error>] = [:]
    private var timer: (at: Instant, task: Scheduled<Void>)?
    private var wallOffset: Int64?
    private var nextMeasurement = Instant(nanoseconds: .min)
    private var roster: FabricRoster?
    private var followed: (OrderedTable<NodeID, Member>, OrderedTable<NodeID, Stamp>)?
    private var announcement: (number: UInt64?, notBefore: Instant)?
    private var viewKey: ClusterViewKey
    private var history: ChangeHistory
    private var hasStopped = false
    private var trouble: String?
    /// Damage of the memory that was found at the start, if any.
    package let damage: StoreFailure?

    /// Loads the memory, opens the control channel, and makes the brain; `run` brings it to life.
    ///
    /// **Throws:** `StoreFailure` when the memory cannot be read, `FabricError` when the port cannot be opened.
    package static func open(
        _ settings: ClusterServiceSettings, store: consuming any EventStore & Sendable, ports: ClusterPorts,
        logger: Logger
    ) async throws -> ClusterService {
        var settings = settings
        var store = store
        var damage: StoreFailure?
        var stored: StoredCluster
        do throws(StoreFailure) {
            stored = try store.load()
        } catch {
            guard case .damaged = error else { throw error }
            logger.error("the cluster's memory was damaged; this node begins without", metadata: ["why": "\(error)"])
            damage = error
            stored = try store.load()
        }
        let inbox = Inbox()
        settings.fabric.cluster = stored.snapshot.cluster
        let fabric = try await ControlFabric.open(settings.fabric) { inbox.offer($0) }
        if settings.member.addresses.isEmpty {
            settings.member.addresses = ["\(PeerAddress(host: settings.advertisedHost, port: fabric.port))"]
        }
        return ClusterService(settings, store, stored, damage, ports, inbox, fabric, logger)
    }

    private init(
        _ settings: ClusterServiceSettings, _ store: any EventStore & Sendable, _ stored: StoredCluster,
        _ damage: StoreFailure?, _ ports: ClusterPorts, _ inbox: Inbox, _ fabric: ControlFabric, _ logger: Logger
    ) {
        self.settings = settings
        self.store = store
        self.damage = damage
        self.ports = ports
        self.inbox = inbox
        self.fabric = fabric
        life = settings.fabric.boot
        self.logger = logger
        node = settings.member.node
        loop = Self.thread.next()
        var told = ControlPlaneSettings(
            member: settings.member, seed: settings.fabric.seed, founds: settings.founds && damage == nil)
        told.timings = settings.timings
        told.foundedCluster = settings.foundedCluster
        told.coordination = ports.coordinator == nil ? nil : settings.coordination
        // A coordinator remembers for all.
        told.hasForgotten =
            told.coordination == nil && (damage != nil || (settings.isReturning && stored == StoredCluster()))
        brain = ControlPlane(settings: told, stored: stored)
        viewKey = brain.viewKey
        history = ChangeHistory(brain.view)
        (plans, planned) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(Cluster.Limits.plansInFlight * 2))
        (questions, asked) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(FabricLimits.questions))
    }

    // MARK: Living

    /// Runs until the task is cancelled; then hands over, says good-bye and closes the channel.
    package func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.answerPlans() }
            group.addTask { await self.askCoordinator() }
            await drive()
            group.cancelAll()
        }
        process([.leave])
        hasStopped = true
        timer?.task.cancel()
        for caller in waiting.values { caller.resume(throwing: ClusterServiceError.stopped) }
        waiting = [:]
        bells.finish()
        store = nil
        await ports.coordinator?.close()
        await fabric.close()
    }

    private func drive() async {
        fabric.call(settings.seeds)
        process([.wallClock(readWall())])
        for await _ in inbox.bell {
            if Task.isCancelled { return }
            var inputs = inbox.take(FabricLimits.inputsPerWrite).flatMap { self.inputs(of: $0) }
            if let jumped = wallJump() { inputs.append(.wallClock(jumped)) }
            if nextMeasurement <= now { inputs.append(.reading(await measure())) }
            if let timer, timer.at <= now {
                self.timer = nil
                inputs.append(.tick)
            }
            process(inputs)
        }
    }

    private var now: Instant { Instant(nanoseconds: ports.clocks.uptimeNanoseconds()) }

    /// What an item means to the brain.
    private func inputs(of item: Inbox.Item) -> [ControlPlane.Input] {
        switch item {
        case .input(let input): return [input]
        case .fabric(.received(let message, let peer)): return [.received(message, from: peer)]
        case .fabric(.ended(let peer)):
            logger.info("a node's process ended", metadata: ["node": "\(peer)"])
            return [.peerDied(peer)]
        case .fabric(.connected(let peer, let cluster, let address)):
            logger.debug("connected", metadata: ["node": "\(peer)", "address": "\(address)"])
            let isNewcomer = brain.state.cluster == 0 && !settings.founds && cluster != 0
            return isNewcomer ? [.join(seed: peer)] : []
        case .fabric(.lost(let peer, let closure)):
            logger.debug("connection lost", metadata: ["node": "\(peer)", "why": "\(closure)"])
            return []
        case .fabric(.failed(let address, _, let closure)):
            let level: Logger.Level = closure.isViolation ? .warning : .debug
            logger.log(level: level, "no connection", metadata: ["address": "\(address)", "why": "\(closure)"])
            return []
        }
    }

    // MARK: Effects

    /// Gives inputs to the brain and carries out what follows, until nothing does. One write serves them all.
    private func process(_ inputs: [ControlPlane.Input]) {
        var inputs = inputs[...]
        while !inputs.isEmpty {
            var effects = Effects()
            while let input = inputs.popFirst() {
                effects.merge(brain.handle(input, now: now))
                // What is written anew must be what was there when it was decided.
                if effects.isRebase { break }
            }
            inputs = carryOut(effects) + inputs
        }
        followState()
        setTimer()
    }

    /// Carries effects out; the inputs that come of it.
    private func carryOut(_ effects: Effects) -> ArraySlice<ControlPlane.Input> {
        wish = effects.wakeAt
        do throws(StoreFailure) {
            try store?.write(effects.persist)
        } catch {
            logger.error("nothing can be kept", metadata: ["why": "\(error)"])
            return [.storeFailed(error, of: effects)]
        }
        fabric.send(effects.send.map { ($0.to, $0.message) })
        for reply in effects.replies {
            if announcement?.number == reply.command.number { announced(reply.outcome) }
            waiting.removeValue(forKey: reply.command.number)?.resume(returning: reply.outcome)
        }
        for task in effects.tasks {
            ports.tasks.perform(task) { [inbox] report in inbox.offer(.stage(report)) }
        }
        for question in effects.plans { planned.yield(question) }
        for question in effects.coordinator { asked.yield(question) }
        var following: ArraySlice<ControlPlane.Input> = []
        if let stored = effects.storedPosition { following.append(.stored(index: stored.index, term: stored.term)) }
        if effects.isRebase { following.append(.storeRecovered) }
        return following
    }

    /// When the brain wants to be woken.
    private var wish: Instant?

    private func setTimer() {
        guard !hasStopped else { return }
        let time = now
        let due = max(time, min(wish ?? nextMeasurement, nextMeasurement))
        timer?.task.cancel()
        // The two clocks are not the same: a ring that comes too early sets the timer once more.
        let delay = max(100_000, due.since(time).inNanoseconds)
        timer = (due, loop.scheduleTask(in: .nanoseconds(delay)) { [inbox] in inbox.ring() })
    }

    /// Side by side, of which the brain asks few at once: a model whose file nobody has may keep its plan waiting.
    private func answerPlans() async {
        await withDiscardingTaskGroup { group in
            for await question in plans {
                group.addTask { [inbox, plan = ports.plan] in
                    let answer = await Self.answer(question, plan)
                    inbox.offer(.planned(question: question.id, answer))
                }
            }
        }
    }

    /// Off the actor: planning may take a while.
    @concurrent
    private static func answer(
        _ question: PlanQuestion, _ plan: @Sendable (PlanQuestion) async -> PlanAnswer
    ) async -> PlanAnswer {
        await plan(question)
    }

    /// The brain asks few things at once, so all of them go on side by side.
    private func askCoordinator() async {
        guard let coordinator = ports.coordinator else { return }
        await withDiscardingTaskGroup { group in
            for await question in questions {
                group.addTask { [inbox] in
                    let answer = await coordinator.answer(question.request)
                    inbox.offer(.coordinator(number: question.number, answer))
                }
            }
        }
    }

    // MARK: The world

    private func readWall() -> Int64 {
        let wall = ports.clocks.unixMilliseconds()
        wallOffset = wall - now.nanoseconds / 1_000_000
        return wall
    }

    /// The wall clock, when it jumped.
    private func wallJump() -> Int64? {
        let offset = ports.clocks.unixMilliseconds() - now.nanoseconds / 1_000_000
        guard let known = wallOffset, abs(offset - known) > 200 else { return nil }
        return readWall()
    }

    private func measure() async -> NodeReading {
        nextMeasurement = now.advanced(by: settings.measuring)
        var reading = ports.reading()
        reading.links = await fabric.peers().filter { $0.roundTrip.smoothed != nil }
            .prefix(FabricLimits.linkReadings).map { peer in
                LinkReading(
                    peer: peer.node, roundTripMicroseconds: peer.roundTrip.smoothed.map { UInt64($0) / 1000 },
                    bytesPerSecond: nil)
            }
        return reading
    }

    /// The channel and the watchers follow what the log says.
    private func followState() {
        let state = brain.effectiveState
        let book = brain.addressBook
        if followed.map({ $0 != book || $1 != state.removedMembers }) ?? true || roster?.cluster != state.cluster {
            followed = (book, state.removedMembers)
            let peers = book.elements.filter { $0.key != node }.map { ($0.key, $0.value.addresses) }
            let new = FabricRoster(
                cluster: state.cluster, peers: Dictionary(peers) { first, _ in first },
                removed: Set(state.removedMembers.keys))
            roster = new
            ports.membersChanged(book.values, new.removed)
            fabric.follow(new)
        }
        announce(state)
        let key = brain.viewKey
        guard key != viewKey else { return }
        viewKey = key
        followTrouble()
        if history.note(brain.view) { bells.ring() }
    }

    private func followTrouble() {
        guard brain.coordinatorTrouble != trouble else { return }
        trouble = brain.coordinatorTrouble
        if let trouble {
            logger.warning("the coordinator is of no use", metadata: ["why": "\(trouble)"])
        } else {
            logger.notice("the coordinator answers again")
        }
    }

    /// A node whose addresses or abilities changed tells the others.
    private func announce(_ state: ClusterState) {
        guard let own = state.members[node], announcement?.number == nil, !hasStopped,
            announcement.map({ $0.notBefore <= now }) ?? true, brain.currentLeader != nil
        else { return }
        let new = settings.member
        guard
            own.addresses != new.addresses || own.name != new.name || own.tags != new.tags || own.role != new.role
                || own.level != new.level || own.dataPort != new.dataPort || own.key != new.key
        else { return }
        let number = UInt64.random(in: 1 ... .max)
        announcement = (number, now)
        inbox.offer(.command(number: number, .admit(new)))
    }

    private func announced(_ outcome: CommandOutcome) {
        announcement = (nil, now.advanced(by: settings.timings.commandDeadline))
        guard case .refused(let refusal) = outcome else { return }
        logger.warning("the cluster does not take this node's record", metadata: ["why": "\(refusal)"])
    }

    // MARK: Callers

    /// Carries a command out, wherever the leader is, and waits for its outcome.
    ///
    /// **Throws:** `ClusterServiceError.stopped`.
    package func apply(_ action: Command.Action) async throws -> CommandOutcome {
        guard !hasStopped else { throw ClusterServiceError.stopped }
        let number = UInt64.random(in: 1 ... .max)
        return try await withCheckedThrowingContinuation { caller in
            waiting[number] = caller
            process([.command(number: number, action)])
        }
    }

    /// What this node knows of its cluster now.
    package var view: ClusterView { brain.view }

    /// What the planner would be asked about a wish now, by what this node knows; it is not asked.
    package func planQuestion(for deployment: Deployment) -> PlanQuestion {
        brain.planQuestion(for: deployment, now: now)
    }

    /// What would become of a wish now, by what this node knows; nothing is decided.
    package func preview(_ deployment: Deployment) async -> (question: PlanQuestion, answer: PlanAnswer) {
        let question = planQuestion(for: deployment)
        return (question, await Self.answer(question, ports.plan))
    }

    /// Measures this node at once, because something worth telling changed.
    package func measureNow() {
        nextMeasurement = now
        inbox.ring()
    }

    /// Tells the others where this node is found from now on, when that is somewhere else.
    package func move(to addresses: [String]) {
        guard !addresses.isEmpty, addresses != settings.member.addresses, !hasStopped else { return }
        logger.notice("this node has other addresses", metadata: ["addresses": "\(addresses)"])
        settings.member.addresses = addresses
        if announcement?.number == nil { announcement = nil }
        process([])
    }

    /// Number of this life of the node.
    package nonisolated let life: UInt64

    /// Whether this node leads by majority.
    package var isLeader: Bool { brain.isLeader }

    /// The replicated state as far as this node has applied it.
    package var state: ClusterState { brain.state }

    /// The state this node acts on: that of a part without a majority where it is in one.
    package var effectiveState: ClusterState { brain.effectiveState }

    /// The record of a member, also of one whose admission is not known to be committed.
    package func member(_ node: NodeID) -> Member? { brain.addressBook[node] }

    /// Messages that were dropped because the brain could not keep up.
    package nonisolated var droppedMessages: Int { inbox.dropped }

    /// The changes from now on, or from behind `seen`, beginning with everything where that is no longer kept; nil when
    /// too many watch.
    package nonisolated func watch(after seen: UInt64? = nil) -> ClusterWatch? {
        bells.add().map { ClusterWatch(service: self, bell: $0, seen: seen) }
    }

    func update(after seen: UInt64?) -> ClusterUpdate? { history.update(after: seen) }
}

extension Effects {
    /// Whether everything is written anew, after the disk had failed.
    fileprivate var isRebase: Bool { persist.contains { if case .rebase = $0 { true } else { false } } }
}
