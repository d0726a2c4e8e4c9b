import Gateway
import Logging
import NIOCore
import NIOPosix
import Runner
import Serving
import Transport
import Vocabulary
import Wire

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Keeps one deployment running on this machine: starts a runner per stage, proves that the chain answers, hands
/// requests to it, and starts everything anew under a new epoch when a runner is lost.
actor PlacementSupervisor {
    /// How long starting may take. **Units:** seconds.
    static let startSeconds = 600
    /// Requests that may wait for a placement that is starting.
    static let waiterLimit = 256
    /// How long the exits of a broken chain are gathered, to tell the stage that died from those that left because of
    /// it. **Units:** milliseconds.
    static let settleMilliseconds: Int64 = 200

    /// Where the deployment stands.
    enum State: Sendable {
        case starting(reason: String)
        case ready(ControlLink)
        case failed(reason: String)
        case stopped
    }

    let plan: DeploymentPlan
    /// When the deployment was made. **Units:** seconds since 1970.
    let created: Int64
    private let executable: String
    private let folder: String
    private let logger: Logger
    private let eventLoop: any EventLoop
    private(set) var state = State.starting(reason: "its stages are being started")
    private var policy = RestartPolicy()
    private var epoch = Epoch(term: 1, number: 0)
    /// Who waits for the next change of the state, by number.
    private var waiters: [UInt64: AsyncStream<Void>.Continuation] = [:]
    private var waiterCount: UInt64 = 0
    private var loaded: [Int: LoadedStage] = [:]
    private let origin = ContinuousClock.now
    private(set) var restarts = 0
    private var activeCommands: [AsyncStream<RunnerCommand>.Continuation] = []
    private var times: [Int: StageTimes] = [:]
    private var timesWaiter: CheckedContinuation<Void, Never>?
    private var archiveWaiter: CheckedContinuation<Void, Never>?

    init(plan: DeploymentPlan, executable: String, folder: String, eventLoop: any EventLoop, logger: Logger) {
        self.plan = plan
        created = Int64(time(nil))
        self.executable = executable
        self.folder = folder
        self.eventLoop = eventLoop
        self.logger = logger
    }

    /// Runs until the task is cancelled, restarting lost stages as `RestartPolicy` allows.
    func run() async {
        while !Task.isCancelled {
            epoch = Epoch(term: epoch.term, number: epoch.number + 1)
            let loss = await attempt()
            if Task.isCancelled { break }
            let now = Instant(nanoseconds: Int64((ContinuousClock.now - origin) / .nanoseconds(1)))
            switch policy.crashed(at: now) {
            case .restart(let pause):
                restarts += 1
                change(to: .starting(reason: "stage \(loss.stage) was lost (\(loss.reason)) and is started again"))
                try? await Task.sleep(for: pause)
            case .giveUp(let crashes, let window):
                change(
                    to: .failed(
                        reason:
                            "stage \(loss.stage) was lost \(crashes) times within \(window); last: \(loss.reason)"
                    ))
                return
            }
        }
        change(to: .stopped)
    }

    /// Waits until the placement is ready, and answers its link; or why it is not going to be, or not within the time
    /// of a request that came with `arrival`.
    func ready(for arrival: Arrival? = nil) async throws(GenerationError) -> ControlLink {
        let name = plan.spec.name
        while true {
            switch state {
            case .ready(let link):
                if await link.isConnected { return link }
                // The chain broke a moment ago and its exits are still being gathered: wait for what follows.
                guard case .ready(let current) = state, current === link else { continue }
                guard !Task.isCancelled else { throw .cancelled }
            case .failed(let reason): throw .modelNotReady(name: name, reason: reason, retryAfterSeconds: 60)
            case .stopped: throw .modelNotReady(name: name, reason: "the node is stopping", retryAfterSeconds: 60)
            case .starting(let reason):
                guard waiters.count < Self.waiterLimit, !Task.isCancelled else {
                    throw .modelNotReady(name: name, reason: reason, retryAfterSeconds: 5)
                }
            }
            if let overdue = arrival?.overdue { throw overdue }
            let (changes, waiter) = AsyncStream.makeStream(of: Void.self)
            waiterCount += 1
            let number = waiterCount
            waiters[number] = waiter
            _ = await changes.first(until: arrival?.end)
            waiters[number] = nil
        }
    }

    /// What is known about each stage that has been loaded, by index.
    var loadedStages: [Int: LoadedStage] { loaded }

    /// Where each stage's time went so far, by index; empty when the placement is not ready.
    func stageTimes() async -> [StageTimes] {
        guard case .ready = state, timesWaiter == nil else { return [] }
        times = [:]
        await withCheckedContinuation { continuation in
            timesWaiter = continuation
            for commands in activeCommands { commands.yield(.report) }
        }
        return times.sorted { $0.key < $1.key }.map(\.value)
    }

    private func endTimesWait() {
        timesWaiter?.resume()
        timesWaiter = nil
    }

    /// Has the entry stage write what it keeps to disk, and waits until nothing is left or `endArchiveWait`. Nothing
    /// may be running any more.
    func archive() async {
        guard case .ready = state, plan.spec.archive != nil, archiveWaiter == nil, let entry = activeCommands.first
        else { return }
        await withCheckedContinuation { continuation in
            archiveWaiter = continuation
            entry.yield(.archive)
        }
    }

    /// Ends the wait of `archive`.
    func endArchiveWait() {
        archiveWaiter?.resume()
        archiveWaiter = nil
    }

    private func change(to new: State) {
        state = new
        for number in waiters.keys.sorted() { waiters[number]?.finish() }
        waiters = [:]
    }

    // MARK: One attempt

    private struct Loss: Sendable {
        var stage: Int
        var reason: String
    }

    private enum Notice: Sendable {
        case report(Int, RunnerReport)
        case exit(Int, RunnerExit)
        case settled
        case timeout
    }

    /// Starts all runners and stays until one of them is lost.
    private func attempt() async -> Loss {
        let configurations = plan.runnerConfigurations(
            cluster: "local", placement: plan.spec.name, epoch: epoch, folder: folder)
        let (notices, notify) = AsyncStream.makeStream(of: Notice.self)
        loaded = [:]
        return await withTaskGroup(of: Void.self) { group in
            var commands: [AsyncStream<RunnerCommand>.Continuation] = []
            for configuration in configurations {
                let (stream, continuation) = AsyncStream.makeStream(of: RunnerCommand.self)
                commands.append(continuation)
                let process = RunnerProcess(executable: executable, configuration: configuration, logger: logger)
                let index = configuration.stageIndex
                group.addTask {
                    let exit = await process.run(commands: stream) { notify.yield(.report(index, $0)) }
                    notify.yield(.exit(index, exit))
                }
            }
            group.addTask {
                try? await Task.sleep(for: .seconds(Self.startSeconds))
                notify.yield(.timeout)
            }
            activeCommands = commands
            let loss = await follow(notices, configurations, commands) { [eventLoop] in
                eventLoop.scheduleTask(in: .milliseconds(Self.settleMilliseconds)) { notify.yield(.settled) }
            }
            activeCommands = []
            endTimesWait()
            endArchiveWait()
            group.cancelAll()
            for continuation in commands { continuation.finish() }
            return loss
        }
    }

    private func follow(
        _ notices: AsyncStream<Notice>, _ configurations: [RunnerConfiguration],
        _ commands: [AsyncStream<RunnerCommand>.Continuation], settle: () -> Void
    ) async -> Loss {
        var firstLoss: Loss?
        var addresses: [Int: LinkAddress] = [:]
        var readyStages = 0
        var lastWords: [Int: String] = [:]
        var detached: [Int: String] = [:]
        for await notice in notices {
            switch notice {
            case .report(let index, .listening(let address, _)): addresses[index] = address
            case .report(_, .loading): break
            case .report(let index, .loaded(let stage)):
                loaded[index] = stage
                if let costs = stage.costs { plan.remember(costs, of: configurations[index]) }
            case .report(let index, .failed(let reason)): lastWords[index] = reason
            case .report(let index, .detached(let reason)): detached[index] = reason
            case .report(_, .ready): readyStages += 1
            case .report(let index, .times(let stage)):
                times[index] = stage
                if times.count == configurations.count { endTimesWait() }
            case .report(_, .archived): endArchiveWait()
            case .exit(let index, let exit):
                guard let reason = detached[index] else {
                    return await lose(Loss(stage: index, reason: lastWords[index] ?? exit.description))
                }
                if firstLoss == nil { settle() }
                firstLoss = firstLoss ?? Loss(stage: index, reason: reason)
            case .settled:
                if let firstLoss { return await lose(firstLoss) }
            case .timeout:
                if case .ready = state { continue }
                return Loss(stage: 0, reason: "it did not start within \(Self.startSeconds) s")
            }
            if case .report(_, .listening) = notice, addresses.count == configurations.count {
                // A stage listens after it has reported what it loaded.
                let stages = configurations.indices.map { loaded[$0] }
                let chain = ChainFacts(
                    costs: stages.map { $0?.costs }, archives: stages.map { $0?.archives },
                    heads: stages.last??.heads, pauses: stages.map { $0?.pauses })
                for (index, continuation) in commands.enumerated() {
                    continuation.yield(
                        .connect(
                            next: addresses[index + 1].map { LinkTarget($0) },
                            entry: addresses[0].map { LinkTarget($0) }, chain: chain))
                }
            }
            if case .report(_, .ready) = notice, readyStages == configurations.count, let entry = addresses[0],
                let first = configurations.first
            {
                if let loss = await open(entry, first) { return loss }
            }
        }
        return Loss(stage: 0, reason: "the node stopped it")
    }

    /// Ends what was running on the lost placement, each request with one typed error.
    private func lose(_ loss: Loss) async -> Loss {
        logger.warning(
            "a stage was lost", metadata: ["stage.index": "\(loss.stage)", "reason": "\(loss.reason)"])
        guard case .ready(let link) = state else { return loss }
        state = .starting(reason: "stage \(loss.stage) was lost")
        await link.fail(.stageLost(stage: loss.stage, reason: loss.reason))
        return loss
    }

    /// Connects to the entry stage and proves with one token that the whole chain answers.
    private func open(_ address: LinkAddress, _ entry: RunnerConfiguration) async -> Loss? {
        guard let width = loaded[0]?.shape.width, let digest = ModelDigest(hexadecimal: entry.modelDigest) else {
            return Loss(stage: 0, reason: "the entry stage reported no shape")
        }
        let hello = Hello(
            cluster: entry.cluster, placement: entry.placement, epoch: entry.epoch, role: .control, sender: nil,
            receiver: StagePlace(index: 0, layers: entry.layers), model: digest, width: width, format: plan.spec.wire)
        let link = ControlLink(hello: hello, eventLoop: eventLoop)
        do {
            try await link.open(LinkTarget(address))
        } catch {
            return Loss(stage: 0, reason: "\(error)")
        }
        let canary = GenerationRequest.canary(of: plan.spec.name, isEncoder: loaded[0]?.isEncoder ?? false)
        switch await link.end(of: canary) {
        case .finished: change(to: .ready(link))
        case .failed(let error):
            return Loss(stage: 0, reason: DeploymentError.canary(reason: "\(error)").description)
        default: return Loss(stage: 0, reason: "the canary's stream ended without an end")
        }
        logger.info("a deployment is ready", metadata: ["model": "\(plan.spec.name)", "cut": "\(plan.cut)"])
        return nil
    }
}
